//! Frames: their limits, their ends, and what a call leaves behind.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use forebay_io::{
    ByteReadChannel, DelimiterFraming, Error, ErrorKind, FrameStep, Framing, FramingKey,
    ItemBuffer, LengthFraming, LineFraming, Result, pipe,
};
use forebay_testing::{
    KIB, MIB, at_once,
    channels::{Recorder, Script, Step, ledgered},
    cut_after, finish, lock, poll_once, scrambled,
};

fn frame(input: &mut ByteReadChannel, framing: &impl Framing) -> Option<Vec<u8>> {
    let frame = finish(input.read_frame(framing)).expect("a frame or the end");
    frame.map(|frame| frame.as_slice().to_vec())
}

fn refusal(input: &mut ByteReadChannel, framing: &impl Framing) -> ErrorKind {
    finish(input.read_frame(framing)).expect_err("no frame").kind()
}

// ---- limits --------------------------------------------------------------------------------------------

#[test]
fn a_length_is_obeyed_at_its_limit_and_refused_one_above() {
    for limit in [0, 1, 5, 254] {
        let content = scrambled(limit + 1, 0);
        for framing in [
            LengthFraming::u8(),
            LengthFraming::u16(),
            LengthFraming::u16().little_endian(),
            LengthFraming::u32(),
            LengthFraming::u32().little_endian(),
            LengthFraming::varint(),
        ] {
            let (mut input, mut output) = pipe(KIB);
            at_once(output.write_frame(&framing, &[&content[..limit]])).expect("room");
            at_once(output.write_frame(&framing, &[&content])).expect("room");
            let narrow = framing.clone().limit(limit);
            let kind = ErrorKind::LimitExceeded { limit: limit as u64 };
            let refused = at_once(output.write_frame(&narrow, &[&content[..1], &content[1..]]));
            assert_eq!(refused.expect_err("one above").kind(), kind);
            assert_eq!(output.try_write_frame(&narrow, &[&content]).expect_err("too").kind(), kind);
            at_once(output.finish()).expect("a clean end");
            assert_eq!(frame(&mut input, &narrow).as_deref(), Some(&content[..limit]));
            // Refused, and it stays: another limit reads it.
            for _ in 0..3 {
                assert_eq!(refusal(&mut input, &narrow), kind);
            }
            assert_eq!(frame(&mut input, &framing).as_deref(), Some(&content[..]));
            assert_eq!(frame(&mut input, &framing), None);
        }
    }
}

#[test]
fn the_largest_content_of_a_short_length_is_what_it_can_tell() {
    for (framing, most) in [(LengthFraming::u8(), 255), (LengthFraming::u16(), 65_535)] {
        let (mut input, mut output) = pipe(MIB);
        let content = scrambled(most + 1, 0);
        at_once(output.write_frame(&framing, &[&content[..most]])).expect("room");
        let refused = at_once(output.write_frame(&framing, &[&content])).expect_err("no length");
        assert_eq!(refused.kind(), ErrorKind::LimitExceeded { limit: most as u64 });
        assert!(frame(&mut input, &framing).as_deref() == Some(&content[..most]));
    }
}

#[test]
fn a_frame_of_a_mebibyte_passes_whole_and_one_byte_more_does_not() {
    ledgered(|_| {
        let framing = LengthFraming::u32();
        let content = scrambled(MIB + 1, 0);
        let peer = Recorder::new();
        let (mut output, _turns) = peer.channel();
        finish(output.write_frame(&framing, &[&content[..MIB]])).expect("room");
        finish(output.write_frame(&framing, &[&content])).expect_err("one above");
        finish(output.write_frame(&framing.clone().limit(MIB + 1), &[&content])).expect("allowed");
        finish(output.flush()).expect("nothing is wrong with the peer");
        let (_, mut input) = Script::new([Step::Bytes(peer.sent()), Step::End]);
        assert!(frame(&mut input, &framing).as_deref() == Some(&content[..MIB]));
        let kind = ErrorKind::LimitExceeded { limit: MIB as u64 };
        assert_eq!(refusal(&mut input, &framing), kind);
        assert!(frame(&mut input, &framing.limit(2 * MIB)).as_deref() == Some(&content[..]));
    });
}

#[test]
fn a_mark_is_found_up_to_the_limit_and_the_error_is_told_as_soon_as_it_is_certain() {
    for limit in [0, 1, 5, 1000] {
        for mark in [&b";"[..], b"--", b"\r\n\r\n"] {
            let framing = DelimiterFraming::new(mark).limit(limit);
            let content = vec![b'x'; limit + 1];
            let kind = ErrorKind::LimitExceeded { limit: limit as u64 };
            let mut at_limit = content[..limit].to_vec();
            at_limit.extend_from_slice(mark);
            let mut input = Script::pieces([at_limit]);
            assert_eq!(frame(&mut input, &framing).as_deref(), Some(&content[..limit]));
            // One above: certain once the mark could only begin behind the limit.
            let (script, mut input) = Script::new([]);
            script.bytes(content.clone());
            script.bytes(vec![b'y'; mark.len() - 1]);
            for _ in 0..3 {
                assert_eq!(refusal(&mut input, &framing), kind);
            }
            script.bytes(mark);
            let wide = framing.clone().limit(limit + mark.len());
            let found = frame(&mut input, &wide).expect("a wider limit reads it");
            assert_eq!(found.len(), limit + mark.len());
        }
    }
}

#[test]
fn lines_obey_their_limit_as_read_line_does() {
    let framing = LineFraming::new().limit(5);
    let lines = |text: &'static str| {
        let mut input = ByteReadChannel::from(text);
        let mut lines = Vec::new();
        loop {
            match finish(input.read_frame(&framing)) {
                Ok(Some(line)) => lines.push(String::from_utf8(line.as_slice().to_vec()).unwrap()),
                Ok(None) => return (lines, None),
                Err(error) => return (lines, Some(error.kind())),
            }
        }
    };
    let too_long = Some(ErrorKind::LimitExceeded { limit: 5 });
    let all = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(lines("12345\n"), (all(&["12345"]), None));
    assert_eq!(lines("1234\r\n5\r\n"), (all(&["1234", "5"]), None));
    assert_eq!(lines("12345\r\n"), (all(&["12345"]), None));
    assert_eq!(lines("12345"), (all(&["12345"]), None));
    assert_eq!(lines("\n\r\n"), (all(&["", ""]), None));
    assert_eq!(lines("1\r2\n"), (all(&["1\r2"]), None));
    assert_eq!(lines("123456\n"), (all(&[]), too_long));
    assert_eq!(lines("12345\rmore"), (all(&[]), too_long));
    assert_eq!(lines("12345\r"), (all(&[]), too_long));
    assert_eq!(lines("123456"), (all(&[]), too_long));
    let zero = LineFraming::new().limit(0);
    let mut input = ByteReadChannel::from("\r\nX\n");
    assert_eq!(frame(&mut input, &zero).as_deref(), Some(&b""[..]));
    assert_eq!(refusal(&mut input, &zero), ErrorKind::LimitExceeded { limit: 0 });
}

#[test]
fn an_announced_length_reserves_nothing() {
    let (script, mut input) = Script::new([]);
    let framing = LengthFraming::u32().limit(1 << 30);
    script.bytes((1_u32 << 30).to_be_bytes());
    script.bytes(vec![0; 100]);
    assert!(cut_after(3, input.read_frame(&framing)).is_none());
    assert!(script.offered_max() <= 64 * KIB, "{} bytes were reserved", script.offered_max());
    // And afterwards no more than what has come, once more.
    script.bytes(vec![0; 300 * KIB]);
    assert!(cut_after(50, input.read_frame(&framing)).is_none());
    assert!(script.offered_max() <= 512 * KIB, "{} bytes were reserved", script.offered_max());
}

// ---- varints -------------------------------------------------------------------------------------------

#[test]
fn varints_are_written_short_and_read_in_any_length() {
    let framing = LengthFraming::varint();
    for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
        let content = scrambled(length, 0);
        let (mut input, mut output) = pipe(MIB);
        at_once(output.write_frame(&framing, &[&content])).expect("room");
        let header = [128, 16_384].iter().filter(|more| length >= **more).count() + 1;
        assert_eq!(output.counted(), (header + length) as u64);
        assert!(frame(&mut input, &framing).as_deref() == Some(&content[..]));
    }
    // The same number, with bytes that say nothing.
    for zeros in 1..9 {
        let mut bytes = vec![0x83];
        bytes.extend(vec![0x80; zeros - 1]);
        bytes.extend([0, b'a', b'b', b'c']);
        assert_eq!(frame(&mut bytes.into(), &framing).as_deref(), Some(&b"abc"[..]));
    }
    let kind = ErrorKind::LimitExceeded { limit: MIB as u64 };
    let endless = vec![0x80; 11];
    assert_eq!(refusal(&mut endless.into(), &framing), kind);
    let mut zero_and_a_65th_bit = vec![0x80; 9];
    zero_and_a_65th_bit.push(2);
    assert_eq!(refusal(&mut zero_and_a_65th_bit.into(), &framing), kind);
    let mut all_bits = vec![0xff; 9];
    all_bits.push(1);
    assert_eq!(refusal(&mut all_bits.clone().into(), &framing), kind, "u64::MAX");
    all_bits[9] = 2;
    assert_eq!(refusal(&mut all_bits.into(), &framing), kind, "65 bits");
}

// ---- ends ----------------------------------------------------------------------------------------------

#[test]
fn an_end_within_a_frame_is_an_error_that_leaves_its_bytes() {
    let stream: &[u8] = b"\0\0\0\x05hello";
    for cut in 0..=stream.len() {
        let mut input = Script::pieces([&stream[..cut]]);
        let framing = LengthFraming::u32();
        if cut == 0 {
            assert_eq!(frame(&mut input, &framing), None);
        } else if cut == stream.len() {
            assert_eq!(frame(&mut input, &framing).as_deref(), Some(&b"hello"[..]));
        } else {
            let needed = if cut < 4 { 4 } else { 9 };
            for _ in 0..3 {
                let kind = ErrorKind::UnexpectedEnd { needed, available: cut as u64 };
                assert_eq!(refusal(&mut input, &framing), kind);
            }
            let rest = finish(input.read_remaining(KIB)).expect("they are still there");
            assert_eq!(rest.as_slice(), &stream[..cut]);
        }
    }
}

#[test]
fn an_end_without_a_mark_is_an_error_or_the_rest() {
    let framing = DelimiterFraming::new("--").limit(4);
    for (text, rest) in [("", None), ("-", Some("-")), ("abcd", Some("abcd")), ("a-", Some("a-"))] {
        let mut input = Script::pieces([text]);
        if rest.is_some() {
            let kind = refusal(&mut input, &framing);
            assert!(matches!(kind, ErrorKind::UnexpectedEnd { .. }), "{kind:?}");
        }
        let framing = framing.clone().rest_at_end();
        assert_eq!(frame(&mut input, &framing).as_deref(), rest.map(str::as_bytes));
        assert_eq!(frame(&mut input, &framing), None);
    }
    // A mark may still have come, and then did not: the rest is above the limit.
    let mut input = Script::pieces(["abcd-"]);
    let kind = refusal(&mut input, &framing.clone().rest_at_end());
    assert_eq!(kind, ErrorKind::LimitExceeded { limit: 4 });
}

#[test]
fn an_error_of_the_source_comes_behind_the_frames_before_it() {
    let framing = LengthFraming::u8();
    let reset = Error::new(ErrorKind::Reset, "recv");
    let (_, mut input) = Script::new([Step::Bytes(b"\x01a\x02b".to_vec()), Step::Broken(reset)]);
    assert_eq!(frame(&mut input, &framing).as_deref(), Some(&b"a"[..]));
    assert_eq!(refusal(&mut input, &framing), ErrorKind::Reset);
    assert_eq!(finish(input.read_packet(2)).expect("half a frame").as_slice(), b"\x02b");
}

// ---- writing -------------------------------------------------------------------------------------------

#[test]
fn a_body_that_would_end_its_frame_earlier_is_refused_and_nothing_is_written() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let marked = DelimiterFraming::new("--");
    let lines = LineFraming::new();
    for body in [&[&b"a--b"[..]][..], &[b"a-", b"-b"], &[b"a-"], &[b"-"], &[b"--"]] {
        let refused = at_once(output.write_frame(&marked, body)).expect_err("it has a mark");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    for body in [&[&b"a\nb"[..]][..], &[b"a\r"], &[b"\r"], &[b"a", b"\n"]] {
        let refused = at_once(output.write_frame(&lines, body)).expect_err("it has an end");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(output.counted(), 0);
    at_once(output.write_frame(&marked, &[b"-a", b"-b"])).expect("no mark");
    at_once(output.write_frame(&lines, &[b"\ra"])).expect("no end");
    at_once(output.write_frame(&lines.clone().crlf(), &[b"b\r"])).expect("its CR stays");
    turns.end();
    assert_eq!(peer.sent(), b"-a-b--\ra\nb\r\r\n");
}

#[test]
fn length_and_body_are_one_item() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![0; 64 * KIB - 1])).expect("room");
    assert!(output.try_write_frame(&LengthFraming::u32(), &[&[1; 100]]).expect("open"));
    assert!(!output.try_write_frame(&LengthFraming::u32(), &[&[2; 100]]).expect("open"));
    assert!(cut_after(3, output.write_frame(&LengthFraming::u32(), &[&[3; 100]])).is_none());
    assert!(
        cut_after(3, output.write_frame(&LengthFraming::u32(), &[&vec![4; 50 * KIB]])).is_none()
    );
    peer.allow(usize::MAX);
    turns.end();
    at_once(output.flush()).expect("nothing is wrong with the peer");
    assert_eq!(peer.sent_len(), 64 * KIB - 1 + 104);
}

// ---- a program's own framing ---------------------------------------------------------------------------

/// Answers what it was told to.
struct Answers(Vec<FrameStep>, std::sync::Mutex<usize>);

impl Answers {
    fn new(steps: impl IntoIterator<Item = FrameStep>) -> Self {
        Self(steps.into_iter().collect(), std::sync::Mutex::new(0))
    }
}

impl Framing for Answers {
    fn find(&self, _: &[u8], _: usize) -> FrameStep {
        let mut next = lock(&self.1);
        *next += 1;
        self.0[(*next - 1).min(self.0.len() - 1)].clone()
    }

    fn put(&self, _: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
        out.put_str("half a frame");
        Err(Error::other("called off"))
    }
}

#[test]
fn what_a_framing_skips_is_gone_and_it_may_skip_to_the_end() {
    let step = FrameStep::Frame { content: 1..2, consumed: 3 };
    let answers = Answers::new([FrameStep::Skip(2), FrameStep::Skip(1), step, FrameStep::Skip(99)]);
    let mut input = ByteReadChannel::from("abcdefgh");
    assert_eq!(frame(&mut input, &answers).as_deref(), Some(&b"e"[..]));
    assert_eq!(frame(&mut input, &answers), None);
}

#[test]
fn impossible_answers_are_errors_and_no_panics_or_loops() {
    let impossible = [
        FrameStep::Skip(0),
        FrameStep::Frame { content: 0..0, consumed: 0 },
        FrameStep::Frame { content: 0..9, consumed: 9 },
        FrameStep::Frame { content: 0..3, consumed: 2 },
        #[allow(clippy::reversed_empty_ranges, reason = "impossible, as it is meant to be")]
        FrameStep::Frame { content: 2..1, consumed: 3 },
    ];
    for step in impossible {
        let answers = Answers::new([step]);
        let mut input = ByteReadChannel::from("abc");
        for _ in 0..5 {
            assert_eq!(refusal(&mut input, &answers), ErrorKind::InvalidInput);
        }
        assert_eq!(finish(input.read_u8()).expect("untouched"), b'a');
    }
    // A need that is there already is one byte more.
    let answers = Answers::new([FrameStep::Need(0)]);
    let (script, mut input) = Script::new([Step::Bytes(b"abc".to_vec())]);
    assert!(cut_after(5, input.read_frame(&answers)).is_none());
    script.then(Step::End);
    let kind = ErrorKind::UnexpectedEnd { needed: 4, available: 3 };
    assert_eq!(refusal(&mut input, &answers), kind);
    // A need above what the framing itself allows.
    let answers = Answers::new([FrameStep::Need(MIB + 1)]);
    let kind = ErrorKind::LimitExceeded { limit: MIB as u64 };
    assert_eq!(refusal(&mut ByteReadChannel::from("a"), &answers), kind);
}

#[test]
fn a_fatal_answer_is_the_programs_error_again_and_again_and_gives_way() {
    let answers = Answers::new([FrameStep::Fatal(Error::other("no frame of mine"))]);
    let mut input = ByteReadChannel::from("abc");
    let mut waits = 0;
    for _ in 0..9 {
        let mut read = pin!(input.read_frame(&answers));
        let error = loop {
            match poll_once(read.as_mut()) {
                Poll::Ready(result) => break result.expect_err("no frame"),
                Poll::Pending => waits += 1,
            }
        };
        assert_eq!(error.to_string(), "no frame of mine");
    }
    assert!(waits >= 3, "{waits} waits in nine answers");
}

#[test]
fn a_frame_that_is_called_off_leaves_nothing_behind() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    let answers = Answers::new([]);
    assert!(at_once(output.write_frame(&answers, &[b"x"])).is_err());
    assert!(output.try_write_frame(&answers, &[b"x"]).is_err());
    at_once(output.write_str("whole")).expect("room");
    let output = output.share();
    assert!(at_once(output.write_frame(&answers, &[b"x"])).is_err());
    turns.end();
    assert_eq!(peer.sent(), b"whole");
}

#[test]
fn a_shared_channel_writes_frames_of_any_size_in_turn() {
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![0; 64 * KIB])).expect("room");
    let output = output.share();
    let framing = LengthFraming::u32();
    let large = scrambled(100 * KIB, 0);
    {
        let bodies: [&[&[u8]]; 3] = [&[b"one"], &[&large], &[b"th", b"ree"]];
        let mut waiting: Vec<_> =
            bodies.iter().map(|body| Box::pin(output.write_frame(&framing, body))).collect();
        for write in &mut waiting {
            assert!(poll_once(write.as_mut()).is_pending());
        }
        peer.allow(usize::MAX);
        turns.end();
        for write in waiting {
            finish(write).expect("room");
            turns.end();
        }
    }
    finish(output.flush()).expect("nothing is wrong with the peer");
    let sent = peer.sent().split_off(64 * KIB);
    let (_, mut input) = Script::new([Step::Bytes(sent), Step::End]);
    assert_eq!(frame(&mut input, &framing).as_deref(), Some(&b"one"[..]));
    assert!(frame(&mut input, &framing).as_deref() == Some(&large[..]));
    assert_eq!(frame(&mut input, &framing).as_deref(), Some(&b"three"[..]));
}

// ---- costs ---------------------------------------------------------------------------------------------

/// Counts the bytes that it is shown beyond those that it has seen.
struct Counting<F>(F, AtomicU64);

impl<F: Framing> Framing for Counting<F> {
    fn find(&self, bytes: &[u8], seen: usize) -> FrameStep {
        assert!(seen <= bytes.len());
        self.1.fetch_add((bytes.len() - seen) as u64, Relaxed);
        self.0.find(bytes, seen)
    }

    fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
        self.0.put(body, out)
    }

    fn bytes_max(&self) -> usize {
        self.0.bytes_max()
    }

    fn key(&self) -> Option<FramingKey> {
        self.0.key()
    }
}

#[test]
fn a_frame_that_arrives_byte_by_byte_is_searched_once_even_if_every_call_is_dropped() {
    let length = 200 * KIB;
    for drops in [false, true] {
        let framing = Counting(DelimiterFraming::new("--"), AtomicU64::new(0));
        let (script, mut input) = Script::new([]);
        if drops {
            for _ in 0..length {
                script.bytes("x");
                assert!(cut_after(1, input.read_frame(&framing)).is_none());
            }
        } else {
            let mut read = pin!(input.read_frame(&framing));
            for _ in 0..length {
                script.bytes("x");
                assert!(poll_once(read.as_mut()).is_pending());
            }
        }
        script.bytes("--");
        assert_eq!(frame(&mut input, &framing).map(|frame| frame.len()), Some(length));
        assert_eq!(framing.1.load(Relaxed), length as u64 + 2, "bytes were searched again");
    }
}

#[test]
fn a_framing_without_a_key_goes_on_within_a_call_and_never_where_another_stood() {
    struct Keyless(DelimiterFraming);
    impl Framing for Keyless {
        fn find(&self, bytes: &[u8], seen: usize) -> FrameStep {
            self.0.find(bytes, seen)
        }
        fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
            self.0.put(body, out)
        }
    }
    // What the first framing has seen, the others have not.
    let (script, mut input) = Script::new([Step::Bytes(b"a;b|c".to_vec())]);
    for mark in ["#", "?"] {
        assert!(cut_after(2, input.read_frame(&Keyless(DelimiterFraming::new(mark)))).is_none());
        assert!(cut_after(2, input.read_frame(&DelimiterFraming::new(mark))).is_none());
    }
    assert!(cut_after(2, input.read_frame(&LineFraming::new())).is_none());
    assert_eq!(frame(&mut input, &DelimiterFraming::new(";")).as_deref(), Some(&b"a"[..]));
    assert_eq!(frame(&mut input, &Keyless(DelimiterFraming::new("|"))).as_deref(), Some(&b"b"[..]));
    script.bytes("\n");
    assert_eq!(frame(&mut input, &LineFraming::new()).as_deref(), Some(&b"c"[..]));
    // A narrower limit has looked at less.
    let (_, mut input) = Script::new([Step::Bytes(b"abcdef\n".to_vec())]);
    refusal(&mut input, &LineFraming::new().limit(2));
    assert_eq!(frame(&mut input, &LineFraming::new()).as_deref(), Some(&b"abcdef"[..]));
    let narrow = DelimiterFraming::new("--").limit(2);
    let (_, mut input) = Script::new([Step::Bytes(b"abcdef--".to_vec())]);
    refusal(&mut input, &narrow);
    assert_eq!(frame(&mut input, &narrow.limit(9)).as_deref(), Some(&b"abcdef"[..]));
}

#[test]
fn frames_and_other_reads_of_one_stream_take_turns() {
    let mut input = Script::pieces(["2\nabc", "d--\x03xyzrest"]);
    let mark = DelimiterFraming::new("--");
    assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some("2"));
    assert!(cut_after(1, input.read_frame(&mark)).is_none());
    assert_eq!(finish(input.read_u8()).expect("a byte"), b'a');
    assert_eq!(frame(&mut input, &mark).as_deref(), Some(&b"bcd"[..]));
    assert_eq!(frame(&mut input, &LengthFraming::u8()).as_deref(), Some(&b"xyz"[..]));
    assert_eq!(finish(input.read_line()).expect("a line").as_deref(), Some("rest"));
}

#[test]
#[should_panic(expected = "a mark of at least one byte")]
fn an_empty_mark_is_a_mistake_of_the_program() {
    drop(DelimiterFraming::new(""));
}
