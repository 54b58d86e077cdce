//! Allocations and blocks, counted.

mod allocations;
mod blocks;
mod checked_lines;
mod frames;
mod futures;
