//! The output of a test: none, unless it fails, is skipped, or is asked for it.

use std::env;
use std::io::{self, Write};

/// Prints a measured number, with `FOREBAY_VERBOSE=1`. Otherwise the test runner shows it if the test
/// fails.
pub fn report(line: &str) {
    if is_verbose() {
        print(line);
    } else {
        println!("{line}");
    }
}

/// Prints that a test cannot show anything here. `.ci/skips.py` looks for the line.
pub fn skip(name: &str, reason: &str) {
    print(&format!("SKIP {name}: {reason}"));
}

/// Prints a line at once. Not by `eprintln!`, which the test runner hides in a test that passes.
pub(crate) fn print(line: &str) {
    let mut stderr = io::stderr();
    writeln!(stderr, "{line}").unwrap();
}

pub(crate) fn is_verbose() -> bool {
    env::var_os("FOREBAY_VERBOSE").is_some_and(|given| given != "0")
}
