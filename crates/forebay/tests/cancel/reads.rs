//! Reads from a peer that sends byte by byte.

use std::sync::Arc;
use std::thread;

use forebay::{ByteReadChannel, Error, ErrorKind, Result, SelectorManager};

use crate::incoming::{Incoming, Source, single};
use crate::support::{Driven, Operation, Trial, assert_same, at_last, now};
use crate::table::{Row, Scene, Word};
use crate::yields;

/// A read, and what its peer sends.
pub(crate) struct Read {
    /// The difference between this case and others of its row.
    pub(crate) what: &'static str,
    pub(crate) word: Word,
    pub(crate) waits_min: usize,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) call: Call,
}

/// The call itself; what it returned, as bytes.
pub(crate) type Call =
    for<'a> fn(&'a mut ByteReadChannel, &'a mut Scratch) -> Operation<'a, Result<Vec<u8>>>;

/// The buffers that a caller lends to a read, and what it knows of the calls before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scratch {
    pub(crate) text: String,
    pub(crate) slice: Vec<u8>,
    /// Bytes that calls which were cut have consumed.
    pub(crate) done: u64,
}

impl Scratch {
    fn new() -> Self {
        Self { text: "as before".to_owned(), slice: vec![b'-'; 8], done: 0 }
    }
}

/// The step that follows the cut.
#[derive(Debug, Clone, Copy)]
enum NextStep {
    /// Everything is read to the end.
    TheRest,
    /// The same call is made again, and the rest read.
    Again,
    /// The same call is made again and again, and dropped at its first Pending each time, until it
    /// is ready.
    AgainAndAgain,
}

/// A read over each source, with each thing that may be done after the cut.
pub(crate) fn scenes(read: Read, sources: &[Source]) -> Vec<Scene> {
    let read = Arc::new(read);
    let mut scenes = Vec::new();
    for &source in sources {
        for (then, name) in [
            (NextStep::TheRest, "then the rest"),
            (NextStep::Again, "then again"),
            (NextStep::AgainAndAgain, "again and again"),
        ] {
            let read = Arc::clone(&read);
            scenes.push(Scene::new(
                format!("{}{source}, {name}", read.what),
                read.waits_min,
                move |trial| {
                    trial.on_a_selector(async |selector| {
                        attempt(&read, source, then, trial, &selector).await;
                    });
                },
            ));
        }
    }
    scenes
}

/// The value of the call, and what it leaves, where everything is there at once. It gives way when it
/// takes much.
fn uncut(read: &Read) -> (Vec<u8>, Vec<u8>) {
    let read_all = || {
        let mut input = ByteReadChannel::from(read.pieces.concat());
        let mut scratch = Scratch::new();
        let value = at_last((read.call)(&mut input, &mut scratch)).unwrap();
        let rest = at_last(input.read_remaining(usize::MAX)).unwrap();
        (value, rest.as_slice().to_vec())
    };
    // On a thread without turns, where it is enough to poll again.
    thread::scope(|scope| scope.spawn(read_all).join().unwrap())
}

async fn attempt(
    read: &Read,
    source: Source,
    then: NextStep,
    trial: &Trial,
    selector: &SelectorManager,
) {
    let (value, rest) = uncut(read);
    let (mut input, mut world) = Incoming::open(source, selector, read.pieces.clone()).await;
    let mut scratch = Scratch::new();
    loop {
        let lent = scratch.clone();
        let operation = (read.call)(&mut input, &mut scratch);
        let driven = if trial.was_cut() {
            trial.drive_once(operation, &mut world).await
        } else {
            trial.drive(operation, &mut world).await
        };
        if let Driven::Ready(found) = driven {
            let found = found.unwrap();
            if read.word != Word::Resumes || !trial.was_cut() {
                assert_same(&found, &value, "what the call returned");
            }
            break;
        }
        assert_eq!(scratch, lent, "what the caller lent");
        if is_incomplete(read, trial, world.seen, &mut input) {
            return assert_incomplete(&mut input).await;
        }
        let mut kept = read.pieces.concat();
        if read.word == Word::Resumes {
            scratch.done = world.seen as u64;
            kept.drain(..world.seen);
        }
        match then {
            NextStep::TheRest => {
                let all = Box::pin(input.read_remaining(usize::MAX));
                let all = trial.complete(all, &mut world).await.unwrap();
                return assert_same(all.as_slice(), &kept, "the rest after the cut");
            }
            NextStep::Again => {
                let again = (read.call)(&mut input, &mut scratch);
                let found = trial.complete(again, &mut world).await.unwrap();
                if read.word != Word::Resumes {
                    assert_same(&found, &value, "what the second call returned");
                }
                break;
            }
            NextStep::AgainAndAgain => {}
        }
    }
    let left = Box::pin(input.read_remaining(usize::MAX));
    let left = trial.complete(left, &mut world).await.unwrap();
    assert_same(left.as_slice(), &rest, "the rest after the call");
}

/// True when the channel says that bytes were taken out of it for a call that never ended. A large
/// slice must say so; a forgotten future may; nothing else does.
fn is_incomplete(read: &Read, trial: &Trial, seen: usize, input: &mut ByteReadChannel) -> bool {
    let must = read.word == Word::Poisons && seen > 0;
    // An empty slice asks for nothing, and is answered all the same.
    match now(input.read(&mut [])) {
        Ok(_) => assert!(!must, "{seen} bytes were taken, and nothing says so"),
        Err(error) => {
            assert!(must || trial.forgets(), "{error}");
            assert!(matches!(error.kind(), ErrorKind::Incomplete { .. }), "{error}");
            return true;
        }
    }
    false
}

/// Every call says it, forever, and gives way now and then.
async fn assert_incomplete(input: &mut ByteReadChannel) {
    let (_kept, mut output) = forebay::pipe(1);
    let answers = [
        ("read_u8", input.read_u8().await.map(drop)),
        ("read_line", input.read_line().await.map(drop)),
        ("read_line_bytes_ref", input.read_line_bytes_ref().await.map(drop)),
        ("read", input.read(&mut [0]).await.map(drop)),
        ("read_exact", input.read_exact(&mut [0]).await),
        ("read_chunk", input.read_chunk().await.map(drop)),
        ("read_packet", input.read_packet(1).await.map(drop)),
        ("read_remaining", input.read_remaining(1).await.map(drop)),
        ("skip_line", input.skip_line().await.map(drop)),
        ("discard", input.discard(1).await.map(drop)),
        ("discard_exact", input.discard_exact(1).await),
        ("peek", input.peek(1).await.map(drop)),
        ("await_content", input.await_content(1).await.map(drop)),
        ("exhausted", input.exhausted().await.map(drop)),
        ("skip_if_found", input.skip_if_found(b"x").await.map(drop)),
        ("read_up_to", input.read_up_to(1).await.map(drop)),
        ("read_until", input.read_until("x", 9).await.map(drop)),
        ("read_until_into", input.read_until_into("x", &mut Vec::new(), 9).await.map(drop)),
        ("try_read", input.try_read(&mut [0]).map(drop)),
        ("copy_to", input.copy_to(&mut output).await.map(drop)),
        ("copy_exact_to", input.copy_exact_to(1, &mut output).await),
        ("copy_to_both", input.copy_to_both(&mut output, &mut forebay::pipe(1).1).await.map(drop)),
        ("copy_to_writer", input.copy_to_writer(&mut Vec::new(), 1).await.map(drop)),
        ("read_frame", input.read_frame(&forebay::LineFraming::new()).await.map(drop)),
    ];
    for (call, answer) in answers {
        let kind = answer.as_ref().map_err(Error::kind);
        assert!(matches!(kind, Err(ErrorKind::Incomplete { .. })), "{call}: {answer:?}");
    }
}

/// A row's call: `call!(|input, scratch| value)`.
macro_rules! call {
    (|$input:ident, $scratch:pat_param| $value:expr) => {
        |$input: &mut ByteReadChannel, $scratch: &mut Scratch| Box::pin(async move { $value })
    };
}
pub(crate) use call;

/// A row over all sources, in single bytes.
fn row(
    path: &'static str,
    words: &'static [Word],
    waits_min: usize,
    stream: &[u8],
    call: Call,
) -> Row {
    let read = Read { what: "", word: words[0], waits_min, pieces: single(stream), call };
    let sources =
        [Source::Pipe(1), Source::Tcp, Source::Unix, Source::Memory, Source::Tls, Source::Blocking];
    Row { path, words, scenes: scenes(read, &sources) }
}

/// The rows of all reads of numbers. What a blocking reader does to one read it does to all, so the
/// numbers do without it.
macro_rules! numbers {
    ($($name:ident $bytes:literal;)*) => {
        [$({
            let read = Read {
                what: "",
                word: Word::Lossless,
                waits_min: $bytes,
                pieces: single(b"\x40\x12\x83\x04\xff\x06\x87\x7e, and more"),
                call: call!(|input, _| Ok(format!("{:?}", input.$name().await?).into())),
            };
            Row {
                path: concat!("forebay_io::ByteReadChannel::", stringify!($name)),
                words: &[Word::Lossless],
                scenes: scenes(read, &[Source::Pipe(1), Source::Tcp]),
            }
        }),*]
    };
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::from(numbers! {
        read_u8 1; read_i8 1;
        read_u16 2; read_i16 2; read_u32 4; read_i32 4; read_u64 8; read_i64 8;
        read_u16_le 2; read_i16_le 2; read_u32_le 4; read_i32_le 4; read_u64_le 8; read_i64_le 8;
        read_f32 4; read_f64 8; read_f32_le 4; read_f64_le 8;
    });
    rows.extend(available());
    rows.extend(lines());
    rows.extend(ahead());
    rows.extend(items());
    rows
}

/// Reads of whatever there is, and of a given number of bytes.
fn available() -> [Row; 6] {
    let mut rows = [
        row(
            "forebay_io::ByteReadChannel::read",
            &[Word::Lossless],
            1,
            b"abc",
            call!(|input, scratch| {
                let count = input.read(&mut scratch.slice[..1]).await?;
                Ok(scratch.slice[..count].to_vec())
            }),
        ),
        row(
            "forebay_io::ByteReadChannel::read_chunk",
            &[Word::Lossless],
            1,
            b"a",
            call!(|input, _| Ok(input.read_chunk().await?.unwrap_or_default().to_vec())),
        ),
        row(
            "forebay_io::ByteReadChannel::read_packet",
            &[Word::Lossless],
            5,
            b"a packet, and more",
            call!(|input, _| Ok(input.read_packet(5).await?.as_slice().to_vec())),
        ),
        row(
            "forebay_io::ByteReadChannel::read_remaining",
            &[Word::Lossless],
            8,
            b"to the end",
            call!(|input, _| Ok(input.read_remaining(99).await?.as_slice().to_vec())),
        ),
        row(
            "forebay_io::ByteReadChannel::discard",
            &[Word::Resumes],
            7,
            b"nothing, and more",
            call!(|input, scratch| {
                let count = input.discard(7 - scratch.done).await?;
                Ok(vec![u8::try_from(count).unwrap()])
            }),
        ),
        row(
            "forebay_io::ByteReadChannel::read_frame",
            &[Word::Lossless],
            6,
            b"\x05frame, and more",
            call!(|input, _| {
                let frame = input.read_frame(&forebay::LengthFraming::u8()).await?;
                Ok(frame.unwrap_or_default().as_slice().to_vec())
            }),
        ),
    ];
    for (row, scenes) in [(2, yields::packet()), (3, yields::remaining())] {
        rows[row].scenes.extend(scenes);
    }
    rows
}

/// Looks at what is not read yet.
fn ahead() -> [Row; 4] {
    [
        row(
            "forebay_io::ByteReadChannel::peek",
            &[Word::Lossless],
            5,
            b"a look, and more",
            call!(|input, _| Ok(input.peek(5).await?.unwrap_or_default().to_vec())),
        ),
        row(
            "forebay_io::ByteReadChannel::await_content",
            &[Word::Lossless],
            5,
            b"a look, and more",
            call!(|input, _| Ok(vec![u8::from(input.await_content(5).await?)])),
        ),
        row(
            "forebay_io::ByteReadChannel::exhausted",
            &[Word::Lossless],
            1,
            b"a",
            call!(|input, _| Ok(vec![u8::from(input.exhausted().await?)])),
        ),
        row(
            "forebay_io::ByteReadChannel::skip_if_found",
            &[Word::Lossless],
            6,
            b"a word, and more",
            call!(|input, _| Ok(vec![u8::from(input.skip_if_found(b"a word").await?)])),
        ),
    ]
}

/// Reads up to a delimiter that overlaps with what is in front of it, or up to a number of bytes.
fn items() -> [Row; 4] {
    const ITEMS: &[u8] = b"an item----and more";
    [
        row(
            "forebay_io::ByteReadChannel::read_until",
            &[Word::Lossless],
            13,
            ITEMS,
            call!(|input, _| Ok(input.read_until("--and", 99).await?.unwrap_or_default().to_vec())),
        ),
        row(
            "forebay_io::ByteReadChannel::read_until_into",
            &[Word::Lossless],
            13,
            ITEMS,
            call!(|input, scratch| {
                assert!(input.read_until_into("--and", &mut scratch.slice, 99).await?);
                Ok(scratch.slice.clone())
            }),
        ),
        row(
            "forebay_io::ByteReadChannel::read_up_to",
            &[Word::Lossless],
            7,
            ITEMS,
            call!(|input, _| Ok(input.read_up_to(7).await?.as_slice().to_vec())),
        ),
        row(
            "forebay_io::ByteReadChannel::discard_exact",
            &[Word::Resumes],
            7,
            ITEMS,
            call!(|input, scratch| {
                input.discard_exact(7 - scratch.done).await?;
                Ok(Vec::new())
            }),
        ),
    ]
}

/// Reads of lines: a CR and an LF apart, a letter of two bytes, a lone CR.
fn lines() -> [Row; 6] {
    const LINES: &[u8] = "café \r au lait\r\nthe rest\n".as_bytes();
    let mut rows = [
        row(
            "forebay_io::ByteReadChannel::read_line",
            &[Word::Lossless],
            17,
            LINES,
            call!(|input, _| Ok(input.read_line().await?.unwrap_or_default().into())),
        ),
        row(
            "forebay_io::ByteReadChannel::read_line_ref",
            &[Word::Lossless],
            17,
            LINES,
            call!(|input, _| Ok(input.read_line_ref().await?.unwrap_or_default().into())),
        ),
        row(
            "forebay_io::ByteReadChannel::read_line_into",
            &[Word::Lossless],
            17,
            LINES,
            call!(|input, scratch| {
                assert!(input.read_line_into(&mut scratch.text).await?);
                Ok(scratch.text.clone().into())
            }),
        ),
        row(
            "forebay_io::ByteReadChannel::read_lines_ref",
            &[Word::Lossless],
            17,
            LINES,
            call!(|input, _| {
                let line = input.read_lines_ref().await?.and_then(|mut lines| lines.next());
                Ok(line.unwrap_or_default().into())
            }),
        ),
        row(
            "forebay_io::ByteReadChannel::read_line_bytes_ref",
            &[Word::Lossless],
            17,
            LINES,
            call!(|input, _| Ok(input.read_line_bytes_ref().await?.unwrap_or_default().into())),
        ),
        row(
            "forebay_io::ByteReadChannel::skip_line",
            &[Word::Resumes],
            17,
            LINES,
            call!(|input, _| Ok(vec![u8::from(input.skip_line().await?)])),
        ),
    ];
    rows[0].scenes.push(yields::equal_answers(|input| {
        Box::pin(async { Ok(input.read_line().await?.is_some()) })
    }));
    rows[1].scenes.push(yields::equal_answers(|input| {
        Box::pin(async { Ok(input.read_line_ref().await?.is_some()) })
    }));
    rows[2].scenes.push(yields::equal_answers(|input| {
        Box::pin(async { input.read_line_into(&mut String::new()).await })
    }));
    rows[3].scenes.push(yields::equal_answers(|input| {
        Box::pin(async { Ok(input.read_lines_ref().await?.is_some()) })
    }));
    rows[4].scenes.push(yields::equal_answers(|input| {
        Box::pin(async { Ok(input.read_line_bytes_ref().await?.is_some()) })
    }));
    rows
}
