//! The connection.

mod close;
mod close_reason;
mod connection;
mod core;
#[cfg(unix)]
mod credentials;
#[cfg(unix)]
mod descriptors;
mod discard;
mod drain;
mod errors;
mod fast_open;
mod halves;
mod handle;
mod layer;
mod life;
mod link;
mod loss;
mod memory;
mod note;
mod on_the_way;
mod options;
#[cfg(unix)]
mod passing;
mod schedule;
mod silence;
mod source;
mod tcp_info;
#[cfg(test)]
mod tests;
mod timeouts;
#[cfg(feature = "tls")]
mod tls_stream;
mod transfer;
#[cfg(feature = "tls")]
mod upgrade;
mod watch;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::seam::giving_way;
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

pub use self::close_reason::CloseReason;
pub use self::connection::Connection;
use self::core::Core;
pub(super) use self::core::CoreParts;
#[cfg(unix)]
pub use self::credentials::PeerCredentials;
use self::handle::Handle;
pub(super) use self::handle::PendingTls;
#[cfg(unix)]
use self::link::PassingStream;
use self::link::{Link, Stream};
pub(super) use self::memory::MemoryEnd;
#[cfg(unix)]
use self::passing::Passing;
pub use self::tcp_info::TcpInfo;
use super::SocketAddress;
use super::descriptor::Descriptor;
use super::options::{SocketRole, socket_setters};
use super::protocol::Protocol;
use crate::boxed::boxed;
use crate::selector::SelectorManager;

/// A connection: two byte channels, each of which can be opened once, and the calls that concern both.
///
/// Clones and open channels are handles of the connection. Dropping the last handle closes it in the
/// background, within the drain timeout. If it is dropped while its task unwinds from a panic, the
/// connection is reset. An open channel keeps the connection alive after the `Socket` is dropped.
///
/// A byte that the peer marks as urgent (RFC 9293, section 3.8.5; `MSG_OOB`, `tcp(7)`) is left out of the
/// stream, as the system does by default. The bytes before and after it are delivered.
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
    /// Makes a connection over a socket of the system. `pending_tls` is the TLS that its listener has for it.
    pub(super) fn over(
        io: Descriptor,
        protocol: Protocol,
        role: SocketRole,
        parts: CoreParts,
        pending_tls: PendingTls,
    ) -> Self {
        let stream = Stream::new(io, protocol);
        #[cfg(unix)]
        if protocol == Protocol::Unix && parts.options.descriptors_max > 0 {
            let passing = Passing::new(parts.options.descriptors_max);
            let link = Link::Passing(Box::new(PassingStream { stream, passing }));
            return Self::new(link, role, parts, pending_tls);
        }
        Self::new(Link::Kernel(stream), role, parts, pending_tls)
    }

    /// Makes calls on a descriptor that another program may have too, and make blocking, say that they do not wait.
    #[cfg(unix)]
    pub(super) fn sharing_descriptor(self) -> Self {
        if let Some(stream) = self.0.core().link().stream() {
            stream.copy_always();
        }
        self
    }

    /// Makes a connection over one end in memory.
    pub(super) fn in_memory(end: Arc<MemoryEnd>, parts: CoreParts) -> Self {
        Self::new(Link::Memory(end), SocketRole::Connected, parts, PendingTls::default())
    }

    fn new(link: Link, role: SocketRole, parts: CoreParts, pending_tls: PendingTls) -> Self {
        Self(Arc::new(Handle::new(Core::new(link, role, parts), pending_tls)))
    }

    /// Opens the reading half. This works once.
    ///
    /// # Errors
    ///
    /// [`AlreadyOpened`](ErrorKind::AlreadyOpened) the second time, which changes nothing;
    /// [`Closed`](ErrorKind::Closed) after `close`.
    #[doc(alias = "openReadChannel")]
    pub fn open_read_channel(&self) -> Result<ByteReadChannel> {
        let core = self.0.core();
        core.check_open("open_read_channel")?;
        if !core.halves().take_reader() {
            return Err(core.named(already_opened("open_read_channel")));
        }
        Ok(self.read_channel())
    }

    fn read_channel(&self) -> ByteReadChannel {
        let limits = self.0.core().selector().sockets().read_limits;
        ByteReadChannel::from_source(self.0.source()).with_limits(limits)
    }

    /// Opens the writing half. This works once. Written bytes are sent at the end of the turn
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
            return Err(core.named(already_opened("open_write_channel")));
        }
        Ok(self.write_channel())
    }

    fn write_channel(&self) -> ByteWriteChannel {
        let handle = Arc::clone(&self.0) as Arc<dyn Any + Send + Sync>;
        let limits = self.0.core().selector().sockets().write_limits;
        ByteWriteChannel::new(Arc::clone(self.0.outermost_outbox()), Some(handle))
            .with_limits(limits)
    }

    /// Returns the address of this side.
    pub fn local_address(&self) -> SocketAddress {
        self.0.core().local_address()
    }

    /// Returns the address of the other side.
    pub fn remote_address(&self) -> SocketAddress {
        self.0.core().remote_address()
    }

    /// Returns the connection's span of `tracing`, or an empty one if no subscriber has asked for it. A
    /// handler that runs in it (`tracing::Instrument`) has its own events in the same span as the
    /// connection's.
    ///
    /// The span `connection`, at the level `INFO` and with the target `forebay`, begins when the connection
    /// is accepted or established, and ends with its last handle. Its fields are `id` (unique in its
    /// selector), `transport` (`tcp`, `unix`, `memory`), `role` (`accepted`, `connected`), `local`, `peer`,
    /// and after a handshake the version, `tls`. In it, at the level `DEBUG`, are the events `opened`,
    /// `TLS handshake done`, `TLS handshake failed`, and `closed` with its `reason` ([`CloseReason`]), its
    /// `error`, and the number of bytes that the peer had not acknowledged, `unacknowledged`.
    ///
    /// # Examples
    ///
    /// ```
    /// use tracing::Instrument;
    ///
    /// forebay::run(async |selector| {
    ///     let (client, server) = selector.duplex(4096);
    ///     let span = server.socket.span();
    ///     let session = async move {
    ///         tracing::info!("in the connection's span");
    ///         server.socket.close().await
    ///     };
    ///     let session = selector.spawn(session.instrument(span));
    ///     client.socket.close().await?;
    ///     session.await
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn span(&self) -> tracing::Span {
        self.0.core().span().get()
    }

    /// Ends the connection without losing written bytes: sends what is queued and the end mark, discards
    /// unread input, and releases the descriptor. It may be called repeatedly, from any task, and while
    /// channels are open: their buffered bytes can still be read, after that they fail with
    /// [`Closed`](ErrorKind::Closed).
    ///
    /// It waits
    ///
    /// - until the peer has ended too;
    /// - or until the peer has acknowledged everything, and no input had to be discarded, or as much as the
    ///   drain limit;
    /// - or until the peer has acknowledged nothing for the drain timeout, 10 seconds unless it was set
    ///   ([`drain`](crate::SelectorBuilder::drain));
    /// - or until it has taken 5 minutes in all ([`drain_max`](crate::SelectorBuilder::drain_max)).
    ///
    /// So a peer that reads slowly but steadily receives everything. An earlier release would make the
    /// kernel answer further input with a reset, which overtakes data that is still on its way (RFC 1122,
    /// section 4.2.2.13). Where the system does not tell what the peer has acknowledged (Unix sockets,
    /// systems other than Linux and Android), bytes count as acknowledged when the system has taken them.
    ///
    /// # Errors
    ///
    /// - The error that the connection met, for instance [`Reset`](ErrorKind::Reset). Over TLS a reset is
    ///   not an error if the peer had ended before and had acknowledged all written bytes.
    /// - [`TimedOut`](ErrorKind::TimedOut) if a limit was reached before the system had taken everything that
    ///   was queued. The connection is then reset. If the system had taken everything, there is no error:
    ///   the system continues to deliver it. [`Stats::unacknowledged`](crate::Stats) counts both cases.
    /// - [`Incomplete`](ErrorKind::Incomplete) if a slice above 1 MiB was accepted in part, and
    ///   [`Closed`](ErrorKind::Closed) if a channel with [`abort_on_drop`](ByteWriteChannel::abort_on_drop)
    ///   was not finished: a connection with half a message is reset.
    ///
    /// # Cancel safety
    ///
    /// Resumes: the connection is closing from the first poll on, and continues to do so.
    pub fn close(&self) -> impl Future<Output = Result<()>> {
        boxed(async move { giving_way(close::close(self.0.core(), self.0.outbox(), None)).await })
    }

    /// Closes like [`close`](Self::close), but waits for the peer for at most this duration in all,
    /// whatever the drain settings are. If the connection is being closed already, this also limits that
    /// close.
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
    pub fn close_within(&self, duration: Duration) -> impl Future<Output = Result<()>> {
        boxed(async move {
            giving_way(close::close(self.0.core(), self.0.outbox(), Some(duration))).await
        })
    }

    /// Resets the connection at once: queued bytes are dropped, and the peer gets an error.
    ///
    /// # Platform
    ///
    /// Unix sockets have no reset (`unix(7)`): their peer gets an error if this side had unread input, and
    /// otherwise the end.
    pub fn abort(&self) {
        let cause = Error::new(ErrorKind::Closed, "abort").with_detail("aborted on this side");
        self.0.core().abort_whole(self.0.core().named(cause));
    }

    /// Returns `true` once the connection has ended: by `close` or `abort` on this side, by an error, or
    /// because both directions have ended. An error counts after a call has met it, or while a call of
    /// [`closed`](Self::closed) or [`peer_finished`](Self::peer_finished) waits.
    pub fn is_closed(&self) -> bool {
        // An error of the link counts only after it is decided which error is reported for it.
        self.0.core().tell_writer();
        self.0.core().close_reason().is_some()
    }

    /// Waits until the connection has ended, and returns the reason. It needs no read or write: a reset is
    /// noticed when it arrives, and the next call of the writer reports it as well. A closing selector
    /// counts as [`CloseReason::Local`]. Over TLS the end of the peer is its `close_notify`, as for
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
        self.0.begin_pending_tls();
        giving_way(self.0.core().closed()).await
    }

    /// Waits until the peer has sent its end mark, without reading: bytes sent before it stay readable.
    ///
    /// Over TLS the end mark is `close_notify`, whether the connection below it ends or not. It is
    /// encrypted. So while this waits, up to 128 KiB are decrypted ahead of the reader; an end further
    /// behind is seen when the reader comes near.
    ///
    /// # Errors
    ///
    /// The error that the connection met instead, for instance [`Reset`](ErrorKind::Reset);
    /// [`EndedWithoutNotify`](ErrorKind::EndedWithoutNotify) if a connection with TLS ends without
    /// `close_notify` (`end_without_notify` of its configuration decides whether that is an error);
    /// [`Closed`](ErrorKind::Closed) if this side or the selector is closed first.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    pub async fn peer_finished(&self) -> Result<()> {
        #[cfg(feature = "tls")]
        self.0.begin_pending_tls();
        giving_way(self.0.core().peer_finished()).await
    }

    /// Returns `true` if nothing more will come from the peer: its end mark has arrived, perhaps behind
    /// bytes that are still unread, or the connection has ended in another way, by an error or on this
    /// side. It neither waits nor reads: [`peer_finished`](Self::peer_finished) would return at once.
    ///
    /// Pools ask this before they use an idle connection again. `false` tells how things stand now; the
    /// peer may end in the next moment, so the first call on such a connection may still find it closed.
    ///
    /// It costs at most one system call. Over TLS the end is `close_notify`, or the end of the connection
    /// below it; bytes that have arrived are decrypted to look for it, as far as `peer_finished` does. An
    /// accepted connection whose handshake has not begun does not begin it for this.
    ///
    /// # Platform
    ///
    /// On systems other than Linux and Android, an end behind unread bytes is seen once they are read.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let (client, mut server) = selector.duplex(4096);
    ///     assert!(!client.socket.has_peer_finished());
    ///     server.output.finish().await?;
    ///     assert!(client.socket.has_peer_finished());
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn has_peer_finished(&self) -> bool {
        self.0.core().look_for_peer_end()
    }

    /// Returns the selector of this connection, for its tasks, timers and further sockets.
    ///
    /// A connection does not keep its selector open, but what this returns does, like any other clone, until
    /// it is dropped. If the last clone was dropped before, the selector is closed, and stays so.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use forebay::{Connection, Result};
    ///
    /// async fn ask(connection: &mut Connection) -> Result<Option<String>> {
    ///     connection.output.write_str("ping\n").await?;
    ///     let selector = connection.socket.selector();
    ///     selector.timeout(Duration::from_secs(5), connection.input.read_line()).await
    /// }
    /// # forebay::run(async |selector| {
    /// #     let (mut client, mut server) = selector.duplex(4096);
    /// #     server.output.write_str("pong\n").await?;
    /// #     assert_eq!(ask(&mut client).await?.as_deref(), Some("pong"));
    /// #     Result::Ok(())
    /// # })?;
    /// # Result::Ok(())
    /// ```
    pub fn selector(&self) -> SelectorManager {
        SelectorManager::of(self.0.core().selector())
    }

    socket_setters!();
}

fn already_opened(operation: &'static str) -> Error {
    Error::new(ErrorKind::AlreadyOpened, operation)
        .with_detail("keep the channel that the first call returned")
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("remote_address", &self.0.core().remote_address())
            .field("is_closed", &self.0.core().close_reason().is_some())
            .finish_non_exhaustive()
    }
}
