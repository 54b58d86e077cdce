//! The connections of a listener as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forebay_io::Result;
use futures_core::Stream;

use super::ServerSocket;
use super::accepting::Accepting;
use super::listener::Listener;
use crate::net::Socket;

/// The connections of a [`ServerSocket`], one after the other; see [`incoming`](ServerSocket::incoming).
///
/// It is a handle of the listener, like a clone. An error is one item, and more items may follow. The
/// stream ends when the listener or its selector is closed, and stays ended. It is `Unpin`.
#[must_use = "streams do nothing unless polled"]
pub struct Incoming(Accepting<Arc<Listener>>);

impl ServerSocket {
    /// Returns the new connections as a `Stream` (`futures-core`): the results of [`accept`](Self::accept),
    /// repeatedly, and `None` after this socket or its selector is closed. So an orderly stop is not an
    /// error.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let client = selector.tcp().connect(server.local_address()).await?;
    ///     let mut incoming = server.incoming();
    ///     while let Some(socket) = incoming.next().await {
    ///         assert_eq!(socket?.remote_address(), client.local_address());
    ///         server.close();
    ///     }
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn incoming(&self) -> Incoming {
        Incoming(Accepting::new(Arc::clone(&self.listener), self.pending_tls.clone()))
    }
}

impl Incoming {
    /// Waits for the next connection; returns `None` after the listener or its selector is closed.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](ServerSocket::accept), except for `Closed`.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call has accepted nothing.
    pub async fn next(&mut self) -> Option<Result<Socket>> {
        // With a place of its own among the waits, which a dropped call leaves.
        let mut accepting = Accepting::new(&*self.0.listener, self.0.pending_tls.clone());
        unless_closed(poll_fn(|cx| accepting.poll(cx)).await)
    }
}

impl Stream for Incoming {
    type Item = Result<Socket>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepting = &mut self.0;
        let accepted = accepting.poll(cx);
        if accepted.is_ready() {
            accepting.leave();
        }
        accepted.map(unless_closed)
    }
}

fn unless_closed(accepted: Result<Socket>) -> Option<Result<Socket>> {
    match accepted {
        Err(error) if error.is_closed() => None,
        accepted => Some(accepted),
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("local_address", self.0.listener.local())
            .finish_non_exhaustive()
    }
}
