//! A connection whose handshake is not complete when it is handed out
//! ([`fast_open`](crate::TcpBuilder::fast_open)).
//!
//! Its SYN waits for the first bytes. If none come by the end of the turn, it leaves without: a task that reads first
//! would wait forever. And the end mark waits until the handshake is complete: before that, `shutdown(2)` makes the
//! kernel forget the connection, and the bytes with it.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::seam::wake_next_turn;
use rustix::net::send;

use super::Socket;
use super::core::Core;
use super::link::{Link, Stream};
use super::note::Note;
use crate::host::{Direction, Progress};
use crate::net::protocol::Protocol;
use crate::net::system::{self, SEND_FLAGS};
use crate::selector::Waits;

impl Socket {
    /// Makes the SYN leave at the end of this turn, if no bytes have taken it with them.
    pub(in crate::net) fn begin_without_bytes(&self) {
        let core = Arc::downgrade(self.0.core());
        self.0.core().selector().spawn_own(async move {
            let mut has_waited = false;
            poll_fn(|cx| {
                if mem::replace(&mut has_waited, true) {
                    return Poll::Ready(());
                }
                wake_next_turn(cx.waker());
                Poll::Pending
            })
            .await;
            if let Some(core) = core.upgrade() {
                core.send_syn();
            }
        });
    }
}

impl Core {
    fn send_syn(&self) {
        let Link::Kernel(stream) = self.link() else { return };
        let note = self.noting("connect");
        let sent = stream.io.call(|fd| {
            if system::waits_for_bytes(fd) == Some(true) {
                send(fd, &[], SEND_FLAGS).map_err(|error| match error {
                    // It is on its way.
                    rustix::io::Errno::INPROGRESS | rustix::io::Errno::AGAIN => error.into(),
                    error => note.error(error.into()),
                })?;
            }
            Ok(())
        });
        // An error is noted by now, and every other call reports it.
        drop(sent);
    }

    /// True if the connection was handed out before its handshake was over, and still is so.
    pub(super) fn is_handshake_pending(&self) -> bool {
        self.handed_out_early().is_some_and(|stream| {
            stream.io.call(|fd| Ok(system::waits_for_bytes(fd).is_some())).unwrap_or_default()
        })
    }

    /// Waits until the handshake is over, if the connection was handed out before.
    pub(super) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = self.handed_out_early() else { return Poll::Ready(Ok(())) };
        let waits = stream.io.poll_io(cx, Direction::Write, Waits::WayOut, |fd| {
            match system::waits_for_bytes(fd) {
                Some(_) => Err(io::ErrorKind::WouldBlock.into()),
                None => Ok(Progress { count: 0, drained: false }),
            }
        });
        waits.map_ok(|_| ())
    }

    /// The socket of a connection that may have been handed out before its handshake was over.
    fn handed_out_early(&self) -> Option<&Stream> {
        let may_be = self.parts().options.fast_open.is_some_and(|waiting| waiting > 0);
        match self.link() {
            Link::Kernel(stream) if may_be && stream.protocol == Protocol::Tcp => Some(stream),
            _ => None,
        }
    }
}
