//! Channels made of readers of other crates: what they read, what they leave, and readers that behave badly.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{Error as IoError, ErrorKind as IoKind, Result as IoResult};
use std::pin::Pin;
use std::task::{Context, Poll};

use forebay_io::{ByteReadChannel, Error, ErrorKind};
use forebay_testing::{KIB, MIB, at_once, cut_after, finish};
use tokio::io::ReadBuf;

/// A reader of both families that does what a test tells it. Not `Sync`, as many readers are not.
struct Told {
    steps: VecDeque<Step>,
    polls: Cell<usize>,
}

enum Step {
    Bytes(&'static [u8]),
    Pause,
    Fail(IoKind),
    /// The end, or more bytes than there is room for.
    Claim(usize),
}
use Step::{Bytes, Claim, Fail, Pause};

impl Told {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), polls: Cell::new(0) }
    }

    fn poll(&mut self, cx: &mut Context<'_>, slice: &mut [u8]) -> Poll<IoResult<usize>> {
        self.polls.set(self.polls.get() + 1);
        match self.steps.pop_front() {
            Some(Bytes(bytes)) => {
                let count = bytes.len().min(slice.len());
                slice[..count].copy_from_slice(&bytes[..count]);
                if count < bytes.len() {
                    self.steps.push_front(Bytes(&bytes[count..]));
                }
                Poll::Ready(Ok(count))
            }
            Some(Pause) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Fail(kind)) => Poll::Ready(Err(IoError::from(kind))),
            Some(Claim(count)) => Poll::Ready(Ok(count)),
            None => Poll::Ready(Ok(0)),
        }
    }
}

impl futures_io::AsyncRead for Told {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slice: &mut [u8],
    ) -> Poll<IoResult<usize>> {
        self.get_mut().poll(cx, slice)
    }
}

impl tokio::io::AsyncRead for Told {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<IoResult<()>> {
        let polled = self.get_mut().poll(cx, space.initialize_unfilled());
        polled.map_ok(|count| space.advance(count))
    }
}

/// A channel of each family.
fn channels(steps: fn() -> Vec<Step>) -> [ByteReadChannel; 2] {
    [
        ByteReadChannel::from_futures_read(Told::new(steps())),
        ByteReadChannel::from_tokio_read(Told::new(steps())),
    ]
}

static LARGE: [u8; 100 * KIB] = [7; 100 * KIB];

fn is_sync<T: Sync>(_: &T) {}

#[test]
fn a_reader_is_read_to_its_end() {
    for mut input in channels(|| vec![Bytes(b"on"), Pause, Bytes(b"e\nlast"), Pause]) {
        is_sync(&input);
        assert_eq!(finish(input.read_line()).unwrap().as_deref(), Some("one"));
        assert_eq!(finish(input.read_line()).unwrap().as_deref(), Some("last"));
        for _ in 0..4 {
            assert_eq!(finish(input.read_line()).unwrap(), None);
        }
        assert!(input.is_closed_for_read());
    }
}

#[test]
fn nothing_is_read_before_a_call_waits() {
    let input = ByteReadChannel::from_futures_read(Told::new([Bytes(b"abc")]));
    let (reader, left) = input.into_parts::<Told>().unwrap();
    assert_eq!((reader.polls.get(), left.len()), (0, 0));
}

/// Some readers return an end behind their error.
#[test]
fn an_error_never_becomes_an_end() {
    for mut input in channels(|| vec![Bytes(b"half a "), Fail(IoKind::ConnectionReset)]) {
        for _ in 0..4 {
            assert!(finish(input.read_line()).unwrap_err().is_reset());
        }
        assert_eq!(input.buffered(), 7);
        assert!(input.closed_cause().is_some_and(|cause| cause.is_reset()));
        assert_eq!(finish(input.read_packet(7)).unwrap().as_slice(), b"half a ");
        assert!(finish(input.read(&mut [0])).unwrap_err().is_reset());
        assert!(input.is_closed_for_read());
    }
}

#[test]
fn an_interrupted_read_is_repeated() {
    let interrupted = || Fail(IoKind::Interrupted);
    for mut input in channels(|| vec![Fail(IoKind::Interrupted), Bytes(b"a"), Pause]) {
        assert_eq!(finish(input.read_u8()).unwrap(), b'a');
    }
    let often = Told::new((0..100).map(|_| interrupted()));
    let mut input = ByteReadChannel::from_futures_read(often);
    assert!(cut_after(50, input.read_u8()).is_none(), "each gives way once");
}

#[test]
fn a_claim_of_more_than_there_was_room_for_is_an_error() {
    let mut input = ByteReadChannel::from_futures_read(Told::new([Claim(MIB), Bytes(b"a")]));
    for _ in 0..3 {
        let error = finish(input.read_u8()).unwrap_err();
        assert!(error.to_string().contains("claims 1048576 bytes"), "{error}");
    }
    assert_eq!(input.buffered(), 0);
}

/// A reader that is always ready would keep its thread busy forever.
#[test]
fn a_reader_that_never_waits_gives_way() {
    let mut input = ByteReadChannel::from_futures_read(futures_lite::io::repeat(7));
    let mut polls = 0;
    while cut_after(1, input.discard(u64::MAX)).is_none() && polls < 10 {
        polls += 1;
    }
    assert_eq!(polls, 10);
    assert!(input.counted() <= 11 * 320 * KIB as u64);
}

#[test]
fn a_reader_comes_back_with_what_was_not_read() {
    let input = |text: &'static [u8]| ByteReadChannel::from_tokio_read(text);
    let mut whole = input(b"a line\nand more");
    assert_eq!(finish(whole.read_line()).unwrap().as_deref(), Some("a line"));
    let (reader, left) = whole.into_parts::<&'static [u8]>().unwrap();
    assert_eq!([&left[..], reader].concat(), b"and more");

    // Of a block and a half, half of which has not been received.
    let mut whole = input(&LARGE);
    at_once(whole.discard_exact(10)).unwrap();
    let (reader, left) = whole.into_parts::<&'static [u8]>().unwrap();
    assert_eq!(left.len() + reader.len(), 100 * KIB - 10);
}

#[test]
fn a_dropped_call_has_lost_nothing_of_the_parts() {
    for mut input in channels(|| vec![Bytes(b"abc"), Pause, Pause, Bytes(b"def")]) {
        assert!(cut_after(2, input.read_u64()).is_none());
        let (mut reader, left) = input.into_parts::<Told>().map_err(drop).unwrap();
        assert_eq!(left, "abc");
        let mut slice = [0; 8];
        let rest = finish(std::future::poll_fn(|cx| reader.poll(cx, &mut slice))).unwrap();
        assert_eq!(&slice[..rest], b"def");
    }
}

#[test]
fn a_channel_of_anything_else_stays_as_it_was() {
    let mut input = ByteReadChannel::from("a line\nrest");
    assert_eq!(finish(input.read_line()).unwrap().as_deref(), Some("a line"));
    let mut input = input.into_parts::<Told>().map(drop).unwrap_err();
    assert_eq!(finish(input.read_line()).unwrap().as_deref(), Some("rest"));

    let input = ByteReadChannel::from_futures_read(Told::new([Bytes(b"a")]));
    let mut input = input.into_parts::<String>().map(drop).unwrap_err();
    assert_eq!(finish(input.read_u8()).unwrap(), b'a');

    input.abort_with(Error::new(ErrorKind::Cancelled, "test"));
    assert!(input.into_parts::<Told>().is_err());
}

#[test]
fn a_channel_with_a_gap_is_not_taken_apart() {
    let mut input =
        ByteReadChannel::from_futures_read(Told::new([Bytes(&LARGE[..20 * KIB]), Pause]));
    let mut slice = vec![0; 2 * MIB];
    assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
    let mut input = input.into_parts::<Told>().map(drop).unwrap_err();
    assert!(matches!(finish(input.read_u8()).unwrap_err().kind(), ErrorKind::Incomplete { .. }));
}
