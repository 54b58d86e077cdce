//! A selector is closed with a thousand connections in transfer. It accepts no more connections,
//! ends in time, and what the handlers' writes accepted arrives, or the peer is told by a reset.
//!
//! The peers are a child process: descriptors are counted per process.

#![cfg(target_os = "linux")]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use forebay::{Connection, Result, SelectorBuilder, SelectorManager};
use forebay_testing::{
    Child, KIB, PATIENCE, alone, listener, pattern, report, role, say, size, unacknowledged_from,
    until, watched_for,
    witness::{Witness, counted, on_a_thread},
};
use socket2::{Domain, Type};

/// The size of the answer to a request.
const ANSWER: usize = 100_000;
/// Requests that a peer has open at a time.
const REQUESTS: usize = 5;

/// The handlers' behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handler {
    /// Answers requests, and ends when reading says that the selector is closed.
    Answers,
    /// Writes on and on, and does not end when it is told to; it has to be cancelled.
    Floods,
}

impl Handler {
    fn drain_timeout(self) -> Duration {
        match self {
            Self::Answers => Duration::from_secs(10),
            Self::Floods => Duration::from_millis(500),
        }
    }
}

// ---- the peers ----------------------------------------------------------------------------------

/// The child: as many peers as it is told. They ask, wait for the word, and read, each on a thread of
/// its own. Says of each how many bytes it got, and how they ended.
fn peers(role: &str) {
    let (port, count) = role.split_once(' ').unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let streams: Vec<_> = (0..count.parse().unwrap()).map(|id| dial_and_ask(address, id)).collect();
    io::stdin().read_line(&mut String::new()).unwrap();
    // Twice, so that every piece lies in it as a whole.
    let data = Arc::<[u8]>::from(pattern(ANSWER).repeat(2));
    let threads = streams.into_iter().enumerate().map(|(id, stream)| {
        let (data, thread) = (Arc::clone(&data), thread::Builder::new());
        thread.stack_size(128 * KIB).spawn(move || read(stream, id, &data)).unwrap()
    });
    for thread in threads.collect::<Vec<_>>() {
        say(&thread.join().unwrap());
    }
}

fn dial_and_ask(address: SocketAddr, id: usize) -> TcpStream {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // As over a wire; with loopback's own segments the kernel holds megabytes.
    socket.set_tcp_mss(1400).unwrap();
    socket.set_recv_buffer_size(16 * KIB).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.write_all(format!("{id}\n{}", "more\n".repeat(REQUESTS)).as_bytes()).unwrap();
    stream
}

fn read(mut stream: TcpStream, id: usize, data: &[u8]) -> String {
    let (mut count, mut piece, mut end) = (0, vec![0; 8 * KIB], "clean");
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(more) => {
                let right = data[count % ANSWER..][..more] == piece[..more];
                assert!(right, "peer {id}: other bytes after {count}");
                // One more request for each answer. If that meets a reset, reading does no more.
                let is_whole = count / ANSWER < (count + more) / ANSWER;
                if is_whole && stream.write_all(b"more\n").is_err() {
                    end = "reset";
                }
                count += more;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "peer {id}: {error}");
                end = "reset";
                break;
            }
        }
    }
    format!("{id} {count} {end}")
}

// ---- the server ---------------------------------------------------------------------------------

/// Bytes that the writes to each peer accepted.
type Accepted = Arc<[AtomicU64]>;

async fn handle(it: Connection, handler: Handler, answer: Bytes, accepted: Accepted) -> Result<()> {
    let Connection { mut input, mut output, socket: _socket } = it;
    let Some(id) = input.read_line().await? else { return Ok(()) };
    let accepted = &accepted[id.parse::<usize>().unwrap()];
    while handler == Handler::Floods || input.read_line().await?.is_some() {
        if let Err(error) = output.write_bytes(answer.clone()).await {
            if handler == Handler::Floods {
                // It does not take a hint.
                std::future::pending::<()>().await;
            }
            return Err(error);
        }
        accepted.fetch_add(answer.len() as u64, SeqCst);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Outcome {
    accepted: u64,
    clean: usize,
    resets: usize,
    lost: u64,
    took: Duration,
    unacknowledged: u64,
}

fn close_under_load(
    test: &'static str,
    handler: Handler,
    count: usize,
    builder: SelectorBuilder,
) -> Outcome {
    let builder = builder.drain(handler.drain_timeout(), 64 * KIB as u64);
    let selector = builder.on_task_error(|_| ()).build().unwrap();
    let accepted: Accepted = (0..count).map(|_| AtomicU64::new(0)).collect();
    let (mut peers, port, took) = selector.block_on(async {
        let server = listener(&selector).await.unwrap();
        let port = server.port();
        let mut peers = Child::start(test, &format!("{port} {count}"));
        let answer = Bytes::from(pattern(ANSWER));
        let accepting = selector.spawn(counted({
            let (selector, accepted) = (selector.clone(), Arc::clone(&accepted));
            async move {
                loop {
                    let it = server.accept().await?.connection()?;
                    let handling = handle(it, handler, answer.clone(), Arc::clone(&accepted));
                    selector.spawn(counted(handling)).detach();
                }
            }
        }));
        // More than one answer to each: the kernel has what it takes, and the rest waits.
        until(|| accepted.iter().all(|accepted| accepted.load(SeqCst) > ANSWER as u64)).await;
        assert!(unacknowledged_from(port).len() >= count, "a peer has everything");
        peers.tell("read");
        let since = Instant::now();
        selector.close().await;
        let took = since.elapsed();
        let refused = accepting.await.unwrap_err();
        // The queue of a flooded worker may be longer than the time there is.
        let is_told = refused.is_closed() || handler == Handler::Floods && refused.is_cancelled();
        assert!(is_told, "{refused}");
        (peers, port, took)
    });
    let stats = selector.stats();
    assert_eq!((stats.tasks, stats.sockets, stats.background_closes), (0, 0, 0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the port is still listened to");

    let unacknowledged = stats.unacknowledged;
    let mut outcome = Outcome { took, unacknowledged, ..Outcome::default() };
    for _ in 0..count {
        outcome.note(&peers.hear().unwrap(), &accepted);
    }
    peers.end();
    outcome
}

impl Outcome {
    /// Counts bytes as lost only if they are lost behind a clean end.
    fn note(&mut self, said: &str, accepted: &[AtomicU64]) {
        let words: Vec<_> = said.splitn(3, ' ').collect();
        let accepted = accepted[words[0].parse::<usize>().unwrap()].load(SeqCst);
        let received: u64 = words[1].parse().unwrap();
        self.accepted += accepted;
        if words[2] == "reset" {
            self.resets += 1;
        } else {
            self.clean += 1;
            self.lost += accepted.saturating_sub(received);
        }
    }
}

/// Runs the test on the number of workers that the environment says, and on two and four.
fn p5(test: &'static str, handler: Handler) -> Vec<Outcome> {
    if let Some(role) = role() {
        peers(&role);
        return Vec::new();
    }
    let count = size("FOREBAY_CONNECTIONS", 250, 1000);
    let on = |workers, count| {
        p5_on(test, handler, count, move || SelectorManager::builder().workers(workers))
    };
    vec![p5_on(test, handler, count, SelectorManager::builder), on(2, count / 2), on(4, count / 2)]
}

fn p5_on(
    test: &'static str,
    handler: Handler,
    count: usize,
    builder: impl Fn() -> SelectorBuilder + Send + Sync + 'static,
) -> Outcome {
    let outcome = watched_for(2 * PATIENCE, move || {
        let witness = Witness::look();
        on_a_thread(|| close_under_load(test, handler, 10, builder()));
        let witness = witness.again();
        let outcome = on_a_thread(|| close_under_load(test, handler, count, builder()));
        witness.all_as_before();
        report(&format!(
            "shutdown_under_load: {handler:?}, {count} connections in transfer, closed in {:.1?}: {} MB \
             accepted, {} B lost in silence, {} clean ends, {} resets ({} counted)",
            outcome.took,
            outcome.accepted / 1_000_000,
            outcome.lost,
            outcome.clean,
            outcome.resets,
            outcome.unacknowledged,
        ));
        outcome
    });
    assert_eq!(outcome.lost, 0);
    outcome
}

#[test]
fn handlers_that_end_when_told_lose_nothing() {
    alone("handlers_that_end_when_told_lose_nothing", || {
        let test = "handlers_that_end_when_told_lose_nothing";
        for outcome in p5(test, Handler::Answers) {
            assert_eq!((outcome.resets, outcome.unacknowledged), (0, 0));
            let limit = Handler::Answers.drain_timeout();
            assert!(outcome.took < limit, "it waited for something else");
        }
    });
}

/// Those that do not end are cancelled at the drain timeout; then what they wrote has one more.
#[test]
fn handlers_that_never_end_lose_nothing_in_silence() {
    alone("handlers_that_never_end_lose_nothing_in_silence", || {
        let test = "handlers_that_never_end_lose_nothing_in_silence";
        for outcome in p5(test, Handler::Floods) {
            let limit = Handler::Floods.drain_timeout();
            assert!(outcome.took > limit, "no handler had to be cancelled");
            let counted = outcome.unacknowledged;
            assert!(counted >= outcome.resets as u64, "resets that were not counted");
        }
    });
}
