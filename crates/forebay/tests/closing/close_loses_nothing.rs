//! Data written before a close arrives, whatever the peer has sent that was never read.
//!
//! Releasing a descriptor with unread input makes the kernel reset, and a reset overtakes what is
//! still on its way. Every peer here counts what it gets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use forebay::{ByteReadChannel, ByteWriteChannel, Result, ServerSocket, pipe};
use forebay_testing::{
    KIB, PATIENCE, in_host, listener, pattern, report, size, until_at_rest, watched_for,
};
use futures_lite::future::block_on;
use socket2::{Domain, Type};

const WRITTEN: usize = 200_000;
/// Connections at a time. A close waits for the peer's kernel, which puts its acknowledgement off for
/// 40 ms when its own direction is blocked; so this many wait at once.
const LANES: usize = 40;

/// Closes of each kind.
fn closes() -> usize {
    size("FOREBAY_CLOSES", 160, 1000)
}

/// To peers that are slow, one in each lane.
fn slow_closes() -> usize {
    size("FOREBAY_SLOW_CLOSES", 8, LANES)
}

/// The way in which the server ends a connection.
#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    DropLastHandle,
}

/// A peer's behaviour.
#[derive(Debug, Clone, Copy)]
struct Peer {
    /// The number of bytes that it sends, of which the server reads none.
    sends: usize,
    /// It reads a little at a time, through a window of a few kilobytes.
    is_slow: bool,
}

/// A peer's observations.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    lost: usize,
    wrong: usize,
    resets: usize,
}

#[test]
fn with_nothing_unread() {
    count("nothing unread", Peer::that_sends(0), End::Close, closes());
    count("nothing unread, dropped", Peer::that_sends(0), End::DropLastHandle, closes());
}

#[test]
fn with_10_b_unread() {
    count("10 B unread", Peer::that_sends(10), End::Close, closes());
    count("10 B unread, dropped", Peer::that_sends(10), End::DropLastHandle, closes());
}

#[test]
fn with_60_kb_unread() {
    count("60 kB unread", Peer::that_sends(60_000), End::Close, closes());
    count("60 kB unread, dropped", Peer::that_sends(60_000), End::DropLastHandle, closes());
}

#[test]
fn with_200_kb_unread() {
    count("200 kB unread", Peer::that_sends(200_000), End::Close, closes());
    count("200 kB unread, dropped", Peer::that_sends(200_000), End::DropLastHandle, closes());
}

#[test]
fn with_1_mb_unread() {
    count("1 MB unread", Peer::that_sends(1_000_000), End::Close, closes());
    count("1 MB unread, dropped", Peer::that_sends(1_000_000), End::DropLastHandle, closes());
}

#[test]
fn to_a_peer_that_reads_slowly() {
    for sends in [0, 10, 200_000] {
        let slow = Peer { sends, is_slow: true };
        count(&format!("{sends} B unread, slow peer"), slow, End::Close, slow_closes());
        count(
            &format!("{sends} B unread, slow peer, dropped"),
            slow,
            End::DropLastHandle,
            slow_closes(),
        );
    }
}

/// Ends so many connections with such peers, and counts what they miss.
fn count(name: &str, peer: Peer, end: End, closes: usize) {
    let seen = watched_for(2 * PATIENCE, move || {
        in_host(async |selector| {
            let mut lanes = Vec::new();
            for _ in 0..LANES.min(closes) {
                let server = if peer.is_slow {
                    // On a busy machine it may not run for so long that the kernel asks it ever more rarely.
                    selector.tcp().drain_timeout(PATIENCE).bind("127.0.0.1:0").await?
                } else {
                    listener(&selector).await?
                };
                lanes.push(selector.spawn_value(lane(
                    server,
                    peer,
                    end,
                    closes / LANES.min(closes),
                )));
            }
            let mut all = Seen::default();
            for lane in lanes {
                let seen = lane.await??;
                all.lost += seen.lost;
                all.wrong += seen.wrong;
                all.resets += seen.resets;
            }
            until_at_rest(&selector, 0).await;
            assert_eq!(selector.stats().unacknowledged, 0);
            Ok::<_, forebay::Error>(all)
        })
    })
    .unwrap();
    report(&format!(
        "close_loses_nothing: {name}: {closes} closes, {} bytes lost, {} wrong, {} peers saw a reset \
         behind their data",
        seen.lost, seen.wrong, seen.resets
    ));
    assert_eq!((seen.lost, seen.wrong), (0, 0));
}

/// A server and its peer, connection after connection.
async fn lane(server: ServerSocket, peer: Peer, end: End, closes: usize) -> Result<Seen> {
    let address = server.local_address().as_inet().unwrap();
    let (go_ahead, gate) = pipe(KIB);
    let (mut done, mark) = pipe(KIB);
    let peers = thread::spawn(move || {
        let _mark = mark;
        peer.meet(address, gate, closes)
    });
    serve(server, go_ahead, end, closes).await?;
    done.read_chunk().await?;
    Ok(peers.join().unwrap())
}

async fn serve(
    server: ServerSocket,
    mut go_ahead: ByteReadChannel,
    end: End,
    closes: usize,
) -> Result<()> {
    let data = pattern(WRITTEN);
    for _ in 0..closes {
        let socket = server.accept().await?;
        let mut output = socket.open_write_channel()?;
        go_ahead.read_u8().await?;
        output.write_all(&data).await?;
        match end {
            End::Close => socket.close().await?,
            End::DropLastHandle => drop((socket, output)),
        }
    }
    Ok(())
}

impl Peer {
    fn that_sends(sends: usize) -> Self {
        Self { sends, is_slow: false }
    }

    fn meet(self, server: SocketAddr, mut gate: ByteWriteChannel, closes: usize) -> Seen {
        let data = pattern(WRITTEN);
        let mut seen = Seen::default();
        for round in 0..closes {
            let stream = self.connect(server);
            // In every other round the input has arrived before the server writes and closes; in
            // the rest the two race.
            let early = if round % 2 == 0 { self.sends.min(32 * KIB) } else { 0 };
            (&stream).write_all(&vec![b'i'; early]).unwrap();
            block_on(gate.write_u8(b'!')).unwrap();
            let (bytes, error) = thread::scope(|scope| {
                scope.spawn(|| pump(&stream, self.sends - early));
                let outcome = self.read(&stream);
                // A pump that is still at it finds out.
                stream.shutdown(Shutdown::Both).ok();
                outcome
            });
            seen.lost += WRITTEN - bytes.len().min(WRITTEN);
            seen.wrong += usize::from(!data.starts_with(&bytes));
            seen.resets += usize::from(error.is_some());
        }
        seen
    }

    fn connect(self, server: SocketAddr) -> TcpStream {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if self.is_slow {
            // Before connecting, because it decides about the window that is offered.
            socket.set_recv_buffer_size(4 * KIB).unwrap();
        }
        socket.connect(&server.into()).unwrap();
        socket.into()
    }

    fn read(self, mut stream: &TcpStream) -> (Vec<u8>, Option<io::Error>) {
        let mut bytes = Vec::new();
        let mut piece = vec![0; if self.is_slow { 500 } else { 64 * KIB }];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return (bytes, None),
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
                Err(error) => return (bytes, Some(error)),
            }
            if self.is_slow {
                thread::yield_now();
            }
        }
    }
}

/// Sends until the server has had enough, which is no fault.
fn pump(mut stream: &TcpStream, mut left: usize) {
    let piece = vec![b'i'; 64 * KIB];
    while left > 0 {
        match stream.write(&piece[..left.min(piece.len())]) {
            Ok(count) => left -= count,
            Err(_) => return,
        }
    }
}
