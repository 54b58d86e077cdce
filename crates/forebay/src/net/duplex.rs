//! Connections in memory.

use std::sync::Arc;

use super::socket::{Connection, CoreParts, MemoryEnd, Socket};
use super::{SocketAddress, UnixAddress};
use crate::selector::{SelectorManager, Shared};

impl SelectorManager {
    /// Makes a connection in memory, for tests and for tasks that exchange bytes: two ends that behave as
    /// those of a TCP connection do, including half-close, closing and resets, but without a descriptor.
    /// Each direction holds at most `capacity` bytes, besides the bytes that the writer has queued.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero: no byte could ever pass.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let (mut client, mut server) = selector.duplex(4096);
    ///     client.output.write_str("hello\n").await?;
    ///     assert_eq!(server.input.read_line().await?.as_deref(), Some("hello"));
    ///     client.socket.close().await?;
    ///     assert_eq!(server.input.read_line().await?, None);
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn duplex(&self, capacity: usize) -> (Connection, Connection) {
        duplex(self.shared(), capacity)
    }
}

/// See [`SelectorManager::duplex`].
pub(crate) fn duplex(selector: &Arc<Shared>, capacity: usize) -> (Connection, Connection) {
    let (left, right) = MemoryEnd::pair(selector, capacity);
    (connection(left), connection(right))
}

fn connection(end: Arc<MemoryEnd>) -> Connection {
    let unnamed = SocketAddress::Unix(UnixAddress::Unnamed);
    let parts = CoreParts {
        remote: unnamed.clone(),
        local: Arc::new(unnamed),
        options: Arc::default(),
        host_name: None,
    };
    Socket::in_memory(end, parts).into_connection()
}
