//! A flood takes a bounded part of a turn, so that every other task proceeds: counted in receives,
//! bytes and accepts, not in time.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use forebay::{Connection, Result, SelectorManager, Socket, pipe};
use forebay_testing::{KIB, dial, listener, pair, report, run, run_on_one_worker, until};

/// Receives and bytes that one connection may take of a turn, and accepts that a listener may.
const FILLS_MAX: u64 = 16;
const FILL_BYTES_MAX: u64 = 256 * KIB as u64;
const ACCEPTS_MAX: u64 = 64;

/// Threads that send without end until this is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    senders: Vec<(TcpStream, thread::JoinHandle<()>)>,
}

impl Flood {
    /// Pieces of this size from each of these peers.
    fn from(peers: Vec<TcpStream>, piece: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let senders = peers.into_iter().map(|peer| {
            let mut sending = peer.try_clone().unwrap();
            let stop = Arc::clone(&stop);
            let piece = vec![b'f'; piece];
            let sender =
                thread::spawn(
                    move || {
                        while !stop.load(SeqCst) && sending.write_all(&piece).is_ok() {}
                    },
                );
            (peer, sender)
        });
        Self { senders: senders.collect(), stop }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        for (peer, sender) in self.senders.drain(..) {
            // Its reader may be gone already.
            peer.shutdown(std::net::Shutdown::Both).ok();
            sender.join().ok();
        }
    }
}

/// The most that was done between two looks.
#[derive(Debug, Default)]
struct Most {
    receives: u64,
    bytes: u64,
    accepts: u64,
}

/// Looks at the counters each time this task comes to its turn, so many times, and for longer
/// until it has seen enough. Call it in a task of its own, which stands in line with the others.
async fn look(selector: &SelectorManager, looks: usize, enough: impl Fn(&Most) -> bool) -> Most {
    let mut most = Most::default();
    let mut before = selector.stats();
    let mut count = 0;
    poll_fn(|cx| {
        let now = selector.stats();
        most.receives = most.receives.max(now.receives - before.receives);
        most.bytes = most.bytes.max(now.received_bytes - before.received_bytes);
        most.accepts = most.accepts.max(now.accepted - before.accepted);
        before = now;
        count += 1;
        if count >= looks && enough(&most) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    most
}

async fn discard(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    // The flood ends in whatever way.
    input.discard(u64::MAX).await.ok();
    Ok(())
}

async fn echo(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}

#[test]
fn a_flood_takes_its_share_of_a_turn_and_no_more() {
    run_on_one_worker(async |selector| {
        for (piece, readers) in [(64 * KIB, 1), (64 * KIB, 3), (100, 2)] {
            let mut peers = Vec::new();
            let mut reading = Vec::new();
            for _ in 0..readers {
                let (socket, peer) = pair(&selector).await?;
                reading.push(selector.spawn(discard(socket)));
                peers.push(peer);
            }
            let flood = Flood::from(peers, piece);
            let looking = selector.spawn_value({
                let selector = selector.clone();
                // Until a whole share was used up: else it would show nothing that it was no more.
                async move { look(&selector, 20_000, |most| most.bytes >= FILL_BYTES_MAX).await }
            });
            let most = looking.await?;
            drop(flood);
            for reading in reading {
                reading.await?;
            }
            report(&format!(
                "fairness: {readers} floods in pieces of {piece} B: at most {} receives and {} \
                 bytes between two looks",
                most.receives, most.bytes
            ));
            // Each reader comes to its turn once between two looks. The receive that uses the
            // share up may bring a whole block.
            assert!(most.receives <= readers * FILLS_MAX);
            assert!(most.bytes < readers * (FILL_BYTES_MAX + 64 * KIB as u64));
        }
        Ok(())
    });
}

#[test]
fn an_echo_and_a_timer_answer_beside_a_flood() {
    run(async |selector| {
        let mut peers = Vec::new();
        for _ in 0..4 {
            let (socket, peer) = pair(&selector).await?;
            selector.spawn(discard(socket)).detach();
            peers.push(peer);
        }
        let flood = Flood::from(peers, 64 * KIB);
        until(|| selector.stats().received_bytes > FILL_BYTES_MAX).await;

        let (socket, mut peer) = pair(&selector).await?;
        let echo = selector.spawn(echo(socket));
        let (mut done, mark) = pipe(1);
        let client = thread::spawn(move || {
            let _dropped_at_the_end = mark;
            for round in 0..100_u8 {
                peer.write_all(&[round]).unwrap();
                let mut answer = [0];
                peer.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round]);
            }
        });
        for _ in 0..20 {
            selector.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(done.read_chunk().await?, None);
        client.join().unwrap();
        echo.await?;
        drop(flood);
        Ok(())
    });
}

#[test]
fn a_flood_of_connections_takes_its_share_of_a_turn_and_no_more() {
    const CONNECTIONS: usize = 300;
    run_on_one_worker(async |selector| {
        let server = listener(&selector).await?;
        // They wait in the backlog until the first call of `accept`.
        let peers: Vec<_> = (0..CONNECTIONS).map(|_| dial(server.port())).collect();
        let looking = selector.spawn_value({
            let selector = selector.clone();
            async move { look(&selector, 1000, |most| most.accepts > 0).await }
        });
        let accepting = selector.spawn_value(async move {
            let mut sockets = Vec::new();
            while sockets.len() < CONNECTIONS {
                sockets.push(server.accept().await?);
            }
            Result::Ok(sockets)
        });
        let most = looking.await?;
        assert_eq!(accepting.await??.len(), CONNECTIONS);
        drop(peers);
        report(&format!("fairness: at most {} accepts between two looks", most.accepts));
        assert_eq!(most.accepts, ACCEPTS_MAX);
        Ok(())
    });
}

/// Clones of a listener share its share.
#[test]
fn many_accepting_tasks_take_no_more() {
    const CONNECTIONS: usize = 300;
    run_on_one_worker(async |selector| {
        let server = listener(&selector).await?;
        let peers: Vec<_> = (0..CONNECTIONS).map(|_| dial(server.port())).collect();
        let accepting: Vec<_> = (0..3)
            .map(|_| {
                let server = server.clone();
                selector.spawn_value(async move {
                    let mut sockets = Vec::new();
                    while let Ok(socket) = server.accept().await {
                        sockets.push(socket);
                    }
                    sockets.len()
                })
            })
            .collect();
        let looking = selector.spawn_value({
            let selector = selector.clone();
            async move { look(&selector, 1000, |most| most.accepts > 0).await }
        });
        let most = looking.await?;
        until(|| selector.stats().accepted == CONNECTIONS as u64).await;
        server.close();
        let mut accepted = 0;
        for accepting in accepting {
            accepted += accepting.await?;
        }
        assert_eq!(accepted, CONNECTIONS);
        drop(peers);
        assert!(most.accepts <= ACCEPTS_MAX, "{most:?}");
        Ok(())
    });
}

/// A task that asks again and again for a line that is too long gives way as well.
#[test]
fn a_loop_over_the_same_error_lets_others_run() {
    run_on_one_worker(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        peer.write_all(&vec![b'x'; 70 * KIB]).unwrap();
        let mut input = socket.open_read_channel()?;
        let stubborn = selector.spawn(async move {
            loop {
                assert!(input.read_line().await.unwrap_err().is_line_too_long());
            }
        });
        selector.sleep(Duration::from_millis(1)).await;
        stubborn.abort();
        assert!(stubborn.await.unwrap_err().is_cancelled());
        Ok(())
    });
}
