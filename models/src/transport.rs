//! A stand-in for the kernel: a transport that takes as many bytes as it has room for.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Cause, Drain, FlushSchedule, Outbox, SendQueue, WakeList};
use forebay_io::{Error, Result};

use crate::checker::{Mutex, lock};

/// The far side of an outbox. Its own rules are part of every model: bytes come before the end mark, the
/// end mark comes once, and nothing comes after it or after a reset.
pub struct Transport(Mutex<State>);

struct State {
    sent: Vec<u8>,
    room: usize,
    takes_end: bool,
    ended: bool,
    reset: Option<String>,
    waker: Option<Waker>,
}

impl Transport {
    /// Makes a transport with room for this many bytes, which takes an end mark if `takes_end`.
    pub fn new(room: usize, takes_end: bool) -> Arc<Self> {
        let (sent, ended) = (Vec::new(), false);
        let state = State { sent, room, takes_end, ended, reset: None, waker: None };
        Arc::new(Self(Mutex::new(state)))
    }

    /// Makes a transport that takes everything at once.
    pub fn open() -> Arc<Self> {
        Self::new(usize::MAX, true)
    }

    /// Makes the outbox in front of this transport.
    pub fn outbox(self: &Arc<Self>, turns: &Arc<impl FlushSchedule + 'static>) -> Arc<Outbox> {
        self.outbox_sharing(Cause::default(), turns)
    }

    /// Makes the outbox with a given cause, which another half shares, as the reading half does.
    pub fn outbox_sharing(
        self: &Arc<Self>,
        cause: Cause,
        turns: &Arc<impl FlushSchedule + 'static>,
    ) -> Arc<Outbox> {
        let turns = Arc::clone(turns) as Arc<dyn FlushSchedule>;
        Outbox::new(Box::new(TransportDrain(Arc::clone(self))), cause, turns)
    }

    /// Gives room for more bytes, and wakes the wait for it.
    pub fn give_room(&self, more: usize) {
        self.change(|state| state.room = state.room.saturating_add(more));
    }

    /// Lets the end mark be taken from now on, and wakes the wait for that.
    pub fn take_end(&self) {
        self.change(|state| state.takes_end = true);
    }

    /// Returns the bytes that were sent.
    pub fn sent(&self) -> Vec<u8> {
        lock(&self.0).sent.clone()
    }

    /// Returns the number of bytes that were sent.
    pub fn sent_bytes(&self) -> usize {
        lock(&self.0).sent.len()
    }

    /// Returns the byte that was sent last.
    pub fn sent_last(&self) -> Option<u8> {
        lock(&self.0).sent.last().copied()
    }

    /// Returns `true` once the end mark was sent.
    pub fn is_ended(&self) -> bool {
        lock(&self.0).ended
    }

    /// Returns the cause of the reset, if there was one.
    pub fn reset(&self) -> Option<String> {
        lock(&self.0).reset.clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.0);
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn assert_alive(&self) {
        assert!(!self.ended, "the end mark was overtaken, or sent twice");
        assert!(self.reset.is_none(), "used after it was reset");
    }
}

struct TransportDrain(Arc<Transport>);

impl Drain for TransportDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let mut state = lock(&self.0.0);
        state.assert_alive();
        while !queue.is_empty() && state.room > 0 {
            let count = queue.first().len().min(state.room);
            state.sent.extend_from_slice(&queue.first()[..count]);
            state.room -= count;
            queue.sent(count, after);
        }
        if queue.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
        let mut state = lock(&self.0.0);
        state.assert_alive();
        if !state.takes_end {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.ended = true;
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, cause: &Error, _: &mut WakeList) {
        let mut state = lock(&self.0.0);
        state.assert_alive();
        state.reset = Some(cause.to_string());
    }
}
