//! One call of `accept`: its attempts, its pauses, and its place among the waits.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{WaiterKey, poll_answer};
use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::OwnedFd;

use super::listener::Listener;
use crate::net::socket::{PendingTls, Socket};
use crate::net::system;
use crate::time::Sleep;

/// A call of `accept`, or a stream of its results.
pub(super) struct Accepting<L: Deref<Target = Listener>> {
    pub(super) listener: L,
    pub(super) pending_tls: PendingTls,
    key: Option<WaiterKey>,
    pause: Option<Sleep>,
}

impl<L: Deref<Target = Listener>> Accepting<L> {
    pub(super) fn new(listener: L, pending_tls: PendingTls) -> Self {
        Self { listener, pending_tls, key: None, pause: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Socket>> {
        loop {
            if self.listener.is_closed() {
                ready!(poll_answer(cx));
                return Poll::Ready(Err(self.listener.closed()));
            }
            if self.poll_pause(cx).is_pending() || self.listener.pace.poll_share(cx).is_pending() {
                return self.stay(cx);
            }
            match self.poll_once(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((fd, peer))) => {
                    self.listener.pace.accepted_one();
                    match self.listener.connection(fd, peer, self.pending_tls.clone()) {
                        Ok(socket) => return Poll::Ready(Ok(socket)),
                        // The peer has gone since the handshake: try the next connection.
                        Err(error) if is_of_one_peer(&error) => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Poll::Ready(Err(error)) => {
                    let error = Error::from_io("accept", error).with_address(self.listener.local());
                    match error.kind() {
                        ErrorKind::InvalidInput => return Poll::Ready(Err(was_shut_down(error))),
                        _ if is_of_one_peer(&error) => self.listener.pace.passed_one_over(),
                        ErrorKind::Exhausted if self.listener.selector().sockets().end_one() => {}
                        ErrorKind::Exhausted => self.listener.ran_out(error),
                        ErrorKind::Closed => return Poll::Ready(Err(self.listener.closed())),
                        _ => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    /// Makes an attempt. If it would have to wait, adds this call to the waits and makes one more, so that
    /// no arrival between the two is missed.
    fn poll_once(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        let first = self.listener.poll_accept();
        if first.is_ready() {
            return first;
        }
        self.join(cx);
        let second = self.listener.poll_accept();
        if second.is_ready() {
            self.leave();
        }
        second
    }

    /// Waits for something else than an arrival, but is also woken by a close.
    fn stay<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.join(cx);
        if self.listener.is_closed() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.listener.pause_left().is_some() {
            // Added to the waits before the pause is checked again, so that its end wakes this call.
            self.join(cx);
            let Some(left) = self.listener.pause_left() else { break };
            let selector = self.listener.selector();
            let pause = self.pause.get_or_insert_with(|| selector.sleep(left));
            if Pin::new(pause).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        self.pause = None;
        Poll::Ready(())
    }

    fn join(&mut self, cx: &mut Context<'_>) {
        self.listener.waits.join(&mut self.key, cx.waker());
    }

    pub(super) fn leave(&mut self) {
        self.listener.waits.leave(&mut self.key);
    }
}

impl<L: Deref<Target = Listener>> Drop for Accepting<L> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// `EINVAL`: it does not listen any more (`accept(2)`).
fn was_shut_down(error: Error) -> Error {
    error.with_detail("the listener was shut down, by shutdown(2) on another handle of it")
}

/// True for errors which mean that one peer, or its network, has gone away before it was accepted
/// (`accept(2)`, "Error handling").
fn is_of_one_peer(error: &Error) -> bool {
    let raw = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error);
    error.is_reset()
        || error.kind() == ErrorKind::Unreachable
        || system::OF_ONE_PEER.iter().any(|errno| raw == Some(errno.raw_os_error()))
}
