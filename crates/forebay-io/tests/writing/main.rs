//! Writing: pieces, numbers, flushes, what a drop leaves.

#![allow(clippy::cast_possible_truncation)]

mod arguments;
mod composed;
mod copy_to;
mod drops;
mod flush;
mod model;
mod pieces;
mod segments;
