//! The inputs that the fuzzers `lines` and `delimiters` have found, replayed: `fuzz/seeds`.

use std::fs::{read, read_dir};
use std::path::Path;

use forebay_testing::reading::{delimiters, lines};

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut count = 0;
    for entry in read_dir(folder).expect("the seeds are in the repository") {
        let path = entry.expect("an entry").path();
        let seed = read(&path).expect("a file");
        let outcome = std::panic::catch_unwind(|| run(&seed));
        assert!(outcome.is_ok(), "{} fails", path.display());
        count += 1;
    }
    assert!(count > 100, "only {count} seeds");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no files")]
fn lines_that_a_fuzzer_found() {
    replay("lines", lines);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no files")]
fn items_that_a_fuzzer_found() {
    replay("delimiters", delimiters);
}
