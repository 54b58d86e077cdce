//! Random input whose failures print their seed. Unit tests use it too.

#![allow(dead_code, clippy::cast_possible_truncation)]

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// Checks a property for `cases` random values. A failure prints the seed that repeats it and the
/// smallest value that still fails.
#[track_caller]
pub(crate) fn property<S>(name: &str, cases: u32, strategy: &S, test: impl Fn(S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let seed = match std::env::var("FOREBAY_SEED") {
        Ok(given) => given.parse().expect("FOREBAY_SEED is a number"),
        Err(_) => fresh_seed(),
    };
    let cases = match std::env::var("FOREBAY_CASES") {
        Ok(given) => given.parse().expect("FOREBAY_CASES is a number"),
        Err(_) => cases,
    };
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

fn fresh_seed() -> u64 {
    RandomState::new().hash_one("forebay")
}

/// Sizes that tests of buffers want: mostly small, often beside a boundary, sometimes anything.
pub(crate) fn sizes() -> impl Strategy<Value = usize> + Clone {
    let boundary =
        prop_oneof![Just(4 * KIB), Just(16 * KIB), Just(32 * KIB), Just(48 * KIB), Just(64 * KIB)];
    prop_oneof![
        6 => 1..40_usize,
        3 => (boundary, 0..5_usize).prop_map(|(at, off)| at + off - 2),
        1 => 1..80 * KIB,
    ]
}

/// Sizes of the pieces in which bytes arrive; to be used round and round.
pub(crate) fn splits() -> impl Strategy<Value = Vec<usize>> + Clone {
    proptest::collection::vec(sizes(), 1..12)
}

/// Bytes that differ from their neighbours, so that a lost or doubled one shows.
pub(crate) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..4 * MIB + 4096).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
    });
    BYTES[seed % 4096..][..len].to_vec()
}
