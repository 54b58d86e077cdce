//! User code where the library runs it: it may use the very socket it is called from, and when it
//! panics, no half of what it made is passed off as a whole.

use std::fmt;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use forebay::{
    ByteWriteChannel, CloseReason, Connection, ErrorKind, Result, SelectorManager, Socket,
    write_fmt, write_line,
};
use forebay_testing::{KIB, dial, pair, read_to_end, run, until_at_rest, watched};
use futures_lite::FutureExt;

// ---- code that touches its own socket -----------------------------------------------------------

/// Makes every call on a socket that does not wait.
fn touch(selector: &SelectorManager, socket: &Socket) {
    assert!(!format!("{socket:?}").is_empty());
    assert_ne!(socket.local_address(), socket.remote_address());
    assert!(!socket.is_closed());
    assert!(poll_once(socket.closed()).is_none());
    let twice = socket.open_write_channel().map(drop);
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::AlreadyOpened);
    assert!(selector.stats().sockets > 0);
    selector.spawn(async { Ok(()) }).detach();
    drop(socket.clone());
}

fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A `Display` that runs a function and then says its name.
struct Says<F>(&'static str, F);

impl<F: Fn()> fmt::Display for Says<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1)();
        f.write_str(self.0)
    }
}

#[test]
fn a_display_may_touch_its_own_socket() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        let name = Says("Ada", || touch(&selector, &socket));
        write_fmt!(output, "Hello, {name}!\n").await?;
        write_line!(output, "{name} again").await?;
        output.write_with(|out| out.put_str(&name.to_string())).await?;
        output.finish().await?;
        assert_eq!(read_to_end(&mut peer).0, b"Hello, Ada!\nAda again\nAda");
        Ok(())
    });
}

#[test]
fn a_display_may_write_elsewhere_meanwhile() {
    run(async |selector| {
        let (left, mut left_peer) = pair(&selector).await?;
        let (right, mut right_peer) = pair(&selector).await?;
        let mut output = left.open_write_channel()?;
        let other = std::sync::Mutex::new(right.open_write_channel()?);
        let name = Says("Ada", || {
            let mut other = other.lock().unwrap();
            poll_once(write_fmt!(other, "{} is named\n", "Ada")).unwrap().unwrap();
        });
        write_fmt!(output, "{name}, {name}\n").await?;
        output.finish().await?;
        other.into_inner().unwrap().finish().await?;
        assert_eq!(read_to_end(&mut left_peer).0, b"Ada, Ada\n");
        assert_eq!(read_to_end(&mut right_peer).0, b"Ada is named\nAda is named\n");
        Ok(())
    });
}

#[test]
fn a_display_may_abort_its_own_socket() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        let name = Says("Ada", || socket.abort());
        let refused = write_fmt!(output, "Hello, {name}!\n").await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(socket.closed().await, CloseReason::Local);
        let (bytes, error) = read_to_end(&mut peer);
        assert_eq!(bytes, b"");
        assert_eq!(error.unwrap().kind(), IoKind::ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_display_may_close_its_own_socket() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        output.write_str("Hello").await?;
        let name = Says("Ada", || drop(poll_once(socket.close())));
        let refused = write_fmt!(output, ", {name}!\n").await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
        socket.close().await?;
        let (bytes, error) = read_to_end(&mut peer);
        assert_eq!(bytes, b"Hello");
        assert!(error.is_none());
        Ok(())
    });
}

/// Memory of the caller's, whose drop runs the caller's code.
struct Owner<F: Fn()>(Vec<u8>, F);

impl<F: Fn()> AsRef<[u8]> for Owner<F> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<F: Fn()> Drop for Owner<F> {
    fn drop(&mut self) {
        (self.1)();
    }
}

/// Small ones are copied and dropped at once, large ones once they are sent, or given up.
#[test]
fn the_owner_of_written_bytes_may_touch_the_socket() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        let drops = Arc::new(AtomicUsize::new(0));
        let owned = |length| {
            let (selector, socket, drops) = (selector.clone(), socket.clone(), Arc::clone(&drops));
            Bytes::from_owner(Owner(vec![b'x'; length], move || {
                if drops.fetch_add(1, SeqCst) < 3 {
                    touch(&selector, &socket);
                } else {
                    assert!(socket.is_closed());
                }
            }))
        };
        output.write_bytes(owned(5)).await?;
        output.write_bytes(owned(40 * KIB)).await?;
        output.write_bytes(owned(0)).await?;
        output.flush().await?;
        peer.read_exact(&mut vec![0; 40 * KIB + 5]).unwrap();
        assert_eq!(drops.load(SeqCst), 3);

        // Nothing is sent before the abort, whichever thread would do that.
        output.manual_flush();
        output.write_bytes(owned(40 * KIB)).await?;
        socket.abort();
        assert_eq!(drops.load(SeqCst), 4);
        let refused = output.write_bytes(owned(5)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(drops.load(SeqCst), 5);
        Ok(())
    });
}

/// Both connections are flushed at the end of the same turn, the one with the panic first.
#[test]
fn a_panic_of_an_owner_of_bytes_costs_no_other_connection_its_flush() {
    run(async |selector| {
        let (first, mut first_peer) = pair(&selector).await?;
        let (second, mut second_peer) = pair(&selector).await?;
        let (mut first, mut second) = (first.connection()?, second.connection()?);
        for _ in 0..3 {
            let writing = selector.spawn_value(async move {
                let owner = Owner(vec![b'x'; 40 * KIB], || panic!("an owner panics"));
                first.output.write_bytes(Bytes::from_owner(owner)).await?;
                second.output.write_str("whole").await?;
                Result::Ok((first, second))
            });
            (first, second) = writing.await??;
            first_peer.read_exact(&mut vec![0; 40 * KIB]).unwrap();
            second_peer.read_exact(&mut [0; 5]).unwrap();
        }
        Ok(())
    });
}

#[test]
fn who_is_told_of_errors_may_use_the_selector_and_may_panic() {
    let selector = SelectorManager::builder()
        .on_task_error(|error| {
            assert!(
                forebay::now() >= forebay::now().checked_sub(std::time::Duration::ZERO).unwrap()
            );
            forebay::spawn(async { Ok(()) }).detach();
            panic!("told of: {error}");
        })
        .build()
        .unwrap();
    watched(move || {
        selector.block_on(async {
            for _ in 0..3 {
                let failing = selector.spawn(async { Err(forebay::Error::other("on purpose")) });
                failing.detach();
            }
            until_at_rest(&selector, 0).await;
            assert_eq!(selector.stats().task_errors, 3);
            assert_eq!(selector.spawn_value(async { 7 }).await?, 7);
            forebay::Result::Ok(())
        })
    })
    .unwrap();
}

// ---- code that fails half-way -------------------------------------------------------------------

/// A `Display` that panics after its first word.
struct Bomb;

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of ")?;
        panic!("a Display panics")
    }
}

/// A `Display` that gives up after its first word.
struct Dud;

impl fmt::Display for Dud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of ")?;
        Err(fmt::Error)
    }
}

async fn is_panicking<T>(future: impl Future<Output = T>) -> bool {
    AssertUnwindSafe(future).catch_unwind().await.is_err()
}

#[test]
fn what_fails_half_way_leaves_nothing_in_the_queue() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        output.manual_flush();

        // The macros format before they return a future.
        assert!(is_panicking(async { write_fmt!(output, "one {} three", Bomb).await }).await);
        assert!(is_panicking(async { write_line!(output, "one {Bomb} three").await }).await);
        let panicking = output.write_with(|out| {
            out.put_str("half of ");
            assert!(out.is_empty(), "a closure panics");
        });
        assert!(is_panicking(panicking).await);
        assert_eq!(output.queued(), 0);

        let failed = write_fmt!(output, "one {} three", Dud).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Other);
        let called_off = output.write_with(|out| {
            out.put_str("half of ");
            Err(forebay::Error::other("on second thoughts"))
        });
        let called_off = called_off.await.unwrap_err();
        assert!(called_off.to_string().contains("on second thoughts"));
        assert_eq!(output.queued(), 0);

        // What stands in the queue already is not touched, and what follows is whole.
        output.write_str("first\n").await?;
        assert!(is_panicking(async { write_fmt!(output, "one {} three", Bomb).await }).await);
        assert_eq!(output.queued(), 6);
        write_line!(output, "{}", "last").await?;
        output.finish().await?;
        assert_eq!(read_to_end(&mut peer).0, b"first\nlast\n");
        Ok(())
    });
}

// ---- handlers that panic ------------------------------------------------------------------------

/// Serves one connection by a handler that panics, beside one that is served well before and
/// after, and checks that the first is reset, with at most `sent` delivered.
async fn among_others<F>(
    selector: &SelectorManager,
    sent: &[u8],
    handler: impl FnOnce(Connection) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (healthy, mut healthy_peer) = pair(selector).await?;
    let echo = selector.spawn(echo(healthy));
    ping(selector, &mut healthy_peer).await;

    let (socket, mut peer) = pair(selector).await?;
    let connection = socket.connection()?;
    drop(socket);
    let error = selector.spawn(handler(connection)).await.unwrap_err();
    assert!(error.is_panicked(), "{error}");
    assert!(error.to_string().contains("the handler panics"), "{error}");

    let (bytes, error) = read_to_end(&mut peer);
    let error = error.expect("the connection ended cleanly");
    assert_eq!(error.kind(), IoKind::ConnectionReset);
    assert_eq!(bytes, sent);

    ping(selector, &mut healthy_peer).await;
    drop(healthy_peer);
    echo.await?;
    until_at_rest(selector, 0).await;
    assert_eq!(selector.stats().task_errors, 0);
    Ok(())
}

async fn echo(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}

/// One exchange with an echo that runs on this thread.
async fn ping(selector: &SelectorManager, peer: &mut TcpStream) {
    let before = selector.stats().sent_bytes;
    peer.write_all(b"ping").unwrap();
    forebay_testing::until(|| selector.stats().sent_bytes == before + 4).await;
    let mut answer = [0; 4];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}

/// Writes a whole message and half of another.
async fn one_and_a_half(output: &mut ByteWriteChannel) -> Result<()> {
    output.write_str("whole\n").await?;
    output.flush().await?;
    output.write_str("half of a mess").await
}

#[test]
fn an_async_handler_that_panics_resets_its_peer() {
    run(async |selector| {
        among_others(&selector, b"whole\n", |mut it| async move {
            one_and_a_half(&mut it.output).await?;
            panic!("the handler panics");
        })
        .await
    });
}

#[test]
fn a_handler_whose_display_panics_resets_its_peer() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("the handler panics")
        }
    }
    run(async |selector| {
        among_others(&selector, b"whole\n", |mut it| async move {
            one_and_a_half(&mut it.output).await?;
            write_line!(it.output, "age: {Fails}").await
        })
        .await
    });
}

/// A handler that panics after it has waited, in a call of a call.
#[test]
fn a_handler_that_panics_later_resets_its_peer() {
    async fn deep(it: &mut Connection) -> Result<()> {
        forebay::sleep(std::time::Duration::from_millis(1)).await;
        one_and_a_half(&mut it.output).await?;
        assert!(it.socket.is_closed(), "the handler panics");
        Ok(())
    }
    run(async |selector| {
        among_others(&selector, b"whole\n", |mut it| Box::pin(async move { deep(&mut it).await }))
            .await
    });
}

/// A future written by hand. Its fields drop after its `poll` has unwound, when
/// `std::thread::panicking()` is false again.
struct ByHand<T> {
    _holds: T,
}

impl<T: Unpin> Future for ByHand<T> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        panic!("the handler panics")
    }
}

/// Writes in the same poll, so that nothing is sent before it panics.
struct WritesByHand(ByteWriteChannel);

impl Future for WritesByHand {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        poll_once(self.0.write_str("half of a mess")).unwrap().unwrap();
        panic!("the handler panics")
    }
}

#[test]
fn a_hand_written_handler_that_panics_resets_its_peer() {
    run(async |selector| {
        among_others(&selector, b"", |it| ByHand { _holds: it }).await?;
        // With the halves alone, and in either order.
        among_others(&selector, b"", |it| ByHand { _holds: (it.output, it.input) }).await?;
        among_others(&selector, b"", |it| ByHand { _holds: (it.input, it.output) }).await?;
        // With something unsent in the writer.
        among_others(&selector, b"", |it| WritesByHand(it.output)).await
    });
}

/// Without a writer nothing half-written can be lost, but the peer must still not take this for an
/// answer that is empty.
#[test]
fn a_handler_without_a_writer_that_panics_resets_its_peer() {
    run(async |selector| {
        for opens_reader in [false, true] {
            let (socket, mut peer) = pair(&selector).await?;
            let input = opens_reader.then(|| socket.open_read_channel().unwrap());
            let handler = selector.spawn(ByHand { _holds: (socket, input) });
            assert!(handler.await.is_err_and(|error| error.is_panicked()));
            let (bytes, error) = read_to_end(&mut peer);
            assert_eq!(bytes, b"");
            assert_eq!(error.unwrap().kind(), IoKind::ConnectionReset);
        }
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

/// One that writes in one poll and panics in a later one.
#[test]
fn a_hand_written_handler_that_panics_later_resets_its_peer() {
    struct Later(Connection, u32);
    impl Future for Later {
        type Output = Result<()>;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
            self.1 += 1;
            match self.1 {
                1 => poll_once(self.0.output.write_str("whole\n")).unwrap()?,
                2 => poll_once(self.0.output.flush()).unwrap()?,
                3 => poll_once(self.0.output.write_str("half of a mess")).unwrap()?,
                _ => panic!("the handler panics"),
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    run(async |selector| {
        // Whether the half was sent before the panic depends on where the turn ended; a clean end
        // must not follow it in either case.
        let (socket, mut peer) = pair(&selector).await?;
        let later = Later(socket.connection()?, 0);
        drop(socket);
        assert!(selector.spawn(later).await.is_err_and(|error| error.is_panicked()));
        let (bytes, error) = read_to_end(&mut peer);
        assert!(bytes.starts_with(b"whole\n"));
        assert_eq!(error.unwrap().kind(), IoKind::ConnectionReset);
        Ok(())
    });
}

/// The panic of one task is no matter of another that holds the other half.
#[test]
fn half_a_connection_survives_the_panic_of_the_reader() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let Connection { input, mut output, socket } = socket.connection()?;
        let reader = selector.spawn(ByHand { _holds: input });
        assert!(reader.await.is_err_and(|error| error.is_panicked()));
        output.write_str("still here\n").await?;
        socket.close().await?;
        let (bytes, error) = read_to_end(&mut peer);
        assert_eq!(bytes, b"still here\n");
        assert!(error.is_none());
        Ok(())
    });
}

/// A task that ends in an error, or is aborted, has not panicked: what it wrote is whole.
#[test]
fn an_error_is_no_panic() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        drop(socket);
        let failing = selector.spawn(async move {
            output.write_str("goodbye\n").await?;
            Err(forebay::Error::other("enough"))
        });
        assert!(!failing.await.unwrap_err().is_panicked());
        until_at_rest(&selector, 0).await;
        let (bytes, error) = read_to_end(&mut peer);
        assert_eq!(bytes, b"goodbye\n");
        assert!(error.is_none());
        Ok(())
    });
}

#[test]
fn a_panic_of_main_resets_what_it_held() {
    watched(|| {
        let (ports, port) = std::sync::mpsc::channel();
        let client = std::thread::spawn(move || read_to_end(&mut dial(port.recv().unwrap())));
        let outcome = catch_unwind(|| {
            forebay::run(async |selector| {
                let server = forebay_testing::listener(&selector).await?;
                ports.send(server.port()).unwrap();
                let mut it = server.accept().await?.connection()?;
                one_and_a_half(&mut it.output).await?;
                assert!(it.output.queued() == 0, "main panics");
                Ok::<_, forebay::Error>(())
            })
        });
        assert!(outcome.is_err());
        let (bytes, error) = client.join().unwrap();
        assert_eq!(bytes, b"whole\n");
        assert_eq!(error.unwrap().kind(), IoKind::ConnectionReset);
    });
}
