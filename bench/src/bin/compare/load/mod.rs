//! The load: what is asked of a server, and how it is counted.

mod exchange;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use self::exchange::Exchange;
use crate::server::{Round, Server};

/// The length of a message, and of a datagram.
const MESSAGE: usize = 64;
/// A line with its break.
const LINE: &[u8; 32] = b"0123456789abcdefghijklmnopqrstu\n";
/// The answer to it: `Hello, .. !` and the break.
const GREETING: usize = LINE.len() + 8;
const BLOCK: usize = 256 * 1024;
/// The largest datagram that is received.
const SPACE: usize = 64 * 1024;

/// A workload.
pub(crate) struct Load {
    /// The words by which a table names it.
    pub(crate) name: String,
    /// The unit that is counted.
    pub(crate) unit: &'static str,
    pub(crate) connections: usize,
    kind: LoadKind,
}

#[derive(Clone, Copy)]
enum LoadKind {
    /// Messages are sent back, one at a time on each connection.
    Echo,
    /// Lines are greeted, so many at a time on each connection.
    Lines(usize),
    /// A connection is made, a message sent back, and the connection closed; one after the other.
    Connect,
    /// Bytes are counted, on one connection.
    Bulk,
    /// Datagrams are sent back, so many of one socket in flight.
    Datagrams(usize),
}

impl Load {
    /// The loads of a workload with so many connections.
    pub(crate) fn of(workload: &str, connections: usize) -> io::Result<Vec<Self>> {
        let (plural, also) =
            (if connections == 1 { "" } else { "s" }, format!("{connections} connection"));
        let load = |name, unit, kind| Self { name, unit, connections, kind };
        Ok(match workload {
            "echo" => vec![load(
                format!("echo of {MESSAGE} bytes, {also}{plural}"),
                "requests",
                LoadKind::Echo,
            )],
            "lines" => [16, 128]
                .map(|depth| {
                    let name = format!(
                        "lines of {} bytes, {also}{plural}, {depth} in flight on each",
                        LINE.len()
                    );
                    load(name, "lines", LoadKind::Lines(depth))
                })
                .into(),
            "connect" => {
                vec![load("connect, echo, close".to_owned(), "connections", LoadKind::Connect)]
            }
            "bulk" => vec![load("bulk, one connection".to_owned(), "KiB", LoadKind::Bulk)],
            "datagrams" => {
                let name = format!("datagrams of {MESSAGE} bytes, {connections} in flight");
                vec![load(name, "datagrams", LoadKind::Datagrams(connections))]
            }
            _ => return Err(io::Error::other(format!("unknown workload {workload}"))),
        })
    }

    /// The mode in which a server does this.
    pub(crate) fn mode(&self) -> &'static str {
        match self.kind {
            LoadKind::Echo | LoadKind::Connect => "echo",
            LoadKind::Lines(_) => "line",
            LoadKind::Bulk => "discard",
            LoadKind::Datagrams(_) => "udp",
        }
    }

    /// Runs it for about the time of a slice.
    pub(crate) fn run(&self, server: &Server, slice: Duration) -> io::Result<Round> {
        match self.kind {
            LoadKind::Echo => Exchange::open(self.connections, server, &[b'x'; MESSAGE], MESSAGE)?
                .run(server, slice, 1),
            LoadKind::Lines(depth) => {
                let (lines, greetings) = (LINE.repeat(depth), depth * GREETING);
                Exchange::open(self.connections, server, &lines, greetings)?.run(
                    server,
                    slice,
                    depth as u64,
                )
            }
            LoadKind::Connect => {
                timed(server, slice, |until| connect_in_turn(server.port(), until))
            }
            LoadKind::Bulk => timed(server, slice, |until| pour(server.port(), until)),
            LoadKind::Datagrams(depth) => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.connect((Ipv4Addr::LOCALHOST, server.port()))?;
                socket.set_read_timeout(Some(Duration::from_millis(200)))?;
                send_datagrams(&socket, depth)?;
                datagrams_in_turn(&socket, depth, Instant::now() + slice / 8)?;
                timed(server, slice, |until| datagrams_in_turn(&socket, depth, until))
            }
        }
    }
}

/// Times a load that goes on until a given time, and returns how many units it had.
fn timed(
    server: &Server,
    slice: Duration,
    load: impl FnOnce(Instant) -> io::Result<u64>,
) -> io::Result<Round> {
    let (used, began) = (server.processor_time()?, Instant::now());
    let units = load(began + slice)? as f64;
    let (took, used) = (began.elapsed(), server.processor_time()?.saturating_sub(used));
    let (rate, cost) = (units / took.as_secs_f64(), used.as_nanos() as f64 / units);
    Ok(Round { rate, cost, latency: None })
}

/// Opens a connection. Each comes from an address of its own, so that closed ones, which keep their port for a
/// minute, use none up.
fn open(index: usize, port: u16) -> io::Result<TcpStream> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let index = index as u32 % 60_000;
    let from = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + index);
    bind(&socket, &SocketAddr::from((from, 0)))?;
    connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn connect_in_turn(port: u16, until: Instant) -> io::Result<u64> {
    let mut count = 0;
    let mut message = [b'x'; MESSAGE];
    while Instant::now() < until {
        let mut stream = open(count as usize, port)?;
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        drop(stream);
        count += 1;
    }
    Ok(count)
}

/// Sends bytes until the time is over; the server answers their number. Returns it in KiB.
fn pour(port: u16, until: Instant) -> io::Result<u64> {
    let mut stream = open(0, port)?;
    let block = vec![b'x'; BLOCK];
    let mut sent = 0;
    while Instant::now() < until {
        stream.write_all(&block)?;
        sent += BLOCK as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count)?;
    if u64::from_le_bytes(count) != sent {
        return Err(io::Error::other("the server has counted another number of bytes"));
    }
    Ok(sent / 1024)
}

fn send_datagrams(socket: &UdpSocket, count: usize) -> io::Result<()> {
    for _ in 0..count {
        socket.send(&[b'x'; MESSAGE])?;
    }
    Ok(())
}

/// Sends a datagram for each that comes back. If none comes, all were lost, and `depth` new ones are sent.
fn datagrams_in_turn(socket: &UdpSocket, depth: usize, until: Instant) -> io::Result<u64> {
    let mut count = 0;
    let mut space = [0; SPACE];
    while Instant::now() < until {
        match socket.recv(&mut space) {
            Ok(_) => {
                count += 1;
                send_datagrams(socket, 1)?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                send_datagrams(socket, depth)?
            }
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
