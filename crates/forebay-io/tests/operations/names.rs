//! No call of a channel has the name of a method that an extension trait takes by value.
//!
//! With such a trait in scope a call on an owned value would be the trait's, silently: a method that takes `self` is
//! found before one that takes `&mut self`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The methods that take `self` by value, of the traits that people import: `AsyncReadExt`, `AsyncBufReadExt` and
/// `AsyncWriteExt` of tokio 1, futures 0.3 and futures-lite 2, `SinkExt` and `StreamExt` of futures 0.3, and
/// `StreamExt` of futures-lite 2 and of tokio-stream 0.1.
const TAKEN_BY_VALUE: &str = "
    chain take split lines bytes compat compat_write compat_mut into_sink boxed_reader boxed_writer
    with with_flat_map fanout buffer sink_map_err sink_err_into left_sink right_sink
    into_future map enumerate filter filter_map then collect unzip concat count cycle fold any all flatten
    flatten_unordered flat_map flat_map_unordered scan skip_while take_while map_while take_until for_each
    for_each_concurrent skip fuse catch_unwind boxed boxed_local buffered buffer_unordered zip peekable chunks
    ready_chunks forward inspect left_stream right_stream copied cloned step_by or race stop_after_future
    partition last find_map position timeout timeout_repeating throttle chunks_timeout merge
";

/// The types whose values are asynchronous readers, writers, sinks or streams.
const TYPES: [&str; 7] = [
    "ByteReadChannel",
    "ByteWriteChannel",
    "SharedWriteChannel",
    "Connection",
    "Incoming",
    "IncomingDatagrams",
    "IncomingUnixDatagrams",
];

/// Names that are there all the same, with the reason why nothing can be mistaken.
const EXCUSED: [(&str, &str); 1] = [
    // A count of bytes that waits for nothing; the trait's needs a `Stream`, which a reader is not.
    ("ByteReadChannel", "buffered"),
];

#[test]
fn no_inherent_method_has_the_name_of_one_that_is_taken_by_value() {
    let taken: BTreeSet<_> = TAKEN_BY_VALUE.split_whitespace().collect();
    let mut seen = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/");
    for of in ["forebay-io/src", "forebay/src"] {
        each_source(&root.join(of), &mut |text| seen.extend(methods(text)));
    }
    assert!(seen.len() > 80, "{} methods seen: is the scan still right?", seen.len());
    for (of, name) in &seen {
        let is_excused = EXCUSED.contains(&(of.as_str(), name.as_str()));
        assert!(is_excused || !taken.contains(name.as_str()), "{of}::{name} would not be called");
    }
}

fn each_source(folder: &Path, look: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each_source(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&fs::read_to_string(path).expect("a source"));
        }
    }
}

/// Returns the public methods in the `impl` blocks of the types.
fn methods(text: &str) -> Vec<(String, String)> {
    let mut of = None;
    let mut found = Vec::new();
    for line in text.lines() {
        let code = line.trim_start();
        if let Some(head) = code.strip_prefix("impl ") {
            let name = head.split([' ', '<', '{']).find(|word| !word.is_empty());
            of = TYPES.into_iter().find(|known| name == Some(known) && !head.contains(" for "));
        }
        let Some(of) = of else { continue };
        let signature = code.strip_prefix("pub async fn ").or_else(|| code.strip_prefix("pub fn "));
        if let Some(signature) = signature {
            let name = signature.split(['(', '<']).next().unwrap_or_default();
            found.push((of.to_owned(), name.to_owned()));
        }
    }
    found
}
