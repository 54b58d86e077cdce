//! A thousand connections are ended at once, each in the middle of sending 200 kB, with unread
//! input: everything arrives, and soon. Where a handler panics instead, the peer sees a
//! reset and never a clean end.
//!
//! The peers are a child process: descriptors are counted per process.

#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{
    Child, KIB, PATIENCE, alone, pattern, report, role, say, size, unacknowledged_from, until,
    watched_for,
    witness::{Witness, counted, on_a_thread},
};
use socket2::{Domain, Type};

const WRITTEN: usize = 200_000;
/// Sizes of the input that the peers send, one after the other, and that stays unread.
const UNREAD: [usize; 4] = [1, 10, 30_000, 60_000];
const DRAIN: Duration = Duration::from_secs(5);

/// The way in which the server ends its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    DropWriterThenSocket,
    DropSocketThenWriter,
    Panic,
}

// ---- the peers ----------------------------------------------------------------------------------

/// A peer's observations.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    lost: usize,
    wrong: usize,
    resets: usize,
    clean_ends: usize,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.resets += other.resets;
        self.clean_ends += other.clean_ends;
    }
}

/// The child: connects, waits for the word, and reads everything everywhere at once.
fn peers(role: &str) {
    let (port, count) = role.split_once(' ').unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let streams: Vec<_> =
        (0..count.parse().unwrap()).map(|at| dial_and_send(address, at)).collect();
    say("connected");
    io::stdin().read_line(&mut String::new()).unwrap();
    let data = Arc::new(pattern(WRITTEN));
    let reading = streams.into_iter().map(|stream| {
        let data = Arc::clone(&data);
        let thread = thread::Builder::new().stack_size(128 * KIB);
        thread.spawn(move || read(stream, &data)).unwrap()
    });
    let mut all = Seen::default();
    for thread in reading.collect::<Vec<_>>() {
        all.add(thread.join().unwrap());
    }
    for number in [all.lost, all.wrong, all.resets, all.clean_ends] {
        say(&number.to_string());
    }
}

/// Small segments and a small window, as on a wire: with loopback's own the kernel would take all of
/// it at once, and nothing would be in the middle.
fn dial_and_send(address: SocketAddr, at: usize) -> TcpStream {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(1400).unwrap();
    socket.set_recv_buffer_size(16 * KIB).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.write_all(&vec![b'i'; UNREAD[at % UNREAD.len()]]).unwrap();
    stream
}

fn read(mut stream: TcpStream, data: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let (mut count, mut piece) = (0, vec![0; 32 * KIB]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(more) => {
                let expected = data.get(count..count + more);
                seen.wrong |= usize::from(expected != Some(&piece[..more]));
                count += more;
                // It goes on to send, even without a reader. No read reports a reset that a write met.
                seen.resets |= usize::from(stream.write_all(b"i").is_err());
            }
            Err(_) => {
                seen.resets = 1;
                break;
            }
        }
    }
    seen.clean_ends = 1 - seen.resets;
    seen.lost = WRITTEN - count.min(WRITTEN);
    seen
}

// ---- the server ---------------------------------------------------------------------------------

fn in_transfer(test: &'static str, end: End) {
    if let Some(role) = role() {
        return peers(&role);
    }
    watched_for(3 * PATIENCE, move || {
        let mut witness = Witness::look();
        // A few connections as a warm-up.
        for count in [10, size("FOREBAY_CONNECTIONS", 200, 1000)] {
            witness = witness.again();
            let builder = SelectorManager::builder().drain(DRAIN, 64 * KIB as u64);
            let builder = builder.on_task_error(|error| assert!(error.is_panicked(), "{error}"));
            let run = || builder.run(async |selector| end_all(test, end, &selector, count).await);
            on_a_thread(run).unwrap();
        }
        witness.all_as_before();
    });
}

async fn end_all(
    test: &'static str,
    end: End,
    selector: &SelectorManager,
    count: usize,
) -> Result<()> {
    // Room for all of them, because a full queue costs those who come a second each.
    let server = selector.tcp().backlog(1024).bind("127.0.0.1:0").await?;
    let mut child = Child::start(test, &format!("{} {count}", server.port()));
    let data = Bytes::from(pattern(WRITTEN));
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut it = server.accept().await?.connection()?;
        it.output.write_bytes(data.clone()).await?;
        connections.push(it);
    }
    assert_eq!(child.hear().as_deref(), Some("connected"));
    let mut in_transfer = Vec::new();
    until(|| {
        in_transfer = unacknowledged_from(server.port());
        in_transfer.len() >= count
    })
    .await;
    let queued: usize = connections.iter().map(|it| it.output.queued()).sum();
    let under_way = (queued + in_transfer.iter().sum::<usize>()) / 1000;

    let since = Instant::now();
    child.tell("read");
    let ends: Vec<_> =
        connections.into_iter().map(|it| selector.spawn(counted(end.of(it)))).collect();
    for ended in ends {
        let ended = ended.await;
        assert_eq!(ended.is_err_and(|error| error.is_panicked()), end == End::Panic);
    }
    drop(server);
    until(|| selector.stats().sockets == 0).await;
    let took = since.elapsed();
    let [lost, wrong, resets, clean_ends] = [(); 4].map(|()| child.hear_number::<usize>());
    child.end();
    report(&format!(
        "closed_in_transfer: {end:?}: {count} connections with {under_way} kB under way: {lost} bytes lost, \
         {wrong} wrong, {clean_ends} clean ends, {resets} resets, all released after {took:.1?}"
    ));
    assert!(took < DRAIN + Duration::from_secs(1), "{took:?}");
    assert_eq!(wrong, 0);
    if end == End::Panic {
        assert_eq!((clean_ends, resets), (0, count));
    } else {
        assert_eq!((lost, resets, clean_ends), (0, 0, count));
        assert_eq!(selector.stats().unacknowledged, 0);
    }
    Ok(())
}

impl End {
    async fn of(self, it: Connection) -> Result<()> {
        let Connection { input, output, socket } = it;
        match self {
            Self::Close => socket.close().await?,
            Self::DropWriterThenSocket => {
                drop(output);
                drop(socket);
            }
            Self::DropSocketThenWriter => {
                drop((socket, input));
                drop(output);
            }
            // As a panic without a message.
            Self::Panic => resume_unwind(Box::new("expected by a test")),
        }
        Ok(())
    }
}

#[test]
fn closed() {
    alone("closed", || {
        in_transfer("closed", End::Close);
    });
}

#[test]
fn dropped_writer_first() {
    alone("dropped_writer_first", || {
        in_transfer("dropped_writer_first", End::DropWriterThenSocket);
    });
}

#[test]
fn dropped_socket_first() {
    alone("dropped_socket_first", || {
        in_transfer("dropped_socket_first", End::DropSocketThenWriter);
    });
}

#[test]
fn a_handler_that_panics_resets() {
    alone("a_handler_that_panics_resets", || {
        in_transfer("a_handler_that_panics_resets", End::Panic);
    });
}
