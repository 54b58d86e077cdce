//! `copy_to`: each byte is either still in the source or accepted by the sink.

use forebay::ByteReadChannel;

use crate::incoming::{Incoming, Source, single};
use crate::outgoing::{End, Full, Outgoing, Sink, pattern};
use crate::support::{Alarm, Driven, Trial, World, assert_same, turn};
use crate::table::{Row, Scene, Word};

/// Large enough to be handed over with the block that it lies in.
const CHUNK_BYTES: usize = 40 * 1024;

pub(crate) fn rows() -> Vec<Row> {
    let bytes = single(b"over and over");
    let chunk = |at: usize| pattern(at * CHUNK_BYTES, CHUNK_BYTES).to_vec();
    let chunks = vec![chunk(0), chunk(1), chunk(2)];
    let mut scenes = Vec::new();
    for (source, sink, pieces, over) in [
        (Source::Pipe(1), Sink::Pipe(1), &bytes, "bytes from pipe to pipe"),
        (Source::Tcp, Sink::Tcp, &bytes, "bytes from TCP to TCP"),
        (Source::Blocking, Sink::Pipe(1), &bytes, "bytes from a blocking reader to a pipe"),
        (Source::Pipe(64 * 1024), Sink::Pipe(64 * 1024), &chunks, "chunks from pipe to pipe"),
        (Source::Tcp, Sink::Tcp, &chunks, "chunks from TCP to TCP"),
    ] {
        for again in [false, true] {
            let then = if again { "then again" } else { "then the rest" };
            let pieces = pieces.clone();
            // Once for room at least, and once for a byte.
            scenes.push(Scene::new(format!("of {over}, {then}"), 2, move |trial| {
                trial.on_a_selector(async |selector| {
                    let full = Full::open(sink, &selector).await;
                    let opened = Incoming::open(source, &selector, pieces.clone()).await;
                    attempt(opened, full, &pieces.concat(), again, trial).await;
                });
            }));
        }
    }
    let path = "forebay_io::ByteReadChannel::copy_to";
    vec![Row { path, words: &[Word::Resumes], scenes }]
}

async fn attempt(
    (mut input, incoming): (ByteReadChannel, Incoming),
    full: Full,
    stream: &[u8],
    again: bool,
    trial: &Trial,
) {
    let Full { mut output, socket, world, mut filler } = full;
    let mut world = Between { incoming, outgoing: world, takes: true };
    let mut rest = Vec::new();
    match trial.drive(Box::pin(input.copy_to(&mut output)), &mut world).await {
        Driven::Ready(copied) => assert_eq!(copied.unwrap(), stream.len() as u64),
        Driven::Cut if again => {
            let again = Box::pin(input.copy_to(&mut output));
            assert!(trial.complete(again, &mut world).await.unwrap() <= stream.len() as u64);
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
