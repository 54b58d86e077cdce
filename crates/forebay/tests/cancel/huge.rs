//! Slices above 1 MiB, which are written in pieces: dropped before the first piece nothing was
//! written, and after it the channel is poisoned.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use forebay::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Packet, Result, write_line};

use crate::outgoing::{End, Full, Sink, pattern};
use crate::support::{Driven, Operation, Trial, assert_same, at_last, poll_once, turn};
use crate::table::{Row, Scene, Word};
use crate::writes;

/// The largest piece.
const PIECE_BYTES: usize = 1024 * 1024;
/// Two pieces.
const ITEM_BYTES: usize = PIECE_BYTES + 70 * 1024;

type Call = for<'a> fn(&'a mut ByteWriteChannel, &'a [u8]) -> Operation<'a, Result<()>>;

pub(crate) fn rows() -> Vec<Row> {
    let [mut all, mut text] = writes::whole_slices();
    all.extend(scenes(|output, item| Box::pin(output.write_all(item))));
    text.extend(scenes(|output, item| {
        Box::pin(output.write_str(std::str::from_utf8(item).unwrap()))
    }));
    let words = &[Word::Lossless, Word::Poisons];
    [
        ("forebay_io::ByteWriteChannel::write_all", all),
        ("forebay_io::ByteWriteChannel::write_str", text),
    ]
    .map(|(path, scenes)| Row { path, words, scenes })
    .into()
}

fn scenes(call: Call) -> Vec<Scene> {
    // Through a pipe of one byte, a megabyte takes a second and proves nothing more.
    // A Unix socket knows no reset, and half of it would look like a whole one (`Socket::abort`).
    [Sink::Pipe(64 * 1024), Sink::Tcp, Sink::Memory]
        .map(|sink| {
            let whole = Arc::new(AtomicUsize::new(0));
            // At least once before the first piece, and twice before the second.
            Scene::new(format!("of 1094 KiB {sink}"), 3, move |trial| {
                attempt(call, sink, trial, &whole);
            })
        })
        .into()
}

fn attempt(call: Call, sink: Sink, trial: &Trial, whole: &AtomicUsize) {
    let item = pattern(7, ITEM_BYTES);
    trial.on_a_selector(async |selector| {
        let mut full = Full::open(sink, &selector).await;
        let (output, world) = (&mut full.output, &mut full.world);
        let mut expected = full.filler;
        if let Driven::Ready(written) = trial.drive(call(output, item), world).await {
            written.unwrap();
            expected.extend(item);
        } else {
            if !trial.forgets() {
                // One that gave way has left its waker with the turn.
                turn().await;
                trial.assert_no_waker_is_kept();
            }
            // Whether anything of the item was accepted is for the channel to say.
            let said = poll_once(output.flush());
            let is_last = trial.waits() == whole.load(Ordering::Relaxed);
            if let Some(Err(error)) = said {
                assert!(is_incomplete(&error), "{error}");
                assert_incomplete(output);
                expected.extend(item);
                drop(full.output);
                assert_eq!(full.world.take_all().await, End::Aborted);
                let begins = expected.starts_with(&full.world.taken);
                assert!(begins, "what the peer received before the reset");
                return full.world.hang_up();
            }
            assert!(!is_last, "the first piece was written, and nothing says so");
        }
        let something_else = Box::pin(output.write_str("something else"));
        trial.complete(something_else, world).await.unwrap();
        expected.extend(b"something else");
        trial.complete(Box::pin(output.finish()), world).await.unwrap();
        assert_eq!(world.take_all().await, End::Finished);
        assert_same(&world.taken, &expected, "what the peer received");
        full.world.hang_up();
    });
    if !trial.was_cut() {
        whole.store(trial.waits(), Ordering::Relaxed);
    }
}

fn is_incomplete(error: &Error) -> bool {
    error.kind() == ErrorKind::Incomplete { accepted: PIECE_BYTES as u64, of: ITEM_BYTES as u64 }
}

/// Every call says it, forever; and gives way now and then.
fn assert_incomplete(output: &mut ByteWriteChannel) {
    let answers = [
        ("write_u8", at_last(output.write_u8(1))),
        ("write_str", at_last(output.write_str("1"))),
        ("write_strs", at_last(output.write_strs(&["1"]))),
        ("write_all", at_last(output.write_all(b"1"))),
        ("write_bytes", at_last(output.write_bytes(Bytes::from_static(b"1")))),
        ("write_packet", at_last(output.write_packet(Packet::from(vec![1])))),
        ("write_with", at_last(output.write_with(|out| out.put_u8(1)))),
        ("write_line!", at_last(write_line!(output))),
        ("copy_to", at_last(ByteReadChannel::from("1").copy_to(output)).map(drop)),
        ("flush", at_last(output.flush())),
        ("finish", at_last(output.finish())),
    ];
    for (call, answer) in answers {
        let said = answer.as_ref().is_err_and(is_incomplete);
        assert!(said, "{call}: {answer:?}");
    }
}
