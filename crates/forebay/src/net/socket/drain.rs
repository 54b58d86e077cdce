//! The sending side of a connection.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{Drain, SendQueue, WakeList};
use forebay_io::{Error, Result};

use super::core::Core;
use crate::net::options::Silence;

/// The system's own error, which distinguishes it from the refusal of a closed selector.
const NOT_CONNECTED: i32 = rustix::io::Errno::NOTCONN.raw_os_error();

/// The writing end of a connection.
pub(super) struct SocketDrain {
    core: Arc<Core>,
}

impl SocketDrain {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl Drain for SocketDrain {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        if self.core.life().state().has_failed()
            && let Some(cause) = self.core.cause().get()
        {
            return Poll::Ready(Err(cause.clone()));
        }
        let before = queue.len();
        // Usually one call sends everything.
        match self.core.link().poll_send(cx, queue, after, self.core.noting("write")) {
            Poll::Ready(Ok(())) if queue.is_empty() => {
                self.moved();
                Poll::Ready(Ok(()))
            }
            sent => self.poll_send_more(sent, cx, queue, before, after),
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>, after: &mut WakeList) -> Poll<Result<()>> {
        if !self.core.life().state().ends_by_release() {
            if let Err(error) = ready!(self.core.poll_handshake(cx)) {
                return Poll::Ready(Err(self.core.record("finish", error, after)));
            }
            match self.core.link().end(after) {
                Ok(()) => {}
                // Reset in the meantime; the system reports the error once, to the call that asks first.
                Err(error) if error.raw_os_error() == Some(NOT_CONNECTED) => {
                    return Poll::Ready(Err(self.reason(after)));
                }
                Err(error) => return Poll::Ready(Err(self.core.record("finish", error, after))),
            }
        }
        self.core.announce(self.core.life().we_ended(), after);
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, cause: &Error, after: &mut WakeList) {
        if !self.core.is_lost() {
            self.core.abort(cause.clone(), after);
        }
    }

    fn sends_segments(&self) -> bool {
        // Before the handshake is over, only `send(2)` makes its SYN leave.
        self.core.link().sends_segments() && !self.core.is_handshake_pending()
    }

    fn peer(&self) -> Option<String> {
        self.core.peer_name()
    }
}

impl SocketDrain {
    /// Goes on after a call that has not sent everything of a queue of `before` bytes, until one sends nothing.
    #[inline(never)]
    fn poll_send_more(
        &self,
        mut sent: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
        queue: &mut SendQueue,
        before: usize,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        let mut late = None;
        loop {
            match sent {
                Poll::Ready(Ok(())) if queue.is_empty() => break,
                Poll::Ready(Ok(())) => late = None,
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(self.core.record("write", error, after)));
                }
                Poll::Pending => {
                    if let Some(late) = late {
                        return Poll::Ready(Err(late));
                    }
                    late = self.patience(queue.len() < before).err();
                    if late.is_none() {
                        return Poll::Pending;
                    }
                    // The limit has passed now. The worker may have been held up since it last looked at
                    // the link, so try once more: bytes that the peer took in the meantime count.
                    self.core.link().wake(after);
                }
            }
            sent = self.core.link().poll_send(cx, queue, after, self.core.noting("write"));
        }
        self.moved();
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn moved(&self) {
        if let Some(timeouts) = self.core.timeouts() {
            timeouts.moved(Silence::Writing);
        }
    }

    /// Called when the peer takes no more for now, which may last only as long as its limit.
    fn patience(&self, moved: bool) -> Result<()> {
        if moved {
            self.moved();
        }
        let waits =
            self.core.timeouts().map_or(Ok(()), |timeouts| timeouts.waits(Silence::Writing));
        waits.map_err(|error| self.core.named(error))
    }

    /// The reason why the socket is no longer connected.
    fn reason(&self, after: &mut WakeList) -> Error {
        let told = self.core.ask("finish", after).or_else(|| self.core.settled_cause().cloned());
        told.unwrap_or_else(|| {
            self.core.record("finish", io::ErrorKind::ConnectionReset.into(), after)
        })
    }
}
