//! Repeatable random numbers, and sizes that can be requested.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::time::Duration;

use crate::report;

/// Returns a number from the environment, or this one.
pub fn from_environment<T: FromStr>(variable: &str, otherwise: T) -> T {
    match env::var(variable) {
        Ok(given) => {
            given.parse().unwrap_or_else(|_| panic!("{variable}={given} where a number goes"))
        }
        Err(_) => otherwise,
    }
}

/// Returns the size of a test: this variable's value, or else the long one with `FOREBAY_LONG=1`, and
/// otherwise the quick one.
pub fn size<T: FromStr>(variable: &str, quick: T, long: T) -> T {
    let is_long = env::var_os("FOREBAY_LONG").is_some_and(|given| given != "0");
    from_environment(variable, if is_long { long } else { quick })
}

/// Returns the seed of a test: `FOREBAY_SEED`, or a new one. A test that fails prints it.
pub fn seed(test: &str) -> u64 {
    let seed = from_environment("FOREBAY_SEED", fresh_seed(test));
    report(&format!("{test}: FOREBAY_SEED={seed} repeats it"));
    seed
}

/// A seed that no earlier run had.
pub(crate) fn fresh_seed(test: &str) -> u64 {
    RandomState::new().hash_one(test)
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): short, and every seed is as good as any other.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Makes separate numbers for every stream of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        // Mixed, because a stream must not be a stretch of another.
        Self(seed ^ Self(stream).next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns up to a millisecond, and often zero.
    pub fn moment(&mut self) -> Duration {
        Duration::from_micros((self.next() % 2000).saturating_sub(1000))
    }

    /// Returns a number below this one.
    #[allow(clippy::cast_possible_truncation, reason = "it is below a usize")]
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
