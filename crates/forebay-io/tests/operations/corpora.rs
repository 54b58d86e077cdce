//! The inputs that fuzzers have found, replayed: `fuzz/seeds` in the repository.

use std::fs;
use std::path::Path;

use forebay_testing::{
    channels::ledgered,
    oracle::{FrameCase, check_operations},
    report,
};

/// Calls `check` with each file of a corpus.
fn replay(corpus: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(corpus);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus in the repository") {
        let path = entry.expect("an entry").path();
        let input = fs::read(&path).expect("a file of the corpus");
        // Printed only if the test fails.
        println!("{}", path.display());
        ledgered(|_| check(&input));
        count += 1;
    }
    report(&format!("{corpus}: {count} inputs"));
    assert!(count > 50, "{count} inputs: where is the corpus?");
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of cases")]
fn frames() {
    replay("frames", |input| FrameCase::from_bytes(input).check());
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of cases")]
fn channel_operations() {
    replay("channel_operations", check_operations);
}
