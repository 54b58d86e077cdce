//! A channel to read from, and its other end, which sends when the test says so.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use forebay::{ByteReadChannel, ByteWriteChannel, Connection, SelectorManager, pipe};

use crate::support::{Alarm, World, at_last, now};
use crate::tls::secure_pair;
use crate::unix::unix_listener;

/// Bytes that wait in a connection in memory.
const MEMORY_BYTES: usize = 64 * 1024;

/// The origin of a channel's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// A pipe with room for so many bytes.
    Pipe(usize),
    Tcp,
    Unix,
    /// A connection in memory.
    Memory,
    /// TLS, in memory.
    Tls,
    /// A `Read` that blocks, on a thread of the pool.
    Blocking,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipe(_) => f.write_str("over a pipe"),
            Self::Tcp => f.write_str("over TCP"),
            Self::Unix => f.write_str("over a Unix socket"),
            Self::Memory => f.write_str("in memory"),
            Self::Tls => f.write_str("over TLS"),
            Self::Blocking => f.write_str("over a blocking reader"),
        }
    }
}

/// The sending end: pieces, and behind them the end mark. Each is sent when a reader waits for it,
/// and must wake it.
pub(crate) struct Incoming {
    feed: Feed,
    pieces: VecDeque<Vec<u8>>,
    /// Bytes sent so far.
    pub(crate) sent: usize,
    /// Bytes that had been sent when the operation was last polled.
    pub(crate) seen: usize,
}

enum Feed {
    Pipe(ByteWriteChannel),
    Tcp(TcpStream),
    Unix(UnixStream),
    Memory(Box<Connection>),
    Blocking(Sender<Vec<u8>>),
    Ended,
}

impl Incoming {
    /// A channel, and the end that will send these pieces.
    pub(crate) async fn open(
        source: Source,
        selector: &SelectorManager,
        pieces: Vec<Vec<u8>>,
    ) -> (ByteReadChannel, Self) {
        let (input, feed) = match source {
            Source::Pipe(capacity) => {
                let (input, output) = pipe(capacity);
                (input, Feed::Pipe(output))
            }
            Source::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let socket = selector.tcp().connect(address).await.unwrap();
                let (peer, _) = listener.accept().unwrap();
                peer.set_nodelay(true).unwrap();
                (socket.open_read_channel().unwrap(), Feed::Tcp(peer))
            }
            Source::Unix => {
                let (listener, name) = unix_listener();
                let socket = selector.unix().connect(name).await.unwrap();
                let (peer, _) = listener.accept().unwrap();
                (socket.open_read_channel().unwrap(), Feed::Unix(peer))
            }
            Source::Memory => {
                let (near, far) = selector.duplex(MEMORY_BYTES);
                (near.input, Feed::Memory(Box::new(far)))
            }
            Source::Tls => {
                let (near, far) = secure_pair(selector, MEMORY_BYTES).await;
                (near.input, Feed::Memory(Box::new(far)))
            }
            Source::Blocking => {
                let (sender, receiver) = channel();
                let input = selector.blocking_reader(Pieces(receiver, Vec::new()));
                (input, Feed::Blocking(sender))
            }
        };
        let incoming = Self { feed, pieces: pieces.into(), sent: 0, seen: 0 };
        (input, incoming)
    }

    /// Sends the next piece, or the end mark. False when the end is out already.
    pub(crate) fn send(&mut self) -> bool {
        let Some(piece) = self.pieces.pop_front() else {
            return self.end();
        };
        match &mut self.feed {
            // On a thread without turns, where it is enough to poll again when it gives way.
            Feed::Pipe(output) => {
                let write = || at_last(output.write_all(&piece)).unwrap();
                thread::scope(|scope| scope.spawn(write).join().unwrap());
            }
            Feed::Tcp(peer) => peer.write_all(&piece).unwrap(),
            Feed::Unix(peer) => peer.write_all(&piece).unwrap(),
            Feed::Memory(far) => now(far.output.write_all(&piece)).unwrap(),
            Feed::Blocking(sender) => sender.send(piece.clone()).unwrap(),
            Feed::Ended => panic!("a piece behind the end"),
        }
        self.sent += piece.len();
        true
    }

    /// True when another piece would be taken at once.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.feed {
            Feed::Pipe(output) => output.queued() == 0,
            Feed::Memory(far) => far.output.queued() == 0,
            Feed::Tcp(_) | Feed::Unix(_) | Feed::Blocking(_) => true,
            Feed::Ended => false,
        }
    }

    fn end(&mut self) -> bool {
        match std::mem::replace(&mut self.feed, Feed::Ended) {
            Feed::Pipe(mut output) => now(output.finish()).unwrap(),
            Feed::Tcp(peer) => peer.shutdown(Shutdown::Write).unwrap(),
            Feed::Unix(peer) => peer.shutdown(Shutdown::Write).unwrap(),
            Feed::Memory(far) => drop(far),
            Feed::Blocking(sender) => drop(sender),
            Feed::Ended => return false,
        }
        true
    }
}

impl World for Incoming {
    fn polled(&mut self) {
        self.seen = self.sent;
    }

    async fn step(&mut self, alarm: &Alarm) {
        // After the end nothing is sent: something is still on its way, or it hangs.
        self.send();
        alarm.wait().await;
    }
}

/// A stream in pieces of one byte.
pub(crate) fn single(stream: &[u8]) -> Vec<Vec<u8>> {
    stream.iter().map(|&byte| vec![byte]).collect()
}

struct Pieces(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Pieces {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            // An error here is the sender's end.
            self.1 = self.0.recv().unwrap_or_default();
        }
        let count = self.1.len().min(space.len());
        space[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}
