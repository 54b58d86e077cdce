//! Compares what it costs to send one message to many connections.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml --bin fanout -- [--readers N] [--size BYTES] [--depth N] [--rounds N]
//! ```
//!
//! Each server is a process of its own on the second processor, with one thread. One connection sends it messages, and it sends
//! each of them to all readers. The load is this process, on the first processor: it sends `depth` messages in one piece,
//! and the next ones when all readers have these. It discards them in the kernel, without looking at them. The servers take
//! turns, and begin with another one in each round. Rate and processor time are the median of the rounds, and so are
//! the ratios, to the first server in the same round. The first one stands twice: its second ratio is the noise.
//!
//! Without `--size` and `--depth` every pair of the usual ones is measured. `--only SERVER` measures that one alone.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use forebay::{Error, SelectorManager};
use forebay_bench::process::{allow_descriptors, median, pin, processor_time};
use mio::{Events, Interest, Poll, Token};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::broadcast;

/// The one that the others are compared with stands first.
const SERVERS: [&str; 7] = [
    "tokio",
    "tokio",
    "tokio, gathering",
    "hand-written",
    "forebay",
    "forebay, a task for each",
    "forebay inside tokio",
];
const SIZES: [usize; 3] = [64, 1024, 16 * 1024];
const DEPTHS: [usize; 3] = [1, 4, 16];
/// A reader that has as much to receive as this counts as slow in this library, whose servers would leave messages out.
const UNREAD_MAX: usize = 64 * 1024;
/// The time for which a server is driven, before the next one is.
const SLICE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
const EVENTS_COUNT: usize = 1024;
const SPACE: usize = 1024 * 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).cloned()
    };
    let number = |name, default: usize| {
        value(name).map_or(Ok(default), |text| text.parse().map_err(io::Error::other))
    };
    let (readers, size, depth) =
        (number("--readers", 1000)?, number("--size", 0)?, number("--depth", 0)?);
    allow_descriptors()?;
    if let Some(kind) = value("--serve") {
        pin(1);
        return serve(&kind, Room { readers, size });
    }
    pin(0);
    let rounds = number("--rounds", 10)?;
    let kinds: Vec<_> = match value("--only") {
        Some(only) => SERVERS.into_iter().filter(|kind| *kind == only).collect(),
        None => SERVERS.into(),
    };
    let chosen = |given, usual: &[usize]| if given == 0 { usual.to_vec() } else { vec![given] };
    for size in chosen(size, &SIZES) {
        let room = Room { readers, size };
        let mut servers =
            kinds.iter().map(|kind| Server::start(kind, room)).collect::<io::Result<Vec<_>>>()?;
        let mut depths = chosen(depth, &DEPTHS);
        depths.iter_mut().for_each(|depth| *depth = (*depth).min(UNREAD_MAX / size));
        depths.dedup();
        for depth in depths {
            for round in 0..rounds {
                for at in 0..servers.len() {
                    let at = (at + round) % servers.len();
                    servers[at].measure(depth)?;
                }
            }
            report(room, depth, &mut servers);
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Room {
    readers: usize,
    /// Bytes of a message.
    size: usize,
}

struct Server {
    kind: &'static str,
    process: Child,
    room: Room,
    sender: TcpStream,
    readers: Vec<mio::net::TcpStream>,
    poll: Poll,
    space: Vec<u8>,
    /// Of each round: deliveries per second, and nanoseconds of the server's processor per delivery.
    rounds: Vec<(f64, f64)>,
}

impl Server {
    fn start(kind: &&'static str, room: Room) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", kind])
            .args(["--readers", &room.readers.to_string(), "--size", &room.size.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        BufReader::new(output).read_line(&mut line)?;
        let port: u16 = line.trim().parse().map_err(io::Error::other)?;
        let poll = Poll::new()?;
        let mut readers = Vec::new();
        // The server accepts the readers in this order, and the sender last.
        for at in 0..room.readers {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
            readers.push(stream);
        }
        let sender = TcpStream::connect(("127.0.0.1", port))?;
        sender.set_nodelay(true)?;
        Ok(Self {
            kind,
            process,
            room,
            sender,
            readers,
            poll,
            space: vec![0; SPACE],
            rounds: Vec::new(),
        })
    }

    fn measure(&mut self, depth: usize) -> io::Result<()> {
        let messages = vec![b'x'; depth * self.room.size];
        let expected = messages.len() * self.room.readers;
        let (mut count, before, began) = (0, processor_time(&self.process)?, Instant::now());
        while began.elapsed() < SLICE {
            self.sender.write_all(&messages)?;
            self.receive(expected)?;
            count += depth * self.room.readers;
        }
        let (took, used) = (began.elapsed(), processor_time(&self.process)? - before);
        let count = count as f64;
        self.rounds.push((count / took.as_secs_f64(), used.as_nanos() as f64 / count));
        Ok(())
    }

    /// Receives so many bytes over all connections, and discards them in the kernel (`tcp(7)`, `MSG_TRUNC`).
    fn receive(&mut self, expected: usize) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_COUNT);
        let mut received = 0;
        while received < expected {
            self.poll.poll(&mut events, Some(PATIENCE))?;
            if events.is_empty() {
                return Err(io::Error::other(format!("{}: a message is missing", self.kind)));
            }
            for event in &events {
                // One call takes what there is. Of what comes later there is another event.
                match recv(&self.readers[event.token().0], &mut *self.space, RecvFlags::TRUNC) {
                    Ok((_, 0)) => {
                        return Err(io::Error::other(format!(
                            "{}: a reader was closed",
                            self.kind
                        )));
                    }
                    Ok((_, count)) => received += count,
                    Err(rustix::io::Errno::AGAIN) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// The most memory that the server has had (`VmHWM`), in KiB.
    fn memory_peak(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Prints what the rounds have measured, and forgets it.
fn report(room: Room, depth: usize, servers: &mut [Server]) {
    println!("\n{} readers, {depth} messages of {} bytes at a time\n", room.readers, room.size);
    println!(
        "| server | deliveries per second | ratio | CPU, ns per delivery | ratio | memory at most, KiB |"
    );
    println!("|---|---|---|---|---|---|");
    let Some(first) = servers.first().map(|first| first.rounds.clone()) else { return };
    for server in servers {
        let rounds = std::mem::take(&mut server.rounds);
        let beside = || rounds.iter().zip(&first);
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {} |",
            server.kind,
            median(rounds.iter().map(|(rate, _)| *rate)),
            median(beside().map(|(ours, theirs)| ours.0 / theirs.0)),
            median(rounds.iter().map(|(_, cost)| *cost)),
            median(beside().map(|(ours, theirs)| ours.1 / theirs.1)),
            server.memory_peak(),
        );
    }
}

/// A server, in a process of its own.
fn serve(kind: &str, room: Room) -> io::Result<()> {
    if kind == "hand-written" {
        return serve_by_hand(room);
    }
    if let "forebay" | "forebay, a task for each" = kind {
        let selector = SelectorManager::builder().workers(1);
        let serving = async move |selector: SelectorManager| match kind {
            "forebay" => serve_by_forebay(&selector, room).await,
            _ => serve_by_tasks(&selector, room).await,
        };
        return Ok(selector.run(serving)?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = async move {
        match kind {
            "forebay inside tokio" => {
                let selector = SelectorManager::new();
                Ok(serve_by_forebay(&selector, room).await?)
            }
            _ => serve_by_tokio(room, kind == "tokio, gathering").await,
        }
    };
    runtime.block_on(serving)
}

async fn serve_by_forebay(selector: &SelectorManager, room: Room) -> forebay::Result<()> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    println!("{}", server.port());
    let mut readers = Vec::new();
    for _ in 0..room.readers {
        readers.push(server.accept().await?.open_write_channel()?);
    }
    let mut input = server.accept().await?.open_read_channel()?;
    loop {
        let message = input.read_packet(room.size).await?.into_bytes();
        for reader in &mut readers {
            if !reader.try_write_bytes(message.clone())? {
                return Err(Error::other("a reader is too slow"));
            }
        }
    }
}

/// As a server of tokio is usually written: a task for each reader, and a broadcast channel.
async fn serve_by_tasks(selector: &SelectorManager, room: Room) -> forebay::Result<()> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    println!("{}", server.port());
    let (messages, _) = broadcast::channel::<Bytes>(1024);
    for _ in 0..room.readers {
        let mut output = server.accept().await?.open_write_channel()?;
        let mut messages = messages.subscribe();
        selector.spawn(async move {
            loop {
                output.write_bytes(messages.recv().await.map_err(Error::other)?).await?;
            }
        });
    }
    let mut input = server.accept().await?.open_read_channel()?;
    loop {
        let message = input.read_packet(room.size).await?.into_bytes();
        messages.send(message).map_err(Error::other)?;
    }
}

async fn serve_by_tokio(room: Room, gathers: bool) -> io::Result<()> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", server.local_addr()?.port());
    let (messages, _) = broadcast::channel(1024);
    for _ in 0..room.readers {
        let (stream, _) = server.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(deliver(stream, messages.subscribe(), gathers));
    }
    let (mut sender, _) = server.accept().await?;
    let mut arrived = BytesMut::with_capacity(SPACE);
    loop {
        while arrived.len() >= room.size {
            messages.send(arrived.split_to(room.size).freeze()).map_err(io::Error::other)?;
        }
        arrived.reserve(UNREAD_MAX);
        if sender.read_buf(&mut arrived).await? == 0 {
            return Ok(());
        }
    }
}

async fn deliver(
    mut stream: tokio::net::TcpStream,
    mut messages: broadcast::Receiver<Bytes>,
    gathers: bool,
) -> io::Result<()> {
    let mut gathered = Vec::new();
    loop {
        let message = messages.recv().await.map_err(io::Error::other)?;
        if gathers {
            gathered.clear();
            gathered.extend_from_slice(&message);
            while let Ok(more) = messages.try_recv() {
                gathered.extend_from_slice(&more);
            }
            stream.write_all(&gathered).await?;
        } else {
            stream.write_all(&message).await?;
        }
    }
}

/// The floor: one thread that does nothing but this. All messages that one call has received are sent by one call to each reader.
fn serve_by_hand(room: Room) -> io::Result<()> {
    let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("{}", server.local_addr()?.port());
    let mut poll = Poll::new()?;
    let mut readers = Vec::new();
    for at in 0..room.readers {
        let (stream, _) = server.accept()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(at), Interest::WRITABLE)?;
        readers.push((stream, VecDeque::<Bytes>::new()));
    }
    let (sender, _) = server.accept()?;
    sender.set_nonblocking(true)?;
    let mut sender = mio::net::TcpStream::from_std(sender);
    poll.registry().register(&mut sender, Token(room.readers), Interest::READABLE)?;
    let (mut events, mut space) = (Events::with_capacity(EVENTS_COUNT), vec![0; SPACE]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if let Some((stream, waiting)) = readers.get_mut(event.token().0) {
                send(stream, waiting)?;
                continue;
            }
            let count = match sender.read(&mut space) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let messages = Bytes::copy_from_slice(&space[..count]);
            for (stream, waiting) in &mut readers {
                waiting.push_back(messages.clone());
                send(stream, waiting)?;
            }
        }
    }
}

/// Sends what waits, as far as the kernel takes it.
fn send(stream: &mut mio::net::TcpStream, waiting: &mut VecDeque<Bytes>) -> io::Result<()> {
    while let Some(first) = waiting.front_mut() {
        match stream.write(first) {
            Ok(count) if count == first.len() => drop(waiting.pop_front()),
            Ok(count) => first.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
