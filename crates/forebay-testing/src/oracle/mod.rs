//! Naive oracles of what channels do, for random tests, fuzzers, and the files that fuzzers have left.

mod decoder;
mod frames;
mod operations;

pub use self::frames::{FrameCase, FramePart, FramingKind};
pub use self::operations::check_operations;
