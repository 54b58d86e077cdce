//! A task that never has to wait gives way all the same, so that whatever else has something to do
//! comes to it: counted in bytes and in calls, not in time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use forebay::{ByteReadChannel, ByteWriteChannel, Connection, Result, SelectorManager, pipe};
use forebay_testing::{
    KIB, MIB, Transport, from_environment, on_every_transport_on_one_worker, on_transports, report,
    run_on_one_worker, until, wait_for,
};
use futures_lite::future::{block_on, poll_once, yield_now};

/// Bytes that one connection may send in a turn.
const SEND_BYTES_MAX: usize = 256 * KIB;
const LINE: &str = "19 bytes and an LF.\n";
const MESSAGE_BYTES: usize = 1000;
/// More than one connection sends in the time in which another thread calls `abort`.
const BYTES_BESIDE_AN_ABORT: u64 = 4 * SEND_BYTES_MAX as u64;

/// The number of bytes written in each way.
fn size() -> usize {
    from_environment::<usize>("FOREBAY_SHARE_MIB", 4) * MIB
}

/// A way of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Lines,
    Slices,
    MessagesWithFlush,
    OneValue,
    Copy,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Lines, Self::Slices, Self::MessagesWithFlush, Self::OneValue, Self::Copy];

    /// The number of bytes accepted in one step.
    const fn item(self) -> usize {
        match self {
            Self::Lines => LINE.len(),
            Self::Slices | Self::Copy => 64 * KIB,
            Self::MessagesWithFlush => MESSAGE_BYTES,
            // Accepted whole, at once; what is counted is what was sent of it.
            Self::OneValue => 0,
        }
    }

    async fn write(self, near: &mut Connection, size: usize, meter: &Meter) -> Result<()> {
        let output = &mut near.output;
        let item = vec![b'x'; self.item()];
        match self {
            Self::OneValue => {
                output.write_bytes(Bytes::from(vec![b'x'; size])).await?;
                let mut sent = 0;
                while output.queued() > 0 {
                    let now = size - output.queued();
                    meter.largest.fetch_max((now - sent) as u64, SeqCst);
                    sent = now;
                    yield_now().await;
                }
            }
            Self::Copy => {
                let mut input = ByteReadChannel::from(vec![b'x'; size]);
                let mut copying = pin!(input.copy_to(output));
                // Its polls are what there is to count.
                while poll_once(&mut copying).await.transpose()?.is_none() {
                    meter.polls.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            }
            Self::Lines => {
                for _ in 0..size / LINE.len() {
                    output.write_str(LINE).await?;
                    meter.add(LINE.len());
                }
            }
            Self::Slices | Self::MessagesWithFlush => {
                for _ in 0..size / item.len() {
                    output.write_all(&item).await?;
                    meter.add(item.len());
                    if self == Self::MessagesWithFlush {
                        output.flush().await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Counts the bytes written, and the writer's polls.
#[derive(Debug, Clone, Default)]
struct Meter {
    bytes: Arc<AtomicU64>,
    polls: Arc<AtomicU64>,
    /// The most that an outbox sent by itself between two polls of its writer.
    largest: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Meter {
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, SeqCst);
    }

    /// The most that was written between two polls of this, which always wants to be polled.
    async fn most(self) -> u64 {
        let (mut most, mut before) = (0, self.bytes.load(SeqCst));
        poll_fn(|cx| {
            let now = self.bytes.load(SeqCst);
            most = most.max(now - before);
            before = now;
            if self.done.load(SeqCst) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        most
    }
}

/// A peer on a thread of its own, which takes what comes as fast as it can.
struct Taking {
    /// Keeps the connection's other half.
    _far: SelectorManager,
    thread: thread::JoinHandle<()>,
}

async fn to_a_fast_reader(
    selector: &SelectorManager,
    transport: Transport,
) -> Result<(Connection, Taking)> {
    let other = SelectorManager::new();
    let (near, far) = transport.pair_between(selector, &other).await?;
    let thread = thread::spawn(move || {
        let mut far = far;
        // However the writer ends.
        block_on(far.input.discard(u64::MAX)).ok();
    });
    Ok((near, Taking { _far: other, thread }))
}

#[test]
fn a_writer_takes_its_share_of_a_turn_and_no_more() {
    on_every_transport_on_one_worker(async |selector, transport| {
        for way in Way::ALL {
            if way == Way::OneValue && transport == Transport::Memory {
                // The reader's own thread fetches it, which keeps no worker.
                continue;
            }
            let (mut near, taking) = to_a_fast_reader(&selector, transport).await?;
            let meter = Meter::default();
            let looking = selector.spawn_value(meter.clone().most());
            let writing = selector.spawn_value({
                let meter = meter.clone();
                async move {
                    way.write(&mut near, size(), &meter).await?;
                    meter.done.store(true, SeqCst);
                    Result::Ok(near)
                }
            });
            let mut near = writing.await??;
            // Before this thread, which is the worker's, waits for the peer's.
            near.output.finish().await?;
            let most = looking.await?.max(meter.largest.load(SeqCst));
            drop(near);
            taking.thread.join().unwrap();
            let polls = meter.polls.load(SeqCst);
            report(&format!(
                "gives_way: {way:?} over {transport}: at most {most} bytes between two polls of \
                 another task, {polls} polls counted"
            ));
            // Two shares: woken by the other thread, the writer's place in the turn changes, so that it may be polled
            // behind the task that looks in one turn, and ahead of it in the next.
            let allowed = 2 * (SEND_BYTES_MAX + way.item()) as u64;
            assert!(most <= allowed, "{way:?} over {transport}: {most} bytes in one go");
            if way == Way::Copy {
                let least = (size() / (SEND_BYTES_MAX + way.item())) as u64;
                assert!(polls >= least, "{way:?} over {transport}: {polls} polls");
            }
        }
        Ok(())
    });
}

/// A pipe has no turns, but its writer's task has.
#[test]
fn a_writer_into_a_pipe_takes_its_share_and_no_more() {
    run_on_one_worker(async |selector| {
        let (mut input, mut output) = pipe(64 * KIB);
        let taking = thread::spawn(move || block_on(input.discard(u64::MAX)).ok());
        let meter = Meter::default();
        let looking = selector.spawn_value(meter.clone().most());
        let writing = selector.spawn_value({
            let meter = meter.clone();
            async move {
                for _ in 0..size() / KIB {
                    output.write_all(&[b'x'; KIB]).await?;
                    meter.add(KIB);
                }
                meter.done.store(true, SeqCst);
                Result::Ok(())
            }
        });
        writing.await??;
        let most = looking.await?;
        taking.join().unwrap();
        // Two shares: woken by the other thread, the writer's place in the turn changes, so that it may be polled behind
        // the task that looks in one turn, and ahead of it in the next.
        assert!(most <= 2 * (SEND_BYTES_MAX + KIB) as u64, "{most} bytes in one go");
        Ok(())
    });
}

/// Neither has a reader whose bytes are all in memory ever to wait.
#[test]
fn a_reader_of_memory_takes_its_share_and_no_more() {
    run_on_one_worker(async |selector| {
        let meter = Meter::default();
        let looking = selector.spawn_value(meter.clone().most());
        let reading = selector.spawn_value({
            let meter = meter.clone();
            async move {
                let mut input = ByteReadChannel::from(LINE.repeat(size() / LINE.len()));
                while let Some(line) = input.read_line_ref().await? {
                    meter.add(line.len() + 1);
                }
                meter.done.store(true, SeqCst);
                Result::Ok(())
            }
        });
        reading.await??;
        let most = looking.await?;
        assert!(most <= (SEND_BYTES_MAX + 64 * KIB) as u64, "{most} bytes in one go");
        Ok(())
    });
}

/// Another thread's `abort` waits for the call that a writer's outbox is in, not for all that it has
/// to send. The best of a few tries counts: the machine may take the processor from the thread that aborts.
#[test]
fn an_abort_does_not_wait_for_a_writer_at_work() {
    on_transports(
        |transport| transport.sockets() > 0,
        async |selector, transport| {
            let mut least = u64::MAX;
            for _ in 0..5 {
                least = least.min(bytes_beside_an_abort(&selector, transport).await?);
                if least <= BYTES_BESIDE_AN_ABORT {
                    break;
                }
            }
            report(&format!("gives_way: {least} bytes beside an abort over {transport}"));
            assert!(least <= BYTES_BESIDE_AN_ABORT, "over {transport}: {least} bytes");
            Ok(())
        },
    );
}

/// Returns how many bytes a writer at work sends while another thread aborts its connection.
async fn bytes_beside_an_abort(selector: &SelectorManager, transport: Transport) -> Result<u64> {
    let (mut near, taking) = to_a_fast_reader(selector, transport).await?;
    let socket = near.socket.clone();
    let stats = selector.clone();
    let sent_before = stats.stats().sent_bytes;
    let aborting = thread::spawn(move || {
        wait_for(|| stats.stats().sent_bytes >= sent_before + MIB as u64);
        let before = stats.stats().sent_bytes;
        socket.abort();
        stats.stats().sent_bytes - before
    });
    let value = Bytes::from(vec![b'x'; 16 * size()]);
    let error = loop {
        near.output.write_bytes(value.clone()).await?;
        if let Err(error) = near.output.flush().await {
            break error;
        }
    };
    assert!(error.is_closed(), "over {transport}: {error}");
    let beside = aborting.join().unwrap();
    // This thread may be the one that wakes it.
    until(|| taking.thread.is_finished()).await;
    taking.thread.join().unwrap();
    Ok(beside)
}

/// The rest of a large value is sent even if its task has ended, and even if the whole worker has.
#[test]
fn what_gave_way_is_sent_all_the_same() {
    on_every_transport_on_one_worker(async |selector, transport| {
        let (mut near, far) = transport.pair(&selector).await?;
        near.output.write_bytes(Bytes::from(vec![b'x'; size()])).await?;
        drop(near);
        let mut far = far;
        assert_eq!(far.input.discard(u64::MAX).await?, size() as u64, "over {transport}");
        until(|| selector.stats().background_closes == 0).await;
        Ok(())
    });
}

#[test]
fn what_gave_way_is_sent_although_its_driver_left() {
    forebay_testing::watched(|| {
        let selector = SelectorManager::new();
        let (mut near, far) = selector
            .block_on(async {
                let (mut near, far) = Transport::Tcp.pair_between(&selector, &selector).await?;
                near.output.write_bytes(Bytes::from(vec![b'x'; size()])).await?;
                Result::Ok((near, far))
            })
            .unwrap();
        // This thread drives no more; nothing but the worker's own can go on.
        let mut input = far.input;
        let taken = block_on(input.read_exact(&mut vec![0; size()]));
        taken.unwrap();
        near.output.abort_with(forebay::Error::new(forebay::ErrorKind::Closed, "test"));
    });
}

// ---- answers that take no wait --------------------------------------------------------------------

/// More calls than a task makes before it gives way.
const CALLS_WITHOUT_END: u32 = 10_000;

/// Runs a loop over a call beside a task that ends it; it would go on without that if the call never
/// gave way.
macro_rules! assert_gives_way {
    ($selector:expr, $name:expr, $call:expr) => {{
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let looping = $selector.spawn_value(async move {
            let mut calls = 0;
            while !stop.load(SeqCst) && calls < CALLS_WITHOUT_END {
                $call;
                calls += 1;
            }
            calls
        });
        let stopping = $selector.spawn_value(async move {
            yield_now().await;
            stopping.store(true, SeqCst);
        });
        stopping.await?;
        let calls = looping.await?;
        assert!(calls < CALLS_WITHOUT_END, "{} keeps the worker to itself", $name);
    }};
}

/// Lines are lent until they are taken, and here none is.
#[test]
fn a_loop_that_takes_no_lent_line_gives_way() {
    run_on_one_worker(async |selector| {
        let mut input = ByteReadChannel::from(LINE.repeat(3));
        assert_gives_way!(selector, "read_lines_ref", drop(input.read_lines_ref().await));
        Ok(())
    });
}

const CHANNEL_CALLS: [&str; 22] = [
    "read_line",
    "read_line_ref",
    "read_line_into",
    "read_lines_ref",
    "skip_line",
    "read",
    "read a large slice",
    "read nothing",
    "read_chunk",
    "read_u16",
    "read_exact",
    "read_exact nothing",
    "read_packet",
    "read_packet of nothing",
    "read_packet beyond its limit",
    "read_remaining",
    "discard",
    "copy_to",
    "write_str",
    "write_bytes",
    "write_with",
    "flush",
];

async fn call(name: &str, input: &mut ByteReadChannel, output: &mut ByteWriteChannel) {
    match name {
        "read_line" => drop(input.read_line().await),
        "read_line_ref" => drop(input.read_line_ref().await.map(|line| line.is_some())),
        "read_line_into" => drop(input.read_line_into(&mut String::new()).await),
        "read_lines_ref" => drop(input.read_lines_ref().await.map(|lines| lines.is_some())),
        "skip_line" => drop(input.skip_line().await),
        "read" => drop(input.read(&mut [0]).await),
        "read a large slice" => drop(input.read(&mut vec![0; 64 * KIB]).await),
        "read nothing" => drop(input.read(&mut []).await),
        "read_chunk" => drop(input.read_chunk().await),
        "read_u16" => drop(input.read_u16().await),
        "read_exact" => drop(input.read_exact(&mut [0; 2]).await),
        "read_exact nothing" => drop(input.read_exact(&mut []).await),
        "read_packet" => drop(input.read_packet(2).await),
        "read_packet of nothing" => drop(input.read_packet(0).await),
        "read_packet beyond its limit" => drop(input.read_packet(2 * MIB).await),
        "read_remaining" => drop(input.read_remaining(KIB).await),
        "discard" => drop(input.discard(1).await),
        "copy_to" => drop(input.copy_to(output).await),
        "write_str" => drop(output.write_str("x").await),
        "write_bytes" => drop(output.write_bytes(Bytes::from_static(b"x")).await),
        "write_with" => drop(output.write_with(|out| out.put_str("x")).await),
        _ => drop(output.flush().await),
    }
}

/// The peer has ended, and so have we; or the connection is gone: every call answers, and none
/// waits.
#[test]
fn a_loop_over_an_end_lets_others_run() {
    on_every_transport_on_one_worker(async |selector, transport| {
        for (name, is_aborted) in CHANNEL_CALLS.iter().flat_map(|it| [(*it, false), (*it, true)]) {
            let (mut near, mut far) = transport.pair(&selector).await?;
            if is_aborted {
                near.socket.abort();
            } else {
                far.output.finish().await?;
                near.output.finish().await?;
                assert_eq!(near.input.discard(1).await?, 0);
            }
            let said = format!("{name} over {transport}, aborted: {is_aborted}");
            let Connection { mut input, mut output, .. } = near;
            assert_gives_way!(selector, said, call(name, &mut input, &mut output).await);
        }
        Ok(())
    });
}

#[test]
fn a_loop_over_an_end_in_memory_lets_others_run() {
    run_on_one_worker(async |selector| {
        for name in CHANNEL_CALLS {
            let mut input = ByteReadChannel::from("x");
            assert_eq!(input.read_u8().await?, b'x');
            let (_reader, mut output) = pipe(KIB);
            output.finish().await?;
            assert_gives_way!(selector, name, call(name, &mut input, &mut output).await);
        }
        let (_reader, mut output) = pipe(KIB);
        assert_gives_way!(selector, "an idle flush", output.flush().await.ok());
        let (_reader, mut output) = pipe(KIB);
        assert_gives_way!(selector, "a write of nothing", output.write_str("").await.ok());
        let (_reader, mut output) = pipe(KIB);
        assert_gives_way!(
            selector,
            "a value of nothing",
            output.write_bytes(Bytes::new()).await.ok()
        );
        Ok(())
    });
}

/// An answer that was given way to is given all the same, and the two before it at once.
#[test]
fn two_answers_in_a_row_come_at_once() {
    run_on_one_worker(async |_| {
        for _ in 0..10 {
            let mut input = ByteReadChannel::from("");
            for _ in 0..2 {
                assert_eq!(poll_once(input.read_line()).await.transpose()?, Some(None));
            }
            let mut third = pin!(input.read_line());
            assert!(poll_once(&mut third).await.is_none(), "a loop would spin");
            assert_eq!(third.await?, None);
        }
        Ok(())
    });
}

#[test]
fn a_loop_over_what_is_over_lets_others_run() {
    run_on_one_worker(async |selector| {
        let (near, _far) = Transport::Tcp.pair(&selector).await?;
        near.socket.abort();
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let address = server.local_address();
        server.close();
        let path = std::env::temp_dir().join("forebay-nobody-listens-here");
        let (socket, listener) = (near.socket.clone(), server.clone());
        assert_gives_way!(selector, "Socket::closed", {
            socket.closed().await;
        });
        let socket = near.socket.clone();
        assert_gives_way!(selector, "peer_finished", socket.peer_finished().await.ok());
        let socket = near.socket.clone();
        assert_gives_way!(selector, "Socket::close", socket.close().await.ok());
        assert_gives_way!(selector, "ServerSocket::closed", listener.closed().await);
        assert_gives_way!(selector, "accept", server.accept().await.ok());
        let timers = selector.clone();
        assert_gives_way!(selector, "sleep", timers.sleep(Duration::ZERO).await);
        let timers = selector.clone();
        let never = std::future::pending::<()>;
        assert_gives_way!(selector, "within", timers.within(Duration::ZERO, never()).await);
        let other = selector.clone();
        assert_gives_way!(selector, "tcp connect", other.tcp().connect(&address).await.ok());
        let other = selector.clone();
        assert_gives_way!(selector, "unix connect", other.unix().connect(&path).await.ok());
        let other = selector.clone();
        assert_gives_way!(selector, "tcp bind", other.tcp().bind("127.0.0.1:0").await.ok());
        let closed = SelectorManager::new();
        closed.close().await;
        assert_gives_way!(selector, "spawn", closed.spawn(async { Result::Ok(()) }).await.ok());
        Ok(())
    });
}
