//! Foreign code runs inside a pipe: a waker that reads, writes or drops an end right where it is
//! woken or dropped, and a value whose owner does so when it goes. Nothing of it meets a lock.
//!
//! That a waker is never *cloned* under a lock is not shown here: safe Rust cannot see a clone of
//! a `Waker`. It is `cx.waker().clone()` before each `look`.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, Result, pipe};
use forebay_testing::{KIB, at_once, channels::ledgered, lock, poll_once, watched};

/// One end of a pipe that a test and foreign code share; the code may also take it away.
type Shared<T> = Arc<Mutex<Option<T>>>;

fn shared<T>(end: T) -> Shared<T> {
    Arc::new(Mutex::new(Some(end)))
}

/// Runs an action when it is woken, and again when it is dropped.
struct Acts<F: Fn() + Send + Sync + 'static> {
    action: F,
    runs: Arc<AtomicUsize>,
    bytes: Vec<u8>,
}

impl<F: Fn() + Send + Sync + 'static> Acts<F> {
    fn run(&self) {
        (self.action)();
        self.runs.fetch_add(1, SeqCst);
    }
}

impl<F: Fn() + Send + Sync + 'static> Wake for Acts<F> {
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

impl<F: Fn() + Send + Sync + 'static> Drop for Acts<F> {
    fn drop(&mut self) {
        self.run();
    }
}

impl<F: Fn() + Send + Sync + 'static> AsRef<[u8]> for Acts<F> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn acting(action: impl Fn() + Send + Sync + 'static) -> (Waker, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let waker = Waker::from(Arc::new(Acts { action, runs: Arc::clone(&runs), bytes: Vec::new() }));
    (waker, runs)
}

fn poll_read(input: &Shared<ByteReadChannel>, waker: &Waker) -> Poll<Result<u8>> {
    let mut input = lock(input);
    let read = pin!(input.as_mut().expect("not taken").read_u8());
    read.poll(&mut Context::from_waker(waker))
}

/// Makes every call that a task could make on a reading end.
fn use_input(input: &Shared<ByteReadChannel>) {
    if let Some(input) = &mut *lock(input) {
        let _pending_or_not = poll_once(pin!(input.read_u8()));
        input.buffered();
    }
}

/// Makes every call that a task could make on a writing end, unless it is doing so already.
fn use_output(output: &Shared<ByteWriteChannel>) {
    if let Ok(mut output) = output.try_lock()
        && let Some(output) = &mut *output
    {
        output.queued();
        let _pending_or_not = poll_once(pin!(output.write_u8(1)));
        let _pending_or_not = poll_once(pin!(output.flush()));
    }
}

#[test]
fn a_readers_waker_may_read_where_it_is_woken() {
    watched(|| {
        let (input, mut output) = pipe(KIB);
        let input = shared(input);
        let theirs = Arc::clone(&input);
        let (waker, runs) = acting(move || use_input(&theirs));
        assert!(poll_read(&input, &waker).is_pending());
        drop(waker);
        at_once(output.write_str("woken")).expect("room");
        assert_eq!(runs.load(SeqCst), 2, "woken, then dropped");
        assert!(
            matches!(poll_read(&input, Waker::noop()), Poll::Ready(Ok(b'k'))),
            "w and o were read"
        );
    });
}

#[test]
fn a_readers_waker_may_drop_the_reader_where_it_is_woken() {
    watched(|| {
        ledgered(|_| {
            let (input, mut output) = pipe(1);
            let input = shared(input);
            let theirs = Arc::clone(&input);
            let (waker, runs) = acting(move || drop(lock(&theirs).take()));
            assert!(poll_read(&input, &waker).is_pending());
            drop(waker);
            at_once(output.write_str("woken")).expect("it is accepted");
            assert_eq!(runs.load(SeqCst), 2);
            assert!(at_once(output.flush()).expect_err("the reader is gone").is_reset());
        });
    });
}

#[test]
fn a_readers_waker_that_is_replaced_is_dropped_without_the_lock() {
    watched(|| {
        let (input, output) = pipe(KIB);
        let (input, output) = (shared(input), shared(output));
        let theirs = Arc::clone(&output);
        let (waker, runs) = acting(move || use_output(&theirs));
        assert!(poll_read(&input, &waker).is_pending());
        drop(waker);
        // Its drop writes, and so answers the very poll that replaced it.
        let _pending_or_not = poll_read(&input, Waker::noop());
        assert_eq!(runs.load(SeqCst), 1);
        assert!(matches!(poll_read(&input, Waker::noop()), Poll::Ready(Ok(1))));
    });
}

#[test]
fn a_readers_waker_is_dropped_with_the_reader_without_the_lock() {
    watched(|| {
        let (input, output) = pipe(KIB);
        let (input, output) = (shared(input), shared(output));
        let theirs = Arc::clone(&output);
        let (waker, runs) = acting(move || use_output(&theirs));
        assert!(poll_read(&input, &waker).is_pending());
        drop(waker);
        drop(lock(&input).take());
        assert_eq!(runs.load(SeqCst), 1);
    });
}

#[test]
fn a_writers_waker_may_use_either_end_where_it_is_woken() {
    watched(|| {
        let (input, output) = pipe(1);
        let (input, output) = (shared(input), shared(output));
        at_once(lock(&output).as_mut().expect("here").write_str("full")).expect("it is accepted");
        let theirs = (Arc::clone(&input), Arc::clone(&output));
        let (waker, runs) = acting(move || {
            if let Ok(mut input) = theirs.0.try_lock()
                && let Some(input) = &mut *input
            {
                let _pending_or_not = poll_once(pin!(input.read_u8()));
            }
            use_output(&theirs.1);
        });
        {
            // Leaked, so that its waiter stays and only the reading wakes it.
            let mut output = lock(&output);
            let mut write = Box::pin(output.as_mut().expect("here").write_str("more"));
            assert!(write.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            std::mem::forget(write);
        }
        drop(waker);
        for _ in 0..4 {
            let read = poll_read(&input, Waker::noop());
            assert!(read.is_ready());
        }
        assert_eq!(runs.load(SeqCst), 2, "woken, then dropped");
    });
}

#[test]
fn a_writer_that_gives_up_wakes_the_reader_without_a_lock() {
    watched(|| {
        let (input, mut output) = pipe(KIB);
        let input = shared(input);
        let theirs = Arc::clone(&input);
        let (waker, runs) = acting(move || drop(lock(&theirs).take()));
        assert!(poll_read(&input, &waker).is_pending());
        drop(waker);
        output.abort_with(Error::other("over"));
        assert_eq!(runs.load(SeqCst), 2);
    });
}

#[test]
fn a_writer_that_ends_wakes_the_reader_without_a_lock() {
    watched(|| {
        let (input, output) = pipe(KIB);
        let input = shared(input);
        let theirs = Arc::clone(&input);
        let (waker, runs) = acting(move || drop(lock(&theirs).take()));
        assert!(poll_read(&input, &waker).is_pending());
        drop(waker);
        drop(output);
        assert_eq!(runs.load(SeqCst), 2);
    });
}

/// Bytes whose owner uses the pipe when the last of them goes.
fn owned(action: impl Fn() + Send + Sync + 'static) -> (Bytes, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let bytes =
        Bytes::from_owner(Acts { action, runs: Arc::clone(&runs), bytes: vec![7; 40 * KIB] });
    (bytes, runs)
}

#[test]
fn an_owner_that_uses_the_pipe_when_its_bytes_are_sent_or_copied_meets_no_lock() {
    watched(|| {
        for length in [10, 40 * KIB] {
            let (input, output) = pipe(256 * KIB);
            let (input, output) = (shared(input), shared(output));
            let theirs = (Arc::clone(&input), Arc::clone(&output));
            let (bytes, runs) = owned(move || {
                if let Ok(mut input) = theirs.0.try_lock()
                    && let Some(input) = &mut *input
                {
                    let _pending_or_not = poll_once(pin!(input.read_u8()));
                }
                use_output(&theirs.1);
            });
            let written =
                at_once(lock(&output).as_mut().expect("here").write_bytes(bytes.slice(..length)));
            written.expect("room");
            drop(bytes);
            let read = at_once(lock(&input).as_mut().expect("here").discard(length as u64 - 1));
            read.expect("they are there");
            assert_eq!(runs.load(SeqCst), 1, "{length} bytes");
        }
    });
}

#[test]
fn an_owner_that_uses_the_pipe_when_its_bytes_are_thrown_away_meets_no_lock() {
    watched(|| {
        // By a reader that goes, by one that gives up, by a writer that gives up; in the pipe and
        // in the queue before it.
        for way in 0..3 {
            for capacity in [1, 256 * KIB] {
                let (input, output) = pipe(capacity);
                let (input, output) = (shared(input), shared(output));
                let theirs = Arc::clone(&output);
                let (bytes, runs) = owned(move || use_output(&theirs));
                let written = at_once(lock(&output).as_mut().expect("here").write_bytes(bytes));
                written.expect("it is accepted");
                match way {
                    0 => drop(lock(&input).take()),
                    1 => lock(&input).as_mut().expect("here").abort_with(Error::other("over")),
                    _ => lock(&output).as_mut().expect("here").abort_with(Error::other("over")),
                }
                assert_eq!(runs.load(SeqCst), 1, "way {way}, capacity {capacity}");
            }
        }
    });
}

/// A task that is polled right inside its waker, as a very simple executor would.
struct Inline(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Wake for Inline {
    fn wake(self: Arc<Self>) {
        // Taken out, so that a wake inside the poll finds it busy instead of deadlocking the test.
        let Some(mut task) = lock(&self.0).take() else {
            return;
        };
        let waker = Waker::from(Arc::clone(&self));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            *lock(&self.0) = Some(task);
        }
    }
}

#[test]
fn a_task_that_runs_inside_its_waker_echoes() {
    watched(|| {
        let (mut input, mut output) = pipe(KIB);
        let (mut echo_input, mut echo_output) = pipe(KIB);
        let task = Box::pin(async move {
            while let Ok(Some(line)) = input.read_line().await {
                echo_output.write_strs(&[&line, "!\n"]).await.expect("room");
            }
        });
        Arc::new(Inline(Mutex::new(Some(task)))).wake();
        for name in ["Ada", "Grace", "Edsger"] {
            at_once(output.write_strs(&[name, "\n"])).expect("room");
            let line = at_once(echo_input.read_line_ref()).expect("a line");
            assert_eq!(line, Some(format!("{name}!").as_str()));
        }
        drop(output);
        assert_eq!(at_once(echo_input.read_line()).expect("the end"), None);
    });
}
