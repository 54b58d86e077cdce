//! What all handles of a connection share: the link, the cause, and how far it has ended.

#[cfg(feature = "tls")]
use std::borrow::Cow;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use forebay_io::seam::{Afterwards, Cause, Outbox, Waiters};
use forebay_io::{Error, ErrorKind, Result};
#[cfg(feature = "tls")]
use forebay_tls::seam::Session;

use super::link::{Leave, Link, Note};
use super::timeouts::Timeouts;
use super::watch::Watch;
use crate::lock::lock;
use crate::net::SocketAddress;
use crate::net::options::{ConnectionOptions, Silence};
use crate::selector::Shared;
use crate::time::Limits;

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side called `close` or `abort`, dropped the last handle, or closed the selector.
    Local,
    /// Both directions have ended, each with its end mark.
    Ended,
    /// The peer reset the connection.
    Reset,
    /// Another error: the peer was silent for too long, is not reachable any more, or has ended a
    /// connection with TLS without `close_notify`.
    Failed,
}

/// What a connection is made of, besides its link.
pub(in crate::net) struct CoreParts {
    pub(in crate::net) remote: SocketAddress,
    /// The local address, or the listener's: exact only after asking the system.
    pub(in crate::net) local: SocketAddress,
    pub(in crate::net) options: Arc<ConnectionOptions>,
    #[cfg_attr(not(feature = "tls"), expect(dead_code))]
    /// The name that was connected to, where it was one: whom TLS is to meet there.
    pub(in crate::net) host_name: Option<Box<str>>,
}

/// The state of a connection.
pub(in crate::net) struct Core {
    link: Link,
    /// The first error of any call on the link. Everything later is read in its light.
    cause: Cause,
    /// That error says that the kernel has given the connection up.
    lost: AtomicBool,
    parts: CoreParts,
    local: OnceLock<Box<SocketAddress>>,
    reader_taken: AtomicBool,
    writer_taken: AtomicBool,
    /// A receive returned the peer's end mark.
    peer_ended: AtomicBool,
    /// Our end mark is out, or is sent by releasing the link.
    we_ended: AtomicBool,
    end_by_release: AtomicBool,
    /// `close` has begun: users' reads say `Closed` from now on, the way out reads instead.
    closing: AtomicBool,
    /// Somebody has taken it upon himself to see the close to its end.
    closer: AtomicBool,
    /// Bytes of input thrown away by closing.
    discarded: AtomicU64,
    /// There was data among them.
    discarded_data: AtomicBool,
    /// Names it among those that close without an owner; zero when it is not.
    ticket: AtomicU64,
    /// The write side, for whoever must tell it that the connection is over: the outermost, where TLS
    /// lies on top. It holds the core, so the core does not hold it.
    outbox: Mutex<Weak<Outbox>>,
    /// The first error of what lies on top of the link.
    cause_above: OnceLock<Cause>,
    /// What lies on top. It holds the core, so the core does not hold it.
    #[cfg(feature = "tls")]
    session: OnceLock<Weak<Session>>,
    /// What lies on top is not ready yet: it reads, even while the connection is being closed.
    handshaking: AtomicBool,
    timeouts: OnceLock<Arc<Timeouts>>,
    watch: Watch,
    waiters: Mutex<Waiters<()>>,
    /// Names it among what is closed with its selector.
    key: OnceLock<u64>,
}

impl Core {
    pub(super) fn new(link: Link, parts: CoreParts) -> Arc<Self> {
        let core = Arc::new(Self {
            link,
            cause: Cause::default(),
            lost: AtomicBool::new(false),
            parts,
            local: OnceLock::new(),
            reader_taken: AtomicBool::new(false),
            writer_taken: AtomicBool::new(false),
            peer_ended: AtomicBool::new(false),
            we_ended: AtomicBool::new(false),
            end_by_release: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            closer: AtomicBool::new(false),
            discarded: AtomicU64::new(0),
            discarded_data: AtomicBool::new(false),
            ticket: AtomicU64::new(0),
            outbox: Mutex::default(),
            cause_above: OnceLock::new(),
            #[cfg(feature = "tls")]
            session: OnceLock::new(),
            handshaking: AtomicBool::new(false),
            timeouts: OnceLock::new(),
            watch: Watch::default(),
            waiters: Mutex::default(),
            key: OnceLock::new(),
        });
        let open = Arc::downgrade(&core);
        core.key.get_or_init(|| core.selector().remaining().add(open));
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

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(super) fn waiters(&self) -> &Mutex<Waiters<()>> {
        &self.waiters
    }

    pub(super) fn take_reader(&self) -> bool {
        !self.reader_taken.swap(true, Ordering::AcqRel)
    }

    pub(super) fn take_writer(&self) -> bool {
        !self.writer_taken.swap(true, Ordering::AcqRel)
    }

    pub(super) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closing() || self.link.is_released() {
            return Err(self.refusal(operation));
        }
        Ok(())
    }

    /// The cause of what lies on top of the link.
    pub(super) fn cause_above(&self) -> Option<&Cause> {
        self.cause_above.get()
    }

    /// Why nothing goes any more: the first error, else our own close.
    pub(super) fn refusal(&self, operation: &'static str) -> Error {
        self.first_cause().cloned().unwrap_or_else(|| {
            Error::new(ErrorKind::Closed, operation)
                .with_detail("the socket was closed on this side")
        })
    }

    /// The host on the other side: the name that was connected to, or its IP address.
    #[cfg(feature = "tls")]
    pub(super) fn host(&self) -> Option<Cow<'_, str>> {
        match &self.parts.host_name {
            Some(name) => Some(Cow::Borrowed(name)),
            None => self.parts.remote.ip().map(|ip| Cow::Owned(ip.to_string())),
        }
    }

    // ---- what lies on top

    /// A session lies on top of the link, and has a cause of its own.
    #[cfg(feature = "tls")]
    pub(super) fn set_session(&self, session: &Arc<Session>) {
        self.cause_above.get_or_init(|| session.cause().clone());
        self.session.get_or_init(|| Arc::downgrade(session));
    }

    #[cfg(feature = "tls")]
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.session.get()?.upgrade()
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.handshaking.load(Ordering::SeqCst)
    }

    /// Whoever closes the connection looks again; and so does who reads, because only the close reads
    /// from now on.
    #[cfg(feature = "tls")]
    pub(super) fn set_handshaking(&self, handshaking: bool) {
        // Sequentially consistent with `begin_closing`: one of the two sees the other.
        self.handshaking.store(handshaking, Ordering::SeqCst);
        let mut after = Afterwards::new();
        if self.closing.load(Ordering::SeqCst) {
            self.link.wake(&mut after);
        }
        self.wake_waiters(&mut after);
        after.run();
    }

    /// Takes both halves, or neither.
    pub(super) fn take_halves(&self) -> bool {
        if !self.take_reader() {
            return false;
        }
        let both = self.take_writer();
        if !both {
            self.reader_taken.store(false, Ordering::Release);
        }
        both
    }

    /// Both halves can be opened again.
    #[cfg(feature = "tls")]
    pub(super) fn give_halves_back(&self) {
        self.reader_taken.store(false, Ordering::Release);
        self.writer_taken.store(false, Ordering::Release);
    }

    /// How long closing or dropping may take.
    pub(super) fn drain(&self) -> Limits {
        self.selector().drain_of(self.parts.options.drain_timeout, self.parts.options.drain_max)
    }

    /// How much input closing or dropping throws away.
    pub(super) fn drain_limit(&self) -> u64 {
        self.parts.options.drain_limit.unwrap_or_else(|| self.selector().drain_limit())
    }

    // ---- silence

    /// The limits on silence, where there are any.
    pub(super) fn timeouts(&self) -> Option<&Arc<Timeouts>> {
        self.timeouts.get()
    }

    pub(super) fn limit_silence(self: &Arc<Self>, silence: Silence, limit: Option<Duration>) {
        if self.link.is_released() {
            return;
        }
        let timers = || Arc::clone(self.selector().timers());
        let timeouts = self.timeouts.get_or_init(|| Timeouts::new(Arc::downgrade(self), timers()));
        timeouts.limit(silence, limit);
        // Whoever waits already looks again, and from then on his waiting counts.
        let mut after = Afterwards::new();
        self.link.wake(&mut after);
        after.run();
    }

    /// Ends a connection on which nothing has moved for too long: in order where everything that was
    /// accepted is out and whole, by a reset otherwise.
    pub(super) fn expire(&self, cause: Error) {
        let cause = cause.with_address(&self.parts.remote);
        let outbox = self.outbox();
        // One step of the outbox: what is accepted beside it is either sent or told to be lost. The
        // end mark goes out before the cause is there, because nothing is sent behind a cause.
        let in_order = outbox.as_ref().is_none_or(|outbox| outbox.end_or_abort(&cause));
        let cause = self.cause.record(cause);
        if let Some(above) = self.cause_above.get() {
            above.record(cause.clone());
        }
        let mut after = Afterwards::new();
        if in_order {
            self.link.release(Leave::InOrder, &mut after);
        }
        self.wake_waiters(&mut after);
        after.run();
        if let Some(outbox) = outbox {
            // It says why from now on, also where it has ended in order.
            outbox.abort(&cause);
        }
        self.release();
    }

    // ---- errors

    /// Names the address, and keeps the error if it is the connection's first. Called while the
    /// descriptor is held; see [`Note`].
    pub(super) fn note(&self, operation: &'static str, error: io::Error) -> Error {
        let error = Error::from_io(operation, error);
        if matches!(error.kind(), ErrorKind::Reset | ErrorKind::TimedOut | ErrorKind::Unreachable) {
            self.lost.store(true, Ordering::Release);
        }
        self.cause.record(error.with_address(&self.parts.remote))
    }

    /// Tells everybody of an error that a call came back with, and gives the one that counts. What a
    /// closing selector or our own close answers is no error of the connection.
    ///
    /// Like everything here that takes `after`, it may run under the outbox's lock.
    pub(super) fn record(
        &self,
        operation: &'static str,
        error: io::Error,
        after: &mut Afterwards,
    ) -> Error {
        let error = Error::from_io(operation, error);
        let cause = match self.cause.get() {
            // Noted before, as the link's is, it is the same one.
            Some(cause) => cause.clone(),
            None if error.is_closed() => return error,
            None => self.note(operation, error.into()),
        };
        if self.is_lost() {
            // A reader that waits would otherwise depend on the kernel to tell it as well.
            self.link.wake(after);
        }
        self.wake_waiters(after);
        cause
    }

    /// What a call notes its error with.
    pub(super) fn noting(&self, operation: &'static str) -> Note<'_> {
        Note { core: self, operation, is_refused: |_| false }
    }

    /// The same for a reader: once the connection is being closed, only the close receives. What lies
    /// on top of the connection reads until it is ready.
    pub(super) fn reading(&self, is_layer: bool) -> Note<'_> {
        let is_refused =
            if is_layer { |core: &Self| core.refuses_layer() } else { Self::is_closing };
        Note { core: self, operation: "read", is_refused }
    }

    fn refuses_layer(&self) -> bool {
        self.is_closing() && !self.is_handshaking()
    }

    /// Asks the link for an error that no call has told yet.
    pub(super) fn ask(&self, operation: &'static str, after: &mut Afterwards) -> Option<Error> {
        let error = self.link.take_error(self.noting(operation))?;
        Some(self.record(operation, error, after))
    }

    /// The first error, including one that a call has taken and is about to note.
    pub(super) fn settled_cause(&self) -> Option<&Error> {
        self.link.let_calls_end();
        self.cause.get()
    }

    /// The connection is gone already. There is nothing to be reset, and what arrived before can
    /// still be received from the descriptor.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    // ---- the write side

    pub(super) fn set_outbox(&self, outbox: &Arc<Outbox>) {
        *lock(&self.outbox) = Arc::downgrade(outbox);
    }

    pub(super) fn outbox(&self) -> Option<Arc<Outbox>> {
        lock(&self.outbox).upgrade()
    }

    // ---- addresses

    pub(super) fn remote_address(&self) -> SocketAddress {
        self.parts.remote.clone()
    }

    pub(super) fn local_address(&self) -> SocketAddress {
        if let Some(known) = self.local.get() {
            return SocketAddress::clone(known);
        }
        match self.link.local_address() {
            Some(address) => SocketAddress::clone(self.local.get_or_init(|| Box::new(address))),
            None => self.parts.local.clone(),
        }
    }

    // ---- ends

    pub(super) fn has_peer_ended(&self) -> bool {
        self.peer_ended.load(Ordering::Acquire)
    }

    pub(super) fn peer_ended(&self, after: &mut Afterwards) {
        self.peer_ended.store(true, Ordering::Release);
        self.wake_waiters(after);
    }

    pub(super) fn we_ended(&self, after: &mut Afterwards) {
        self.we_ended.store(true, Ordering::Release);
        self.wake_waiters(after);
    }

    /// Our end mark is to be sent by releasing the link: one system call instead of two.
    pub(super) fn end_by_release(&self) {
        self.end_by_release.store(true, Ordering::Release);
    }

    pub(super) fn ends_by_release(&self) -> bool {
        self.end_by_release.load(Ordering::Acquire)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Closing begins: whoever reads is told.
    pub(super) fn begin_closing(&self) {
        if !self.closing.swap(true, Ordering::SeqCst) {
            let mut after = Afterwards::new();
            self.link.wake(&mut after);
            after.run();
        }
    }

    /// True for the one who is to see the close to its end.
    pub(super) fn become_closer(&self) -> bool {
        !self.closer.swap(true, Ordering::AcqRel)
    }

    pub(super) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }

    /// True when there was data among what was thrown away: the peer is, or was, still sending.
    pub(super) fn has_discarded_data(&self) -> bool {
        self.discarded_data.load(Ordering::Relaxed)
    }

    /// Counts what is thrown away.
    pub(super) fn discard(&self, bytes: &[u8]) {
        self.discarded.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        #[cfg(feature = "tls")]
        let is_data = match self.session() {
            Some(session) => session.discard(bytes),
            None => true,
        };
        #[cfg(not(feature = "tls"))]
        let is_data = true;
        if is_data {
            self.discarded_data.store(true, Ordering::Relaxed);
        }
    }

    /// True while it lingers.
    pub(super) fn has_ticket(&self) -> bool {
        self.ticket.load(Ordering::Acquire) != 0
    }

    /// Notes under which ticket it lingers, and gives back the one before.
    pub(super) fn set_ticket(&self, ticket: u64) {
        let before = self.ticket.swap(ticket, Ordering::AcqRel);
        if before != 0 {
            self.selector().sockets().lingering.leave(before);
        }
    }

    /// Gives the link back.
    pub(super) fn release(&self) {
        let mut after = Afterwards::new();
        self.leave(Leave::InOrder, &mut after);
        after.run();
    }

    /// Resets the connection.
    pub(super) fn abort(&self, cause: Error, after: &mut Afterwards) {
        if self.link.is_released() {
            return;
        }
        self.cause.record(cause);
        self.leave(Leave::Reset, after);
    }

    /// Resets the connection, and has its write side say why. Never under the outbox's lock.
    pub(super) fn abort_whole(&self, cause: Error) {
        if let Some(outbox) = self.outbox() {
            outbox.abort(&cause);
        }
        let mut after = Afterwards::new();
        self.abort(cause, &mut after);
        after.run();
    }

    fn leave(&self, leave: Leave, after: &mut Afterwards) {
        if self.link.release(leave, after) {
            if let Some(timeouts) = self.timeouts() {
                timeouts.end();
            }
            self.wake_waiters(after);
        }
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        if let Some(cause) = self.first_cause() {
            return Some(match cause.kind() {
                ErrorKind::Reset => CloseReason::Reset,
                ErrorKind::Closed | ErrorKind::Panicked => CloseReason::Local,
                _ => CloseReason::Failed,
            });
        }
        if self.link.is_released() {
            return Some(CloseReason::Local);
        }
        if !self.we_ended.load(Ordering::Acquire) {
            return None;
        }
        self.peer_end().map(|end| end.map_or(CloseReason::Failed, |()| CloseReason::Ended))
    }

    pub(super) fn wake_waiters(&self, after: &mut Afterwards) {
        lock(&self.waiters).release(after, |()| true);
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(key) = self.key.get() {
            self.selector().remaining().remove(*key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Handle;
    use super::super::source::SocketSource;
    use super::super::turns::SocketTurns;
    use super::Core;

    /// What every connection holds for as long as it lives, with one machine word of slack.
    #[test]
    fn what_a_connection_holds_is_small() {
        let sizes = [
            ("Core", size_of::<Core>(), 384),
            ("Handle", size_of::<Handle>(), 72),
            ("SocketSource", size_of::<SocketSource>(), 48),
            ("SocketTurns", size_of::<SocketTurns>(), 8),
        ];
        for (name, bytes, most) in sizes {
            assert!(bytes <= most, "{name}: {bytes} bytes, at most {most} were expected");
        }
    }
}
