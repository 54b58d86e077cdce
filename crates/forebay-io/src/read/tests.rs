use std::pin::pin;
use std::task::Waker;

use super::*;
use crate::pipe;

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

/// Delivers a few bytes, then the end, and panics if it is asked again.
struct Once(Option<&'static [u8]>, bool);

impl Source for Once {
    fn poll_fill(&mut self, _: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        assert!(!self.1, "asked behind the end");
        let Some(bytes) = self.0.take() else {
            self.1 = true;
            return Poll::Ready(Ok(Filled::End));
        };
        inlet.space()[..bytes.len()].copy_from_slice(bytes);
        inlet.fill(bytes.len());
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {}
}

fn once(bytes: &'static [u8]) -> ByteReadChannel {
    ByteReadChannel::from_source(Box::new(Once(Some(bytes), false)))
}

/// Every call that could ask the source for more.
fn call_everything(input: &mut ByteReadChannel) {
    let mut slice = vec![0; 20 * 1024];
    for size in [1, slice.len()] {
        assert_eq!(at_once(input.read(&mut slice[..size])).expect("the end"), 0);
        at_once(input.read_exact(&mut slice[..size])).expect_err("the end");
    }
    assert_eq!(at_once(input.read_line()).expect("the end"), None);
    assert!(!at_once(input.skip_line()).expect("the end"));
    assert!(at_once(input.read_chunk()).expect("the end").is_none());
    assert!(at_once(input.read_packet(1)).is_err_and(|error| error.is_end()));
    assert!(at_once(input.read_u64()).is_err_and(|error| error.is_end()));
    assert!(at_once(input.read_remaining(1)).expect("the end").is_empty());
    assert_eq!(at_once(input.discard(1)).expect("the end"), 0);
    assert!(at_once(input.discard_exact(1)).is_err_and(|error| error.is_end()));
    assert_eq!(input.try_read(&mut slice).expect("the end"), Some(0));
    assert_eq!(at_once(input.peek(1)).expect("the end"), None);
    assert!(!at_once(input.await_content(1)).expect("the end"));
    assert!(at_once(input.exhausted()).expect("the end"));
    assert!(!at_once(input.skip_if_found(b"x")).expect("the end"));
    assert!(at_once(input.read_up_to(1)).expect("the end").is_empty());
    assert_eq!(at_once(input.read_until("x", 1)).expect("the end"), None);
    assert_eq!(at_once(input.read_line_bytes_ref()).expect("the end"), None);
    let (_reader, mut output) = pipe(1);
    assert_eq!(at_once(input.copy_to(&mut output)).expect("the end"), 0);
}

#[test]
fn a_source_at_its_end_is_not_asked_again() {
    let mut input = once(b"x");
    assert_eq!(at_once(input.read_remaining(9)).expect("one byte").as_slice(), b"x");
    call_everything(&mut input);
}

#[test]
fn the_end_met_by_a_large_slice_is_the_end_for_everybody() {
    let mut input = once(b"x");
    let mut slice = vec![0; 20 * 1024];
    assert_eq!(at_once(input.read(&mut slice)).expect("one byte"), 1);
    assert_eq!(at_once(input.read(&mut slice)).expect("the end"), 0);
    call_everything(&mut input);
}

#[test]
fn a_channel_that_gave_up_asks_its_source_for_nothing() {
    let mut input = once(b"never read");
    input.abort_with(Error::new(ErrorKind::Cancelled, "test"));
    let mut slice = vec![0; 20 * 1024];
    assert!(at_once(input.read_u8()).is_err_and(|error| error.is_cancelled()));
    assert!(at_once(input.read(&mut slice)).is_err_and(|error| error.is_cancelled()));
    assert!(at_once(input.read_exact(&mut slice)).is_err_and(|error| error.is_cancelled()));
    assert!(at_once(input.skip_line()).is_err_and(|error| error.is_cancelled()));
    assert!(at_once(input.read_remaining(9)).is_err_and(|error| error.is_cancelled()));
    assert_eq!(input.buffered(), 0);
}

#[test]
fn an_unpolled_read_of_a_slice_lends_nothing() {
    let mut input = once(b"x");
    drop(input.read_exact(&mut [0; 9]));
    std::mem::forget(input.read_exact(&mut [0; 9]));
    assert_eq!(input.lent_bytes().taken, 0);
    at_once(input.read_u8()).expect("one byte");
}

/// An idle connection holds a channel, so what few of them need is behind a pointer.
#[test]
#[cfg(target_pointer_width = "64")]
fn a_channel_that_uses_the_defaults_is_small() {
    assert!(size_of::<ByteReadChannel>() <= 192, "{}", size_of::<ByteReadChannel>());
    let mut input = once(b"line\nline\nbytes");
    input.set_line_options(LineOptions::new());
    input.set_limits(ReadLimits::default());
    for _ in 0..2 {
        assert_eq!(at_once(input.read_line()).expect("a line").as_deref(), Some("line"));
    }
    at_once(input.read_exact(&mut [0; 5])).expect("five bytes");
    at_once(input.read_exact(&mut [0; 1])).expect_err("the end");
    assert_eq!(at_once(input.read_line()).expect("the end"), None);
    assert!(input.extras.is_none());
    assert!(!input.buffer.front.has_findings());
}

/// Delivers some bytes into a large slice, and panics when it is asked for more.
struct Breaks(usize);

impl Source for Breaks {
    fn poll_fill(&mut self, _: &mut Context<'_>, inlet: &mut Inlet<'_>) -> Poll<Result<Filled>> {
        assert!(self.0 > 0, "broken");
        inlet.fill(std::mem::take(&mut self.0));
        Poll::Ready(Ok(Filled::More))
    }

    fn abort(&mut self, _: &Error) {}
}

#[test]
fn bytes_that_went_to_a_large_slice_are_missed_behind_a_panic_too() {
    let mut input = ByteReadChannel::from_source(Box::new(Breaks(20 * 1024)));
    input.set_limits(ReadLimits { give_back: 0, ..ReadLimits::default() });
    let mut slice = vec![0; 40 * 1024];
    let read = std::panic::AssertUnwindSafe(|| at_once(input.read_exact(&mut slice)));
    std::panic::catch_unwind(read).expect_err("the source is broken");
    let error = at_once(input.read_u8()).expect_err("bytes are missing");
    assert_eq!(error.kind(), ErrorKind::Incomplete { accepted: 20 * 1024, of: 40 * 1024 });
}
