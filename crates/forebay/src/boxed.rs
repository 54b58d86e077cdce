//! Futures that run once per connection, in memory of their own.

use std::pin::Pin;

/// Moves a future into memory of its own.
///
/// A task reserves room for the largest future that it awaits anywhere, for its whole life. A handler that connects or
/// closes would hold some hundred bytes more while it waits for its next line.
pub(crate) fn boxed<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}
