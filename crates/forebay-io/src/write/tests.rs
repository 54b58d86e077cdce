use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use super::*;
use crate::queue::SendQueue;
use crate::seam::{Cause, Drain, FlushSchedule, WakeList, WorkerStage, end_poll};
use crate::{ByteReadChannel, pipe};

/// The largest slice that is accepted in one step.
const MIB: usize = 1024 * 1024;

fn at_once<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // A call that gives way once is ready at its second poll.
    for _ in 0..2 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("pending where nothing is to be waited for")
}

#[test]
fn a_panic_while_composing_leaves_no_scratch_behind() {
    let (mut input, mut output) = pipe(1024);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        at_once(output.write_with(|out| {
            out.put_str("half an item");
            assert!(out.is_empty(), "the composer panics");
        }))
    }));
    assert!(panicked.is_err());
    at_once(output.write_with(|out| out.put_str("whole\n"))).expect("room");
    assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("whole"));
}

#[test]
fn a_huge_write_marks_the_channel_while_it_waits_and_not_longer() {
    let (mut input, mut output) = pipe(1);
    let bytes = vec![7; 2 * MIB];
    {
        let mut write = pin!(output.write_all(&bytes));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(write.as_mut().poll(&mut cx).is_pending());
        let mut discard = pin!(input.discard(MIB as u64));
        // The reader gives way now and then.
        while discard.as_mut().poll(&mut cx).is_pending() {}
        // More than a share, so it gives way before it takes the second piece.
        assert!(write.as_mut().poll(&mut cx).is_pending());
        assert!(matches!(write.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
    }
    output.outbox.check_whole("write").expect("it is whole");
}

/// A transport that takes nothing, and turns that never end.
struct Nothing;

impl Drain for Nothing {
    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        _: &mut SendQueue,
        _: &mut WakeList,
    ) -> Poll<Result<()>> {
        Poll::Pending
    }

    fn poll_end(&mut self, _: &mut Context<'_>, _: &mut WakeList) -> Poll<Result<()>> {
        Poll::Pending
    }

    fn abort(&mut self, _: &Error, _: &mut WakeList) {}
}

impl FlushSchedule for Nothing {
    fn defer(&self, _: &Arc<Outbox>) {}

    fn finish_in_background(self: Arc<Self>, _: Arc<Outbox>) {}
}

type Call = fn(ByteWriteChannel) -> Pin<Box<dyn Future<Output = Result<u64>> + Send>>;

#[test]
fn a_write_behind_another_threads_stage_waits_and_does_not_spin() {
    let calls: [Call; 4] = [
        |mut output| Box::pin(async move { output.write_str("next").await.map(|()| 4) }),
        |mut output| Box::pin(async move { output.write_bytes("next".into()).await.map(|()| 4) }),
        |mut output| {
            Box::pin(async move { output.write_with(|out| out.put_str("next")).await.map(|()| 4) })
        },
        |mut output| {
            Box::pin(async move { ByteReadChannel::from("next").copy_to(&mut output).await })
        },
    ];
    let _stage = WorkerStage::enter();
    for call in calls {
        let outbox = Outbox::new(Box::new(Nothing), Cause::default(), Arc::new(Nothing));
        let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
        for _ in 0..3 {
            at_once(output.write_str("123")).expect("room");
        }
        // The channel moves to a task on another worker while this one's poll goes on.
        let (polled, is_polled) = mpsc::channel();
        let write = thread::spawn(move || {
            let mut write = call(output);
            let mut cx = Context::from_waker(Waker::noop());
            polled.send(write.as_mut().poll(&mut cx).is_pending()).ok();
            write
        });
        let pending = is_polled.recv_timeout(Duration::from_secs(20));
        end_poll();
        assert!(pending.expect("it spins until this thread's poll ends"));
        assert_eq!(at_once(write.join().expect("no panic")).expect("it is settled"), 4);
        assert_eq!(outbox.queued(), 3 * 3 + 4);
    }
}

/// A task is always as large as the largest call that it may ever wait in. So the
/// futures of the usual writes are kept small, with one machine word of slack.
#[test]
fn the_futures_of_writes_are_small() {
    let (_, mut output) = pipe(4096);
    let text = size_of_val(&output.write_str("text"));
    let bytes = size_of_val(&output.write_all(b"bytes"));
    let pieces = size_of_val(&output.write_strs(&["a", "b"]));
    let sizes = [("write_str", text, 176), ("write_all", bytes, 144), ("write_strs", pieces, 136)];
    for (name, bytes, most) in sizes {
        assert!(bytes <= most, "{name}: {bytes} bytes, at most {most} were expected");
    }
}
