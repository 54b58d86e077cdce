//! The notes that a call on the link makes of its errors, while the descriptor or the lane is still held.
//!
//! The kernel reports an error once, to the call that comes first, and an end to all calls that follow. So
//! a call that meets an end waits until no call is in progress (`Link::let_calls_end`), and then knows
//! whether there was an error before the end.

use std::io;

use forebay_io::Result;

/// The questions and reports of a call while it holds the descriptor.
pub(super) trait Note: Copy {
    /// Fails if the call may not begin. A close refuses all other reads, waits for the calls in progress to
    /// end, and receives only then: so no reader gets bytes from behind discarded ones.
    fn check(&self) -> Result<()>;

    /// Stores the error, if it is the connection's first, and returns the connection's error for it.
    fn error(&self, error: io::Error) -> io::Error;

    /// True if the end mark goes out by releasing the link, directly after the bytes that are sent.
    fn is_last(&self) -> bool;
}
