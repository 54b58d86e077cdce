//! A channel to write to that is full, and its other end, which takes when the test says so.

use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;

use bytes::Bytes;
use forebay::{ByteReadChannel, ByteWriteChannel, Connection, SelectorManager, Socket, pipe};
use socket2::{Domain, SockAddr, Type};

use crate::support::{Alarm, World, now, poll_once, turn};
use crate::tls::secure_pair;
use crate::unix::unix_listener;

/// A writer waits while this much is queued (`ByteWriteChannel`).
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// The destination of a channel's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sink {
    /// A pipe with room for so many bytes.
    Pipe(usize),
    Tcp,
    Unix,
    /// A connection in memory.
    Memory,
    /// TLS, in memory.
    Tls,
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipe(_) => f.write_str("over a pipe"),
            Self::Tcp => f.write_str("over TCP"),
            Self::Unix => f.write_str("over a Unix socket"),
            Self::Memory => f.write_str("in memory"),
            Self::Tls => f.write_str("over TLS"),
        }
    }
}

/// The receiving end, with everything it has taken.
pub(crate) struct Outgoing {
    taker: Taker,
    pub(crate) taken: Vec<u8>,
    /// Bytes taken in one step, unless the writer is woken before.
    bite: usize,
    end: Option<End>,
}

/// The way in which the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With its end mark.
    Finished,
    /// With an error.
    Aborted,
}

enum Taker {
    Pipe(ByteReadChannel),
    Tcp(TcpStream),
    Unix(UnixStream),
    Memory(Connection),
}

/// A writer's channel before the writer begins, and its other end.
pub(crate) struct Full {
    pub(crate) output: ByteWriteChannel,
    /// The socket that `output` belongs to, if it belongs to one.
    pub(crate) socket: Option<Socket>,
    pub(crate) world: Outgoing,
    /// The bytes that fill it: the stream begins with them.
    pub(crate) filler: Vec<u8>,
}

impl Full {
    /// A channel that is full: its next write waits until the other end has taken something.
    pub(crate) async fn open(sink: Sink, selector: &SelectorManager) -> Self {
        let (output, socket, taker) = match sink {
            Sink::Pipe(capacity) => {
                let (input, output) = pipe(capacity);
                (output, None, Taker::Pipe(input))
            }
            Sink::Tcp => {
                let (socket, peer) = narrow(selector).await;
                let output = socket.open_write_channel().unwrap();
                (output, Some(socket), Taker::Tcp(peer))
            }
            Sink::Unix => {
                let (listener, name) = unix_listener();
                let socket = selector.unix().connect(name).await.unwrap();
                let (peer, _) = listener.accept().unwrap();
                peer.set_nonblocking(true).unwrap();
                let output = socket.open_write_channel().unwrap();
                (output, Some(socket), Taker::Unix(peer))
            }
            Sink::Memory => {
                let (near, far) = selector.duplex(HIGH_WATER_BYTES);
                (near.output, Some(near.socket), Taker::Memory(far))
            }
            Sink::Tls => {
                let (near, far) = secure_pair(selector, HIGH_WATER_BYTES).await;
                (near.output, Some(near.socket), Taker::Memory(far))
            }
        };
        let bite = match sink {
            Sink::Pipe(capacity) => capacity,
            Sink::Tcp | Sink::Unix | Sink::Memory | Sink::Tls => HIGH_WATER_BYTES,
        };
        let world = Outgoing { taker, taken: Vec::new(), bite, end: None };
        let mut full = Self { output, socket, world, filler: Vec::new() };
        match sink {
            // The pipe is full, and before it stand two bites and a byte.
            Sink::Pipe(capacity) => full.fill(3 * capacity + 1),
            Sink::Tcp | Sink::Unix | Sink::Memory | Sink::Tls => {
                while full.output.queued() < HIGH_WATER_BYTES {
                    full.fill(4 * HIGH_WATER_BYTES);
                    turn().await;
                }
            }
        }
        full
    }

    fn fill(&mut self, count: usize) {
        let start = self.filler.len();
        let piece = pattern(start, count);
        self.filler.extend_from_slice(piece);
        now(self.output.write_bytes(Bytes::from_static(piece))).unwrap();
    }
}

/// Text of which no two stretches that lie near each other are alike.
pub(crate) fn pattern(start: usize, count: usize) -> &'static [u8] {
    static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let letter = |at: usize| b"abcdefghijklmnopqrstuvwxyz"[(at + at / 26 + at / 677) % 26];
        (0..8 << 20).map(letter).collect()
    });
    &TEXT[start..start + count]
}

/// A connection whose peer is so narrow (small segments, a small receive buffer) that the kernel
/// holds little of what it does not take.
async fn narrow(selector: &SelectorManager) -> (Socket, TcpStream) {
    let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.set_recv_buffer_size(16 * 1024).unwrap();
    listener.set_tcp_mss(1400).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&SockAddr::from(any)).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let socket = selector.tcp().connect(address).await.unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_nonblocking(true).unwrap();
    (socket, peer.into())
}

impl Outgoing {
    /// Takes what is there, up to `most` bytes; false when nothing is, or ever will be.
    pub(crate) fn take(&mut self, most: usize) -> bool {
        if self.end.is_some() {
            return false;
        }
        let mut bytes = vec![0; most];
        let received = match &mut self.taker {
            Taker::Pipe(input) => match poll_once(input.read(&mut bytes)) {
                Some(received) => received.map_err(io::Error::from),
                None => return false,
            },
            Taker::Memory(far) => match poll_once(far.input.read(&mut bytes)) {
                Some(received) => received.map_err(io::Error::from),
                None => return false,
            },
            Taker::Tcp(peer) => peer.read(&mut bytes),
            Taker::Unix(peer) => peer.read(&mut bytes),
        };
        match received {
            Ok(0) => self.end = Some(End::Finished),
            Ok(count) => self.taken.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => self.end = Some(End::Aborted),
        }
        self.end.is_none()
    }

    /// Takes until so many bytes have been taken since the beginning, while the worker sends.
    pub(crate) async fn take_up_to(&mut self, count: usize) {
        while self.taken.len() < count {
            assert_eq!(self.end, None, "the end after {} bytes", self.taken.len());
            if !self.take((count - self.taken.len()).min(HIGH_WATER_BYTES)) {
                turn().await;
            }
        }
    }

    /// Takes everything up to the end, and says how it ended.
    pub(crate) async fn take_all(&mut self) -> End {
        loop {
            if !self.take(HIGH_WATER_BYTES) {
                if let Some(end) = self.end {
                    return end;
                }
                turn().await;
            }
        }
    }

    /// True once the end, of one kind or the other, has been seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Goes away: a connection has ended in both directions then.
    pub(crate) fn hang_up(self) {
        drop(self.taker);
    }
}

impl World for Outgoing {
    async fn step(&mut self, alarm: &Alarm) {
        let goal = self.taken.len() + self.bite;
        while self.taken.len() < goal && !alarm.rang() && !self.has_ended() {
            if !self.take(goal - self.taken.len()) {
                turn().await;
            }
        }
    }
}
