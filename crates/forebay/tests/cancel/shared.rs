//! Calls on one clone of a shared writing channel, while others write, too.

use bytes::Bytes;
use forebay::{LengthFraming, Packet, Result, SelectorManager, SharedWriteChannel};

use crate::outgoing::{End, Full, Sink};
use crate::support::{Driven, Operation, Trial, assert_same, now, turn};
use crate::table::{Row, Scene, Word};
use crate::writes::file_around;

/// The call, and what it puts on the wire.
type Call = (&'static [u8], for<'a> fn(&'a SharedWriteChannel) -> Operation<'a, Result<()>>);

const LARGE: &[u8] = &[b'L'; 40 * 1024];

pub(crate) fn rows() -> Vec<Row> {
    let writes: [(_, Call); 8] = [
        (
            "forebay_io::SharedWriteChannel::write_all",
            (b"a slice", |output| Box::pin(output.write_all(b"a slice"))),
        ),
        (
            "forebay_io::SharedWriteChannel::write_bytes",
            (LARGE, |output| Box::pin(output.write_bytes(Bytes::from_static(LARGE)))),
        ),
        (
            "forebay_io::SharedWriteChannel::write_file",
            (b"of a file", |output| Box::pin(write_part(output, b"of a file"))),
        ),
        (
            "forebay_io::SharedWriteChannel::write_frame",
            (b"\x05frame", |output| {
                Box::pin(async move { output.write_frame(&LengthFraming::u8(), &[b"frame"]).await })
            }),
        ),
        (
            "forebay_io::SharedWriteChannel::write_packet",
            (b"packet", |output| Box::pin(output.write_packet(Packet::from(b"packet".to_vec())))),
        ),
        (
            "forebay_io::SharedWriteChannel::write_str",
            (b"text", |output| Box::pin(output.write_str("text"))),
        ),
        (
            "forebay_io::SharedWriteChannel::write_strs",
            (b"one, two", |output| Box::pin(output.write_strs(&["one", ", ", "two"]))),
        ),
        (
            "forebay_io::SharedWriteChannel::write_with",
            (b"composed", |output| Box::pin(output.write_with(|out| out.put_str("composed")))),
        ),
    ];
    let ends = [
        ("forebay_io::SharedWriteChannel::flush", false),
        ("forebay_io::SharedWriteChannel::finish", true),
    ];
    let mut rows: Vec<_> = writes.map(|(path, call)| write(path, call)).into();
    rows.extend(ends.map(|(path, finishes)| end(path, finishes)));
    rows
}

async fn write_part(output: &SharedWriteChannel, bytes: &[u8]) -> Result<()> {
    let (file, part) = file_around(bytes);
    output.write_file(&file, part).await.map(|count| assert_eq!(count, bytes.len() as u64))
}

fn write(path: &'static str, call: Call) -> Row {
    let mut scenes = Vec::new();
    for sink in [Sink::Pipe(1), Sink::Tcp, Sink::Unix, Sink::Memory, Sink::Tls] {
        // A byte at a time, something large takes a second in the end.
        let sink =
            if matches!(sink, Sink::Pipe(_)) && call.0 == LARGE { Sink::Pipe(1024) } else { sink };
        for again in [false, true] {
            let then = if again { "then again" } else { "then another clone" };
            scenes.push(Scene::new(format!("{sink}, {then}"), 2, move |trial| {
                trial.on_a_selector(async |selector| {
                    attempt(sink, call, again, trial, &selector).await;
                });
            }));
        }
    }
    Row { path, words: &[Word::Lossless], scenes }
}

async fn attempt(
    sink: Sink,
    (item, call): Call,
    again: bool,
    trial: &Trial,
    selector: &SelectorManager,
) {
    let Full { output, socket, mut world, filler: mut expected } = Full::open(sink, selector).await;
    let output = output.share();
    let other = output.clone();
    match trial.drive(call(&output), &mut world).await {
        Driven::Ready(written) => {
            written.unwrap();
            expected.extend(item);
        }
        Driven::Cut => {
            if !trial.forgets() {
                // One that gave way has left its waker with the turn.
                turn().await;
                trial.assert_no_waker_is_kept();
            }
            if again {
                trial.complete(call(&output), &mut world).await.unwrap();
                expected.extend(item);
            }
        }
    }
    let something_else = Box::pin(other.write_str("something else"));
    trial.complete(something_else, &mut world).await.unwrap();
    expected.extend(b"something else");
    trial.complete(Box::pin(other.finish()), &mut world).await.unwrap();
    assert_eq!(world.take_all().await, End::Finished);
    assert_same(&world.taken, &expected, "what the peer received");
    world.hang_up();
    drop((output, other, socket));
}

/// The event it waits for happens without it, and the other clones go on, or see the end.
fn end(path: &'static str, finishes: bool) -> Row {
    let mut scenes = Vec::new();
    for sink in [Sink::Pipe(1), Sink::Tcp, Sink::Unix, Sink::Memory, Sink::Tls] {
        scenes.push(Scene::new(format!("{sink}"), 2, move |trial| {
            trial.on_a_selector(async |selector| {
                let Full { output, socket, mut world, filler: mut expected } =
                    Full::open(sink, &selector).await;
                let output = output.share();
                let other = output.clone();
                let call: Operation<'_, Result<()>> =
                    if finishes { Box::pin(output.finish()) } else { Box::pin(output.flush()) };
                if let Driven::Ready(done) = trial.drive(call, &mut world).await {
                    done.unwrap();
                }
                if finishes {
                    assert!(now(other.write_str("late")).unwrap_err().is_closed());
                } else {
                    let write = Box::pin(other.write_str("more"));
                    trial.complete(write, &mut world).await.unwrap();
                    expected.extend(b"more");
                }
                drop((output, other, socket));
                assert_eq!(world.take_all().await, End::Finished);
                assert_same(&world.taken, &expected, "what the peer received");
                world.hang_up();
            });
        }));
    }
    Row { path, words: &[Word::Resumes], scenes }
}
