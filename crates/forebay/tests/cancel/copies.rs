//! Copies: each byte is either still in the source or accepted by the sink.

use forebay::{ByteReadChannel, ByteWriteChannel, Result};

use crate::incoming::{Incoming, Source, single};
use crate::outgoing::{End, Full, Outgoing, Sink, pattern};
use crate::support::{Alarm, Driven, Operation, Trial, World, assert_same, at_last, turn};
use crate::table::{Row, Scene, Word};

/// Large enough to be handed over with the block that it lies in.
const CHUNK_BYTES: usize = 40 * 1024;

/// The call that copies, which may know how many bytes there are.
type Copy = for<'a> fn(
    &'a mut ByteReadChannel,
    &'a mut ByteWriteChannel,
    u64,
) -> Operation<'a, Result<u64>>;

pub(crate) fn rows() -> Vec<Row> {
    let calls: [(_, Copy, bool); 3] = [
        (
            "forebay_io::ByteReadChannel::copy_to",
            |input, output, _| Box::pin(input.copy_to(output)),
            true,
        ),
        (
            "forebay_io::ByteReadChannel::copy_exact_to",
            |input, output, count| {
                Box::pin(async move { input.copy_exact_to(count, output).await.map(|()| count) })
            },
            true,
        ),
        // What it leaves is an output that only its own end mark ends in order.
        (
            "forebay_io::ByteReadChannel::copy_and_close",
            |input, output, _| Box::pin(input.copy_and_close(output)),
            false,
        ),
    ];
    let mut rows: Vec<_> =
        calls.map(|(path, copy, may_stop)| row(path, copy, may_stop)).into_iter().collect();
    rows.push(to_writer());
    rows.push(to_both());
    rows
}

fn row(path: &'static str, copy: Copy, may_stop: bool) -> Row {
    let bytes = single(b"over and over");
    let chunk = |at: usize| pattern(at * CHUNK_BYTES, CHUNK_BYTES).to_vec();
    // More than come while the first ones leave: between sockets, a copy of bulk waits for that.
    let chunks: Vec<_> = (0..8).map(chunk).collect();
    let mut scenes = Vec::new();
    for (source, sink, pieces, over) in [
        (Source::Pipe(1), Sink::Pipe(1), &bytes, "bytes from pipe to pipe"),
        (Source::Tcp, Sink::Tcp, &bytes, "bytes from TCP to TCP"),
        (Source::Blocking, Sink::Pipe(1), &bytes, "bytes from a blocking reader to a pipe"),
        (Source::Pipe(64 * 1024), Sink::Pipe(64 * 1024), &chunks, "chunks from pipe to pipe"),
        (Source::Tcp, Sink::Tcp, &chunks, "chunks from TCP to TCP"),
    ] {
        for again in [false, true] {
            if !again && !may_stop {
                continue;
            }
            let then = if again { "then again" } else { "then the rest" };
            let pieces = pieces.clone();
            // Once for room at least, and once for a byte. While a kernel makes room for a chunk, all may arrive.
            let waits_min = if over.starts_with("chunks from TCP") { 1 } else { 2 };
            scenes.push(Scene::new(format!("of {over}, {then}"), waits_min, move |trial| {
                trial.on_a_selector(async |selector| {
                    let full = Full::open(sink, &selector).await;
                    let opened = Incoming::open(source, &selector, pieces.clone()).await;
                    attempt(copy, opened, full, &pieces.concat(), again, trial).await;
                });
            }));
        }
    }
    Row { path, words: &[Word::Resumes], scenes }
}

async fn attempt(
    copy: Copy,
    (mut input, incoming): (ByteReadChannel, Incoming),
    full: Full,
    stream: &[u8],
    again: bool,
    trial: &Trial,
) {
    let Full { mut output, socket, world, mut filler } = full;
    let mut world = Between { incoming, outgoing: world, takes: true };
    let before = output.counted();
    let mut rest = Vec::new();
    match trial.drive(copy(&mut input, &mut output, stream.len() as u64), &mut world).await {
        Driven::Ready(copied) => assert_eq!(copied.unwrap(), stream.len() as u64),
        Driven::Cut if again => {
            let left = stream.len() as u64 - (output.counted() - before);
            let again = copy(&mut input, &mut output, left);
            assert!(trial.complete(again, &mut world).await.unwrap() <= left);
        }
        Driven::Cut => {
            let remaining = Box::pin(input.read_remaining(usize::MAX));
            rest = trial.complete(remaining, &mut world.incoming).await.unwrap().as_slice().into();
        }
    }
    let finish = Box::pin(output.finish());
    trial.complete(finish, &mut world.outgoing).await.unwrap();
    assert_eq!(world.outgoing.take_all().await, End::Finished);
    filler.extend(stream);
    let mut all = world.outgoing.taken.clone();
    all.extend(rest);
    assert_same(&all, &filler, "what the sink received, and what the source has left");
    world.outgoing.hang_up();
    drop(socket);
}

/// To the same kind of sink twice: what one has got, the other has got, too.
fn to_both() -> Row {
    let mut scenes = Vec::new();
    for (source, sink) in [(Source::Pipe(1), Sink::Pipe(1)), (Source::Tcp, Sink::Memory)] {
        scenes.push(Scene::new(format!("{source}, to two sinks {sink}"), 2, move |trial| {
            trial.on_a_selector(async |selector| {
                let stream = b"over and over";
                let mut full = Full::open(sink, &selector).await;
                let (mut reader, mut second) = forebay::pipe(1024);
                let (mut input, incoming) = Incoming::open(source, &selector, single(stream)).await;
                let mut world = Between { incoming, outgoing: full.world, takes: true };
                let copy = Box::pin(input.copy_to_both(&mut full.output, &mut second));
                if let Driven::Ready(copied) = trial.drive(copy, &mut world).await {
                    assert_eq!(copied.unwrap(), stream.len() as u64);
                }
                let again = Box::pin(input.copy_to_both(&mut full.output, &mut second));
                trial.complete(again, &mut world).await.unwrap();
                assert_eq!(world.outgoing.take_all().await, End::Finished);
                full.filler.extend(stream);
                assert_same(&world.outgoing.taken, &full.filler, "what the first received");
                let second = at_last(reader.read_remaining(1024)).unwrap();
                assert_same(second.as_slice(), stream, "what the second received");
                world.outgoing.hang_up();
                drop(full.socket);
            });
        }));
    }
    Row { path: "forebay_io::ByteReadChannel::copy_to_both", words: &[Word::Resumes], scenes }
}

/// Into memory: what the writer has taken, and what is left in the channel, is everything.
fn to_writer() -> Row {
    let mut scenes = Vec::new();
    for source in [Source::Pipe(1), Source::Tcp, Source::Unix, Source::Memory, Source::Tls] {
        scenes.push(Scene::new(format!("{source}"), 2, move |trial| {
            trial.on_a_selector(async |selector| {
                let stream = b"over and over";
                let (mut input, mut world) =
                    Incoming::open(source, &selector, single(stream)).await;
                let mut taken = Vec::new();
                let copy = Box::pin(input.copy_to_writer(&mut taken, u64::MAX));
                if let Driven::Ready(copied) = trial.drive(copy, &mut world).await {
                    assert_eq!(copied.unwrap(), stream.len() as u64);
                }
                let again = Box::pin(input.copy_to_writer(&mut taken, u64::MAX));
                trial.complete(again, &mut world).await.unwrap();
                assert_same(&taken, stream, "what the writer took");
            });
        }));
    }
    Row { path: "forebay_io::ByteReadChannel::copy_to_writer", words: &[Word::Resumes], scenes }
}

/// Takes from the sink and sends to the source in turns, until what is waited for has come.
struct Between {
    incoming: Incoming,
    outgoing: Outgoing,
    takes: bool,
}

impl World for Between {
    async fn step(&mut self, alarm: &Alarm) {
        while !alarm.rang() {
            self.takes = !self.takes;
            if self.takes {
                self.outgoing.take(64 * 1024);
            } else if self.incoming.is_ready() {
                self.incoming.send();
            }
            turn().await;
        }
    }
}
