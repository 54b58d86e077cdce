//! The graceful end of a connection: nothing accepted is lost, and nobody waits for ever.
//!
//! ```text
//!   send what is queued ─► end mark ─┐
//!   discard input (to the limit) ────┴─► release when
//!        the peer has ended too, or
//!        the peer has acknowledged everything, and none or the limit of input was discarded, or
//!        the drain timeout is over
//! ```
//!
//! The limit stops the reading, never the waiting: a descriptor released while the peer still sends
//! makes the kernel answer with a reset, and a reset overtakes what is in flight.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use forebay_io::seam::{Afterwards, BLOCK_BYTES, Outbox, Until};
use forebay_io::{Error, ErrorKind, Result};
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

use super::Core;
use crate::host::{Direction, Progress};
use crate::interrupted::uninterrupted;
use crate::net::descriptor::Waits;
use crate::net::system;
use crate::time::Sleep;

/// The first look at what the peer has acknowledged comes at once; the next after this, then twice
/// that, and so on.
const FIRST_LOOK_AFTER: Duration = Duration::from_millis(1);
/// Looks are never further apart than this.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Input is thrown away through a buffer of this size.
const DISCARD_BYTES: usize = BLOCK_BYTES / 4;

/// Closes the connection and waits until its descriptor is released.
pub(super) async fn close(core: Arc<Core>, outbox: Option<Arc<Outbox>>) -> Result<()> {
    close_unattended(&core, outbox);
    core.released().await;
    match core.cause().get() {
        Some(cause) if !cause.is_closed() => Err(cause.clone()),
        _ => Ok(()),
    }
}

/// Begins to close the connection; what cannot be done at once goes on in the background.
pub(super) fn close_unattended(core: &Arc<Core>, outbox: Option<Arc<Outbox>>) {
    core.begin_closing();
    if core.io().is_released() || !core.become_closer() {
        return;
    }
    let closing = Closing { core: Arc::clone(core), outbox };
    if closing.attempt() {
        return core.release();
    }
    // Where the selector is closed, nobody could go on: `closing` is dropped, and has given up.
    core.selector().spawn_own(closing.run());
}

/// A connection being closed. Dropped before it is done, it gives up: the descriptor is released,
/// and the connection reset if something accepted had not even been handed to the kernel.
struct Closing {
    core: Arc<Core>,
    outbox: Option<Arc<Outbox>>,
}

impl Closing {
    /// Does what can be done without waiting; true when the descriptor can be released.
    fn attempt(&self) -> bool {
        if let Some(outbox) = &self.outbox {
            outbox.advance();
        }
        self.discard_now();
        let nothing_queued = self.outbox.as_ref().is_none_or(|outbox| outbox.queued() == 0);
        if self.core.has_peer_ended() && nothing_queued {
            self.core.end_by_release();
        }
        self.finish();
        self.may_release()
    }

    fn finish(&self) {
        match &self.outbox {
            Some(outbox) => outbox.finish(),
            None if self.core.ends_by_release() => {}
            None => {
                // A socket that is no longer connected has nothing to be ended.
                self.core.io().call(|fd| Ok(shutdown(fd, Shutdown::Write)?)).ok();
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.outbox.as_ref().is_none_or(|outbox| outbox.is_settled())
    }

    /// The rule at the top of this file, except for the time.
    fn may_release(&self) -> bool {
        if self.core.cause().get().is_some() || self.core.io().is_released() {
            return true;
        }
        if !self.is_settled() {
            return false;
        }
        let discarded = self.core.discarded();
        let still_sending = discarded > 0 && discarded < self.core.selector().drain_limit();
        self.core.has_peer_ended() || (!still_sending && self.is_acknowledged())
    }

    /// Where the system does not tell, what was handed to it counts.
    fn is_acknowledged(&self) -> bool {
        let unacknowledged = self.core.io().call(|fd| Ok(system::unacknowledged(fd)));
        matches!(unacknowledged, Ok(None | Some(0)))
    }

    /// Throws away what has arrived, up to the limit, without waiting.
    fn discard_now(&self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(true) = self.poll_discard(&mut cx, |_, call| {
            match uninterrupted(|| self.core.io().call(&mut *call)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                done => Poll::Ready(done),
            }
        }) {}
    }

    /// Throws away one buffer of input; false when there is no more reading to do.
    fn poll_discard(
        &self,
        cx: &mut Context<'_>,
        receive: impl FnOnce(&mut Context<'_>, &mut Call<'_>) -> Poll<io::Result<Progress>>,
    ) -> Poll<bool> {
        let limit = self.core.selector().drain_limit();
        if self.core.has_peer_ended() || self.core.discarded() >= limit {
            return Poll::Ready(false);
        }
        let mut sink = [0; DISCARD_BYTES];
        let mut call = |fd: std::os::fd::BorrowedFd<'_>| {
            let (count, _) = recv(fd, &mut sink[..], RecvFlags::empty())?;
            Ok(Progress { count, drained: count < DISCARD_BYTES })
        };
        receive(cx, &mut call).map(|received| {
            let mut after = Afterwards::new();
            let more = match received {
                Ok(Progress { count: 0, .. }) => {
                    self.core.peer_ended(&mut after);
                    false
                }
                Ok(progress) => {
                    self.core.discard(progress.count);
                    true
                }
                Err(error) => {
                    self.core.record("close", error, &mut after);
                    false
                }
            };
            after.run();
            more
        })
    }

    /// Goes on until the descriptor can be released, or until the drain timeout.
    async fn run(self) {
        let selector = Arc::clone(self.core.selector());
        selector.counters().lingering.add(1);
        let mut deadline = pin!(selector.sleep(selector.drain_timeout()));
        let mut settled = pin!(async {
            if let Some(outbox) = &self.outbox {
                // Why it failed, if it did, is the connection's cause.
                outbox.wait(Until::Finished).await.ok();
            }
        });
        let mut is_settled = false;
        let mut look = Look::new(&self);
        poll_fn(|cx| {
            is_settled = is_settled || settled.as_mut().poll(cx).is_ready();
            self.poll_input(cx);
            if look.poll_acknowledged(cx, is_settled).is_ready() {
                return Poll::Ready(());
            }
            deadline.as_mut().poll(cx)
        })
        .await;
        selector.counters().lingering.remove_one();
        if self.may_release() {
            self.core.release();
        }
        // Otherwise the time is up, and dropping `self` gives up.
    }

    /// Throws input away until there is none for now.
    fn poll_input(&self, cx: &mut Context<'_>) {
        while let Poll::Ready(true) = self.poll_discard(cx, |cx, call| {
            self.core.io().poll_io(cx, Direction::Read, Waits::WayOut, &mut *call)
        }) {}
    }
}

type Call<'a> = dyn FnMut(std::os::fd::BorrowedFd<'_>) -> io::Result<Progress> + 'a;

impl Drop for Closing {
    fn drop(&mut self) {
        if self.core.io().is_released() {
            return;
        }
        if !(self.is_settled() && self.is_acknowledged()) {
            self.core.selector().counters().unacknowledged.add(1);
        }
        if let Some(outbox) = &self.outbox
            && !outbox.is_settled()
        {
            let limit = self.core.selector().drain_timeout();
            outbox.abort(&Error::new(ErrorKind::TimedOut, "close").with_detail(format!(
                "the peer did not take everything within the drain timeout of {limit:?}"
            )));
        }
        self.core.release();
    }
}

/// Looks again and again whether the peer has acknowledged everything: no event tells.
struct Look<'a> {
    closing: &'a Closing,
    sleep: Sleep,
    pause: Duration,
}

impl<'a> Look<'a> {
    fn new(closing: &'a Closing) -> Self {
        let sleep = closing.core.selector().sleep(FIRST_LOOK_AFTER);
        Self { closing, sleep, pause: FIRST_LOOK_AFTER }
    }

    fn poll_acknowledged(&mut self, cx: &mut Context<'_>, is_settled: bool) -> Poll<()> {
        loop {
            if self.closing.may_release() {
                return Poll::Ready(());
            }
            if !is_settled || Pin::new(&mut self.sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = (self.pause * 2).min(LOOK_EVERY);
            self.sleep = self.closing.core.selector().sleep(self.pause);
        }
    }
}
