use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::pipe;

fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("pending where nothing is to be waited for"),
    }
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
    let bytes = vec![7; 2 * ITEM_BYTES_MAX];
    {
        let mut write = pin!(output.write_all(&bytes));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(write.as_mut().poll(&mut cx).is_pending());
        at_once(input.discard(ITEM_BYTES_MAX as u64)).expect("the first piece");
        assert!(matches!(write.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
    }
    assert!(output.partial.is_none());
    output.check_partial("write").expect("it is whole");
}
