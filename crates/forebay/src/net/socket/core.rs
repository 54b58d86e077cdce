//! The state that all handles of a connection share: the link, the cause, and how far the connection has
//! ended.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use forebay_io::seam::{Cause, Outbox, Waiters, WakeList};
use forebay_io::{Error, ErrorKind, Result};

use super::close_reason::CloseReason;
use super::halves::Halves;
use super::layer::Layer;
use super::life::{Announce, Life};
use super::link::{Leave, Link};
use super::timeouts::Timeouts;
use super::watch::Watch;
use crate::lock::lock;
use crate::net::options::{OptionValues, SocketRole};
use crate::net::{SocketAddress, UnixAddress};
use crate::selector::Shared;
use crate::time::Limits;
use crate::trace::ConnectionSpan;

/// The parts of a new connection, besides its link.
pub(in crate::net) struct CoreParts {
    pub(in crate::net) remote: SocketAddress,
    /// The local address, or the listener's, which may be less exact: the system is asked on demand.
    pub(in crate::net) local: Arc<SocketAddress>,
    pub(in crate::net) options: Arc<OptionValues>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    /// The name that was connected to; `None` for an address. TLS checks it.
    pub(in crate::net) host_name: Option<Box<str>>,
}

/// The state of a connection.
///
/// In this order in memory: what every call reads stands together at the front, in two or three cache lines.
#[repr(C)]
pub(super) struct Core {
    life: Life,
    halves: Halves,
    timeouts: OnceLock<Arc<Timeouts>>,
    /// The first error of any call on the link. It explains everything that follows.
    cause: Cause,
    link: Link,
    layer: Layer,
    parts: CoreParts,
    local: OnceLock<Box<SocketAddress>>,
    /// Bytes of input that closing has discarded.
    discarded: AtomicU64,
    /// The key in the list of connections that close without an owner; zero if it is not in it.
    ticket: AtomicU64,
    /// The write side, which is told when the connection is over: the outermost one if TLS is on top. It
    /// holds the core, so the core must not hold it.
    outbox: Mutex<Weak<Outbox>>,
    /// Made when watching begins.
    watch: OnceLock<Box<Watch>>,
    waiters: Mutex<Waiters<()>>,
    /// The key in the list of connections that are closed with their selector; zero before it is there.
    key: AtomicU64,
    span: ConnectionSpan,
}

impl Core {
    pub(super) fn new(link: Link, role: SocketRole, parts: CoreParts) -> Arc<Self> {
        let core = Arc::new(Self {
            link,
            cause: Cause::default(),
            life: Life::default(),
            halves: Halves::default(),
            layer: Layer::default(),
            parts,
            local: OnceLock::new(),
            discarded: AtomicU64::new(0),
            ticket: AtomicU64::new(0),
            outbox: Mutex::default(),
            timeouts: OnceLock::new(),
            watch: OnceLock::new(),
            waiters: Mutex::default(),
            key: AtomicU64::new(0),
            span: ConnectionSpan::new(),
        });
        let open = Arc::downgrade(&core);
        let key = core.selector().remaining().add(open);
        // Relaxed: it is read when the last reference to the core is gone.
        core.key.store(key, Ordering::Relaxed);
        let ends = (LocalAddress(&core), &core.parts.remote);
        core.span.open(key, (core.link.transport(), role.text()), ends);
        for (silence, limit) in core.parts.options.silences() {
            if limit.is_some() {
                core.limit_silence(silence, limit);
            }
        }
        core
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        self.link.selector()
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    pub(super) fn halves(&self) -> &Halves {
        &self.halves
    }

    pub(super) fn layer(&self) -> &Layer {
        &self.layer
    }

    pub(super) fn parts(&self) -> &CoreParts {
        &self.parts
    }

    pub(super) fn watch(&self) -> &OnceLock<Box<Watch>> {
        &self.watch
    }

    pub(super) fn waiters(&self) -> &Mutex<Waiters<()>> {
        &self.waiters
    }

    pub(super) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closing() || self.link.is_released() {
            return Err(self.refusal(operation));
        }
        Ok(())
    }

    /// The error of a call that comes too late: the first error, or else the close on this side.
    pub(super) fn refusal(&self, operation: &'static str) -> Error {
        self.first_cause().cloned().unwrap_or_else(|| {
            let closed = Error::new(ErrorKind::Closed, operation);
            self.named(closed.with_detail("the socket was closed on this side"))
        })
    }

    /// Adds the peer's address to an error that has none.
    pub(super) fn named(&self, error: Error) -> Error {
        error.or_address(|| self.peer_name())
    }

    /// The text by which errors name the peer: its address or, of a Unix socket's peer without one, that of
    /// this side. An end in memory has neither.
    pub(super) fn peer_name(&self) -> Option<String> {
        let has_name = |address: &&SocketAddress| {
            !matches!(address, SocketAddress::Unix(UnixAddress::Unnamed))
        };
        let CoreParts { remote, local, .. } = &self.parts;
        [remote, &**local].into_iter().find(has_name).map(ToString::to_string)
    }

    /// The limits on closing or dropping the connection.
    pub(super) fn drain(&self) -> Limits {
        self.selector().drain_of(self.parts.options.drain_timeout, self.parts.options.drain_max)
    }

    /// The number of input bytes that closing or dropping discards at most.
    pub(super) fn drain_limit(&self) -> u64 {
        self.parts.options.drain_limit.unwrap_or_else(|| self.selector().drain_limit())
    }

    /// The limits on silence, which are made if necessary.
    pub(super) fn make_timeouts(self: &Arc<Self>) -> &Arc<Timeouts> {
        self.timeouts.get_or_init(|| {
            let core: Weak<Self> = Arc::downgrade(self);
            Timeouts::new(core, self.selector().timers())
        })
    }

    /// The limits on silence, if there are any.
    pub(super) fn timeouts(&self) -> Option<&Arc<Timeouts>> {
        self.timeouts.get()
    }

    #[cfg(any(feature = "tls", feature = "tracing"))]
    pub(super) fn span(&self) -> &ConnectionSpan {
        &self.span
    }

    pub(super) fn set_outbox(&self, outbox: &Arc<Outbox>) {
        *lock(&self.outbox) = Arc::downgrade(outbox);
    }

    pub(super) fn outbox(&self) -> Option<Arc<Outbox>> {
        lock(&self.outbox).upgrade()
    }

    pub(super) fn remote_address(&self) -> SocketAddress {
        self.parts.remote.clone()
    }

    pub(super) fn local_address(&self) -> SocketAddress {
        if let Some(known) = self.local.get() {
            return SocketAddress::clone(known);
        }
        match self.link.local_address() {
            Some(address) => SocketAddress::clone(self.local.get_or_init(|| Box::new(address))),
            None => SocketAddress::clone(&self.parts.local),
        }
    }

    /// Wakes the calls that must look at an event. May run under the outbox's lock, like every function
    /// here that takes `after`.
    pub(super) fn announce(&self, announce: Announce, after: &mut WakeList) {
        if announce.calls {
            self.link.wake(after);
        }
        if announce.waiters {
            self.wake_waiters(after);
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.life.state().is_closing()
    }

    pub(super) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }

    pub(super) fn count_discarded(&self, count: usize) {
        // Relaxed: a count, on which no other memory depends.
        self.discarded.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// True while the connection closes without an owner.
    pub(super) fn has_ticket(&self) -> bool {
        self.ticket.load(Ordering::Acquire) != 0
    }

    /// Sets the ticket of a close without an owner, and returns the one before to its list.
    pub(super) fn set_ticket(&self, ticket: u64) {
        let before = self.ticket.swap(ticket, Ordering::AcqRel);
        if before != 0 {
            self.selector().sockets().background_closes.leave(before);
        }
    }

    /// Releases the link.
    pub(super) fn release(&self) {
        let mut after = WakeList::new();
        self.leave(Leave::InOrder, &mut after);
        after.run();
    }

    /// Resets the connection.
    pub(super) fn abort(&self, cause: Error, after: &mut WakeList) {
        if self.link.is_released() {
            return;
        }
        self.record_cause(cause);
        self.leave(Leave::Reset, after);
    }

    /// Resets the connection, and makes its write side report the cause. Never called under the outbox's
    /// lock.
    pub(super) fn abort_whole(&self, cause: Error) {
        if let Some(outbox) = self.outbox() {
            outbox.abort(&cause);
        }
        let mut after = WakeList::new();
        self.abort(cause, &mut after);
        after.run();
    }

    fn leave(&self, leave: Leave, after: &mut WakeList) {
        // The system cannot tell any more once the descriptor is released.
        let unacknowledged = if self.span.is_enabled() { self.link.unacknowledged() } else { None };
        if self.link.release(leave, after) {
            self.span.closed(self.link_reason(), self.cause.get(), unacknowledged, after);
            if let Some(timeouts) = self.timeouts() {
                timeouts.end();
            }
            self.wake_waiters(after);
        }
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        if let Some(cause) = self.first_cause() {
            return Some(reason_of(cause));
        }
        if self.link.is_released() {
            return Some(CloseReason::Local);
        }
        if !self.life.state().have_we_ended() {
            return None;
        }
        // A close on this side is the reason also while it still waits for the rest to be acknowledged.
        let ended = if self.is_closing() { CloseReason::Local } else { CloseReason::Ended };
        self.peer_end().map(|end| end.map_or(CloseReason::Failed, |()| ended))
    }

    /// The reason why the link is left. It takes no lock, unlike [`close_reason`](Self::close_reason): TLS on
    /// top is not asked.
    fn link_reason(&self) -> CloseReason {
        match self.cause.get() {
            Some(cause) => reason_of(cause),
            // This side's end mark goes out with the release, if it is not out yet.
            None if self.life.state().has_peer_ended() => CloseReason::Ended,
            None => CloseReason::Local,
        }
    }

    pub(super) fn wake_waiters(&self, after: &mut WakeList) {
        lock(&self.waiters).release(after, |()| true);
    }
}

fn reason_of(cause: &Error) -> CloseReason {
    match cause.kind() {
        ErrorKind::Reset => CloseReason::Reset,
        ErrorKind::Closed | ErrorKind::Panicked => CloseReason::Local,
        _ => CloseReason::Failed,
    }
}

/// A connection's local address, for which the system is asked only if it is shown.
struct LocalAddress<'a>(&'a Core);

impl fmt::Display for LocalAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.local_address().fmt(f)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        match *self.key.get_mut() {
            0 => {}
            key => self.selector().remaining().remove(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::super::Handle;
    use super::super::source::SocketSource;
    use super::{ConnectionSpan, Core};
    use crate::host::SocketFd;

    /// The memory that every connection holds for its whole life, with one machine word of slack.
    #[test]
    fn what_a_connection_holds_is_small() {
        // A runtime that may own the descriptor, and a span, are paid for where their features are asked for.
        let of_features = size_of::<SocketFd>() - size_of::<OwnedFd>();
        let sizes = [
            ("Core", size_of::<Core>() - size_of::<ConnectionSpan>() - of_features, 320),
            ("Handle", size_of::<Handle>(), 72),
            ("SocketSource", size_of::<SocketSource>(), 48),
        ];
        for (name, bytes, most) in sizes {
            assert!(bytes <= most, "{name}: {bytes} bytes, at most {most} were expected");
        }
    }
}
