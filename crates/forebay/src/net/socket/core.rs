//! What all handles of a connection share: the descriptor, the cause, and how far it has ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use forebay_io::seam::{Afterwards, Cause, Waiters};
use forebay_io::{Error, ErrorKind, Result};
use socket2::SockRef;

use crate::lock::lock;
use crate::net::SocketAddress;
use crate::net::descriptor::Descriptor;
use crate::net::system;
use crate::selector::Shared;
use crate::task::wait::wait_in;

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side called `close` or `abort`, or dropped the last handle.
    Local,
    /// Both directions have ended, each with its end mark.
    Ended,
    /// The peer reset the connection.
    Reset,
    /// Another error.
    Failed,
}

/// What a connection is made of, besides its descriptor.
pub(in crate::net) struct CoreParts {
    pub(in crate::net) remote: SocketAddress,
    /// The local address, or the listener's: exact only after asking the system.
    pub(in crate::net) local: SocketAddress,
}

/// The state of a connection.
pub(in crate::net) struct Core {
    io: Descriptor,
    /// The first error of any call on the descriptor. Everything later is read in its light.
    cause: Cause,
    /// That error says that the kernel has given the connection up.
    lost: AtomicBool,
    parts: CoreParts,
    local: OnceLock<SocketAddress>,
    reader_taken: AtomicBool,
    writer_taken: AtomicBool,
    /// A receive returned the peer's end mark.
    peer_ended: AtomicBool,
    /// Our end mark is out, or is sent by releasing the descriptor.
    we_ended: AtomicBool,
    end_by_release: AtomicBool,
    /// `close` has begun: users' reads say `Closed` from now on, the way out reads instead.
    closing: AtomicBool,
    /// Somebody has taken it upon himself to see the close to its end.
    closer: AtomicBool,
    /// Bytes of input thrown away by closing.
    discarded: AtomicU64,
    waiters: Mutex<Waiters<()>>,
}

impl Core {
    pub(super) fn new(io: Descriptor, parts: CoreParts) -> Self {
        Self {
            io,
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
            waiters: Mutex::default(),
        }
    }

    pub(super) fn io(&self) -> &Descriptor {
        &self.io
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        self.io.selector()
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }

    pub(super) fn take_reader(&self) -> bool {
        !self.reader_taken.swap(true, Ordering::AcqRel)
    }

    pub(super) fn take_writer(&self) -> bool {
        !self.writer_taken.swap(true, Ordering::AcqRel)
    }

    pub(super) fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.is_closing() || self.io.is_released() {
            return Err(self.refusal(operation));
        }
        Ok(())
    }

    /// Why nothing goes any more: the first error, else our own close.
    pub(super) fn refusal(&self, operation: &'static str) -> Error {
        self.cause.get().cloned().unwrap_or_else(|| {
            Error::new(ErrorKind::Closed, operation)
                .with_detail("the socket was closed on this side")
        })
    }

    /// Names the address, and keeps the error if it is the connection's first. What a closing
    /// selector or our own close answers is no error of the connection.
    ///
    /// Like everything here that takes `after`, it may run under the outbox's lock.
    pub(super) fn record(
        &self,
        operation: &'static str,
        error: std::io::Error,
        after: &mut Afterwards,
    ) -> Error {
        let error = Error::from_io(operation, error);
        if error.is_closed() {
            return self.cause.get().cloned().unwrap_or(error);
        }
        if matches!(error.kind(), ErrorKind::Reset | ErrorKind::TimedOut | ErrorKind::Unreachable) {
            self.lost.store(true, Ordering::Release);
        }
        let cause = self.cause.record(error.with_address(&self.parts.remote));
        self.wake_waiters(after);
        cause
    }

    /// The connection is gone already. There is nothing to be reset, and what arrived before can
    /// still be received from the descriptor.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn remote_address(&self) -> SocketAddress {
        self.parts.remote.clone()
    }

    pub(super) fn local_address(&self) -> SocketAddress {
        let ask = || self.io.call(|fd| SockRef::from(&fd).local_addr()).ok()?.as_socket();
        if let Some(known) = self.local.get() {
            return known.clone();
        }
        match ask() {
            Some(address) => self.local.get_or_init(|| address.into()).clone(),
            None => self.parts.local.clone(),
        }
    }

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

    /// Our end mark is to be sent by releasing the descriptor: one system call instead of two.
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
        if !self.closing.swap(true, Ordering::AcqRel) {
            let mut after = Afterwards::new();
            self.io.wake(&mut after);
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

    pub(super) fn discard(&self, bytes: usize) {
        self.discarded.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Closes the descriptor.
    pub(super) fn release(&self) {
        let mut after = Afterwards::new();
        if self.io.release(|_| {}, &mut after) {
            self.wake_waiters(&mut after);
        }
        after.run();
    }

    /// Resets the connection.
    pub(super) fn abort(&self, cause: Error, after: &mut Afterwards) {
        if self.io.is_released() {
            return;
        }
        self.cause.record(cause);
        if self.io.release(system::reset_on_close, after) {
            self.wake_waiters(after);
        }
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        if let Some(cause) = self.cause.get() {
            return Some(match cause.kind() {
                ErrorKind::Reset => CloseReason::Reset,
                ErrorKind::Closed | ErrorKind::Panicked => CloseReason::Local,
                _ => CloseReason::Failed,
            });
        }
        if self.io.is_released() {
            return Some(CloseReason::Local);
        }
        let both = self.has_peer_ended() && self.we_ended.load(Ordering::Acquire);
        both.then_some(CloseReason::Ended)
    }

    /// Waits until there is a reason.
    pub(super) async fn closed(&self) -> CloseReason {
        wait_in(&self.waiters, |waiters| waiters, (), |_| self.close_reason()).await
    }

    /// Waits until the descriptor is released.
    pub(super) async fn released(&self) {
        let check = |_: &mut Waiters<()>| self.io.is_released().then_some(());
        wait_in(&self.waiters, |waiters| waiters, (), check).await;
    }

    fn wake_waiters(&self, after: &mut Afterwards) {
        lock(&self.waiters).release(after, |()| true);
    }
}
