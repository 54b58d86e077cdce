//! Passing on everything between two connections, both ways.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use forebay_io::{Error, ErrorKind, Result};

use super::socket::{CloseReason, Connection, Socket};

/// Passes on everything between two connections, both ways at once, until both have ended. Returns the number of bytes
/// that went from `first` to `second`, and that of the other way.
///
/// The end of one side's input is passed on as the end of the other side's, and the other direction goes on. A failure
/// of either side (a reset, a limit on silence, a close on this side) resets both: no peer takes a part for the
/// whole. So does dropping the connections before this has returned `Ok`, as after
/// [`abort_on_drop`](crate::ByteWriteChannel::abort_on_drop). Bytes that `first` and `second` have received or written
/// before stay in their place, in front of what is passed on.
///
/// Each direction is a [`copy_and_close`](crate::ByteReadChannel::copy_and_close): what one side cannot accept yet is
/// not received from the other, so a slow peer costs a bounded amount of memory. Between TCP and Unix sockets on Linux,
/// bulk is moved within the kernel. Limits on silence are those of the two connections. A
/// [`read_timeout`](crate::TcpBuilder::read_timeout) ends the relay also while bytes go the other way;
/// [`idle_timeout`](crate::TcpBuilder::idle_timeout) is the limit on both.
///
/// # Errors
///
/// The first error of either side. [`ByteReadChannel::counted`](crate::ByteReadChannel::counted) tells how far each
/// direction had come.
///
/// # Cancel safety
///
/// Resumes: each byte is either still in the connection that it comes from or accepted by the other, and another call goes
/// on from there. A dropped call does not return how much it has passed on.
///
/// # Examples
///
/// A server that passes each connection on to another one:
///
/// ```
/// use forebay::{Connection, Result, relay};
///
/// async fn forward(mut client: Connection, to: u16) -> Result<()> {
///     let selector = client.socket.selector();
///     let mut server = selector.tcp().connect(("127.0.0.1", to)).await?.connection()?;
///     let (sent, received) = relay(&mut client, &mut server).await?;
///     assert_eq!((sent, received), (4, 4));
///     Ok(())
/// }
///
/// forebay::run(async |selector| {
///     let behind = selector.tcp().bind("127.0.0.1:0").await?;
///     let front = selector.tcp().bind("127.0.0.1:0").await?;
///     let mut client = selector.tcp().connect(front.local_address()).await?.connection()?;
///     let accepted = front.accept().await?.connection()?;
///     let forwarding = selector.spawn(forward(accepted, behind.port()));
///
///     let mut server = behind.accept().await?.connection()?;
///     client.output.write_str("ping").await?;
///     client.output.finish().await?;
///     assert_eq!(server.input.read_remaining(100).await?.as_slice(), b"ping");
///     server.output.write_str("pong").await?;
///     server.output.finish().await?;
///     assert_eq!(client.input.read_remaining(100).await?.as_slice(), b"pong");
///     forwarding.await
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "copy_bidirectional")]
#[doc(alias = "proxy")]
#[doc(alias = "joinTo")]
pub async fn relay(first: &mut Connection, second: &mut Connection) -> Result<(u64, u64)> {
    let failed = match pass_both_ways(first, second).await {
        Ok(passed) => return Ok(passed),
        Err(RelayFailure::With(error)) => error,
        Err(RelayFailure::First) => first.cause(),
        Err(RelayFailure::Second) => second.cause(),
    };
    for connection in [first, second] {
        connection.output.abort_with(failed.clone());
        // Also a connection whose output has ended in order before.
        connection.socket.abort();
    }
    Err(failed)
}

/// The failure of a relay.
enum RelayFailure {
    With(Error),
    /// The connection has ended, with its own cause.
    First,
    Second,
}

async fn pass_both_ways(
    first: &mut Connection,
    second: &mut Connection,
) -> std::result::Result<(u64, u64), RelayFailure> {
    // From the first poll of each on, no end but the ones that are passed on is in order.
    let there = pin!(first.input.copy_and_close(&mut second.output));
    let back = pin!(second.input.copy_and_close(&mut first.output));
    let mut there = Passage { copy: there, passed: None, source: &first.socket, watch: None };
    let mut back = Passage { copy: back, passed: None, source: &second.socket, watch: None };
    poll_fn(|cx| {
        there.poll_copy(cx).map_err(RelayFailure::With)?;
        back.poll_copy(cx).map_err(RelayFailure::With)?;
        if let (Some(to_second), Some(to_first)) = (there.passed, back.passed) {
            return Poll::Ready(Ok((to_second, to_first)));
        }
        if there.is_source_lost(cx) {
            return Poll::Ready(Err(RelayFailure::First));
        }
        if back.is_source_lost(cx) { Poll::Ready(Err(RelayFailure::Second)) } else { Poll::Pending }
    })
    .await
}

/// One direction, and the connection that its bytes come from.
struct Passage<'a, F> {
    copy: Pin<&'a mut F>,
    /// The number of bytes, once the direction has ended.
    passed: Option<u64>,
    source: &'a Socket,
    /// Notices the loss of a connection whose input has ended: no read does, and no write until there is something to
    /// write.
    watch: Option<LossWatch<'a>>,
}

type LossWatch<'a> = Pin<Box<dyn Future<Output = CloseReason> + Send + 'a>>;

impl<F: Future<Output = Result<u64>>> Passage<'_, F> {
    fn poll_copy(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if self.passed.is_none()
            && let Poll::Ready(outcome) = self.copy.as_mut().poll(cx)
        {
            self.passed = Some(outcome?);
            self.watch = Some(Box::pin(self.source.closed()));
        }
        Ok(())
    }

    fn is_source_lost(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        let Poll::Ready(reason) = watch.as_mut().poll(cx) else { return false };
        self.watch = None;
        reason != CloseReason::Ended
    }
}

impl Connection {
    /// The reason why the connection has ended.
    fn cause(&self) -> Error {
        let cause = self.output.closed_cause().or_else(|| self.input.closed_cause());
        cause.unwrap_or_else(|| {
            Error::new(ErrorKind::Closed, "relay").with_detail("the socket was closed on this side")
        })
    }
}
