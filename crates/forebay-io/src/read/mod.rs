//! The reading half of a connection or pipe.

mod ahead;
mod buffer;
mod bytes;
mod checked;
mod copy;
mod copy_both;
mod exact;
#[cfg(any(feature = "futures-io", feature = "tokio-io"))]
mod foreign;
mod frames;
mod front;
mod inbox;
mod limits;
mod line;
mod memory;
mod numbers;
#[cfg(any(feature = "futures-io", feature = "tokio-io"))]
mod polled;
mod remainder;
mod some;
#[cfg(test)]
mod tests;
mod transfer;
mod until;

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

pub(crate) use self::buffer::Buffer;
pub use self::exact::ReadExact;
pub use self::inbox::Inbox;
pub use self::limits::ReadLimits;
pub use self::line::{LineEnding, LineOptions, Lines, TooLong};
pub use self::until::Delimiter;
use crate::seam::{Filled, Inlet, Source};
use crate::{Error, ErrorKind, Result};

/// The largest number of bytes that a packet or a peek may have, unless the selector sets another limit: 1 MiB.
pub const PACKET_BYTES_MAX: usize = 1024 * 1024;

/// A channel to read bytes from: lines, numbers, packets, or whatever has arrived.
///
/// The channel owns what it has received. A read future is only a view of the channel, so dropping it in a
/// `select!` or a timeout loses nothing: the bytes and the scan position stay in the channel
/// ([`cancel_safety`](crate::cancel_safety)).
///
/// ```text
///   source ──► | taken by earlier reads | bytes not read yet | free room |
///                                       ^                    ^
///                                     next read         next arrival
/// ```
///
/// There is one reader per channel, by `&mut`. Dropping the channel changes nothing on the wire: a
/// socket's other half goes on.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::ByteReadChannel;
///
/// let mut input = ByteReadChannel::from("Ada\nGrace\n\x00\x2a");
/// assert_eq!(input.read_line().await?.as_deref(), Some("Ada"));
/// assert_eq!(input.read_line_ref().await?, Some("Grace"));
/// assert_eq!(input.read_u16().await?, 42);
/// assert_eq!(input.read_line().await?, None);
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "openReadChannel")]
pub struct ByteReadChannel {
    source: Box<dyn Source>,
    buffer: Buffer,
    state: State,
    /// The source has returned a lasting error.
    has_failed: bool,
    /// `None`: the defaults, of which an idle channel keeps no copy.
    extras: Option<Box<Extras>>,
}

/// The rules of a channel that has its own, and the bytes or text that it has lent otherwise than from its buffer.
#[derive(Debug, Default)]
struct Extras {
    line_options: LineOptions,
    limits: ReadLimits,
    lent: LentBytes,
    /// The text that stands for a line which is not UTF-8, while it is lent.
    replaced: Option<Box<str>>,
}

/// The number of bytes that an unfinished `read_exact` has moved into its caller's slice, and the slice's length. Zero
/// whenever no such read is in flight; if one was leaked (`mem::forget`), the next call notices.
#[derive(Debug, Default, Clone, Copy)]
struct LentBytes {
    taken: usize,
    of: usize,
}

#[derive(Debug)]
enum State {
    Open,
    Ended,
    Failed(Error),
}

impl ByteReadChannel {
    /// Makes a channel that is filled from this source.
    #[doc(hidden)]
    pub fn from_source(source: Box<dyn Source>) -> Self {
        Self {
            source,
            buffer: Buffer::default(),
            state: State::Open,
            has_failed: false,
            extras: None,
        }
    }

    /// Ends this channel with a cause of the caller's: what is buffered is discarded, and every later read
    /// returns the cause. The writer of a [`pipe`](crate::pipe) gets the cause too; on a socket nothing
    /// changes on the wire.
    #[doc(alias = "cancel")]
    pub fn abort_with(&mut self, cause: Error) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        self.buffer.clear();
        self.source.abort(&cause);
        self.state = State::Failed(cause);
    }

    /// Returns the reason why this channel, or the connection it belongs to, has failed: the cause given to
    /// [`abort_with`](Self::abort_with) on either side, or the connection's first error. Bytes that arrived
    /// before can still be read.
    #[doc(alias = "closedCause")]
    pub fn closed_cause(&self) -> Option<Error> {
        match &self.state {
            State::Failed(cause) => Some(cause.clone()),
            State::Open | State::Ended => self.source.cause(),
        }
    }

    /// Returns the number of bytes that have arrived and are not read yet.
    #[doc(alias = "availableForRead")]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the number of bytes that have been read or discarded, terminators and delimiters too. An upgrade to TLS
    /// starts it anew.
    #[doc(alias = "totalBytesRead")]
    pub fn counted(&self) -> u64 {
        self.buffer.position()
    }

    /// Returns `true` if nothing is left to read and nothing will come: at the end, after
    /// [`abort_with`](Self::abort_with), and once a read has returned a lasting error of the connection.
    #[doc(alias = "isClosedForRead")]
    pub fn is_closed_for_read(&self) -> bool {
        self.buffer.is_empty() && (self.has_failed || !matches!(self.state, State::Open))
    }

    /// Waits for more bytes behind the buffered ones, up to `most` in total. Returns `false` at the end.
    fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<bool>> {
        if ready!(self.poll_over(cx))? {
            // Bytes that were buffered when the end came may have been read since.
            self.trim();
            return Poll::Ready(Ok(false));
        }
        let mut inlet = Inlet::buffer(&mut self.buffer, most);
        let filled = self.source.poll_fill(cx, &mut inlet);
        if self.record_fill(&filled) {
            return self.poll_more(cx, most);
        }
        filled.map_ok(|filled| filled == Filled::More)
    }

    /// Records what filling the buffer has come to. Returns `true` if nothing has arrived but the late LF of a
    /// terminator, which is discarded: the source must be asked again.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "each receive goes through here: a call costs 2 % of it"
    )]
    fn record_fill(&mut self, filled: &Poll<Result<Filled>>) -> bool {
        let has_arrived = matches!(filled, Poll::Ready(Ok(Filled::More)));
        if !has_arrived {
            self.trim();
        }
        self.record_answer(filled);
        has_arrived && self.buffer.front.behind_cr && self.buffer.end_terminator()
    }

    /// Returns the memory that is not needed, before the task sleeps on the channel.
    #[inline]
    fn trim(&mut self) {
        self.buffer.trim();
        if let Some(extras) = &mut self.extras {
            extras.replaced = None;
        }
    }

    /// Returns `true` at the end, and an error if nothing can be received any more. Gives way first if
    /// that, or an error of the source, was the answer a few times in a row.
    fn poll_over(&mut self, cx: &Context<'_>) -> Poll<Result<bool>> {
        ready!(self.buffer.front.answers.poll_more(cx));
        let is_over = self.check_open_for_fill().map(|()| matches!(self.state, State::Ended));
        if !matches!(is_over, Ok(false)) {
            self.buffer.front.answers.count();
        }
        Poll::Ready(is_over)
    }

    /// Records what the source has answered.
    #[inline]
    fn record_answer(&mut self, filled: &Poll<Result<Filled>>) {
        match filled {
            Poll::Pending | Poll::Ready(Ok(Filled::More)) => self.buffer.front.answers.restart(),
            Poll::Ready(Ok(Filled::End)) => {
                self.buffer.front.answers.count();
                self.state = State::Ended;
            }
            Poll::Ready(Err(error)) => {
                self.buffer.front.answers.count();
                // Other errors, such as a read timeout, are returned once, and the channel stays usable.
                self.has_failed |= error.is_closed() || self.source.cause().is_some();
            }
        }
    }

    /// Gives way if a few calls in a row that ask for nothing have returned at once.
    async fn answer(&mut self) {
        poll_fn(|cx| self.buffer.front.answers.poll_one(cx)).await;
    }

    /// Waits until `count` bytes are buffered, or the input has ended; returns the number buffered.
    fn poll_buffered(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<Result<usize>> {
        while self.buffer.len() < count {
            if !ready!(self.poll_more(cx, count))? {
                break;
            }
        }
        Poll::Ready(Ok(self.buffer.len()))
    }

    /// Waits for exactly `count` bytes, or fails and leaves the available ones in the channel.
    async fn need(&mut self, operation: &'static str, count: usize) -> Result<()> {
        self.lent(operation).await?;
        if self.buffer.len() >= count {
            return Ok(());
        }
        let available = poll_fn(|cx| self.poll_buffered(cx, count)).await?;
        if available < count {
            return Err(self.unexpected_end(operation, count, available));
        }
        Ok(())
    }

    fn check_open_for_fill(&self) -> Result<()> {
        match &self.state {
            State::Failed(cause) => Err(cause.clone()),
            State::Open | State::Ended => Ok(()),
        }
    }

    /// Calls [`check_lent`](Self::check_lent), and gives way if its error is returned again and again.
    fn poll_lent(&mut self, cx: &Context<'_>, operation: &'static str) -> Poll<Result<()>> {
        let lent = self.check_lent(operation);
        if lent.is_err() {
            ready!(self.buffer.front.answers.poll_one(cx));
        }
        Poll::Ready(lent)
    }

    fn lent(&mut self, operation: &'static str) -> impl Future<Output = Result<()>> + Send + '_ {
        poll_fn(move |cx| self.poll_lent(cx, operation))
    }

    /// Checks for a leaked `read_exact`, at the start of every reading call. The bytes it took are gone,
    /// and reading on behind them would leave a silent gap.
    fn check_lent(&self, operation: &'static str) -> Result<()> {
        let LentBytes { taken, of } = self.lent_bytes();
        if taken == 0 {
            return Ok(());
        }
        let kind = ErrorKind::Incomplete { accepted: taken as u64, of: of as u64 };
        Err(self.error(kind, operation).with_detail(
            "a read_exact was dropped with more bytes than can be given back, or leaked",
        ))
    }

    #[inline]
    fn lent_bytes(&self) -> LentBytes {
        self.extras.as_ref().map_or(LentBytes::default(), |extras| extras.lent)
    }

    fn set_lent(&mut self, lent: LentBytes) {
        if lent.taken > 0 || self.extras.is_some() {
            self.extras.get_or_insert_default().lent = lent;
        }
    }

    /// Makes an error of a call on this channel, which names the peer.
    fn error(&self, kind: ErrorKind, operation: &'static str) -> Error {
        Error::new(kind, operation).or_address(|| self.source.peer())
    }

    fn unexpected_end(&self, operation: &'static str, needed: usize, available: usize) -> Error {
        let kind = ErrorKind::UnexpectedEnd { needed: needed as u64, available: available as u64 };
        self.error(kind, operation)
    }
}

impl fmt::Debug for ByteReadChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteReadChannel")
            .field("buffered", &self.buffer.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
