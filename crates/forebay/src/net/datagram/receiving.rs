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

    /// Receives a datagram, or stores the waker of all waits. A datagram is put in its place, and not returned: it is
    /// large, and would be copied at each return.
    fn poll_receive(&self, place: &mut Option<Self::Datagram>) -> Poll<io::Result<()>>;

    /// Receives a datagram that is here already; `WouldBlock` if there is none.
    fn receive_now(&self, place: &mut Option<Self::Datagram>) -> io::Result<()>;

    /// The number of its bytes.
    fn length(datagram: &Self::Datagram) -> usize;

    fn try_receive(&self) -> Result<Option<Self::Datagram>> {
        self.socket().check_open(Self::OPERATION)?;
        let mut place = None;
        match uninterrupted(|| self.receive_now(&mut place)) {
            Ok(()) => Ok(place),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.receive_error(error)),
        }
    }

    #[cold]
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

    #[cold]
    fn join(&mut self, cx: &Context<'_>) {
        self.core.socket().waits().readers.join(&mut self.key, cx.waker());
    }

    /// Returns the error of a receive that has put no datagram in its place.
    #[cold]
    fn failure(&self, ended: io::Result<()>) -> Error {
        self.core.receive_error(ended.err().unwrap_or_else(|| io::ErrorKind::Other.into()))
    }

    /// Fails a call on a closed socket.
    #[cold]
    fn poll_closed<T>(&self, cx: &Context<'_>) -> Poll<Result<T>> {
        ready!(poll_answer(cx));
        Poll::Ready(Err(self.socket().closed(C::Target::OPERATION)))
    }

    fn leave(&mut self) {
        self.core.socket().waits().readers.leave(&mut self.key);
    }
}

impl<C: Deref<Target: Receives> + Unpin> Future for Receiving<C> {
    type Output = Result<<C::Target as Receives>::Datagram>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.socket().waits().is_closed() {
            return self.poll_closed(cx);
        }
        ready!(share::poll(cx));
        let (mut place, mut is_second) = (None, false);
        let ended = loop {
            match self.core.poll_receive(&mut place) {
                Poll::Ready(ended) => break ended,
                Poll::Pending if is_second => return Poll::Pending,
                // One more attempt behind that, so that no arrival since the first is missed.
                Poll::Pending => self.join(cx),
            }
            is_second = true;
        };
        share::spend(place.as_ref().map_or(0, C::Target::length));
        match place {
            Some(datagram) => Poll::Ready(Ok(datagram)),
            None => Poll::Ready(Err(self.failure(ended))),
        }
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
        let next = ready!(Pin::new(&mut *self).poll(cx));
        // A future leaves when it is dropped; this one stays.
        self.leave();
        Poll::Ready(unless_closed(next))
    }
}

fn unless_closed<D>(received: Result<D>) -> Option<Result<D>> {
    match received {
        Err(error) if error.is_closed() => None,
        received => Some(received),
    }
}
