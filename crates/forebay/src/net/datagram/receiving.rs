//! One call of `receive`: its attempts, and its place among the waits.

use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{WaiterKey, poll_answer};
use forebay_io::{Error, ErrorKind, Result};

use super::{DatagramSocket, share};
use crate::interrupted::uninterrupted;

/// A socket that receives datagrams, or a way to receive them.
pub(in crate::net) trait Receives {
    type Datagram;
    type Socket: DatagramSocket;

    /// The name of the call in errors.
    const OPERATION: &'static str = "receive";

    fn socket(&self) -> &Self::Socket;

    /// Receives a datagram, or stores the waker of all waits.
    fn poll_receive(&self) -> Poll<io::Result<Self::Datagram>>;

    /// Receives a datagram that is here already; `WouldBlock` if there is none.
    fn receive_now(&self) -> io::Result<Self::Datagram>;

    /// The number of its bytes.
    fn length(datagram: &Self::Datagram) -> usize;

    fn try_receive(&self) -> Result<Option<Self::Datagram>> {
        self.socket().check_open(Self::OPERATION)?;
        match uninterrupted(|| self.receive_now()) {
            Ok(datagram) => Ok(Some(datagram)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.receive_error(error)),
        }
    }

    fn receive_error(&self, error: io::Error) -> Error {
        let error = Error::from_io(Self::OPERATION, error);
        if error.kind() == ErrorKind::Closed {
            self.socket().closed(Self::OPERATION)
        } else {
            self.socket().named(error)
        }
    }
}

/// A call of `receive`, or a stream of its results.
pub(in crate::net) struct Receiving<C: Deref<Target: Receives>> {
    core: C,
    key: Option<WaiterKey>,
}

impl<C: Deref<Target: Receives>> Receiving<C> {
    pub(in crate::net) fn new(core: C) -> Self {
        Self { core, key: None }
    }

    pub(in crate::net) fn socket(&self) -> &<C::Target as Receives>::Socket {
        self.core.socket()
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
        self.core.socket().waits().readers.join(&mut self.key, cx.waker());
        self.core.poll_receive()
    }

    fn leave(&mut self) {
        self.core.socket().waits().readers.leave(&mut self.key);
    }
}

impl<C: Deref<Target: Receives> + Unpin> Future for Receiving<C> {
    type Output = Result<<C::Target as Receives>::Datagram>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.socket().waits().is_closed() {
            ready!(poll_answer(cx));
            return Poll::Ready(Err(self.socket().closed(C::Target::OPERATION)));
        }
        ready!(share::poll(cx));
        let received = ready!(self.poll_once(cx));
        share::spend(received.as_ref().map_or(0, C::Target::length));
        self.leave();
        Poll::Ready(received.map_err(|error| self.core.receive_error(error)))
    }
}

impl<C: Deref<Target: Receives>> Drop for Receiving<C> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// As a stream, which ends when the socket is closed.
impl<S: Receives> Receiving<Arc<S>> {
    pub(in crate::net) async fn next(&mut self) -> Option<Result<S::Datagram>> {
        // With a place of its own among the waits, which a dropped call leaves.
        unless_closed(Receiving::new(&*self.core).await)
    }

    pub(in crate::net) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<S::Datagram>>> {
        Pin::new(self).poll(cx).map(unless_closed)
    }
}

fn unless_closed<D>(received: Result<D>) -> Option<Result<D>> {
    match received {
        Err(error) if error.is_closed() => None,
        received => Some(received),
    }
}
