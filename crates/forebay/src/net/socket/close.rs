//! The graceful end of a connection: no accepted byte is lost, and no wait lasts forever.
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
//! A peer that reads slowly but steadily receives everything: the drain timeout counts from the last
//! acknowledgement of the peer, and only the total limits how long this may go on. Discarding input has the
//! same limits: after the last acknowledgement it lasts for at most the drain timeout.
//!
//! TLS messages after the handshake (session tickets) are input, but not data: they do not mean that the
//! peer is still sending.
//!
//! The limit on input stops the reading, never the waiting: if the descriptor is released while the peer
//! still sends, the kernel answers with a reset, and a reset overtakes what is in flight.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use forebay_io::seam::{Inlet, Outbox, Until, WakeList};
use forebay_io::{Error, ErrorKind, Result};

use super::core::Core;
use super::discard::discard;
use super::errors::CoreNote;
use crate::selector::{Member, Remains, Waits, given_up};
use crate::task::Reporter;
use crate::time::{Limits, Look, Over, Patience, within};

/// Closes the connection and waits until its descriptor is released, for at most `limit`, or else as long
/// as the drain settings allow.
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
            let timers = core.selector().timers();
            // Boxed, because it is rare: otherwise every task that closes would reserve space for it, for
            // its whole life.
            if Box::pin(within(timers, limit, core.released())).await.is_none() {
                core.give_up("the time given to close it is over");
            }
        }
    }
    drop(attended);
    core.report_loss();
    let was_cut = core.outbox().is_some_and(|outbox| outbox.was_cut());
    match core.first_cause() {
        // `Closed` comes from a call on this side, an abort for instance. It is an error here only if
        // it has cut a message. So is the loss of a link that was noticed before the close, if nothing was lost:
        // the answer of a close must not depend on whether a call that waited beside it was quicker.
        Some(cause) if was_cut || !(cause.is_closed() || core.loses_nothing()) => {
            Err(cause.clone())
        }
        _ => Ok(()),
    }
}

/// Begins to close the connection. What cannot be done at once goes on in the background, without an owner.
pub(super) fn close_in_background(core: &Arc<Core>, outbox: Option<Arc<Outbox>>) {
    begin(core, outbox, None);
    add(core);
}

fn begin(core: &Arc<Core>, outbox: Option<Arc<Outbox>>, limit: Option<Duration>) {
    let mut after = WakeList::new();
    core.announce(core.life().begin_closing(), &mut after);
    after.run();
    if core.link().is_released() || !core.life().attend() {
        return;
    }
    let closing = SocketClose {
        core: Arc::clone(core),
        outbox,
        limits: limit.map_or_else(|| core.drain(), Limits::within),
        given: limit,
        over: None,
        receives_alone: AtomicBool::default(),
    };
    if closing.attempt() {
        return core.release_closed(closing.outbox.as_ref());
    }
    // If the selector is closed, no task can go on: `closing` is dropped, which gives up.
    core.selector().spawn_own(closing.run());
}

/// A call that waits for a close. When it is dropped, the close has no owner any more.
struct Attended<'a>(&'a Arc<Core>);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        add(self.0);
    }
}

/// Adds a connection to the list of those that are being closed without an owner. The list is bounded.
fn add(core: &Arc<Core>) {
    // A connection that lost its last waiter and then its last handle is listed once, from the first of
    // these on.
    if core.link().is_released() || core.has_ticket() {
        return;
    }
    let member = Arc::clone(core) as Arc<dyn Member>;
    core.set_ticket(core.selector().sockets().background_closes.add(Arc::downgrade(&member)));
    // It may have ended before it was added.
    if core.link().is_released() {
        core.set_ticket(0);
    }
}

/// A closing selector closes connections with and without an owner in the same way. These closes do not
/// count for the bounded list: there are never more of them than there were connections.
impl Remains for Core {
    fn close_with_selector(self: Arc<Self>) {
        let outbox = self.outbox();
        begin(&self, outbox, None);
        // A connection that is being closed already has other limits from now on.
        let mut after = WakeList::new();
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
    /// Ends a close before its time: bytes that the peer has not taken are lost, which is counted.
    fn give_up(&self, why: &'static str) {
        if self.link().is_released() {
            return;
        }
        let error = Error::new(ErrorKind::TimedOut, "close").with_detail(why);
        self.leave_early(self.outbox(), &self.named(error));
    }

    /// Releases a connection although the peer may not have everything. This is counted, and reported if the
    /// connection has no owner. The connection is reset if accepted bytes were not handed to the system.
    /// Otherwise the system still delivers what it has taken, if it can.
    fn leave_early(&self, outbox: Option<Arc<Outbox>>, error: &Error) {
        let is_settled = outbox.as_ref().is_none_or(|outbox| outbox.is_settled());
        let is_lost = !(is_settled && self.is_acknowledged());
        let is_reported = is_lost && self.has_ticket();
        if is_lost {
            self.selector().sockets().counters.unacknowledged.add(1);
        }
        if let Some(outbox) = outbox {
            // Does nothing if the outbox has settled.
            outbox.abort(error);
        }
        self.release();
        if is_reported {
            let error = self.named(error.clone());
            self.selector().reporter().report(Reporter::OF_A_CLOSE, &error);
        }
    }

    /// Releases a connection that need not be waited for any more. If it has failed, accepted bytes may
    /// have been lost with it: this is counted, and reported if no call waits for the close.
    fn release_closed(&self, outbox: Option<&Arc<Outbox>>) {
        if self.link().is_released() {
            return;
        }
        // An abort on this side was asked for, and a loss that TLS found harmless has no cause.
        let cause = self.first_cause().filter(|cause| !cause.is_closed());
        let lost = cause.filter(|_| outbox.is_some_and(|outbox| outbox.has_dropped()));
        if lost.is_some() {
            self.selector().sockets().counters.unacknowledged.add(1);
        }
        let reported = lost.filter(|_| self.has_ticket());
        self.release();
        if let Some(error) = reported {
            self.selector().reporter().report(Reporter::OF_A_CLOSE, error);
        }
    }

    /// A number that grows whenever the peer, or the system on its behalf, has taken bytes. A last look
    /// also tries the link again: this process may have been held up while there was room, and a system
    /// with less than a third of its buffer free may not report that room.
    pub(super) fn moved(&self, outbox: &Outbox, look: Look) -> u64 {
        if look == Look::Last {
            let mut after = WakeList::new();
            self.link().wake(&mut after);
            after.run();
            outbox.advance();
        }
        outbox.sent().wrapping_add(self.link().acknowledged_bytes().unwrap_or_default())
    }

    /// True if the peer has acknowledged everything. Where the system does not tell, bytes count as
    /// acknowledged once they were handed to it.
    fn is_acknowledged(&self) -> bool {
        matches!(self.link().unacknowledged(), None | Some(0))
    }
}

/// A connection that is being closed. If it is dropped before the close is complete, it gives up: the
/// descriptor is released, and the connection is reset if accepted bytes were not handed to the kernel.
struct SocketClose {
    core: Arc<Core>,
    outbox: Option<Arc<Outbox>>,
    limits: Limits,
    /// The time that the caller gave, if any.
    given: Option<Duration>,
    /// The limit that was reached.
    over: Option<Over>,
    /// True once no other call receives any more.
    receives_alone: AtomicBool,
}

impl SocketClose {
    /// Takes every step that needs no waiting; true if the descriptor can be released.
    fn attempt(&self) -> bool {
        if let Some(outbox) = &self.outbox {
            outbox.advance();
            if self.core.is_handshaking() && outbox.queued_here() == 0 {
                // Nothing was written, so nothing needs to be sent, not even the bytes of the handshake.
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
            // The cause may come from sending the end mark; bytes that arrived before can explain more.
            self.discard_now();
        }
        self.may_release()
    }

    fn finish(&self) {
        match &self.outbox {
            Some(outbox) => outbox.finish(),
            None if self.core.life().state().ends_by_release() => {}
            None => {
                let mut after = WakeList::new();
                // A socket that is not connected any more has no direction to end.
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

    /// Discards received input up to the limit, without waiting.
    fn discard_now(&self) {
        self.discard(|inlet, note| match self.core.link().receive_now(inlet, note) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            received => Poll::Ready(received),
        });
    }

    /// Discards input until there is none for now.
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
        // After an error nothing more arrives.
        self.core.report_loss();
    }

    fn wants_input(&self) -> bool {
        // Input that a handshake needs is not discarded: written bytes wait for the handshake.
        let wants = !self.core.life().state().has_peer_ended()
            && !self.core.is_handshaking()
            && self.core.discarded() < self.core.drain_limit()
            && !self.core.has_failed()
            && !self.core.link().is_released();
        if wants && !self.receives_alone.swap(true, Ordering::Relaxed) {
            // Readers are refused by now, except for calls that had begun before.
            self.core.link().let_calls_end();
        }
        wants
    }

    /// Evaluates input that was received to be discarded.
    fn take(&self, received: io::Result<&[u8]>) {
        let mut after = WakeList::new();
        match received {
            Ok([]) => self.ended(&mut after),
            Ok(bytes) => self.core.discard(bytes),
            Err(error) => {
                self.core.record("close", error, &mut after);
            }
        }
        after.run();
    }

    /// As for a reader, an empty receive is the end only if there was no error before.
    fn ended(&self, after: &mut WakeList) {
        if self.core.settled_cause().is_none() {
            self.core.announce(self.core.life().peer_ended(), after);
        }
    }

    /// Goes on until the descriptor can be released, or until a limit is reached.
    async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let _counted = core.selector().sockets().counters.background_closes.hold();
        // Released by another call: an abort, an idle timeout, or a full list of closes without an owner.
        self.over = self.until_over(pin!(core.released())).await;
        if self.may_release() {
            self.core.release_closed(self.outbox.as_ref());
        }
        // Otherwise a limit was reached, and dropping `self` gives up.
    }

    /// Waits until the descriptor can be released, or until `released`, or a limit, ends the wait. `released` is
    /// also woken by the end of a handshake.
    async fn until_over(&self, mut released: Pin<&mut impl Future<Output = ()>>) -> Option<Over> {
        let mut patience = Patience::new(&self.core.selector().timers(), self.limits);
        let mut settled = pin!(async {
            if let Some(outbox) = &self.outbox {
                // If it fails, the reason is the connection's cause.
                outbox.wait(Until::Finished).await.ok();
            }
        });
        let mut is_settled = false;
        poll_fn(|cx| {
            is_settled = is_settled || settled.as_mut().poll(cx).is_ready();
            // Before the input: a handshake that ends in between wakes this, and one that has ended leaves the
            // input to the close, which waits for it itself.
            let is_released = released.as_mut().poll(cx).is_ready();
            self.poll_input(cx);
            if is_released || self.may_release() {
                return Poll::Ready(None);
            }
            patience.poll(cx, self.limits_now(), |look| self.moved(look)).map(Some)
        })
        .await
    }

    /// A closing selector allows no more than its own limits.
    fn limits_now(&self) -> Limits {
        let selector = self.core.selector();
        if selector.is_closing() { self.limits.min(selector.drain()) } else { self.limits }
    }

    /// A number that grows whenever the peer, or the system on its behalf, has taken bytes.
    fn moved(&self, look: Look) -> u64 {
        self.outbox.as_ref().map_or(0, |outbox| self.core.moved(outbox, look))
    }

    /// The reason for ending the close before its time.
    fn why(&self) -> Error {
        let detail = match (self.given, self.over) {
            (Some(given), Some(_)) => {
                format!(
                    "the peer has not acknowledged everything within the {given:?} given to close it"
                )
            }
            (_, Some(over)) => return self.core.named(given_up("close", over)),
            (_, None) => "the selector was closed before the peer had everything".to_owned(),
        };
        self.core.named(Error::new(ErrorKind::TimedOut, "close").with_detail(detail))
    }
}

impl Drop for SocketClose {
    fn drop(&mut self) {
        if !self.core.link().is_released() {
            self.core.leave_early(self.outbox.clone(), &self.why());
        }
        self.core.set_ticket(0);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use forebay_testing::counted_waker;

    use super::*;
    use crate::selector::SelectorManager;
    use crate::testing::TestClock;

    /// The clock stands still, so the close hears of what arrives from the link alone.
    #[test]
    fn a_close_that_begins_to_wait_while_a_handshake_ends_hears_its_peer() {
        let selector = SelectorManager::builder().clock(TestClock::new()).build().unwrap();
        let (near, mut far) = selector.duplex(64);
        let core = Arc::clone(near.socket.0.core());
        let mut after = WakeList::new();
        core.announce(core.life().lay_on_top(), &mut after);
        core.announce(core.life().begin_closing(), &mut after);
        after.run();
        let closing = SocketClose {
            core: Arc::clone(&core),
            outbox: core.outbox(),
            limits: core.drain(),
            given: None,
            over: None,
            receives_alone: AtomicBool::default(),
        };
        // Another thread ends the handshake just before the close is among those that this wakes.
        let mut released = pin!(core.released());
        let released = pin!(poll_fn(|cx| {
            core.end_handshake();
            released.as_mut().poll(cx)
        }));
        let (waker, woken) = counted_waker();
        let mut over = pin!(closing.until_over(released));
        assert!(over.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let before = woken.count();
        let written = pin!(far.output.write_u8(0));
        assert!(written.poll(&mut Context::from_waker(Waker::noop())).is_ready());
        assert!(woken.count() > before, "input is discarded when it arrives");
    }
}
