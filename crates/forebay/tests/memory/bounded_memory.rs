//! A peer can make a server hold a bounded amount: measured from outside, in child processes, as
//! `VmRSS` after a warm-up and at the end.

#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;

use forebay::{Result, SelectorManager, Socket};
use forebay_testing::{
    Child, KIB, MIB, dial, listener, memory_of, report, role, say, size, sleeps, watched_for,
};
use socket2::{Domain, Type};

/// Sessions that it goes through at a time: the end of each waits for an acknowledgement, which the
/// kernel puts off for 40 ms.
const AT_A_TIME: usize = 8;
/// The limit on a child's growth while a line without end goes through it, in KiB.
const GROWTH_KIB_MAX: usize = KIB;
/// The limit on the cost of one peer that never reads, in KiB.
const PEER_KIB_MAX: usize = 192;

// ---- the servers --------------------------------------------------------------------------------

/// README's session.
async fn line(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    output.write_str("Please enter your name\n").await?;
    while let Some(name) = input.read_line().await? {
        output.write_str(&format!("Hello, {name}!\n")).await?;
    }
    socket.close().await
}

/// One that goes on behind a line that is too long.
async fn line_or_skip(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    loop {
        match input.read_line().await {
            Ok(Some(name)) => output.write_str(&format!("Hello, {name}!\n")).await?,
            Ok(None) => break,
            Err(error) if error.is_line_too_long() => {
                output.write_str("That is too long!\n").await?;
                input.skip_line().await?;
            }
            Err(error) => return Err(error),
        }
    }
    socket.close().await
}

async fn echo(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}

/// The child: serves until its standard input ends.
fn serve(role: &str) {
    let served = SelectorManager::builder().on_task_error(|_| ()).run(async |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let role = role.to_owned();
        let accepting = selector.spawn(async move {
            loop {
                let socket = server.accept().await?;
                match role.as_str() {
                    "line" => forebay::spawn(line(socket)).detach(),
                    "line_or_skip" => forebay::spawn(line_or_skip(socket)).detach(),
                    _ => forebay::spawn(echo(socket)).detach(),
                }
            }
        });
        selector.blocking_reader(io::stdin()).discard(u64::MAX).await?;
        accepting.abort();
        Ok::<_, forebay::Error>(())
    });
    served.unwrap();
}

// ---- a gigabyte without a line end ---------------------------------------------------------------

/// The most a child held, looked at again and again.
#[derive(Debug)]
struct Growth {
    child: u32,
    before: usize,
    most: usize,
}

impl Growth {
    fn of(child: &Child) -> Self {
        let (before, _) = memory_of(child.id());
        Self { child: child.id(), before, most: before }
    }

    fn look(&mut self) {
        self.most = self.most.max(memory_of(self.child).0);
    }

    fn report(mut self, name: &str) -> usize {
        self.look();
        let (end, peak) = memory_of(self.child);
        report(&format!(
            "{name}: VmRSS {} KiB after the warm-up, {end} KiB at the end, at most {} KiB between; \
             VmHWM {peak} KiB",
            self.before, self.most
        ));
        self.most - self.before
    }
}

/// Bytes without a line end, next to which the growth that is allowed is little.
fn much() -> usize {
    size("FOREBAY_LINE_MIB", 256, 1024) * MIB
}

/// Sends so many bytes without a line end, or as many as are taken; and looks at what that costs.
fn send_without_end(peer: &mut TcpStream, bytes: usize, growth: Option<&mut Growth>) -> usize {
    let piece = vec![b'x'; 64 * KIB];
    let mut growth = growth;
    let mut sent = 0;
    while sent < bytes {
        match peer.write(&piece[..piece.len().min(bytes - sent)]) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
        if sent % (16 * MIB) < piece.len()
            && let Some(growth) = &mut growth
        {
            growth.look();
        }
    }
    sent
}

/// Sends so many bytes without a line end, in sessions that each end long before they are through,
/// so that the peers come again. Says how many sessions it took.
fn send_in_sessions(port: u16, bytes: usize, mut look: impl FnMut()) -> usize {
    thread::scope(|scope| {
        let (ended, sessions) = mpsc::channel();
        for _ in 0..AT_A_TIME {
            let ended = ended.clone();
            scope.spawn(move || {
                let (share, mut sent) = (bytes / AT_A_TIME, 0);
                while sent < share {
                    sent += send_without_end(&mut dial(port), share - sent, None);
                    ended.send(()).unwrap();
                }
            });
        }
        drop(ended);
        sessions.iter().inspect(|()| look()).count()
    })
}

#[test]
fn a_line_without_end_ends_a_session_that_does_not_want_it() {
    const NAME: &str = "a_line_without_end_ends_a_session_that_does_not_want_it";
    if let Some(role) = role() {
        return serve(&role);
    }
    let grown = watched_for(forebay_testing::PATIENCE, || {
        let mut server = Child::start(NAME, "line");
        let port = server.hear_number();
        send_in_sessions(port, AT_A_TIME * 4 * MIB, || ());
        let mut growth = Growth::of(&server);
        let bytes = much();
        let sessions = send_in_sessions(port, bytes, || growth.look());
        report(&format!("{NAME}: {bytes} bytes in {sessions} sessions"));
        assert!(sessions > AT_A_TIME, "nobody minded");
        let grown = growth.report(NAME);
        server.end();
        grown
    });
    assert!(grown <= GROWTH_KIB_MAX, "grown by {grown} KiB");
}

#[test]
fn a_line_without_end_is_skipped_in_little_memory() {
    const NAME: &str = "a_line_without_end_is_skipped_in_little_memory";
    if let Some(role) = role() {
        return serve(&role);
    }
    let grown = watched_for(forebay_testing::PATIENCE, || {
        let mut server = Child::start(NAME, "line_or_skip");
        let port = server.hear_number();
        let mut grown = 0;
        for bytes in [4 * MIB, much()] {
            let mut growth = Growth::of(&server);
            let mut peer = dial(port);
            let sent = send_without_end(&mut peer, bytes, Some(&mut growth));
            assert_eq!(sent, bytes);
            peer.write_all(b"\nAda\n").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            let mut answers = String::new();
            peer.read_to_string(&mut answers).unwrap();
            assert_eq!(answers, "That is too long!\nHello, Ada!\n");
            // The first is the warm-up.
            if bytes == much() {
                grown = growth.report(NAME);
            }
        }
        server.end();
        grown
    });
    assert!(grown <= GROWTH_KIB_MAX, "grown by {grown} KiB");
}

// ---- peers that never read ----------------------------------------------------------------------

/// A peer that sends and never reads, with small buffers in the kernel, which are not what is
/// measured.
fn deaf_peer(port: u16) -> TcpStream {
    let peer = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(4 * KIB).unwrap();
    peer.set_send_buffer_size(64 * KIB).unwrap();
    let address: std::net::SocketAddr = ([127, 0, 0, 1], port).into();
    peer.connect(&address.into()).unwrap();
    peer.set_nonblocking(true).unwrap();
    peer.into()
}

/// Sends until nothing is taken any more, neither by the kernel nor by the server, which has gone
/// to sleep over it. Returns how much was sent.
fn pump(peers: &mut [TcpStream], piece: &[u8], server: &Child) -> usize {
    let (mut sent, mut quiet) = (0, 0);
    while quiet < 3 {
        let before = sent;
        for peer in &mut *peers {
            while let Ok(count) = peer.write(piece) {
                sent += count;
            }
        }
        forebay_testing::wait_for(|| sleeps(server.id()));
        quiet = if sent == before { quiet + 1 } else { 0 };
    }
    sent
}

fn peers_that_never_read(test: &'static str, role: &'static str, piece: Vec<u8>) {
    let peers_count = size("FOREBAY_DEAF_PEERS", 20, 50);
    let grown = watched_for(forebay_testing::PATIENCE, move || {
        let mut server = Child::start(test, role);
        let port = server.hear_number();
        pump(&mut [deaf_peer(port)], &piece, &server);
        forebay_testing::wait_for(|| sleeps(server.id()));
        let growth = Growth::of(&server);
        let mut peers: Vec<_> = (0..peers_count).map(|_| deaf_peer(port)).collect();
        let sent = pump(&mut peers, &piece, &server);
        report(&format!("{test}: {peers_count} peers sent {} KiB each", sent / KIB / peers_count));
        let grown = growth.report(test);
        report(&format!("{test}: {} KiB a peer", grown / peers_count));
        drop(peers);
        server.end();
        grown
    });
    assert!(grown <= peers_count * PEER_KIB_MAX, "grown by {grown} KiB");
}

#[test]
fn peers_that_never_read_their_greetings() {
    if let Some(role) = role() {
        return serve(&role);
    }
    // Of every length below a hundred.
    let names = (0..100).flat_map(|length| [&[b'x'; 100][..length], b"\n"].concat()).collect();
    peers_that_never_read("peers_that_never_read_their_greetings", "line", names);
}

#[test]
fn peers_that_never_read_their_echo() {
    if let Some(role) = role() {
        return serve(&role);
    }
    peers_that_never_read("peers_that_never_read_their_echo", "echo", vec![b'x'; 16 * KIB]);
}

#[test]
fn peers_that_never_read_their_echo_in_small_pieces() {
    if let Some(role) = role() {
        return serve(&role);
    }
    peers_that_never_read(
        "peers_that_never_read_their_echo_in_small_pieces",
        "echo",
        vec![b'x'; KIB],
    );
}
