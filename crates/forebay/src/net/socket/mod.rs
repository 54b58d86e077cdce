//! A connection.

mod close;
mod close_reason;
mod connection;
mod core;
mod credentials;
mod discard;
mod drain;
mod errors;
mod halves;
mod handle;
mod layer;
mod life;
mod link;
mod loss;
mod memory;
mod note;
mod on_the_way;
#[cfg(feature = "tls")]
mod secure;
#[cfg(feature = "tls")]
mod secured;
mod silence;
mod source;
#[cfg(test)]
mod tests;
mod timeouts;
mod turns;
mod watch;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::seam::giving_way;
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

pub use self::close_reason::CloseReason;
pub use self::connection::Connection;
pub(super) use self::core::{Core, CoreParts};
pub use self::credentials::PeerCredentials;
use self::handle::Handle;
pub(super) use self::handle::Promise;
pub(super) use self::link::{Link, Protocol, Stream};
pub(super) use self::memory::MemoryEnd;
use super::SocketAddress;
use super::options::Silence;

/// A connection: two byte channels, opened once each, and the calls that concern both.
///
/// Clones and open channels are handles of the connection. Dropping the last handle closes it in
/// the background, within the drain timeout; dropping it while its task unwinds from a panic resets
/// it. An open channel keeps the connection alive when the `Socket` is gone.
///
/// The byte that a peer marks as urgent (RFC 9293, section 3.8.5; `MSG_OOB`, `tcp(7)`) is left out
/// of the stream, as the system does by default; what comes before and behind it is delivered.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.tcp().bind("127.0.0.1:0").await?;
///     let socket = selector.tcp().connect(server.local_address()).await?;
///     let mut output = socket.open_write_channel()?;
///     output.write_str("hello\n").await?;
///
///     let accepted = server.accept().await?;
///     let line = accepted.open_read_channel()?.read_line().await?;
///     assert_eq!(line.as_deref(), Some("hello"));
///     socket.close().await
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Socket(Arc<Handle>);

impl Socket {
    pub(super) fn new(link: Link, parts: CoreParts) -> Self {
        Self::promised(link, parts, Promise::default())
    }

    /// A connection whose listener has promised it something.
    pub(super) fn promised(link: Link, parts: CoreParts, promise: Promise) -> Self {
        Self(Arc::new(Handle::new(Core::new(link, parts), promise)))
    }

    /// Opens the reading half; once.
    ///
    /// # Errors
    ///
    /// [`AlreadyOpened`](ErrorKind::AlreadyOpened) the second time, which harms nothing;
    /// [`Closed`](ErrorKind::Closed) after `close`.
    #[doc(alias = "openReadChannel")]
    pub fn open_read_channel(&self) -> Result<ByteReadChannel> {
        let core = self.0.core();
        core.check_open("open_read_channel")?;
        if !core.halves().take_reader() {
            return Err(already_opened("open_read_channel"));
        }
        Ok(self.read_channel())
    }

    fn read_channel(&self) -> ByteReadChannel {
        ByteReadChannel::from_source(self.0.source())
    }

    /// Opens the writing half; once. What is written leaves at the end of the turn
    /// ([`ByteWriteChannel`]).
    ///
    /// # Errors
    ///
    /// As [`open_read_channel`](Self::open_read_channel).
    #[doc(alias = "openWriteChannel")]
    pub fn open_write_channel(&self) -> Result<ByteWriteChannel> {
        let core = self.0.core();
        core.check_open("open_write_channel")?;
        if !core.halves().take_writer() {
            return Err(already_opened("open_write_channel"));
        }
        Ok(self.write_channel())
    }

    fn write_channel(&self) -> ByteWriteChannel {
        let handle = Arc::clone(&self.0) as Arc<dyn Any + Send + Sync>;
        ByteWriteChannel::new(Arc::clone(self.0.outermost_outbox()), Some(handle))
    }

    /// The address of this side.
    pub fn local_address(&self) -> SocketAddress {
        self.0.core().local_address()
    }

    /// The address of the other side.
    pub fn remote_address(&self) -> SocketAddress {
        self.0.core().remote_address()
    }

    /// Ends the connection so that nothing written is lost: sends what is queued and the end mark,
    /// discards input that nobody has read, and releases the descriptor. Idempotent, from any task,
    /// also while channels are open: what they have buffered can still be read, then they say
    /// [`Closed`](ErrorKind::Closed).
    ///
    /// It waits
    ///
    /// - until the peer has ended too;
    /// - or until the peer has acknowledged everything, and no input (or the drain limit of it) had to
    ///   be thrown away;
    /// - or until the peer has acknowledged nothing for the drain timeout, 10 seconds unless it was set
    ///   ([`drain`](crate::SelectorBuilder::drain));
    /// - or until it has taken 5 minutes in all ([`drain_max`](crate::SelectorBuilder::drain_max)).
    ///
    /// So a peer that reads slowly but steadily gets everything. Releasing earlier would have the kernel
    /// answer further input with a reset, which overtakes data that is still on its way (RFC 1122,
    /// section 4.2.2.13). Where the system does not tell what is acknowledged (Unix sockets, systems other
    /// than Linux and Android), what it has taken counts as acknowledged.
    ///
    /// # Errors
    ///
    /// - What the connection met, [`Reset`](ErrorKind::Reset) for instance. Over TLS a reset is none when
    ///   the peer had ended before and had acknowledged all that was written.
    /// - [`TimedOut`](ErrorKind::TimedOut) when a limit was reached before the system had taken
    ///   everything that was queued; the connection is reset then. What the system has taken it goes on
    ///   to deliver, and [`Stats::unacknowledged`](crate::Stats) counts the connection.
    /// - [`Incomplete`](ErrorKind::Incomplete) when a slice above 1 MiB was accepted in part, and
    ///   [`Closed`](ErrorKind::Closed) when a channel with
    ///   [`abort_on_drop`](ByteWriteChannel::abort_on_drop) was not finished: half a message is reset.
    ///
    /// # Cancel safety
    ///
    /// Resumes: from the first poll on the connection is closing, and goes on to do so.
    pub async fn close(&self) -> Result<()> {
        giving_way(close::close(self.0.core(), self.0.outbox(), None)).await
    }

    /// Closes as [`close`](Self::close) does, but waits for the peer no longer than this in all, whatever
    /// the drain settings say. If the connection is being closed already, that goes on for no longer
    /// than this.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Resumes, as [`close`](Self::close).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let client = selector.tcp().connect(server.local_address()).await?;
    ///     client.close_within(Duration::from_millis(100)).await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub async fn close_within(&self, duration: Duration) -> Result<()> {
        giving_way(close::close(self.0.core(), self.0.outbox(), Some(duration))).await
    }

    /// Resets the connection at once: what is queued is dropped, and the peer gets an error.
    ///
    /// # Platform
    ///
    /// Unix sockets know no reset (`unix(7)`): their peer gets an error if this side had input that
    /// it has not read, else the end.
    pub fn abort(&self) {
        let cause = Error::new(ErrorKind::Closed, "abort").with_detail("aborted on this side");
        self.0.core().abort_whole(cause);
    }

    /// True once the connection has ended: by this side's `close` or `abort`, by an error, or
    /// because both directions have ended. An error counts once a call has met it, or while
    /// somebody waits in [`closed`](Self::closed) or [`peer_finished`](Self::peer_finished).
    pub fn is_closed(&self) -> bool {
        // An error of the link counts when it is known what is told of it.
        self.0.core().tell_writer();
        self.0.core().close_reason().is_some()
    }

    /// Waits until the connection has ended, and says why. Nobody needs to read or write: a reset is
    /// noticed when it arrives, and the writer's next call says so as well. A closing selector counts
    /// as [`CloseReason::Local`]. Over TLS the peer's end is its `close_notify`, as for
    /// [`peer_finished`](Self::peer_finished).
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use forebay::CloseReason;
    ///
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let client = selector.tcp().connect(server.local_address()).await?;
    ///     server.accept().await?.abort();
    ///     assert_eq!(client.closed().await, CloseReason::Reset);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "awaitClosed")]
    pub async fn closed(&self) -> CloseReason {
        #[cfg(feature = "tls")]
        self.0.begin_promised();
        giving_way(self.0.core().closed()).await
    }

    /// Waits until the peer has sent its end mark, without reading: what it sent before stays
    /// readable.
    ///
    /// Over TLS that is `close_notify`, whether the connection below it ends or not. It is sealed, so
    /// while this waits, up to 128 KiB are decrypted ahead of the reader; an end further behind is seen
    /// when the reader comes near.
    ///
    /// # Errors
    ///
    /// What the connection met instead, [`Reset`](ErrorKind::Reset) for instance;
    /// [`EndedWithoutNotify`](ErrorKind::EndedWithoutNotify) when a connection with TLS ends without it
    /// (`end_without_notify` of its configuration sets how that is taken); [`Closed`](ErrorKind::Closed) when this side or the selector is closed first.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    pub async fn peer_finished(&self) -> Result<()> {
        #[cfg(feature = "tls")]
        self.0.begin_promised();
        giving_way(self.0.core().peer_finished()).await
    }

    /// Sets how long a read may wait for a byte, or lifts that with `None`.
    ///
    /// The time counts from when a read first had to wait, and starts anew with every byte. It lives
    /// with the connection: a read that is dropped and repeated does not restart it. When it is over,
    /// the read fails with [`TimedOut`](ErrorKind::TimedOut), once; the channel stays usable. A byte
    /// that has arrived by then is read, even if this process was held up all that time.
    #[doc(alias = "socketTimeout")]
    pub fn set_read_timeout(&self, timeout: impl Into<Option<Duration>>) {
        self.0.core().limit_silence(Silence::Reading, timeout.into());
    }

    /// Sets how long the peer may take no byte of what is queued, or lifts that with `None`. When it
    /// is over, the connection is reset, and every call says [`TimedOut`](ErrorKind::TimedOut).
    #[doc(alias = "socketTimeout")]
    pub fn set_write_timeout(&self, timeout: impl Into<Option<Duration>>) {
        self.0.core().limit_silence(Silence::Writing, timeout.into());
    }

    /// Sets how long no byte may go either way, or lifts that with `None`; it counts from this call
    /// on. When it is over, the connection is closed (reset if something is still queued), and every
    /// call says [`TimedOut`](ErrorKind::TimedOut).
    ///
    /// Bytes that have arrived and were not read yet, because this process was held up or because
    /// nothing reads, count once: the time starts anew, and ends the connection if they lie there
    /// still when it is over.
    pub fn set_idle_timeout(&self, timeout: impl Into<Option<Duration>>) {
        self.0.core().limit_silence(Silence::Idling, timeout.into());
    }
}

fn already_opened(operation: &'static str) -> Error {
    Error::new(ErrorKind::AlreadyOpened, operation)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("remote_address", &self.0.core().remote_address())
            .field("is_closed", &self.0.core().close_reason().is_some())
            .finish_non_exhaustive()
    }
}
