//! Properties of random values; a failure prints its seed. Unit tests use them too.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::random::fresh_seed;
use crate::{KIB, from_environment, size};

/// Checks a property for `cases` random values, a quarter of them in a [quick](size) run. A failure prints the seed that repeats it and the
/// smallest value that still fails.
#[track_caller]
pub fn property<S>(name: &str, cases: u32, strategy: &S, test: impl Fn(S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let seed = from_environment("FOREBAY_SEED", fresh_seed("forebay"));
    let cases = size("FOREBAY_CASES", cases.div_ceil(4), cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng).run(strategy, |value| {
        test(value);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => {
            panic!("{name}: {why}\nFOREBAY_SEED={seed} repeats it\nsmallest: {value:?}")
        }
        Err(TestError::Abort(why)) => panic!("{name}: gave up: {why}"),
    }
}

/// Returns sizes that tests of buffers need: mostly small, often beside a boundary, sometimes anything.
pub fn sizes() -> impl Strategy<Value = usize> + Clone {
    let boundary =
        prop_oneof![Just(4 * KIB), Just(16 * KIB), Just(32 * KIB), Just(48 * KIB), Just(64 * KIB)];
    prop_oneof![
        6 => 1..40_usize,
        3 => (boundary, 0..5_usize).prop_map(|(at, off)| at + off - 2),
        1 => 1..80 * KIB,
    ]
}

/// Returns sizes of the pieces in which bytes arrive, to be used cyclically.
pub fn splits() -> impl Strategy<Value = Vec<usize>> + Clone {
    proptest::collection::vec(sizes(), 1..12)
}
