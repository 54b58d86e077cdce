//! One call of `receive`: its attempts, and its place among the waits.

use std::io;
use std::ops::Deref;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{WaiterKey, poll_answer};
use forebay_io::{Error, Result};

use super::{DatagramWaits, share};

/// A socket that receives datagrams.
pub(in crate::net) trait Receives {
    type Datagram;

    fn waits(&self) -> &DatagramWaits;

    /// Receives a datagram, or stores the waker of all waits.
    fn poll_receive(&self) -> Poll<io::Result<Self::Datagram>>;

    /// The number of its bytes.
    fn length(datagram: &Self::Datagram) -> usize;

    fn receive_error(&self, error: io::Error) -> Error;

    /// The error of a call on a closed socket.
    fn closed(&self, operation: &'static str) -> Error;
}

/// A call of `receive`, or a stream of its results.
pub(in crate::net) struct Receiving<C: Deref<Target: Receives>> {
    pub(in crate::net) core: C,
    key: Option<WaiterKey>,
}

impl<C: Deref<Target: Receives>> Receiving<C> {
    pub(in crate::net) fn new(core: C) -> Self {
        Self { core, key: None }
    }

    #[allow(clippy::type_complexity, reason = "the datagram of what `C` refers to")]
    pub(in crate::net) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<<C::Target as Receives>::Datagram>> {
        if self.core.waits().is_closed() {
            ready!(poll_answer(cx));
            return Poll::Ready(Err(self.core.closed("receive")));
        }
        ready!(share::poll(cx));
        let received = ready!(self.poll_once(cx));
        share::spend(received.as_ref().map_or(0, C::Target::length));
        self.leave();
        Poll::Ready(received.map_err(|error| self.core.receive_error(error)))
    }

    /// Makes an attempt. If it would have to wait, adds this call to the waits and makes one more, so that
    /// no arrival between the two is missed.
    fn poll_once(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<<C::Target as Receives>::Datagram>> {
        let first = self.core.poll_receive();
        if first.is_ready() {
            return first;
        }
        self.core.waits().readers.join(&mut self.key, cx.waker());
        self.core.poll_receive()
    }

    fn leave(&mut self) {
        self.core.waits().readers.leave(&mut self.key);
    }
}

impl<C: Deref<Target: Receives>> Drop for Receiving<C> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An item of a stream, which ends when the socket is closed.
pub(in crate::net) fn unless_closed<D>(received: Result<D>) -> Option<Result<D>> {
    match received {
        Err(error) if error.is_closed() => None,
        received => Some(received),
    }
}
