//! The graceful end of a connection: nothing accepted is lost, and no wait lasts forever.
//!
//! ```text
//!   send what is queued ─► end mark ─┐
//!   discard input (to the limit) ────┴─► release when
//!        the peer has ended too, or
//!        the peer has acknowledged everything, and no data or the limit of input was discarded, or
//!        the peer has acknowledged nothing for the drain timeout, or
//!        the total is over
//! ```
//!
//! A peer that reads slowly but steadily gets everything: silence counts from when the peer last
//! acknowledged something, and the total alone limits how long that may go on. Input is thrown away for
//! no longer than either: behind the last acknowledgement it has the drain timeout.
//!
//! What TLS says behind its handshake (session tickets) is input, but no data: a peer that sent it is
//! not sending on.
//!
//! The limit stops the reading, never the waiting: a descriptor released while the peer still sends
//! makes the kernel answer with a reset, and a reset overtakes what is in flight.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use forebay_io::seam::{Afterwards, Inlet, Outbox, Until};
use forebay_io::{Error, ErrorKind, Result};

use super::core::Core;
use super::discard::discard;
use super::errors::CoreNote;
use crate::net::descriptor::Waits;
use crate::selector::{Member, Remains, given_up};
use crate::task::Reporter;
use crate::time::{Limits, Look, Over, Patience, within};

/// Closes the connection and waits until its descriptor is released, for `limit` or what the drain
/// settings allow.
pub(super) async fn close(
    core: &Arc<Core>,
    outbox: Option<Arc<Outbox>>,
    limit: Option<Duration>,
) -> Result<()> {
    begin(core, outbox, limit);
    let attended = Attended(core);
    match limit {
        None => core.released().await,
        Some(limit) => {
            let timers = Arc::clone(core.selector().timers());
            // Boxed, because it is rare: every task that closes would have room for it, all its life.
            if Box::pin(within(timers, limit, core.released())).await.is_none() {
                core.give_up("the time given to close it is over");
            }
        }
    }
    drop(attended);
    core.settle_loss();
    let was_cut = core.outbox().is_some_and(|outbox| outbox.was_cut());
    match core.first_cause() {
        Some(cause) if was_cut || !cause.is_closed() => Err(cause.clone()),
        _ => Ok(()),
    }
}

/// Begins to close the connection; what cannot be done at once goes on in the background, without
/// an owner.
pub(super) fn close_unattended(core: &Arc<Core>, outbox: Option<Arc<Outbox>>) {
    begin(core, outbox, None);
    enroll(core);
}

fn begin(core: &Arc<Core>, outbox: Option<Arc<Outbox>>, limit: Option<Duration>) {
    let mut after = Afterwards::new();
    core.announce(core.life().begin_closing(), &mut after);
    after.run();
    if core.link().is_released() || !core.life().attend() {
        return;
    }
    let closing = Closing {
        core: Arc::clone(core),
        outbox,
        limits: limit.map_or_else(|| core.drain(), Limits::within),
        given: limit,
        over: None,
        receives_alone: AtomicBool::default(),
    };
    if closing.attempt() {
        return core.release();
    }
    // Where the selector is closed, nobody could go on: `closing` is dropped, and has given up.
    core.selector().spawn_own(closing.run());
}

/// Somebody waits for a close. If he goes, it has no owner any more.
struct Attended<'a>(&'a Arc<Core>);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        enroll(self.0);
    }
}

/// Counts a connection among those that are being closed without an owner, of which there may be so
/// many and no more.
fn enroll(core: &Arc<Core>) {
    // One that lost its last waiter and then its last handle lingers once, and since the first.
    if core.link().is_released() || core.has_ticket() {
        return;
    }
    let member = Arc::clone(core) as Arc<dyn Member>;
    core.set_ticket(core.selector().sockets().lingering.enroll(Arc::downgrade(&member)));
    // It may have ended before it was enrolled.
    if core.link().is_released() {
        core.set_ticket(0);
    }
}

/// A closing selector closes what has an owner as it does what has none. It is not one of those that
/// may be so many and no more: there are no more of them than there were connections.
impl Remains for Core {
    fn close_with_selector(self: Arc<Self>) {
        let outbox = self.outbox();
        begin(&self, outbox, None);
        // One that is being closed already has other limits from now on.
        let mut after = Afterwards::new();
        self.wake_waiters(&mut after);
        after.run();
    }
}

impl Member for Core {
    fn end(&self) {
        self.give_up("too many connections were being closed, and this was the oldest");
    }
}

impl Core {
    /// Ends a close before its time: what the peer has not taken is lost, and counted.
    fn give_up(&self, why: &'static str) {
        if self.link().is_released() {
            return;
        }
        self.leave_early(self.outbox(), &Error::new(ErrorKind::TimedOut, "close").with_detail(why));
    }

    /// Releases a connection of which the peer may not have everything: that is counted, and reported
    /// where the connection has no owner. It is reset if something accepted was not even handed to the
    /// system; what was is still delivered by the system, if it can be.
    fn leave_early(&self, outbox: Option<Arc<Outbox>>, error: &Error) {
        let is_settled = outbox.as_ref().is_none_or(|outbox| outbox.is_settled());
        let is_lost = !(is_settled && self.is_acknowledged());
        let is_reported = is_lost && self.has_ticket();
        if is_lost {
            self.selector().sockets().counters.unacknowledged.add(1);
        }
        if let Some(outbox) = outbox {
            // Nothing where it has settled.
            outbox.abort(error);
        }
        self.release();
        if is_reported {
            let error = error.clone().with_address(self.remote_address());
            self.selector().reporter().report(Reporter::OF_A_CLOSE, &error);
        }
    }

    /// Grows whenever the peer, or the system for it, has taken something. A last look has the link
    /// tried again: this process may have been held up while there was room, and a system with less than
    /// a third of its buffer free may not say so.
    pub(super) fn moved(&self, outbox: &Outbox, look: Look) -> u64 {
        if look == Look::Last {
            let mut after = Afterwards::new();
            self.link().wake(&mut after);
            after.run();
            outbox.advance();
        }
        outbox.sent().wrapping_add(self.link().acknowledged_bytes().unwrap_or_default())
    }

    /// Where the system does not tell, what was handed to it counts.
    fn is_acknowledged(&self) -> bool {
        matches!(self.link().unacknowledged(), None | Some(0))
    }
}

/// A connection being closed. Dropped before it is done, it gives up: the descriptor is released,
/// and the connection reset if something accepted had not even been handed to the kernel.
struct Closing {
    core: Arc<Core>,
    outbox: Option<Arc<Outbox>>,
    limits: Limits,
    /// The time that the caller gave, where it did.
    given: Option<Duration>,
    /// The limit that was reached.
    over: Option<Over>,
    /// Nobody else receives any more.
    receives_alone: AtomicBool,
}

impl Closing {
    /// Does what can be done without waiting; true when the descriptor can be released.
    fn attempt(&self) -> bool {
        if let Some(outbox) = &self.outbox {
            outbox.advance();
            if self.core.is_handshaking() && outbox.queued_here() == 0 {
                // Nothing was said, so nothing need be heard: not the handshake's own bytes, either.
                outbox.abort(&self.core.refusal("close"));
            }
        }
        self.discard_now();
        let nothing_queued = self.outbox.as_ref().is_none_or(|outbox| outbox.queued() == 0);
        if self.core.life().state().has_peer_ended() && nothing_queued {
            self.core.life().end_by_release();
        }
        self.finish();
        if self.core.cause().get().is_some() {
            // Met by the end mark, perhaps: what had arrived before it says more.
            self.discard_now();
        }
        self.may_release()
    }

    fn finish(&self) {
        match &self.outbox {
            Some(outbox) => outbox.finish(),
            None if self.core.life().state().ends_by_release() => {}
            None => {
                let mut after = Afterwards::new();
                // A socket that is no longer connected has nothing to be ended.
                self.core.link().end(&mut after).ok();
                after.run();
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.outbox.as_ref().is_none_or(|outbox| outbox.is_settled())
    }

    /// The rule at the top of this file, except for the time.
    fn may_release(&self) -> bool {
        if self.core.has_failed() || self.core.link().is_released() {
            return true;
        }
        if !self.is_settled() {
            return false;
        }
        let still_sending = self.core.link().is_hurt_by_input()
            && self.core.life().state().has_discarded_data()
            && self.core.discarded() < self.core.drain_limit();
        self.core.life().state().has_peer_ended() || (!still_sending && self.core.is_acknowledged())
    }

    /// Throws away what has arrived, up to the limit, without waiting.
    fn discard_now(&self) {
        self.discard(|inlet, note| match self.core.link().receive_now(inlet, note) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            received => Poll::Ready(received),
        });
    }

    /// Throws input away until there is none for now.
    fn poll_input(&self, cx: &mut Context<'_>) {
        self.discard(|inlet, note| self.core.link().poll_receive(cx, Waits::WayOut, inlet, note));
    }

    fn discard(
        &self,
        mut receive: impl FnMut(&mut Inlet<'_>, CoreNote<'_>) -> Poll<io::Result<usize>>,
    ) {
        discard(
            || self.wants_input(),
            |inlet| receive(inlet, self.core.noting("close")),
            |received| self.take(received),
        );
        // Behind an error nothing more arrives.
        self.core.settle_loss();
    }

    fn wants_input(&self) -> bool {
        // What a handshake needs is not thrown away: what was written waits for it.
        let wants = !self.core.life().state().has_peer_ended()
            && !self.core.is_handshaking()
            && self.core.discarded() < self.core.drain_limit()
            && !self.core.has_failed()
            && !self.core.link().is_released();
        if wants && !self.receives_alone.swap(true, Ordering::Relaxed) {
            // Readers are refused by now, except for those that had begun.
            self.core.link().let_calls_end();
        }
        wants
    }

    /// Takes note of what was received to be thrown away.
    fn take(&self, received: io::Result<&[u8]>) {
        let mut after = Afterwards::new();
        match received {
            Ok([]) => self.ended(&mut after),
            Ok(bytes) => self.core.discard(bytes),
            Err(error) => {
                self.core.record("close", error, &mut after);
            }
        }
        after.run();
    }

    /// As for a reader, an empty receive is the end only if nothing went wrong before.
    fn ended(&self, after: &mut Afterwards) {
        if self.core.settled_cause().is_none() {
            self.core.announce(self.core.life().peer_ended(), after);
        }
    }

    /// Goes on until the descriptor can be released, or until a limit.
    async fn run(mut self) {
        let selector = Arc::clone(self.core.selector());
        let _lingers = selector.sockets().counters.lingering.hold();
        self.over = self.until_over().await;
        if self.may_release() {
            self.core.release();
        }
        // Otherwise a limit was reached, and dropping `self` gives up.
    }

    async fn until_over(&self) -> Option<Over> {
        let mut patience = Patience::new(self.core.selector().timers(), self.limits);
        let mut settled = pin!(async {
            if let Some(outbox) = &self.outbox {
                // Why it failed, if it did, is the connection's cause.
                outbox.wait(Until::Finished).await.ok();
            }
        });
        // By somebody else: an abort, an idle timeout, too many that linger.
        let mut released = pin!(self.core.released());
        let mut is_settled = false;
        poll_fn(|cx| {
            is_settled = is_settled || settled.as_mut().poll(cx).is_ready();
            self.poll_input(cx);
            if released.as_mut().poll(cx).is_ready() || self.may_release() {
                return Poll::Ready(None);
            }
            patience.poll(cx, self.limits_now(), |look| self.moved(look)).map(Some)
        })
        .await
    }

    /// A closing selector has no more patience than its own.
    fn limits_now(&self) -> Limits {
        let selector = self.core.selector();
        if selector.is_closing() { self.limits.min(selector.drain()) } else { self.limits }
    }

    /// Grows whenever the peer, or the system for it, has taken something.
    fn moved(&self, look: Look) -> u64 {
        self.outbox.as_ref().map_or(0, |outbox| self.core.moved(outbox, look))
    }

    /// Why the close ends before its time.
    fn why(&self) -> Error {
        let detail = match (self.given, self.over) {
            (Some(given), Some(_)) => {
                format!(
                    "the peer has not acknowledged everything within the {given:?} given to close it"
                )
            }
            (_, Some(over)) => return given_up("close", over),
            (_, None) => "the selector was closed before the peer had everything".to_owned(),
        };
        Error::new(ErrorKind::TimedOut, "close").with_detail(detail)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if !self.core.link().is_released() {
            self.core.leave_early(self.outbox.clone(), &self.why());
        }
        self.core.set_ticket(0);
    }
}
