//! The errors of several addresses, combined into one.

use std::fmt;

use forebay_io::{Error, ErrorKind};

/// An error lists this many of the first errors, and the last one.
const TOLD: usize = 4;

/// The errors of the addresses that one name stands for.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The first few, each with its address.
    first: Vec<Error>,
    /// The latest one, after the first ones.
    last: Option<Error>,
    count: usize,
}

impl Attempts {
    pub(super) fn failed(&mut self, error: Error, address: impl fmt::Display) {
        let error = error.with_address(address);
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(error);
        } else {
            self.last = Some(error);
        }
    }

    /// Returns the last error with a message that lists the others. The error of a single attempt is
    /// returned unchanged.
    pub(super) fn into_error(self, operation: &'static str, address: impl fmt::Display) -> Error {
        let Self { mut first, last, count } = self;
        let skipped = count - first.len() - usize::from(last.is_some());
        first.extend(last);
        let Some(newest) = first.last().cloned() else {
            return Error::new(ErrorKind::NotFound, operation).with_address(address);
        };
        if count == 1 {
            return newest;
        }
        let mut told: Vec<_> = first.iter().map(ToString::to_string).collect();
        if skipped > 0 {
            told.insert(TOLD, format!("{skipped} more"));
        }
        let detail = format!("{count} addresses failed: {}", told.join("; "));
        newest.with_address(address).with_detail(detail)
    }
}
