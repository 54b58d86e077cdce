//! Why a connection ended, kept once for everybody who asks.

use std::sync::Arc;

use crate::Error;
use crate::sync::OnceLock;

/// The first error of a connection, shared by both of its halves.
///
/// It is written before the error is returned from any call, and never replaced. Later signs of
/// the same end (an empty receive, `EPIPE`) are read in its light, so that nobody sees a clean end
/// after a reset.
#[derive(Debug, Clone, Default)]
pub struct Cause(Arc<OnceLock<Error>>);

impl Cause {
    /// Remembers this error if it is the first, and returns the one that counts.
    pub fn record(&self, error: Error) -> Error {
        self.0.get_or_init(|| error).clone()
    }

    /// The first error, if there was one.
    pub fn get(&self) -> Option<&Error> {
        self.0.get()
    }
}
