//! The share of a turn that datagrams have.

use std::cell::Cell;
use std::task::{Context, Poll};

use forebay_io::seam::Share;

/// The datagrams that one thread receives and sends in a turn before the tasks that do give way.
const CALLS_MAX: u16 = 256;

thread_local! {
    /// For all datagram sockets together: a flood to one of them must not hold up the others' tasks, nor
    /// those of connections.
    static SHARE: Cell<Share> = const { Cell::new(Share::of_calls(CALLS_MAX)) };
}

/// Gives way to the next turn if this turn's share is used up.
pub(in crate::net) fn poll(cx: &Context<'_>) -> Poll<()> {
    with_share(|share| share.poll_left(cx)).unwrap_or(Poll::Ready(()))
}

/// Returns `true` if something of this turn's share is left.
pub(in crate::net) fn is_left() -> bool {
    with_share(|share| share.has_room(1)).unwrap_or(true)
}

/// Counts a datagram of this length.
pub(in crate::net) fn spend(bytes: usize) {
    with_share(|share| share.spend(bytes));
}

/// `None` while the thread ends.
fn with_share<T>(use_it: impl FnOnce(&mut Share) -> T) -> Option<T> {
    let used = SHARE.try_with(|kept| {
        let mut share = kept.replace(Share::of_calls(CALLS_MAX));
        let used = use_it(&mut share);
        kept.set(share);
        used
    });
    used.ok()
}
