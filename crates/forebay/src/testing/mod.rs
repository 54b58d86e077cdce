//! For tests: a clock that the test owns.

mod clock;

pub use self::clock::TestClock;
