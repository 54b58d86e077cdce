//! Sending.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_io::seam::{Afterwards, Drain, SendQueue};
use forebay_io::{Error, Result};
use rustix::net::{SendAncillaryBuffer, Shutdown, send, sendmsg, shutdown};
use socket2::SockRef;

use super::Core;
use crate::host::{Direction, Progress};
use crate::net::descriptor::Waits;
use crate::net::system::SEND_FLAGS;

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
        after: &mut Afterwards,
    ) -> Poll<Result<()>> {
        if let Some(cause) = self.core.cause().get() {
            return Poll::Ready(Err(cause.clone()));
        }
        while !queue.is_empty() {
            let sent = self.core.io().poll_io(cx, Direction::Write, Waits::WayOut, |fd| {
                let count = if queue.is_one_piece() {
                    send(fd, queue.first(), SEND_FLAGS)?
                } else {
                    let (slices, count) = queue.slices();
                    let mut control = SendAncillaryBuffer::default();
                    sendmsg(fd, &slices[..count], &mut control, SEND_FLAGS)?
                };
                Ok(Progress { count, drained: false })
            });
            match ready!(sent) {
                Ok(progress) => {
                    let counters = self.core.selector().counters();
                    counters.sends.add(1);
                    counters.sent_bytes.add(progress.count as u64);
                    queue.sent(progress.count, after);
                }
                Err(error) => return Poll::Ready(Err(self.core.record("write", error, after))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, _: &mut Context<'_>, after: &mut Afterwards) -> Poll<Result<()>> {
        if !self.core.ends_by_release() {
            let ended = self.core.io().call(|fd| Ok(shutdown(fd, Shutdown::Write)?));
            match ended {
                Ok(()) => {}
                // Reset meanwhile; what it was, the system tells once, to whoever asks first.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    return Poll::Ready(Err(self.core.record("finish", self.reason(), after)));
                }
                Err(error) => return Poll::Ready(Err(self.core.record("finish", error, after))),
            }
        }
        self.core.we_ended(after);
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, cause: &Error, after: &mut Afterwards) {
        if !self.core.is_lost() {
            self.core.abort(cause.clone(), after);
        }
    }
}

impl SocketDrain {
    /// Why the socket is no longer connected.
    fn reason(&self) -> io::Error {
        let told = self.core.io().call(|fd| SockRef::from(&fd).take_error()).ok().flatten();
        told.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
    }
}
