//! Reading through a trait: from the channel's own memory, one waker, errors with ours inside.

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, Error, pipe};
use forebay_testing::channels::{Script, Step, hiccup, ledgered};
use forebay_testing::{KIB, at_once, counted_waker, pattern};
use tokio::io::{AsyncRead, ReadBuf};

use crate::family::{Family, now, poll, poll_as, with_each_family};

with_each_family! {
    a_read_returns_what_has_arrived_and_then_the_end;
    a_large_slice_is_filled_directly;
    an_empty_slice_reads_nothing_and_gives_way;
    a_poll_that_is_not_repeated_has_taken_nothing;
    the_task_that_polled_last_is_woken;
    an_error_has_ours_inside;
    a_lent_buffer_stays_until_it_is_consumed;
    little_that_is_lent_holds_no_block;
    a_trait_and_an_inherent_call_read_one_stream;
    a_leaked_read_exact_is_noticed;
}

fn a_read_returns_what_has_arrived_and_then_the_end<F: Family>() {
    let mut input = Script::pieces(["Hel", "lo"]);
    let mut slice = [0; 8];
    assert!(poll(|cx| F::read(&mut input, cx, &mut slice)).is_pending());
    assert_eq!(now(|cx| F::read(&mut input, cx, &mut slice)).unwrap(), 3);
    assert_eq!(now(|cx| F::read(&mut input, cx, &mut slice[3..4])).unwrap(), 1);
    assert_eq!(now(|cx| F::read(&mut input, cx, &mut slice[4..])).unwrap(), 1);
    assert_eq!(&slice[..5], b"Hello");
    for _ in 0..10 {
        assert_eq!(now(|cx| F::read(&mut input, cx, &mut slice)).unwrap(), 0);
    }
}

fn a_large_slice_is_filled_directly<F: Family>() {
    ledgered(|ledger| {
        let (script, mut input) = Script::new([Step::Bytes(pattern(20 * KIB))]);
        let mut slice = vec![0; 32 * KIB];
        assert_eq!(now(|cx| F::read(&mut input, cx, &mut slice)).unwrap(), 20 * KIB);
        assert_eq!(slice[..20 * KIB], pattern(20 * KIB));
        assert_eq!((script.offered_max(), ledger.idle()), (32 * KIB, 0));
    });
}

fn an_empty_slice_reads_nothing_and_gives_way<F: Family>() {
    let mut input = ByteReadChannel::from("content");
    let answers = (0..9).map(|_| poll(|cx| F::read(&mut input, cx, &mut [])));
    let pending = answers.filter(Poll::is_pending).count();
    assert_eq!(pending, 3, "every third answer gives way");
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("content"));
}

fn a_poll_that_is_not_repeated_has_taken_nothing<F: Family>() {
    let mut input = Script::pieces(["one\n", "two\n"]);
    assert!(poll(|cx| F::read(&mut input, cx, &mut [0; 8])).is_pending());
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("one"));
    assert!(poll(|cx| F::fill_buf(&mut input, cx).map_ok(|_| ())).is_pending());
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("two"));
}

fn the_task_that_polled_last_is_woken<F: Family>() {
    let (mut input, mut output) = pipe(KIB);
    let ((first, first_wakes), (second, second_wakes)) = (counted_waker(), counted_waker());
    assert!(poll_as(&first, |cx| F::read(&mut input, cx, &mut [0; 8])).is_pending());
    assert!(poll_as(&second, |cx| F::fill_buf(&mut input, cx).map_ok(|_| ())).is_pending());
    at_once(output.write_str("x")).unwrap();
    assert_eq!((first_wakes.count(), second_wakes.count()), (0, 1));
}

fn an_error_has_ours_inside<F: Family>() {
    let (_script, mut input) =
        Script::new([Step::Fail(hiccup()), Step::Bytes(b"on".to_vec()), Step::Pause]);
    let error = now(|cx| F::read(&mut input, cx, &mut [0; 8])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(Error::from(error).is_timeout());
    // The channel stays usable, as after the inherent call.
    assert_eq!(now(|cx| F::read(&mut input, cx, &mut [0; 8])).unwrap(), 2);
    input.abort_with(Error::other("enough"));
    let error = now(|cx| F::fill_buf(&mut input, cx).map_ok(|_| ())).unwrap_err();
    assert!(Error::from(error).to_string().contains("enough"));
}

fn a_lent_buffer_stays_until_it_is_consumed<F: Family>() {
    fn lent<F: Family>(input: &mut ByteReadChannel) -> Vec<u8> {
        // The borrow ends with the poll, so the bytes are copied.
        now(|cx| F::fill_buf(input, cx).map_ok(<[u8]>::to_vec)).unwrap()
    }

    let mut input = Script::pieces(["lent"]);
    assert!(poll(|cx| F::fill_buf(&mut input, cx).map_ok(|_| ())).is_pending());
    assert_eq!(lent::<F>(&mut input), b"lent");
    F::consume(&mut input, 0);
    assert_eq!(lent::<F>(&mut input), b"lent");
    F::consume(&mut input, 3);
    assert_eq!(lent::<F>(&mut input), b"t");
    // More than was lent: all of it.
    F::consume(&mut input, 100);
    assert_eq!(lent::<F>(&mut input), b"");
}

fn little_that_is_lent_holds_no_block<F: Family>() {
    ledgered(|ledger| {
        let (_script, mut input) = Script::new([Step::Bytes(b"little".to_vec())]);
        assert_eq!(now(|cx| F::fill_buf(&mut input, cx).map_ok(<[u8]>::len)).unwrap(), 6);
        assert_eq!(ledger.in_use(), 0, "the lender may sleep");
    });
}

fn a_trait_and_an_inherent_call_read_one_stream<F: Family>() {
    let mut input = ByteReadChannel::from("one\ntwo\nthree\n");
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("one"));
    let mut slice = [0; 2];
    assert_eq!(now(|cx| F::read(&mut input, cx, &mut slice)).unwrap(), 2);
    assert_eq!(&slice, b"tw");
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("o"));
    F::consume(&mut input, 2);
    assert_eq!(at_once(input.read_line()).unwrap().as_deref(), Some("ree"));
}

fn a_leaked_read_exact_is_noticed<F: Family>() {
    let (script, mut input) = Script::new([Step::Bytes(pattern(20 * KIB))]);
    let mut slice = vec![0; 32 * KIB];
    let mut read = Box::pin(input.read_exact(&mut slice));
    assert!(forebay_testing::poll_once(read.as_mut()).is_pending());
    std::mem::forget(read);
    script.bytes("more");
    let error = now(|cx| F::read(&mut input, cx, &mut [0; 8])).unwrap_err();
    assert!(Error::from(error).to_string().contains("leaked"));
    assert!(now(|cx| F::fill_buf(&mut input, cx).map_ok(|_| ())).is_err());
}

#[test]
fn memory_that_is_not_initialised_is_filled_without_that() {
    let mut input = ByteReadChannel::from("content");
    let mut memory = [MaybeUninit::uninit(); 32];
    let mut buf = ReadBuf::uninit(&mut memory);
    now(|cx| Pin::new(&mut input).poll_read(cx, &mut buf)).unwrap();
    assert_eq!((buf.filled(), buf.initialized().len()), (&b"content"[..], 7));
}

#[test]
fn a_read_appends_behind_what_a_buffer_holds() {
    let mut input = ByteReadChannel::from("content");
    let mut memory = [0; 5];
    let mut buf = ReadBuf::new(&mut memory);
    buf.put_slice(b"a ");
    now(|cx| Pin::new(&mut input).poll_read(cx, &mut buf)).unwrap();
    assert_eq!(buf.filled(), b"a con");
    // A full buffer takes nothing.
    now(|cx| Pin::new(&mut input).poll_read(cx, &mut buf)).unwrap();
    assert_eq!((buf.filled(), input.buffered()), (&b"a con"[..], 4));
}
