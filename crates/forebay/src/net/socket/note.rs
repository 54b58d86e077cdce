//! Where a call on the link notes its error, while the descriptor, or the lane, is still held.
//!
//! The kernel tells an error once, to whichever call comes first, and an end to all that follow. So a
//! call that meets an end waits until no call is under way (`Link::let_calls_end`), and knows then whether
//! there was an error before it.

use std::io;

use forebay_io::Result;

/// What a call asks and tells while it holds the descriptor.
pub(super) trait Note: Copy {
    /// Fails where the call may not begin. A close has all other reads refused, lets the calls end that
    /// are under way, and receives only then: so no reader gets what lay behind something that was
    /// thrown away.
    fn check(&self) -> Result<()>;

    /// Keeps the error, if it is the connection's first, and returns the connection's error for it.
    fn error(&self, error: io::Error) -> io::Error;

    /// True when the end mark goes out by releasing the link, right behind what is sent.
    fn is_last(&self) -> bool;
}
