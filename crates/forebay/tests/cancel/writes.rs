//! Writes to a channel that is full.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use forebay::{
    ByteWriteChannel, LengthFraming, Packet, Result, SelectorManager, write_fmt, write_line,
};
use forebay_testing::nameless_file;

use crate::outgoing::{End, Full, Sink};
use crate::support::{Driven, Operation, Trial, assert_same, turn};
use crate::table::{Row, Scene, Word};

/// A write, and what it puts on the wire.
struct Write {
    item: Vec<u8>,
    call: Call,
}

/// The call itself. It may count how often code of the caller's was run to compose the item.
type Call = for<'a> fn(&'a mut ByteWriteChannel, &'a mut Composed) -> Operation<'a, Result<()>>;

#[derive(Debug, Default)]
struct Composed(u32);

impl Composed {
    fn count(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

const KIB: usize = 1024;

/// The step that follows the cut.
#[derive(Debug, Clone, Copy)]
enum NextStep {
    /// Something else is written.
    SomethingElse,
    /// The same call is made again.
    Again,
    /// The same call is made again and again, and dropped at its first Pending each time, until it
    /// is ready.
    AgainAndAgain,
}

async fn attempt(
    write: &Write,
    sink: Sink,
    then: NextStep,
    trial: &Trial,
    selector: &SelectorManager,
) {
    let mut full = Full::open(sink, selector).await;
    let (output, world) = (&mut full.output, &mut full.world);
    let mut composed = Composed::default();
    let mut expected = full.filler;
    loop {
        let operation = (write.call)(output, &mut composed);
        let driven = if trial.was_cut() {
            trial.drive_once(operation, world).await
        } else {
            trial.drive(operation, world).await
        };
        if let Driven::Ready(written) = driven {
            written.unwrap();
            expected.extend(&write.item);
            break;
        }
        assert_eq!(composed.0, 0, "runs of the code that composes the item");
        if !trial.forgets() {
            // One that gave way has left its waker with the turn.
            turn().await;
            trial.assert_no_waker_is_kept();
        }
        match then {
            NextStep::SomethingElse => break,
            NextStep::Again => {
                let again = (write.call)(output, &mut composed);
                trial.complete(again, world).await.unwrap();
                expected.extend(&write.item);
                break;
            }
            NextStep::AgainAndAgain => {}
        }
    }
    let something_else = Box::pin(output.write_str("something else"));
    trial.complete(something_else, world).await.unwrap();
    expected.extend(b"something else");
    trial.complete(Box::pin(output.finish()), world).await.unwrap();
    assert_eq!(world.take_all().await, End::Finished);
    assert_same(&world.taken, &expected, "what the peer received");
    full.world.hang_up();
}

macro_rules! call {
    (|$output:ident, $composed:pat_param| $value:expr) => {
        |$output: &mut ByteWriteChannel, $composed: &mut Composed| Box::pin(async move { $value })
    };
}

/// A row over all sinks. The writer is polled after everything that the peer takes, and so waits
/// at least twice: two bites stand before the pipe, and more than one bite before the connection.
fn row(path: &'static str, items: Vec<(&'static [u8], Call)>) -> Row {
    Row {
        path,
        words: &[Word::Lossless],
        scenes: items.into_iter().flat_map(|(item, call)| scenes(item, call)).collect(),
    }
}

fn scenes(item: &[u8], call: Call) -> Vec<Scene> {
    let write = Arc::new(Write { item: item.to_vec(), call });
    let mut scenes = Vec::new();
    // A byte at a time, something large takes a second in the end, and the peer then only reads.
    let pipe = Sink::Pipe(if item.len() < KIB { 1 } else { KIB });
    for sink in [pipe, Sink::Tcp, Sink::Unix, Sink::Memory, Sink::Tls] {
        for (then, name) in [
            (NextStep::SomethingElse, "then something else"),
            (NextStep::Again, "then again"),
            (NextStep::AgainAndAgain, "again and again"),
        ] {
            let write = Arc::clone(&write);
            scenes.push(Scene::new(format!("{sink}, {name}"), 2, move |trial| {
                trial.on_a_selector(async |selector| {
                    attempt(&write, sink, then, trial, &selector).await;
                });
            }));
        }
    }
    scenes
}

/// The rows of all writes of numbers.
macro_rules! numbers {
    ($($name:ident $number:literal $bytes:ident;)*) => {
        [$(Row {
            path: concat!("forebay_io::ByteWriteChannel::", stringify!($name)),
            words: &[Word::Lossless],
            scenes: scenes(&$number.$bytes(), call!(|output, _| output.$name($number).await)),
        }),*]
    };
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::from(numbers! {
        write_u8 0x41_u8 to_be_bytes; write_i8 -3_i8 to_be_bytes;
        write_u16 0x4142_u16 to_be_bytes; write_u16_le 0x4142_u16 to_le_bytes;
        write_i16 -1002_i16 to_be_bytes; write_i16_le -1002_i16 to_le_bytes;
        write_u32 0x4142_4344_u32 to_be_bytes; write_u32_le 0x4142_4344_u32 to_le_bytes;
        write_i32 -100_002_i32 to_be_bytes; write_i32_le -100_002_i32 to_le_bytes;
        write_u64 0x4142_4344_4546_u64 to_be_bytes; write_u64_le 0x4142_4344_4546_u64 to_le_bytes;
        write_i64 -100_000_002_i64 to_be_bytes; write_i64_le -100_000_002_i64 to_le_bytes;
        write_f32 1.5_f32 to_be_bytes; write_f32_le 1.5_f32 to_le_bytes;
        write_f64 -2.25_f64 to_be_bytes; write_f64_le -2.25_f64 to_le_bytes;
    });
    rows.push(free_space());
    rows.extend(items());
    rows.extend(composed());
    rows
}

/// The wait for room without a write.
fn free_space() -> Row {
    let mut scenes = Vec::new();
    for sink in [Sink::Pipe(1), Sink::Tcp, Sink::Unix, Sink::Memory, Sink::Tls] {
        scenes.push(Scene::new(format!("{sink}"), 2, move |trial| {
            trial.on_a_selector(async |selector| {
                let Full { mut output, socket, mut world, filler: mut expected } =
                    Full::open(sink, &selector).await;
                match trial.drive(Box::pin(output.await_free_space()), &mut world).await {
                    Driven::Ready(room) => room.unwrap(),
                    Driven::Cut => {
                        if !trial.forgets() {
                            turn().await;
                            trial.assert_no_waker_is_kept();
                        }
                        let again = Box::pin(output.await_free_space());
                        trial.complete(again, &mut world).await.unwrap();
                    }
                }
                assert!(output.free_space() > 0);
                assert!(output.try_write_str("at once").unwrap());
                expected.extend(b"at once");
                trial.complete(Box::pin(output.finish()), &mut world).await.unwrap();
                assert_eq!(world.take_all().await, End::Finished);
                assert_same(&world.taken, &expected, "what the peer received");
                world.hang_up();
                drop(socket);
            });
        }));
    }
    let path = "forebay_io::ByteWriteChannel::await_free_space";
    Row { path, words: &[Word::Releases], scenes }
}

/// Writes these bytes from the middle of a file.
async fn write_part(output: &mut ByteWriteChannel, bytes: &[u8]) -> Result<()> {
    let (file, part) = file_around(bytes);
    output.write_file(&file, part).await.map(|count| assert_eq!(count, bytes.len() as u64))
}

/// Makes a file with these bytes in its middle, and returns where they are.
pub(crate) fn file_around(bytes: &[u8]) -> (File, Range<u64>) {
    let file = nameless_file(&[b"before", bytes, b"behind"].concat());
    (file, 6..6 + bytes.len() as u64)
}

/// Items that are there. Those above 1 MiB, which are written in pieces, have scenes of their own.
fn items() -> [Row; 5] {
    const LARGE: &[u8] = &[b'L'; 40 * 1024];
    /// The same in a frame: 40 KiB are 0xa000.
    const FRAMED: &[u8] = &{
        let mut framed = [b'L'; 2 + 40 * 1024];
        (framed[0], framed[1]) = (0xa0, 0);
        framed
    };
    [
        row(
            "forebay_io::ByteWriteChannel::write_file",
            vec![
                (b"of a file", call!(|output, _| write_part(output, b"of a file").await)),
                (LARGE, call!(|output, _| write_part(output, LARGE).await)),
            ],
        ),
        row(
            "forebay_io::ByteWriteChannel::write_frame",
            vec![
                (
                    b"\x05frame",
                    call!(|output, _| {
                        output.write_frame(&LengthFraming::u8(), &[b"fr", b"ame"]).await
                    }),
                ),
                // Queued as it was composed.
                (
                    FRAMED,
                    call!(|output, _| output.write_frame(&LengthFraming::u16(), &[LARGE]).await),
                ),
            ],
        ),
        row(
            "forebay_io::ByteWriteChannel::write_strs",
            vec![(b"one, two", call!(|output, _| output.write_strs(&["one", ", ", "two"]).await))],
        ),
        row(
            "forebay_io::ByteWriteChannel::write_bytes",
            vec![
                (b"copied", call!(|output, _| output.write_bytes("copied".into()).await)),
                // Queued as it is.
                (LARGE, call!(|output, _| output.write_bytes(Bytes::from_static(LARGE)).await)),
            ],
        ),
        row(
            "forebay_io::ByteWriteChannel::write_packet",
            vec![(
                b"a packet",
                call!(|output, _| {
                    let packet = Packet::from(b"a packet".to_vec());
                    output.write_packet(packet).await
                }),
            )],
        ),
    ]
}

/// Items that the caller's code composes: a closure once, and only when there is room; the arguments of a
/// macro at once, whatever becomes of the write.
fn composed() -> [Row; 3] {
    [
        row(
            "forebay_io::ByteWriteChannel::write_with",
            vec![(
                b"run 1",
                call!(|output, composed| {
                    let compose = |out: &mut forebay::ItemBuffer| {
                        out.put_str("run ");
                        out.write_fmt(format_args!("{}", composed.count()));
                    };
                    output.write_with(compose).await
                }),
            )],
        ),
        row(
            "forebay_io::write_fmt!",
            vec![(b"run 1", call!(|output, _| write_fmt!(output, "run {}", 1).await))],
        ),
        row(
            "forebay_io::write_line!",
            vec![(b"run 1\n", call!(|output, _| write_line!(output, "run {}", 1).await))],
        ),
    ]
}

/// The scenes of slices up to 1 MiB, for the rows that have scenes of larger ones too.
pub(crate) fn whole_slices() -> [Vec<Scene>; 2] {
    [
        scenes(b"a slice", call!(|output, _| output.write_all(b"a slice").await)),
        scenes("schön".as_bytes(), call!(|output, _| output.write_str("schön").await)),
    ]
}
