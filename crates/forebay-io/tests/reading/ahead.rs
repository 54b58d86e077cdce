//! Looking at bytes that are not read, reading as much as there is, and counting.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{
    ByteReadChannel, Error, ErrorKind, LineEnding, LineOptions, pipe, seam::ReadLimits,
};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Script, Step, hiccup, ledgered},
    cut_after, finish, poll_once,
};

/// Every call that collects a number of bytes, and whether it answered with as many.
fn collect(input: &mut ByteReadChannel, count: usize) -> [forebay_io::Result<bool>; 4] {
    let zeros = vec![0; count];
    [
        finish(input.peek(count)).map(|bytes| bytes.is_some()),
        finish(input.await_content(count)),
        finish(input.skip_if_found(&zeros)),
        finish(input.read_up_to(count)).map(|packet| packet.len() == count),
    ]
}

#[test]
fn more_than_the_limit_is_an_error_at_once() {
    let (script, mut input) = Script::new([Step::Bytes(vec![1; 9])]);
    for _ in 0..3 {
        for answer in collect(&mut input, MIB + 1) {
            let error = answer.expect_err("too many");
            assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: MIB as u64 });
            assert!(error.to_string().contains("packet_limit"), "the knob is named: {error}");
        }
    }
    assert_eq!(script.calls(), 0, "nothing was waited for");
    let limits = ReadLimits { packet: 5, ..ReadLimits::default() };
    input.set_limits(limits);
    for answer in collect(&mut input, 6) {
        let limit = 5;
        assert_eq!(answer.expect_err("too many").kind(), ErrorKind::LimitExceeded { limit });
    }
    assert!(finish(input.read_packet(6)).is_err());
    assert_eq!(finish(input.peek(5)).expect("at the limit"), Some(&[1; 5][..]));
}

#[test]
fn exactly_the_limit_is_collected() {
    let mut input = ByteReadChannel::from(vec![0; MIB + 1]);
    assert!(finish(input.await_content(MIB)).expect("a mebibyte"));
    assert_eq!(finish(input.peek(MIB)).expect("a mebibyte").map(<[u8]>::len), Some(MIB));
    assert!(finish(input.skip_if_found(&vec![0; MIB])).expect("a mebibyte"));
    assert_eq!(finish(input.read_up_to(MIB)).expect("the rest").len(), 1);
}

/// The limits are those of the channel's selector where a line's own options say nothing.
#[test]
fn the_limits_of_lines_and_slices_are_set() {
    let mut input = ByteReadChannel::from("123456\n".repeat(4));
    input.set_limits(ReadLimits { line: 5, ..ReadLimits::default() });
    let too_long = |input: &mut ByteReadChannel| {
        finish(input.read_line()).is_err_and(|error| error.is_line_too_long())
    };
    assert!(too_long(&mut input));
    input.set_line_options(LineOptions::new().ending(LineEnding::LfOnly));
    assert!(too_long(&mut input), "options without a limit have none of their own");
    input.set_line_options(LineOptions::new().limit(6));
    assert!(!too_long(&mut input));
    input.set_limits(ReadLimits { line: 3, give_back: 20, ..ReadLimits::default() });
    assert!(!too_long(&mut input), "the options' limit stands");

    for (size, gives_back) in [(20 * KIB, true), (20 * KIB + 1, false)] {
        let (_, mut input) = Script::new([Step::Bytes(vec![1; 17 * KIB])]);
        input.set_limits(ReadLimits { give_back: 20 * KIB, ..ReadLimits::default() });
        let mut slice = vec![0; size];
        assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
        assert_eq!(finish(input.read_u8()).is_ok(), gives_back, "{size}");
    }
}

#[test]
fn a_peek_takes_nothing_and_may_be_dropped_anywhere() {
    let (script, mut input) = Script::new([]);
    for byte in b"12345678" {
        assert!(cut_after(1, input.peek(8)).is_none());
        assert!(cut_after(1, input.await_content(8)).is_none());
        assert!(cut_after(1, input.skip_if_found(b"12345678")).is_none());
        assert!(cut_after(1, input.read_up_to(8)).is_none());
        script.bytes([*byte]);
    }
    for _ in 0..5 {
        assert_eq!(at_once(input.peek(8)).expect("they are there"), Some(&b"12345678"[..]));
        assert!(at_once(input.await_content(8)).expect("they are there"));
        assert!(!at_once(input.exhausted()).expect("they are there"));
    }
    assert!(at_once(input.skip_if_found(b"12345678")).expect("they are there"));
    assert_eq!(input.buffered(), 0);
}

#[test]
fn fewer_bytes_than_asked_for_stay() {
    let mut input = Script::pieces(["ab", "c"]);
    for _ in 0..4 {
        assert_eq!(finish(input.peek(4)).expect("the end"), None);
        assert!(!finish(input.await_content(4)).expect("the end"));
        assert!(!finish(input.skip_if_found(b"abcd")).expect("the end"));
        assert_eq!(input.buffered(), 3);
    }
    assert!(!finish(input.exhausted()).expect("three bytes"));
    assert_eq!(finish(input.read_up_to(4)).expect("three").as_slice(), b"abc");
    for _ in 0..4 {
        assert!(finish(input.exhausted()).expect("the end"));
        assert!(finish(input.read_up_to(4)).expect("the end").is_empty());
    }
}

#[test]
fn nothing_is_there_always() {
    let (script, mut input) = Script::new([]);
    for _ in 0..4 {
        assert_eq!(finish(input.peek(0)).expect("nothing"), Some(&b""[..]));
        assert!(finish(input.await_content(0)).expect("nothing"));
        assert!(finish(input.skip_if_found(b"")).expect("nothing"));
        assert!(finish(input.read_up_to(0)).expect("nothing").is_empty());
        finish(input.discard_exact(0)).expect("nothing");
    }
    assert_eq!(script.calls(), 0);
}

/// A loop that only looks would keep its thread busy forever.
#[test]
fn looks_give_way() {
    type Look = fn(&mut ByteReadChannel) -> bool;
    let looks: [Look; 5] = [
        |input| matches!(poll_once(pin!(input.peek(1))), Poll::Pending),
        |input| matches!(poll_once(pin!(input.await_content(1))), Poll::Pending),
        |input| matches!(poll_once(pin!(input.exhausted())), Poll::Pending),
        |input| matches!(poll_once(pin!(input.skip_if_found(b"y"))), Poll::Pending),
        |input| matches!(poll_once(pin!(input.read_up_to(MIB + 1))), Poll::Pending),
    ];
    for (number, look) in looks.into_iter().enumerate() {
        let mut input = ByteReadChannel::from("x");
        assert!(finish(input.await_content(1)).expect("a byte"));
        assert!((0..4).any(|_| look(&mut input)), "{number}");
    }
}

/// A difference is told as soon as it is seen, because the peer may wait for the answer to it.
#[test]
fn one_different_byte_is_an_answer() {
    let (script, mut input) = Script::new([Step::Bytes(b"GE".to_vec())]);
    assert!(cut_after(1, input.skip_if_found(b"GET ")).is_none());
    script.bytes("X");
    assert!(!at_once(input.skip_if_found(b"GET ")).expect("another word"));
    assert_eq!(at_once(input.peek(3)).expect("nothing was taken"), Some(&b"GEX"[..]));
}

#[test]
fn errors_behind_a_look_take_nothing() {
    let reset = Error::new(ErrorKind::Reset, "recv");
    let (_, mut input) = Script::new([
        Step::Bytes(b"ab".to_vec()),
        Step::Fail(hiccup()),
        Step::Fail(hiccup()),
        Step::Fail(hiccup()),
        Step::Fail(hiccup()),
        Step::Broken(reset),
    ]);
    assert!(finish(input.peek(3)).expect_err("a hiccup").is_timeout());
    assert!(finish(input.await_content(3)).expect_err("a hiccup").is_timeout());
    assert!(finish(input.skip_if_found(b"abc")).expect_err("a hiccup").is_timeout());
    assert!(finish(input.read_up_to(3)).expect_err("a hiccup").is_timeout());
    for _ in 0..2 {
        assert!(finish(input.peek(3)).expect_err("no end").is_reset());
        assert!(finish(input.await_content(3)).expect_err("no end").is_reset());
        assert!(finish(input.read_up_to(3)).expect_err("no end").is_reset());
    }
    assert_eq!(finish(input.peek(2)).expect("they stay"), Some(&b"ab"[..]));
    assert!(finish(input.discard_exact(3)).expect_err("no end").is_reset());
    assert!(finish(input.exhausted()).expect_err("no end").is_reset());
}

/// The task may keep the lent bytes for long, so little content leaves its block.
#[test]
fn a_peek_holds_no_block_for_little() {
    ledgered(|ledger| {
        let mut input = ByteReadChannel::from("a few bytes");
        assert!(finish(input.peek(3)).expect("bytes").is_some());
        assert_eq!(ledger.in_use(), 0);
        finish(input.discard(99)).expect("the end");
    });
}

#[test]
fn discarding_exactly_is_all_or_an_error() {
    let mut input = Script::pieces(["abc", "defg"]);
    finish(input.discard_exact(5)).expect("five");
    assert_eq!(finish(input.peek(1)).expect("the sixth"), Some(&b"f"[..]));
    let error = finish(input.discard_exact(3)).expect_err("two");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed: 3, available: 2 });
    assert!(input.is_closed_for_read());
}

#[test]
fn more_than_memory_is_discarded_exactly() {
    let (script, mut input) = Script::new([]);
    let mut left = 300 * KIB as u64;
    for _ in 0..3 {
        script.bytes(vec![0; 100 * KIB]);
        let before = input.counted();
        assert!(cut_after(1, input.discard_exact(left + 1)).is_none());
        left -= input.counted() - before;
    }
    assert_eq!(left, 0);
}

// ---- without waiting -------------------------------------------------------------------------------

#[test]
fn a_read_that_does_not_wait_says_whether_there_was_anything() {
    let (script, mut input) = Script::new([]);
    let mut slice = [0; 4];
    for _ in 0..3 {
        assert_eq!(input.try_read(&mut slice).expect("open"), None);
        assert_eq!(input.try_read(&mut []).expect("open"), Some(0));
    }
    script.bytes("abcdef");
    assert_eq!(input.try_read(&mut slice).expect("open"), Some(4));
    assert_eq!(&slice, b"abcd");
    assert_eq!(input.try_read(&mut slice).expect("open"), Some(2));
    assert_eq!(input.try_read(&mut slice).expect("open"), None);
    script.then(Step::Fail(hiccup()));
    assert!(input.try_read(&mut slice).expect_err("a hiccup").is_timeout());
    script.then(Step::End);
    for _ in 0..3 {
        assert_eq!(input.try_read(&mut slice).expect("the end"), Some(0));
        assert!(input.is_closed_for_read());
    }
    assert_eq!(at_once(input.read(&mut slice)).expect("the end"), 0);
}

#[test]
fn a_read_that_does_not_wait_tells_a_lasting_error() {
    let (mut input, mut output) = pipe(16);
    at_once(output.write_str("last")).expect("room");
    output.abort_with(Error::other("disk full"));
    let mut slice = [0; 9];
    let told = loop {
        match input.try_read(&mut slice) {
            Ok(Some(4)) => {}
            other => break other.expect_err("the cause"),
        }
    };
    assert!(told.to_string().contains("disk full"), "{told}");
    input.abort_with(Error::new(ErrorKind::Cancelled, "test"));
    assert!(input.try_read(&mut slice).expect_err("given up").is_cancelled());
}

/// A reader that waits is woken, although another call looked in between.
#[test]
fn a_look_that_does_not_wait_takes_no_wake_up_from_the_next_call() {
    let (mut input, mut output) = pipe(16);
    let (waker, woken) = forebay_testing::counted_waker();
    assert_eq!(input.try_read(&mut [0; 4]).expect("open"), None);
    let mut waiting = pin!(input.read_u8());
    assert!(forebay_testing::poll_with(waiting.as_mut(), &waker).is_pending());
    at_once(output.write_u8(7)).expect("room");
    at_once(output.flush()).expect("sent");
    assert!(woken.count() > 0);
    assert_eq!(at_once(waiting).expect("a byte"), 7);
}

// ---- counting --------------------------------------------------------------------------------------

#[test]
fn everything_that_is_read_is_counted() {
    let mut text = b"line\r\nitem--12345678".to_vec();
    text.extend(vec![0; 200 * KIB]);
    let mut input = ByteReadChannel::from(text);
    let mut expected = 0;
    let mut assert_counted = |input: &ByteReadChannel, more: usize| {
        expected += more as u64;
        assert_eq!(input.counted(), expected);
    };
    assert_counted(&input, 0);
    finish(input.await_content(20)).expect("they are there");
    assert_counted(&input, 0);
    finish(input.read_line()).expect("a line");
    assert_counted(&input, 6);
    finish(input.read_until("--", 9)).expect("an item");
    assert_counted(&input, 6);
    finish(input.read_u64()).expect("a number");
    assert_counted(&input, 8);
    finish(input.read_packet(50 * KIB)).expect("a packet");
    assert_counted(&input, 50 * KIB);
    finish(input.discard_exact(10)).expect("some");
    assert_counted(&input, 10);
    // Straight into the slice.
    let mut slice = vec![0; 100 * KIB];
    finish(input.read_exact(&mut slice)).expect("a slice");
    assert_counted(&input, 100 * KIB);
    finish(input.read_remaining(MIB)).expect("the rest");
    assert_counted(&input, 50 * KIB - 10);
}

#[test]
fn what_is_given_back_or_given_up_is_not_counted() {
    let (_, mut input) = Script::new([Step::Bytes(vec![7; 20 * KIB])]);
    let mut slice = vec![0; 100 * KIB];
    assert!(cut_after(1, input.read_exact(&mut slice)).is_none());
    assert_eq!((input.counted(), input.buffered()), (0, 20 * KIB));
    assert_eq!(at_once(input.read_u8()).expect("a byte"), 7);
    input.abort_with(Error::new(ErrorKind::Cancelled, "test"));
    assert_eq!(input.counted(), 1);
}

// ---- what Ktor's tests pin -------------------------------------------------------------------------

#[test]
fn skip() {
    let mut input = ByteReadChannel::from(&[1, 2, 3][..]);
    assert!(finish(input.skip_if_found(&[1, 2])).expect("found"));
    assert_eq!(finish(input.read_u8()).expect("the third"), 3);
    assert!(finish(input.exhausted()).expect("the end") && input.is_closed_for_read());
}

#[test]
fn skip_exact() {
    let mut input = ByteReadChannel::from(&[1, 2][..]);
    assert!(finish(input.skip_if_found(&[1, 2])).expect("found"));
    assert!(finish(input.exhausted()).expect("the end") && input.is_closed_for_read());
}

#[test]
fn skip_end_of_input() {
    let mut input = ByteReadChannel::from(&[1, 2][..]);
    assert!(!finish(input.skip_if_found(&[1, 2, 3])).expect("too short"));
}

#[test]
fn skip_delayed() {
    let mut input = Script::pieces([&[1][..], &[2, 3]]);
    assert!(finish(input.skip_if_found(&[1, 2])).expect("found"));
    assert_eq!(finish(input.read_u8()).expect("the third"), 3);
    assert!(finish(input.exhausted()).expect("the end") && input.is_closed_for_read());
}

#[test]
fn skip_delayed_invalid() {
    let mut input = Script::pieces([&[1][..], &[3, 2]]);
    assert!(!finish(input.skip_if_found(&[1, 2])).expect("another byte"));
    assert_eq!(finish(input.read_u8()).expect("the first"), 1);
}

#[test]
fn skip_if_found_and_read_the_rest() {
    let mut input = ByteReadChannel::from("This is a test of the skipIfFound");
    assert!(!finish(input.skip_if_found(b"Won't find this")).expect("it is not there"));
    assert!(finish(input.skip_if_found(b"This is a test of the ")).expect("it is there"));
    assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some("skipIfFound"));
}

/// The calls that do not suspend: nothing, and the end, which are two answers here.
#[test]
fn read_available_block_from_empty_and_closed() {
    let (mut input, mut output) = pipe(16);
    assert_eq!(input.try_read(&mut [0; 4]).expect("open"), None);
    at_once(output.finish()).expect("closed");
    assert_eq!(input.try_read(&mut [0; 4]).expect("closed"), Some(0));
}

#[test]
fn read_available_from_empty_with_no_minimum() {
    assert!(finish(ByteReadChannel::empty().await_content(0)).expect("nothing is there"));
    assert_eq!(finish(ByteReadChannel::empty().peek(0)).expect("nothing"), Some(&b""[..]));
}

/// `readTo(sink)` twice, and with limits that add up to all there is.
#[test]
fn read_to_sink_all_and_partial() {
    let mut input = ByteReadChannel::from(&[1, 2, 3, 4, 5][..]);
    assert_eq!(finish(input.read_up_to(MIB)).expect("all").as_slice(), [1, 2, 3, 4, 5]);
    assert!(finish(input.read_up_to(MIB)).expect("none").is_empty());
    let bytes: Vec<u8> = (0..10).collect();
    let mut input = ByteReadChannel::from(bytes.clone());
    let mut sizes = Vec::new();
    let mut all = Vec::new();
    for limit in [2, 2, 5, 1, MIB] {
        let packet = finish(input.read_up_to(limit)).expect("a piece");
        sizes.push(packet.len());
        all.extend_from_slice(packet.as_slice());
    }
    assert_eq!((sizes, all), (vec![2, 2, 5, 1, 0], bytes));
}

/// `LookAheadSession`: look at four bytes, and take them.
#[test]
fn look_ahead_session_await() {
    let (mut input, mut output) = pipe(64);
    for number in 0..100_u32 {
        at_once(output.write_u32(number)).expect("room");
        let bytes = at_once(input.peek(4)).expect("four bytes").expect("no end");
        assert_eq!(bytes, number.to_be_bytes());
        at_once(input.discard_exact(4)).expect("four bytes");
    }
}

#[test]
fn await_content_of_a_channel_closed_with_data_in_its_buffer() {
    let (mut input, mut output) = pipe(64);
    at_once(output.write_all(&[0; 10])).expect("room");
    at_once(output.finish()).expect("closed");
    assert!(!finish(input.await_content(20)).expect("ten"));
    assert!(finish(input.await_content(1)).expect("ten"));
}

#[test]
fn await_content_of_a_cancelled_channel() {
    let (mut input, mut output) = pipe(64);
    output.abort_with(Error::other("cancelled"));
    assert!(
        finish(input.await_content(1)).expect_err("cancelled").to_string().contains("cancelled")
    );
}

#[test]
fn close_after_await() {
    let (mut input, mut output) = pipe(64);
    let mut waiting = pin!(input.await_content(1));
    assert!(poll_once(waiting.as_mut()).is_pending());
    at_once(output.finish()).expect("closed");
    assert!(!at_once(waiting).expect("the end"));
}
