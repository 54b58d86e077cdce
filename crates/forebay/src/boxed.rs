//! Futures that run once per connection, in memory of their own.

use std::pin::Pin;

/// Moves a future into memory of its own.
///
/// A task reserves room for the largest future that it awaits anywhere, for its whole life. A handler that connects or
/// closes would hold some hundred bytes more while it waits for its next line.
///
/// The type is gone behind the pointer, which spares the compiler of the caller to look through it, again and again.
pub(crate) fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}
