//! `mem::forget` is safe, so every future in flight may be forgotten. Nothing hangs for it,
//! and what comes later is neither lost nor given to the wrong call.
//!
//! `cancel/` forgets each call of the library at each of its polls, one at a time; here all kinds
//! are forgotten at once, on one selector, which has to go on and to end.

#![cfg(target_os = "linux")]

use std::future::pending;
use std::io::Write;
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use forebay::{
    ByteReadChannel, ByteWriteChannel, CloseReason, Connection, Result, SelectorManager,
    ServerSocket,
};
use forebay_testing::{KIB, MIB, listener, pattern, read_to_end, watched};
use futures_lite::future::{poll_once, yield_now};
use socket2::{Domain, Type};

const LONG: Duration = Duration::from_secs(3600);

/// Begins a call that has to wait, and forgets it.
async fn forget(call: &str, future: impl Future) {
    assert!(forget_if_it_waits(future).await, "{call} does not wait");
}

async fn forget_if_it_waits(future: impl Future) -> bool {
    let mut future = Box::pin(future);
    let waits = poll_once(&mut future).await.is_none();
    mem::forget(future);
    waits
}

#[test]
fn forgotten_in_flight_nothing_hangs_and_nothing_is_lost() {
    watched(|| {
        for _ in 0..20 {
            forebay::run(all_kinds).unwrap();
        }
    });
}

async fn all_kinds(selector: SelectorManager) -> Result<()> {
    time(&selector).await;
    let (mut waits, release) = forebay::pipe(1);
    let waiting = selector.spawn(async move { waits.read_line().await.map(drop) });
    forget("a task", waiting).await;
    let (_full, address, _first) = full_listener();
    forget("connect", selector.tcp().connect(address)).await;

    let server = listener(&selector).await?;
    let (it, peer) = accepted(&server).await?;
    let Connection { mut input, mut output, socket } = it;
    forget("socket.closed", socket.closed()).await;
    let peer = reads(&mut input, peer).await?;
    writes(&mut output, peer).await?;
    assert_eq!(socket.closed().await, CloseReason::Ended);
    socket.close().await?;

    forget("server.closed", server.closed()).await;
    server.close();
    server.closed().await;
    // The selector's own close: forgotten by a task, which goes on, and by this one. Leaving `run`
    // closes once more, and waits.
    let closing = selector.clone();
    let closer = selector.spawn(async move {
        forget("selector.close", closing.close()).await;
        Ok(())
    });
    closer.await?;
    forget("selector.close", selector.close()).await;
    drop(release);
    Ok(())
}

async fn time(selector: &SelectorManager) {
    forget("sleep", selector.sleep(LONG)).await;
    forget("timeout", selector.timeout(LONG, pending::<Result<()>>())).await;
    forget("within", selector.within(LONG, pending::<()>())).await;
    let mut interval = selector.interval(LONG);
    forget("interval.tick", interval.tick()).await;
    selector.sleep(Duration::from_millis(1)).await;
}

/// A listener whose queue holds one connection, which is there already.
fn full_listener() -> (socket2::Socket, SocketAddr, TcpStream) {
    let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, address, TcpStream::connect(address).unwrap())
}

/// A connection that comes when several calls that waited for it are forgotten.
async fn accepted(server: &ServerSocket) -> Result<(Connection, TcpStream)> {
    for _ in 0..3 {
        forget("accept", server.accept()).await;
    }
    let peer = small_windowed(server.port());
    Ok((server.accept().await?.connection()?, peer))
}

/// With small segments, so that the kernel does not take a megabyte at once.
fn small_windowed(port: u16) -> TcpStream {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(1400).unwrap();
    socket.set_recv_buffer_size(16 * KIB).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.into()
}

/// Calls that wait are forgotten, with nothing there and with the half of what they want; then
/// everything comes, and later calls get it from its beginning.
async fn reads(input: &mut ByteReadChannel, mut peer: TcpStream) -> Result<TcpStream> {
    const FIRST: &[u8] = b"half a li";
    for begun in [&b""[..], FIRST] {
        peer.write_all(begun).unwrap();
        while input.buffered() < begun.len() {
            // One of these sees it come.
            forget("read_line", input.read_line()).await;
            yield_now().await;
        }
        forget("read_line", input.read_line()).await;
        forget("read_line_ref", input.read_line_ref()).await;
        forget("read_line_into", input.read_line_into(&mut String::new())).await;
        forget("read_packet", input.read_packet(64)).await;
        forget("read_remaining", input.read_remaining(64)).await;
        if begun.is_empty() {
            forget("read", input.read(&mut [0; 8])).await;
            forget("read_chunk", input.read_chunk()).await;
            forget("read_u8", input.read_u8()).await;
            forget("read_exact", input.read_exact(&mut [0; 8])).await;
        }
    }
    peer.write_all(b"ne\nand another\n\x00\x01\x02\x03rest").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(input.read_line().await?.as_deref(), Some("half a line"));
    assert_eq!(input.read_line_ref().await?, Some("and another"));
    assert_eq!(input.read_u32().await?, 0x0001_0203);
    assert_eq!(input.read_remaining(64).await?.into_bytes(), &b"rest"[..]);
    Ok(peer)
}

/// Calls that wait for room are forgotten, and have accepted nothing. What did go in arrives.
async fn writes(output: &mut ByteWriteChannel, mut peer: TcpStream) -> Result<()> {
    let data = Bytes::from(pattern(2 * MIB));
    output.write_bytes(data.clone()).await?;
    forget("write_bytes", output.write_bytes(data.clone())).await;
    forget("write_all", output.write_all(b"never")).await;
    forget("write_str", output.write_str("never")).await;
    forget("write_u64", output.write_u64(0)).await;
    forget("write_with", output.write_with(|out| out.put_u8(0))).await;
    forget("flush", output.flush()).await;
    let reading = thread::spawn(move || read_to_end(&mut peer));
    output.write_str("the end").await?;
    output.flush().await?;
    forget_if_it_waits(output.finish()).await;
    output.finish().await?;
    let (bytes, error) = reading.join().unwrap();
    assert!(error.is_none(), "{error:?}");
    assert!(bytes == [&data[..], b"the end"].concat(), "{} bytes", bytes.len());
    Ok(())
}
