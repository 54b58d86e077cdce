//! Selectors, and peers made of the standard library's sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forebay::{ByteReadChannel, Connection, Result, SelectorManager, ServerSocket, Socket};
use futures_lite::future::zip;
use socket2::SockRef;

use crate::kernel::{TcpState, connection};
use crate::{Host, KIB, Random, until, wait_for, watched};

/// Runs a test on a selector of its own, watched, in the host that `FOREBAY_HOST` names ([`Host`]).
#[track_caller]
pub fn run<T: Send + 'static>(
    test: impl AsyncFnOnce(SelectorManager) -> Result<T> + Send + 'static,
) -> T {
    watched(move || Host::of_environment().run(SelectorManager::builder(), test)).unwrap()
}

/// Runs something on a selector of its own, in the host that `FOREBAY_HOST` names. Unlike [`run`] it is not watched, and
/// returns errors: for a child process, and for what a test does besides.
pub fn in_host<T>(main: impl AsyncFnOnce(SelectorManager) -> Result<T>) -> Result<T> {
    Host::of_environment().run(SelectorManager::builder(), main)
}

/// Runs a test like [`run`], by a worker of the selector in any case: for tests of what only a worker does,
/// such as the functions at the crate's root.
#[track_caller]
pub fn run_on_a_worker<T: Send + 'static>(
    test: impl AsyncFnOnce(SelectorManager) -> Result<T> + Send + 'static,
) -> T {
    watched(move || forebay::run(test)).unwrap()
}

/// Runs a test like [`run_on_a_worker`], on a selector with one worker: for tests that count what happens between two
/// polls of a task, or in which the order of tasks matters.
#[track_caller]
pub fn run_on_one_worker<T: Send + 'static>(
    test: impl AsyncFnOnce(SelectorManager) -> Result<T> + Send + 'static,
) -> T {
    watched(move || SelectorManager::builder().workers(1).run(test)).unwrap()
}

/// Waits until the selector holds no sockets, timers or blocks, and only this many tasks.
pub async fn until_at_rest(selector: &SelectorManager, tasks: usize) {
    until(|| {
        let stats = selector.stats();
        stats.tasks == tasks
            && stats.sockets == 0
            && stats.background_closes == 0
            && stats.blocks == 0
    })
    .await;
}

// ---- peers --------------------------------------------------------------------------------------

/// Returns a listener on a free port.
pub async fn listener(selector: &SelectorManager) -> Result<ServerSocket> {
    selector.tcp().bind("127.0.0.1:0").await
}

/// Returns an accepted connection, and the peer's end of it.
pub async fn pair(selector: &SelectorManager) -> Result<(Socket, TcpStream)> {
    let server = listener(selector).await?;
    let peer = dial(server.port());
    Ok((server.accept().await?, peer))
}

/// Returns an accepted connection with both of its channels, and the peer's end of it.
pub async fn connection_and_peer(selector: &SelectorManager) -> Result<(Connection, TcpStream)> {
    let (socket, peer) = pair(selector).await?;
    Ok((socket.connection()?, peer))
}

/// Returns a socket that has a port and does not listen, and its address: no other socket can have it meanwhile, and
/// connecting to it is refused.
pub fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Connects as a peer. It does not need the listener to accept.
pub fn dial(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Resets the connection.
pub fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// Ends the peer's direction and waits until the other side's kernel has everything, the end mark
/// included.
pub fn end_and_arrive(peer: &TcpStream) {
    peer.shutdown(Shutdown::Write).unwrap();
    wait_for(|| connection(peer).is_some_and(|it| it.state == TcpState::FinWait2));
}

/// Reads everything that the peer is sent. Returns the bytes, and the error if the connection did not end
/// cleanly.
pub fn read_to_end(peer: &mut TcpStream) -> (Vec<u8>, Option<io::Error>) {
    let mut bytes = Vec::new();
    let error = peer.read_to_end(&mut bytes).err();
    (bytes, error)
}

/// Starts a thread that sends until the connection ends.
pub fn flood(mut peer: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || {
        let piece = vec![7; 256 * KIB];
        while peer.write_all(&piece).is_ok() {}
    })
}

/// Starts a thread that receives until the connection ends.
pub fn drain(mut peer: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut piece = vec![0; 256 * KIB];
        while peer.read(&mut piece).is_ok_and(|count| count > 0) {}
    })
}

/// Sends so many numbered lines and then the end, with urgent bytes at any place of the stream, in bursts.
pub fn send_lines_with_urgent_bytes(peer: &mut TcpStream, count: usize) {
    let mut random = Random::new(11, 0);
    for number in 0..count {
        let line = format!("line {number}\n");
        let (head, tail) = line.split_at(random.below(line.len() + 1));
        peer.write_all(head.as_bytes()).unwrap();
        if random.below(3) == 0 {
            SockRef::from(&*peer).send_out_of_band(b"!").unwrap();
        }
        peer.write_all(tail.as_bytes()).unwrap();
        if random.below(20) == 0 {
            thread::yield_now();
        }
    }
    peer.shutdown(Shutdown::Write).unwrap();
}

/// Reads the lines of [`send_lines_with_urgent_bytes`], and the end.
pub async fn read_lines_beside_urgent_bytes(
    input: &mut ByteReadChannel,
    count: usize,
) -> Result<()> {
    for number in 0..count {
        // An urgent byte that another one follows too soon is an ordinary one (`tcp(7)`).
        let line = input.read_line().await?.map(|line| line.replace('!', ""));
        assert_eq!(line, Some(format!("line {number}")));
    }
    assert_eq!(input.read_line().await?, None);
    Ok(())
}

/// Returns a connected pair, client first, and the listener it came from.
pub async fn connected(
    selector: &SelectorManager,
) -> Result<(Connection, Connection, ServerSocket)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let (accepted, client) =
        zip(server.accept(), selector.tcp().connect(server.local_address())).await;
    Ok((client?.connection()?, accepted?.connection()?, server))
}

/// Connects to a std listener, so that only the test drives the other side.
pub fn connect_to_std(selector: &SelectorManager) -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = selector.block_on(selector.tcp().connect(address)).unwrap();
    (socket, listener.accept().unwrap().0)
}
