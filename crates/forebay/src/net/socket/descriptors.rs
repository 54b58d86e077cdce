//! Passing descriptors over a Unix socket, for users.

use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use forebay_io::seam::WakeList;
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

use super::Socket;
use super::link::{Link, Stream, noted};
use crate::host::{Direction, Progress};
use crate::net::protocol::Protocol;
use crate::net::rights;
use crate::selector::Waits;

/// The bytes that go in one call with the descriptors. Linux takes so few whole or not at all, with the smallest
/// buffer that a socket may have.
const BYTES_WITH_FDS_MAX: usize = 1024;
/// The most bytes of one call, as of an item of a channel.
const BYTES_MAX: usize = 1024 * 1024;

impl Socket {
    /// Sends bytes with descriptors over a Unix socket (`SCM_RIGHTS`, `unix(7)`), behind everything that was written
    /// before. The peer receives other descriptors of the same open files; those here stay open, and are this
    /// process's.
    ///
    /// The descriptors arrive with the first of the bytes. There must be at least one byte, and may be up to 1 MiB.
    /// The call waits until the system has taken what was written before, and the first bytes.
    ///
    /// # Errors
    ///
    /// - [`Unsupported`](ErrorKind::Unsupported): this is not a Unix socket, or has TLS.
    /// - [`InvalidInput`](ErrorKind::InvalidInput): no byte or more than 1 MiB, no descriptor or more than 253, or
    ///   `output` is the channel of another connection.
    /// - [`Exhausted`](ErrorKind::Exhausted): more descriptors of this user are on their way than the process may have
    ///   open (`RLIMIT_NOFILE`). Nothing was sent, and the connection goes on.
    /// - Those of [`ByteWriteChannel::flush`].
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has sent none of its bytes and descriptors, or all are accepted.
    ///
    /// # Platform
    ///
    /// Unix.
    ///
    /// # Examples
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("forebay-doc-fds-{}", std::process::id()));
    /// use std::io::{Read, Write};
    /// use std::os::fd::AsFd;
    ///
    /// forebay::run(async |selector| {
    ///     let server = selector.unix().descriptors_max(1).bind(&path).await?;
    ///     let mut client = selector.unix().connect(&path).await?.connection()?;
    ///     let mut accepted = server.accept().await?.connection()?;
    ///
    ///     let (mut reader, writer) = std::io::pipe()?;
    ///     client.output.write_str("before\n").await?;
    ///     client.socket.send_with_fds(&mut client.output, "a pipe\n", &[writer.as_fd()]).await?;
    ///     drop(writer);
    ///
    ///     assert_eq!(accepted.input.read_line().await?.as_deref(), Some("before"));
    ///     let fds = accepted.socket.receive_with_fds(&mut accepted.input).await?;
    ///     assert_eq!(accepted.input.read_line().await?.as_deref(), Some("a pipe"));
    ///     let mut passed = std::fs::File::from(fds.into_iter().next().expect("one was sent"));
    ///     passed.write_all(b"through the pipe")?;
    ///     drop(passed);
    ///     let mut text = String::new();
    ///     reader.read_to_string(&mut text)?;
    ///     assert_eq!(text, "through the pipe");
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    pub async fn send_with_fds(
        &self,
        output: &mut ByteWriteChannel,
        bytes: impl AsRef<[u8]>,
        fds: &[BorrowedFd<'_>],
    ) -> Result<()> {
        let bytes = bytes.as_ref();
        self.check_message(output, bytes, fds)?;
        // From here on nothing is queued, and only this call writes.
        output.flush().await?;
        let (first, rest) = bytes.split_at(bytes.len().min(BYTES_WITH_FDS_MAX));
        let sent = poll_fn(|cx| self.poll_send_with_fds(cx, first, fds)).await?;
        // Without a wait in between, so that no dropped call leaves half of them.
        let is_whole = sent == first.len() && output.accept_behind(rest)?;
        if is_whole {
            return Ok(());
        }
        let (accepted, of) = (sent as u64, bytes.len() as u64);
        let error = Error::new(ErrorKind::Incomplete { accepted, of }, "send_with_fds");
        let error = self.0.core().named(error);
        self.0.core().abort_whole(error.clone());
        Err(error)
    }

    /// Waits for the next message that has come with descriptors, and returns these, close-on-exec. Its bytes stay in
    /// the channel, in order with all others, and may have been read before.
    ///
    /// Descriptors are received if [`descriptors_max`](crate::UnixBuilder::descriptors_max) is set on this connection or
    /// its listener; otherwise the system closes them. This reads ahead of the channel's reader, up to 1 MiB. To
    /// learn whether a message that was read had any, poll the call once: it is ready if they have come.
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](ErrorKind::LimitExceeded): a message had more than `descriptors_max` leaves room for. All
    ///   descriptors of the message were closed, its bytes stay, and the connection goes on. Also if 1 MiB is
    ///   buffered and no message with descriptors among it.
    /// - [`Exhausted`](ErrorKind::Exhausted): the process had no room for the descriptors; likewise.
    /// - [`UnexpectedEnd`](ErrorKind::UnexpectedEnd): the peer has ended, and no more come.
    /// - [`Unsupported`](ErrorKind::Unsupported): this connection does not receive descriptors.
    /// - The error of the connection.
    ///
    /// # Cancel safety
    ///
    /// Lossless: descriptors are returned, or stay with the connection for the next call.
    ///
    /// # Platform
    ///
    /// Unix.
    #[doc(alias = "SCM_RIGHTS")]
    pub async fn receive_with_fds(&self, input: &mut ByteReadChannel) -> Result<Vec<OwnedFd>> {
        let core = self.0.core();
        let Link::Passing(link) = core.link() else {
            let error = Error::new(ErrorKind::Unsupported, "receive_with_fds");
            let detail = "only a Unix socket with descriptors_max receives descriptors";
            return Err(core.named(error.with_detail(detail)));
        };
        let mut ended = false;
        poll_fn(|cx| {
            loop {
                if let Some(arrival) = link.passing.take() {
                    return Poll::Ready(arrival.map_err(|error| core.named(error)));
                }
                if ended {
                    let kind = ErrorKind::UnexpectedEnd { needed: 1, available: 0 };
                    let error = Error::new(kind, "receive_with_fds");
                    return Poll::Ready(Err(core.named(error)));
                }
                // The end may come with the last descriptors, so these are looked for once more.
                match input.poll_behind(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(more)) => ended = !more,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
        })
        .await
    }

    fn check_message(
        &self,
        output: &ByteWriteChannel,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<()> {
        let core = self.0.core();
        let refused = |kind, detail: &'static str| {
            Err(core.named(Error::new(kind, "send_with_fds").with_detail(detail)))
        };
        if self.unix_stream().is_none() {
            let detail = "only a Unix socket without TLS carries descriptors";
            return refused(ErrorKind::Unsupported, detail);
        }
        core.check_open("send_with_fds")?;
        if !self.0.outbox().is_some_and(|outbox| output.writes_into(&outbox)) {
            return refused(ErrorKind::InvalidInput, "the channel belongs to another connection");
        }
        if bytes.is_empty() || bytes.len() > BYTES_MAX {
            let detail = "descriptors go with at least one byte, and at most 1 MiB";
            return refused(ErrorKind::InvalidInput, detail);
        }
        if fds.is_empty() || fds.len() > rights::MESSAGE_MAX {
            return refused(ErrorKind::InvalidInput, rights::NOT_A_MESSAGE);
        }
        Ok(())
    }

    fn unix_stream(&self) -> Option<&Stream> {
        #[cfg(feature = "tls")]
        if self.0.is_secure() {
            return None;
        }
        self.0.core().link().stream().filter(|stream| stream.protocol == Protocol::Unix)
    }

    /// Sends the first bytes with the descriptors, and returns how many it has sent.
    fn poll_send_with_fds(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Poll<Result<usize>> {
        let core = self.0.core();
        let Some(stream) = self.unix_stream() else {
            return Poll::Ready(Err(core.refusal("send_with_fds")));
        };
        let note = core.noting("send_with_fds");
        let mut is_refused = false;
        let sent = stream.io.poll_io(cx, Direction::Write, Waits::User, |fd| {
            let sent = rights::send(fd, bytes, fds, None);
            // Not an error of the connection.
            if let Err(errno) = sent
                && rights::is_refusal(errno)
            {
                is_refused = true;
                return Err(errno.into());
            }
            Ok(Progress { count: noted(note, sent)?, drained: false })
        });
        let Poll::Ready(sent) = sent else { return Poll::Pending };
        if is_refused {
            return Poll::Ready(Err(core.named(rights::refusal())));
        }
        Poll::Ready(sent.map(|progress| progress.count).map_err(|error| self.failed(error))).map_ok(
            |count| {
                core.selector().count_send(count as u64);
                count
            },
        )
    }

    fn failed(&self, error: io::Error) -> Error {
        let core = self.0.core();
        let mut after = WakeList::new();
        let cause = core.record("send_with_fds", error, &mut after);
        after.run();
        core.tell_writer();
        cause
    }
}
