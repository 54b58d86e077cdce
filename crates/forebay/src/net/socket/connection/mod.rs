//! A socket together with its channels.

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "futures-sink")]
mod futures_sink;
#[cfg(feature = "tokio-io")]
mod tokio_io;

use forebay_io::{ByteReadChannel, ByteWriteChannel, Result};

use super::Socket;

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

impl Socket {
    /// Opens both channels and returns them together with the socket.
    ///
    /// # Errors
    ///
    /// As [`open_read_channel`](Self::open_read_channel).
    pub fn connection(&self) -> Result<Connection> {
        let input = self.open_read_channel()?;
        let output = self.open_write_channel()?;
        Ok(Connection { input, output, socket: self.clone() })
    }

    /// Opens both channels of a new socket that has no other handle.
    pub(in crate::net) fn into_connection(self) -> Connection {
        self.0.core().halves().take_both();
        let (input, output) = (self.read_channel(), self.write_channel());
        Connection { input, output, socket: self }
    }
}
