//! A connection.

mod close;
mod core;
mod drain;
mod source;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use forebay_io::seam::{Afterwards, Outbox, unwinding};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};

pub use self::core::CloseReason;
pub(super) use self::core::{Core, CoreParts};
use self::drain::SocketDrain;
use self::source::SocketSource;
use super::SocketAddress;
use super::descriptor::Descriptor;
use crate::selector::SelectorTurns;

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

/// Held by every clone and every open channel; dropping the last one closes the connection.
struct Handle {
    core: Arc<Core>,
    /// The write side, from its opening on. It holds the core, and the core does not hold it.
    outbox: OnceLock<Arc<Outbox>>,
}

impl Socket {
    pub(super) fn new(io: Descriptor, parts: CoreParts) -> Self {
        let core = Arc::new(Core::new(io, parts));
        Self(Arc::new(Handle { core, outbox: OnceLock::new() }))
    }

    /// Opens the reading half; once.
    ///
    /// # Errors
    ///
    /// [`AlreadyOpened`](ErrorKind::AlreadyOpened) the second time, which harms nothing;
    /// [`Closed`](ErrorKind::Closed) after `close`.
    #[doc(alias = "openReadChannel")]
    pub fn open_read_channel(&self) -> Result<ByteReadChannel> {
        self.0.core.check_open("open_read_channel")?;
        if !self.0.core.take_reader() {
            return Err(already_opened("open_read_channel"));
        }
        let source = SocketSource::new(Arc::clone(&self.0.core), Arc::clone(&self.0));
        Ok(ByteReadChannel::from_source(Box::new(source)))
    }

    /// Opens the writing half; once. What is written leaves at the end of the turn
    /// ([`ByteWriteChannel`]).
    ///
    /// # Errors
    ///
    /// As [`open_read_channel`](Self::open_read_channel).
    #[doc(alias = "openWriteChannel")]
    pub fn open_write_channel(&self) -> Result<ByteWriteChannel> {
        self.0.core.check_open("open_write_channel")?;
        if !self.0.core.take_writer() {
            return Err(already_opened("open_write_channel"));
        }
        let outbox = self.0.outbox.get_or_init(|| self.0.core.new_outbox());
        let handle = Arc::clone(&self.0) as Arc<dyn Any + Send + Sync>;
        Ok(ByteWriteChannel::new(Arc::clone(outbox), Some(handle)))
    }

    /// Opens both halves and keeps them with the socket.
    ///
    /// # Errors
    ///
    /// As [`open_read_channel`](Self::open_read_channel).
    pub fn connection(&self) -> Result<Connection> {
        let input = self.open_read_channel()?;
        let output = self.open_write_channel()?;
        Ok(Connection { input, output, socket: self.clone() })
    }

    /// The address of this side.
    pub fn local_address(&self) -> SocketAddress {
        self.0.core.local_address()
    }

    /// The address of the other side.
    pub fn remote_address(&self) -> SocketAddress {
        self.0.core.remote_address()
    }

    /// Ends the connection so that nothing written is lost: sends what is queued and the end mark,
    /// discards input that nobody has read, and releases the descriptor. Idempotent, from any task,
    /// also while channels are open: what they have buffered can still be read, then they say
    /// [`Closed`](ErrorKind::Closed).
    ///
    /// It waits until the peer has ended too; or until the peer has acknowledged everything and no
    /// input (or the drain limit of it) had to be thrown away; or until the drain timeout. Releasing
    /// earlier would have the kernel answer further input with a reset, which overtakes data that
    /// is still on its way (RFC 1122, section 4.2.2.13). Where the system does not tell what is
    /// acknowledged (other than Linux and Android) the second case does not wait for it.
    ///
    /// # Errors
    ///
    /// What the connection met, a reset for instance; [`TimedOut`](ErrorKind::TimedOut) when the
    /// peer did not even take what was queued.
    ///
    /// # Cancel safety
    ///
    /// Resumes: from the first poll on the connection is closing, and goes on to do so.
    pub async fn close(&self) -> Result<()> {
        close::close(Arc::clone(&self.0.core), self.0.outbox.get().cloned()).await
    }

    /// Resets the connection at once: what is queued is dropped, and the peer gets an error.
    pub fn abort(&self) {
        let cause = Error::new(ErrorKind::Closed, "abort").with_detail("aborted on this side");
        self.0.abort(cause);
    }

    /// True once the connection has ended: by this side's `close` or `abort`, by an error, or
    /// because both directions have ended.
    pub fn is_closed(&self) -> bool {
        self.0.core.close_reason().is_some()
    }

    /// Waits until the connection has ended, and says why. In this release a reset is noticed by
    /// the call that meets it: somebody must be reading or writing.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    #[doc(alias = "awaitClosed")]
    pub async fn closed(&self) -> CloseReason {
        self.0.core.closed().await
    }
}

impl Handle {
    /// The reader has met the connection's error: the writer says so from its next call on, and
    /// does not first accept something that can never be sent.
    fn tell_writer(&self) {
        if let (Some(outbox), Some(cause)) = (self.outbox.get(), self.core.cause().get()) {
            outbox.abort(cause);
        }
    }

    fn abort(&self, cause: Error) {
        if let Some(outbox) = self.outbox.get() {
            outbox.abort(&cause);
        }
        let mut after = Afterwards::new();
        self.core.abort(cause, &mut after);
        after.run();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if unwinding() {
            let cause =
                Error::new(ErrorKind::Panicked, "drop a socket").with_detail("its task panicked");
            return self.abort(cause);
        }
        close::close_unattended(&self.core, self.outbox.take());
    }
}

impl Core {
    fn new_outbox(self: &Arc<Self>) -> Arc<Outbox> {
        let turns = Arc::new(SelectorTurns(Arc::clone(self.selector())));
        Outbox::new(Box::new(SocketDrain::new(Arc::clone(self))), self.cause().clone(), turns)
    }
}

fn already_opened(operation: &'static str) -> Error {
    Error::new(ErrorKind::AlreadyOpened, operation)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("remote_address", &self.0.core.remote_address())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A socket with both of its channels.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.tcp().bind("127.0.0.1:0").await?;
///     let mut left = selector.tcp().connect(server.local_address()).await?.connection()?;
///     let mut right = server.accept().await?.connection()?;
///     left.output.write_str("ping\n").await?;
///     assert_eq!(right.input.read_line().await?.as_deref(), Some("ping"));
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Connection {
    /// The reading half.
    pub input: ByteReadChannel,
    /// The writing half.
    pub output: ByteWriteChannel,
    /// The socket itself.
    pub socket: Socket,
}
