//! The names of the channels' methods beside those of the extension traits that people import.
//!
//! With such a trait in scope, a call on an owned channel is the trait's where the trait takes the channel by value, and
//! the inherent one otherwise. So no inherent method may have the name of one that does.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

/// The methods by value of `AsyncReadExt`, `AsyncBufReadExt`, `AsyncWriteExt` and `SinkExt` of tokio 1.54, futures-util
/// 0.3.34 and futures-lite 2.6.
const BY_VALUE: [&str; 20] = [
    "boxed_reader",
    "boxed_writer",
    "buffer",
    "bytes",
    "chain",
    "compat",
    "compat_write",
    "fanout",
    "into_sink",
    "left_sink",
    "lines",
    "right_sink",
    "sink_err_into",
    "sink_map_err",
    "split",
    "take",
    "with",
    "with_flat_map",
    // Of `FutureExt` and `StreamExt`, which a channel may have one day.
    "boxed",
    "map",
];

/// The public functions that are defined in the sources of a folder.
fn public_functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in read_dir(folder).expect("the crate's sources are here") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            public_functions(&path, names);
            continue;
        }
        for line in read_to_string(&path).expect("a source").lines() {
            let line = line.trim_start();
            let name = ["pub fn ", "pub async fn ", "pub const fn "]
                .iter()
                .find_map(|opening| line.strip_prefix(opening));
            let name = name.and_then(|name| name.split(['(', '<']).next());
            names.extend(name.map(str::to_owned));
        }
    }
}

#[test]
fn no_method_has_the_name_of_one_that_would_win() {
    let mut names = BTreeSet::new();
    for folder in ["src/read", "src/write"] {
        public_functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut names);
    }
    for known in ["read_line", "read_until", "peek", "into_parts", "write_str", "finish"] {
        assert!(names.contains(known), "{known} was not found");
    }
    let shared: Vec<_> = BY_VALUE.iter().filter(|name| names.contains(**name)).collect();
    assert!(shared.is_empty(), "{shared:?}");
}
