//! The reason why a connection ended, stored once for all that ask.

use std::sync::Arc;

use crate::Error;
use crate::sync::OnceLock;

/// The first error of a connection, shared by its two halves.
///
/// It is recorded before any call returns the error, and it is never replaced. Later symptoms of the same
/// end (an empty receive, `EPIPE`) are reported as this error, so that no call sees a clean end after a
/// reset.
#[derive(Debug, Clone, Default)]
pub struct Cause(Arc<OnceLock<Error>>);

impl Cause {
    /// Records this error if it is the first one, and returns the first one.
    pub fn record(&self, error: Error) -> Error {
        self.0.get_or_init(|| error).clone()
    }

    /// Returns the first error, if there was one.
    pub fn get(&self) -> Option<&Error> {
        self.0.get()
    }
}
