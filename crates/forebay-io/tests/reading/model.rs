//! Every reading call in every order, against an oracle that holds the whole input: whatever the
//! pieces in which bytes arrive, and at whichever poll a call is dropped.

use forebay_io::seam::{BLOCK_BYTES, BlockLedger};
use forebay_io::{ByteReadChannel, Error, ErrorKind, LineOptions, Result};
use forebay_testing::{
    KIB, MIB,
    channels::{Script, Step, hiccup, ledgered},
    cut_after, finish, property, scrambled, sizes, splits,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Line,
    LineRef,
    LineInto,
    /// Takes so many of the lines that are lent.
    Lines(usize),
    SkipLine,
    Limit(usize),
    Read(usize),
    Exact(usize),
    U8,
    U16,
    I32Le,
    U64Le,
    F64,
    Packet(usize),
    Chunk,
    Discard(usize),
    Remaining(usize),
}

/// An op, and at which poll it is dropped if it is not ready by then.
type Call = (Op, Option<usize>);

#[derive(Debug, Clone)]
enum Part {
    Line(usize, Text, &'static [u8]),
    Bytes(usize),
}

#[derive(Debug, Clone, Copy)]
enum Text {
    Ascii,
    Wide,
    Invalid,
}

impl Part {
    fn append_to(&self, input: &mut Vec<u8>) {
        match *self {
            Self::Bytes(len) => input.extend(scrambled(len, input.len())),
            Self::Line(len, text, ending) => {
                let start = input.len();
                while input.len() - start < len {
                    match text {
                        Text::Ascii | Text::Invalid => input.push(b'a' + (input.len() % 26) as u8),
                        Text::Wide => {
                            let next = ["é", "ン", "😀"][input.len() % 3];
                            input.extend_from_slice(next.as_bytes());
                        }
                    }
                }
                if let (Text::Invalid, Some(last)) = (text, input.last_mut()) {
                    *last = 0xff;
                }
                input.extend_from_slice(ending);
            }
        }
    }
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let text = prop_oneof![4 => Just(Text::Ascii), 2 => Just(Text::Wide), 1 => Just(Text::Invalid)];
    let ending: [&'static [u8]; 6] = [b"\n", b"\r\n", b"\r", b"\r\r\n", b"\n\n", b""];
    let part = prop_oneof![
        3 => (sizes(), text, proptest::sample::select(ending.to_vec()))
            .prop_map(|(len, text, ending)| Part::Line(len - 1, text, ending)),
        1 => sizes().prop_map(Part::Bytes),
    ];
    vec(part, 0..12)
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let limit =
        prop_oneof![Just(0), Just(5), Just(100), Just(64 * KIB), Just(200 * KIB), Just(usize::MAX)];
    let op = prop_oneof![
        3 => Just(Op::Line),
        3 => Just(Op::LineRef),
        1 => Just(Op::LineInto),
        3 => (0..5_usize).prop_map(Op::Lines),
        2 => Just(Op::SkipLine),
        1 => limit.prop_map(Op::Limit),
        2 => sizes().prop_map(|size| Op::Read(size - 1)),
        3 => sizes().prop_map(|size| Op::Exact(size - 1)),
        1 => (0..300 * KIB).prop_map(Op::Exact),
        1 => Just(Op::U8),
        1 => Just(Op::U16),
        1 => Just(Op::I32Le),
        1 => Just(Op::U64Le),
        1 => Just(Op::F64),
        2 => sizes().prop_map(|size| Op::Packet(size - 1)),
        1 => (0..300 * KIB).prop_map(Op::Packet),
        1 => Just(Op::Packet(MIB + 1)),
        1 => Just(Op::Chunk),
        2 => sizes().prop_map(|size| Op::Discard(size - 1)),
        1 => sizes().prop_map(Op::Remaining),
    ];
    let polls = prop_oneof![2 => Just(None), 1 => (0..6_usize).prop_map(Some)];
    vec((op, polls), 1..40)
}

/// Bytes in pieces, and between them nothing, a Pending of either sort, or an error that passes.
fn steps(input: &[u8], splits: &[usize], between: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut rest, mut splits, mut between) =
        (input, splits.iter().cycle(), between.iter().cycle());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(*splits.next().expect("a cycle")));
        rest = later;
        match between.next().expect("a cycle") {
            0 => {}
            1..=3 => steps.push(Step::Pause),
            4..=6 => steps.push(Step::Idle),
            _ => steps.push(Step::Fail(hiccup())),
        }
        steps.push(Step::Bytes(piece.to_vec()));
    }
    steps.extend([Step::Pause, Step::End]);
    steps
}

/// The model that the channel is compared with: the whole input and one position in it.
struct Oracle {
    input: Vec<u8>,
    at: usize,
    limit: usize,
    /// A dropped `skip_line` has discarded the beginning of the line.
    inside: bool,
}

impl Oracle {
    fn rest(&self) -> &[u8] {
        &self.input[self.at..]
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.at += count;
        self.inside &= count == 0;
        self.input[self.at - count..self.at].to_vec()
    }

    /// Exactly so many bytes, or the error that says how many there are.
    fn exact(&mut self, needed: usize) -> std::result::Result<Vec<u8>, ErrorKind> {
        let available = self.rest().len();
        if available >= needed {
            return Ok(self.take(needed));
        }
        Err(ErrorKind::UnexpectedEnd { needed: needed as u64, available: available as u64 })
    }

    /// The line is discarded; true if there was anything.
    fn skip_line(&mut self) -> bool {
        let skips = self.inside || !self.rest().is_empty();
        self.at += (self.before_lf() + 1).min(self.rest().len());
        self.inside = false;
        skips
    }

    fn line(&mut self) -> std::result::Result<Option<String>, ErrorKind> {
        if self.inside {
            self.skip_line();
        }
        let rest = self.rest();
        let (content, consumed) = match rest.iter().position(|&byte| byte == b'\n') {
            Some(lf) if lf > 0 && rest[lf - 1] == b'\r' => (&rest[..lf - 1], lf + 1),
            Some(lf) => (&rest[..lf], lf + 1),
            None if rest.is_empty() => return Ok(None),
            None => (rest, rest.len()),
        };
        if content.len() > self.limit {
            let limit = self.limit as u64;
            return Err(ErrorKind::LineTooLong { limit });
        }
        match std::str::from_utf8(content) {
            Ok(line) => {
                let line = line.to_owned();
                self.at += consumed;
                Ok(Some(line))
            }
            Err(error) => Err(ErrorKind::InvalidUtf8 { offset: error.valid_up_to() as u64 }),
        }
    }

    /// The most that a dropped `skip_line` can have discarded: everything before the LF.
    fn before_lf(&self) -> usize {
        let lf = self.rest().iter().position(|&byte| byte == b'\n');
        lf.unwrap_or(self.rest().len())
    }
}

struct Model<'a> {
    oracle: Oracle,
    script: Script,
    channel: ByteReadChannel,
    ledger: &'a BlockLedger,
}

/// True when the answer is an error that passed by; the call is then as if it were dropped.
fn passed_by<T>(answer: &Result<T>) -> bool {
    answer.as_ref().is_err_and(Error::is_timeout)
}

fn kinds<T>(answer: Result<T>) -> std::result::Result<T, ErrorKind> {
    answer.map_err(|error| error.kind())
}

/// Runs a call to its end or to its cut: `Some` is an answer of the channel about the input.
macro_rules! answer {
    ($polls:expr, $call:expr) => {
        match $polls {
            Some(polls) => cut_after(polls, $call),
            None => Some(finish($call)),
        }
        .filter(|answer| !passed_by(answer))
    };
}

impl Model<'_> {
    fn call(&mut self, call: &Call) {
        let before = self.script.calls();
        self.answer(call);
        self.went_past_a_line();
        assert_eq!(self.position(), self.oracle.at, "bytes were lost or doubled");
        // A call that ended may leave one block for the next call; one that went to sleep pins no
        // more than four times what is there.
        let slept = self.script.calls() > before && self.script.paused_last();
        let most = if slept { 4 * self.channel.buffered() } else { BLOCK_BYTES };
        let held = self.ledger.in_use() * BLOCK_BYTES;
        assert!(held <= most, "{held} bytes of blocks are held, {most} allowed");
    }

    fn answer(&mut self, (op, polls): &Call) {
        let Self { oracle, channel, .. } = self;
        match *op {
            Op::Limit(limit) => {
                oracle.limit = limit;
                channel.set_line_options(LineOptions::new().limit(limit));
            }
            Op::Line => {
                if let Some(line) = answer!(*polls, channel.read_line()) {
                    assert_eq!(kinds(line), oracle.line());
                }
            }
            Op::LineRef => {
                let line = match polls {
                    Some(polls) => cut_after(*polls, channel.read_line_ref()),
                    None => Some(finish(channel.read_line_ref())),
                };
                if let Some(line) = line.filter(|answer| !passed_by(answer)) {
                    assert_eq!(kinds(line).map(|line| line.map(str::to_owned)), oracle.line());
                }
            }
            Op::LineInto => {
                let mut line = "before:".to_owned();
                let answer = answer!(*polls, channel.read_line_into(&mut line));
                let Some(answer) = answer else {
                    return assert_eq!(line, "before:", "a dropped call appended");
                };
                match (kinds(answer), oracle.line()) {
                    (Ok(true), Ok(Some(expected))) => {
                        assert_eq!(line, format!("before:{expected}"));
                    }
                    (Ok(false), Ok(None)) => assert_eq!(line, "before:"),
                    (Err(kind), Err(expected)) => {
                        assert_eq!(kind, expected);
                        assert_eq!(line, "before:", "a failed call appended");
                    }
                    (answer, expected) => panic!("{answer:?} for {expected:?}"),
                }
            }
            Op::Lines(count) => {
                let lines = match polls {
                    Some(polls) => cut_after(*polls, channel.read_lines_ref()),
                    None => Some(finish(channel.read_lines_ref())),
                };
                let Some(lines) = lines.filter(|answer| !passed_by(answer)) else { return };
                match kinds(lines) {
                    Ok(Some(lines)) => {
                        let lines: Vec<_> = lines.take(count).collect();
                        assert!(count == 0 || !lines.is_empty(), "no line was lent");
                        for line in lines {
                            assert_eq!(oracle.line(), Ok(Some(line.to_owned())));
                        }
                    }
                    Ok(None) => assert_eq!(oracle.line(), Ok(None)),
                    Err(kind) => assert_eq!(oracle.line(), Err(kind)),
                }
            }
            Op::SkipLine => {
                if let Some(answer) = answer!(*polls, channel.skip_line()) {
                    return assert_eq!(kinds(answer), Ok(oracle.skip_line()));
                }
                let before = oracle.at;
                self.resumed(self.oracle.before_lf());
                self.oracle.inside |= self.oracle.at > before;
            }
            Op::Read(size) => {
                let mut slice = vec![0xee; size];
                let answer = answer!(*polls, channel.read(&mut slice));
                if let Some(count) = answer {
                    let count = kinds(count).expect("reading does not fail");
                    assert_eq!(count == 0, size == 0 || oracle.rest().is_empty());
                    assert_eq!(slice[..count], oracle.take(count));
                    assert!(slice[count..].iter().all(|&byte| byte == 0xee));
                } else {
                    assert!(slice.iter().all(|&byte| byte == 0xee), "a dropped read left bytes");
                }
            }
            Op::Exact(size) => {
                let mut slice = vec![0; size];
                if let Some(answer) = answer!(*polls, channel.read_exact(&mut slice)) {
                    assert_eq!(kinds(answer).map(|()| slice), oracle.exact(size));
                }
            }
            Op::U8 => {
                if let Some(number) = answer!(*polls, channel.read_u8()) {
                    assert_eq!(kinds(number).map(|number| vec![number]), oracle.exact(1));
                }
            }
            Op::U16 => {
                if let Some(number) = answer!(*polls, channel.read_u16()) {
                    let bytes = kinds(number).map(|number| number.to_be_bytes().to_vec());
                    assert_eq!(bytes, oracle.exact(2));
                }
            }
            Op::I32Le => {
                if let Some(number) = answer!(*polls, channel.read_i32_le()) {
                    let bytes = kinds(number).map(|number| number.to_le_bytes().to_vec());
                    assert_eq!(bytes, oracle.exact(4));
                }
            }
            Op::U64Le => {
                if let Some(number) = answer!(*polls, channel.read_u64_le()) {
                    let bytes = kinds(number).map(|number| number.to_le_bytes().to_vec());
                    assert_eq!(bytes, oracle.exact(8));
                }
            }
            Op::F64 => {
                if let Some(number) = answer!(*polls, channel.read_f64()) {
                    let bytes = kinds(number).map(|number| number.to_bits().to_be_bytes().to_vec());
                    assert_eq!(bytes, oracle.exact(8));
                }
            }
            Op::Packet(size) => {
                if let Some(packet) = answer!(*polls, channel.read_packet(size)) {
                    let packet = kinds(packet).map(|packet| packet.as_slice().to_vec());
                    if size > MIB {
                        let limit = MIB as u64;
                        return assert_eq!(packet, Err(ErrorKind::LimitExceeded { limit }));
                    }
                    assert_eq!(packet, oracle.exact(size));
                }
            }
            Op::Chunk => {
                if let Some(chunk) = answer!(*polls, channel.read_chunk()) {
                    match kinds(chunk).expect("reading does not fail") {
                        None => assert!(oracle.rest().is_empty()),
                        Some(chunk) => {
                            assert!(!chunk.is_empty());
                            assert_eq!(chunk, oracle.take(chunk.len()));
                        }
                    }
                }
            }
            Op::Discard(count) => {
                if let Some(answer) = answer!(*polls, channel.discard(count as u64)) {
                    let expected = count.min(oracle.rest().len());
                    oracle.take(expected);
                    return assert_eq!(kinds(answer), Ok(expected as u64));
                }
                let before = oracle.at;
                self.resumed(count);
                self.oracle.inside &= self.oracle.at == before;
            }
            Op::Remaining(limit) => {
                if let Some(rest) = answer!(*polls, channel.read_remaining(limit)) {
                    let rest = kinds(rest).map(|packet| packet.as_slice().to_vec());
                    let available = oracle.rest().len();
                    if available > limit {
                        let limit = limit as u64;
                        assert_eq!(rest, Err(ErrorKind::LimitExceeded { limit }));
                    } else {
                        assert_eq!(rest, oracle.exact(available));
                    }
                }
            }
        }
    }

    /// A line call that was dropped inside a line may have discarded the rest of it, or some of that.
    fn went_past_a_line(&mut self) {
        let discarded = self.position().checked_sub(self.oracle.at).expect("bytes came back");
        if self.oracle.inside && discarded > 0 {
            let rest = self.oracle.before_lf();
            assert!(discarded <= rest + 1, "{discarded} discarded, of {rest}");
            self.oracle.inside = discarded <= rest;
            self.oracle.at += discarded;
        }
    }

    /// A call of the word *Resumes* was dropped: it has discarded something, within bounds.
    fn resumed(&mut self, most: usize) {
        let at = self.position();
        let discarded = at.checked_sub(self.oracle.at).expect("bytes came back");
        assert!(discarded <= most, "{discarded} discarded, of {most}");
        self.oracle.at = at;
    }

    /// The channel's position in the input: the bytes that arrived, less those that it still holds.
    fn position(&self) -> usize {
        let delivered = usize::try_from(self.script.delivered()).expect("inputs are small");
        delivered - self.channel.buffered()
    }
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn reads_answer_as_the_oracle_does() {
    let input = (parts(), splits(), vec(0..8_u8, 1..6), calls());
    property("read model", 300, &input, |(parts, splits, between, calls)| {
        let mut input = Vec::new();
        for part in &parts {
            part.append_to(&mut input);
        }
        let steps = steps(&input, &splits, &between);
        ledgered(|ledger| {
            let (script, channel) = Script::new(steps);
            let oracle = Oracle { input, at: 0, limit: 64 * KIB, inside: false };
            let mut model = Model { oracle, script, channel, ledger };
            for call in &calls {
                model.call(call);
            }
            // Whatever is left comes out whole.
            loop {
                match finish(model.channel.read_remaining(MIB)) {
                    Ok(rest) => {
                        assert_eq!(rest.as_slice(), model.oracle.rest());
                        break;
                    }
                    Err(error) => assert!(error.is_timeout(), "{error}"),
                }
            }
            assert_eq!(finish(model.channel.read_line()).expect("the end"), None);
            assert!(model.channel.is_closed_for_read());
        });
    });
}
