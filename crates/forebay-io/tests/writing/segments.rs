//! Bytes that pass through the queue without being in memory.

#![allow(clippy::unwrap_used)]

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{
    Cause, Drain, Filled, Inlet, KernelBytes, KernelSegment, Outbox, SendQueue, Source,
    ThreadTurns, WakeList,
};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result};
use forebay_testing::channels::{Recorder, TestSchedule};
use forebay_testing::{KIB, MIB, at_once, finish, lock, nameless_file, poll_once, scrambled};

/// Bytes in the kernel of the test.
struct Parked(Vec<u8>);

impl Parked {
    fn take(&mut self, most: usize) -> Vec<u8> {
        self.0.drain(..most.min(self.0.len())).collect()
    }
}

impl KernelBytes for Parked {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        // Not all that it might return.
        let taken = self.take(space.len().min(10_000));
        space[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// A source that delivers in segments wherever it may, and calls this before each.
struct SegmentSource<F> {
    bytes: Vec<u8>,
    /// The most bytes of a segment.
    most: usize,
    before: F,
    segments: Arc<Mutex<Vec<usize>>>,
}

impl<F: FnMut() + Send + Sync + 'static> Source for SegmentSource<F> {
    fn poll_fill(&mut self, _: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        if self.bytes.is_empty() {
            return Poll::Ready(Ok(Filled::End));
        }
        let Some(most) = inlet.segment_max() else {
            let space = inlet.space();
            let count = space.len().min(self.bytes.len());
            space[..count].copy_from_slice(&self.bytes[..count]);
            inlet.fill(count);
            self.bytes.drain(..count);
            return Poll::Ready(Ok(Filled::More));
        };
        (self.before)();
        let most = most.min(self.most).min(self.bytes.len());
        let parked = Parked(self.bytes.drain(..most).collect());
        inlet.put(KernelSegment::new(Box::new(parked), most));
        lock(&self.segments).push(most);
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {}
}

/// The bytes that were sent, and how many bytes of it were not in memory.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<(Vec<u8>, usize)>>);

/// A drain that sends segments as they are, while its gate is open.
struct SegmentDrain(Sent, Arc<AtomicBool>);

impl Drain for SegmentDrain {
    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        queue: &mut SendQueue,
        after: &mut WakeList,
    ) -> Poll<Result<()>> {
        if self.1.load(SeqCst) {
            return Poll::Pending;
        }
        let mut sent = lock(&self.0.0);
        while !queue.is_empty() {
            let count = if let Some((bytes, most)) = queue.front_segment() {
                let bytes: &mut dyn std::any::Any = bytes;
                let taken = bytes.downcast_mut::<Parked>().unwrap().take(most.min(30_000));
                sent.1 += taken.len();
                sent.0.extend_from_slice(&taken);
                taken.len()
            } else {
                let first = queue.first();
                sent.0.extend_from_slice(first);
                first.len()
            };
            assert!(count > 0, "a piece of the queue is empty");
            queue.sent(count, after);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, _: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _: &Error, _: &mut WakeList) {}

    fn sends_segments(&self) -> bool {
        true
    }
}

fn output() -> (ByteWriteChannel, Arc<Outbox>, Sent) {
    gated_output(Arc::default())
}

fn gated_output(is_closed: Arc<AtomicBool>) -> (ByteWriteChannel, Arc<Outbox>, Sent) {
    let sent = Sent::default();
    let drain = Box::new(SegmentDrain(sent.clone(), is_closed));
    let outbox = Outbox::new(drain, Cause::default(), Arc::new(TestSchedule::default()));
    (ByteWriteChannel::new(Arc::clone(&outbox), None), outbox, sent)
}

fn input(
    bytes: &[u8],
    before: impl FnMut() + Send + Sync + 'static,
) -> (ByteReadChannel, Arc<Mutex<Vec<usize>>>) {
    input_in(100 * KIB, bytes, before)
}

fn input_in(
    most: usize,
    bytes: &[u8],
    before: impl FnMut() + Send + Sync + 'static,
) -> (ByteReadChannel, Arc<Mutex<Vec<usize>>>) {
    let (bytes, segments) = (bytes.to_vec(), Arc::default());
    let source = SegmentSource { bytes, most, before, segments: Arc::clone(&segments) };
    (ByteReadChannel::from_source(Box::new(source)), segments)
}

#[test]
fn bulk_is_transferred_behind_what_was_written_before() {
    let bytes = scrambled(700 * KIB, 1);
    let (mut input, segments) = input(&bytes, || {});
    let (mut output, _, sent) = output();
    at_once(output.write_str("before")).unwrap();
    assert_eq!(finish(input.copy_to(&mut output)).unwrap(), bytes.len() as u64);
    at_once(output.write_str("behind")).unwrap();
    finish(output.flush()).unwrap();
    let sent = lock(&sent.0);
    assert!(sent.0 == [b"before", &bytes[..], b"behind"].concat());
    // A block is copied, to see that there is bulk.
    assert_eq!(sent.1, bytes.len() - 64 * KIB);
    assert_eq!(lock(&segments).iter().sum::<usize>(), sent.1);
    assert_eq!((input.counted(), output.counted()), (bytes.len() as u64, bytes.len() as u64 + 12));
}

#[test]
fn a_limit_is_exact_in_the_middle_of_a_transfer() {
    let bytes = scrambled(400 * KIB, 2);
    let (mut input, _) = input(&bytes, || {});
    let (mut output, _, sent) = output();
    finish(input.copy_exact_to(333_333, &mut output)).unwrap();
    assert!(lock(&sent.0).0 == bytes[..333_333] && lock(&sent.0).1 > 0);
    assert_eq!(input.counted(), 333_333);
    assert!(finish(input.read_remaining(usize::MAX)).unwrap().as_slice() == &bytes[333_333..]);
}

/// Without automatic flushing nothing is sent before it was asked for, and a pipe would stay full.
#[test]
fn what_waits_for_a_flush_is_copied() {
    let bytes = scrambled(400 * KIB, 3);
    let (mut input, segments) = input(&bytes, || {});
    let (mut output, _, sent) = output();
    output.manual_flush();
    finish(input.copy_to(&mut output)).unwrap();
    finish(output.flush()).unwrap();
    assert!(lock(&sent.0).0 == bytes);
    assert!(lock(&segments).is_empty());
}

/// A pipe would be filled and read again at once.
#[test]
fn what_goes_to_memory_is_copied() {
    let bytes = scrambled(400 * KIB, 7);
    let (mut input, segments) = input(&bytes, || {});
    let recorder = Recorder::new();
    let (mut output, _turns) = recorder.channel();
    finish(input.copy_to(&mut output)).unwrap();
    finish(output.flush()).unwrap();
    assert!(recorder.sent() == bytes && lock(&segments).is_empty());
}

/// A slow peer holds one pipe at the most, and none while a block is in front of it.
#[test]
fn a_segment_is_received_when_the_queue_is_empty() {
    let bytes = scrambled(400 * KIB, 8);
    // So small that the queue has room for another one.
    let (mut input, segments) = input_in(20 * KIB, &bytes, || {});
    let is_closed = Arc::new(AtomicBool::new(true));
    let (mut output, outbox, sent) = gated_output(Arc::clone(&is_closed));
    let mut copy = pin!(input.copy_to(&mut output));
    for held in 0..3 {
        assert!((0..10).all(|_| poll_once(copy.as_mut()).is_pending()));
        let queued = if held == 0 { 64 * KIB } else { 20 * KIB };
        assert_eq!((lock(&segments).len(), outbox.queued()), (held, queued));
        is_closed.store(false, SeqCst);
        outbox.advance();
        is_closed.store(held < 2, SeqCst);
    }
    assert_eq!(finish(copy).unwrap(), bytes.len() as u64);
    assert!(lock(&sent.0).0 == bytes);
}

/// The output is aborted by another task after it was found empty, and while the bytes come.
#[test]
fn a_segment_that_the_output_refuses_stays_in_the_input() {
    let bytes = scrambled(400 * KIB, 4);
    let (mut output, outbox, sent) = output();
    let mut calls = 0;
    let (mut input, segments) = input(&bytes, move || {
        calls += 1;
        if calls == 2 {
            outbox.abort(&Error::other("aborted by another task"));
        }
    });
    let failed = finish(input.copy_to(&mut output)).unwrap_err();
    assert_eq!(failed.to_string(), "aborted by another task");
    assert_eq!(*lock(&segments), [100 * KIB, 100 * KIB]);
    let passed = 164 * KIB;
    assert!(lock(&sent.0).0 == bytes[..passed]);
    assert_eq!((input.counted(), input.buffered()), (passed as u64, 100 * KIB));
    let rest = finish(input.read_remaining(usize::MAX)).unwrap();
    assert!(rest.as_slice() == &bytes[passed..]);
    assert_eq!(input.counted(), bytes.len() as u64);
}

/// It is read in blocks, each when the one before has been sent.
#[test]
fn a_drain_of_memory_sees_a_file_as_memory() {
    let content = scrambled(200 * KIB + 5, 5);
    let recorder = Recorder::limited(7);
    let (mut output, turns) = recorder.channel();
    let file = nameless_file(&content);
    at_once(output.write_str("before")).unwrap();
    assert_eq!(at_once(output.write_file(&file, 1..)).unwrap(), content.len() as u64 - 1);
    turns.end();
    assert_eq!(recorder.sent(), [b"before", &content[1..2]].concat());
    for more in [1, 64 * KIB - 1, 1, 100 * KIB, usize::MAX - 1] {
        recorder.allow(more);
        turns.end();
    }
    at_once(output.write_str("behind")).unwrap();
    finish(output.flush()).unwrap();
    assert!(recorder.sent() == [b"before", &content[1..], b"behind"].concat());
}

#[test]
fn without_automatic_flushing_a_file_waits_for_the_flush() {
    let recorder = Recorder::new();
    let (mut output, turns) = recorder.channel();
    output.manual_flush();
    at_once(output.write_file(&nameless_file(b"a file"), ..)).unwrap();
    turns.end();
    assert_eq!((recorder.sent_len(), output.queued()), (0, 6));
    finish(output.flush()).unwrap();
    assert_eq!(recorder.sent(), b"a file");
}

/// By itself, and not because of what was written before.
#[test]
fn a_file_is_sent_at_the_end_of_the_turn() {
    let recorder = Recorder::new();
    let (mut output, turns) = recorder.channel();
    at_once(output.write_file(&nameless_file(b"a file"), ..)).unwrap();
    turns.end();
    assert_eq!(recorder.sent(), b"a file");
}

/// At the end of the file there is an empty range, and none behind it.
#[test]
fn an_empty_range_is_in_the_file_or_not() {
    let recorder = Recorder::new();
    let (mut output, _turns) = recorder.channel();
    let file = nameless_file(b"0123456789");
    assert_eq!(at_once(output.write_file(&file, 10..10)).unwrap(), 0);
    let error = at_once(output.write_file(&file, 11..11)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed: 0, available: 0 });
}

#[test]
fn a_file_has_its_share_of_a_turn() {
    let _turns = ThreadTurns::enter();
    let recorder = Recorder::new();
    let (mut output, turns) = recorder.channel();
    at_once(output.write_file(&nameless_file(&vec![7; MIB]), ..)).unwrap();
    for turn in 1..=4 {
        turns.end();
        assert_eq!(recorder.sent_len(), turn * 256 * KIB);
        ThreadTurns::end_turn().into_iter().for_each(Waker::wake);
    }
}

#[test]
fn a_file_that_becomes_shorter_aborts() {
    let recorder = Recorder::limited(0);
    let (mut output, turns) = recorder.channel();
    let file = nameless_file(&vec![1; 200 * KIB]);
    at_once(output.write_file(&file, ..)).unwrap();
    turns.end();
    file.set_len(100_000).unwrap();
    recorder.allow(usize::MAX);
    turns.end();
    let error = finish(output.flush()).unwrap_err();
    // The first block was read before.
    let kind = ErrorKind::UnexpectedEnd { needed: 200 * KIB as u64 - 100_000, available: 0 };
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(recorder.aborted().map(|error| error.kind()), Some(kind));
}

#[test]
fn a_file_that_was_dropped_unsent_is_closed() {
    let recorder = Recorder::limited(0);
    let (mut output, turns) = recorder.channel();
    at_once(output.write_file(&nameless_file(&[1; KIB]), ..)).unwrap();
    turns.end();
    output.abort_with(Error::other("no more"));
    assert_eq!(output.counted(), 0);
    assert!(at_once(output.write_file(&nameless_file(&[1; KIB]), ..)).is_err());
}
