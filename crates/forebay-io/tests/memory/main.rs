//! Allocations and blocks, counted.

mod allocations;
mod blocks;
mod frames;
mod futures;
