//! Files that are written to a shared channel whose drain knows memory alone.

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ErrorKind, Result, SharedWriteChannel, pipe};
use forebay_testing::channels::{Recorder, ledgered};
use forebay_testing::{KIB, at_once, finish, nameless_file, poll_once, scrambled};

/// Writes these bytes from the middle of a file, which is closed before they are sent.
pub(crate) async fn write_part(output: &SharedWriteChannel, bytes: Vec<u8>) -> Result<()> {
    let file = nameless_file(&[b"before", &bytes[..], b"behind"].concat());
    let length = bytes.len() as u64;
    assert_eq!(output.write_file(&file, 6..6 + length).await?, length);
    Ok(())
}

/// Makes a channel whose queue is full, of `f`.
fn full(peer: &Recorder) -> (SharedWriteChannel, impl Fn()) {
    let (mut output, turns) = peer.channel();
    at_once(output.write_all(&vec![b'f'; 64 * KIB])).expect("room");
    (output.share(), move || turns.end())
}

#[test]
fn a_file_dropped_while_it_waits_is_not_written_and_lets_the_next_one_go() {
    for dropped in 0..3 {
        ledgered(|_| {
            let peer = Recorder::limited(0);
            let (output, end_turn) = full(&peer);
            let mut waiting: Vec<_> = (b"012".iter())
                .map(|digit| Some(Box::pin(write_part(&output, vec![*digit; 100 * KIB]))))
                .collect();
            for write in waiting.iter_mut().flatten() {
                assert!(poll_once(write.as_mut()).is_pending());
            }
            // After it was woken, which is the worst time.
            peer.allow(usize::MAX);
            end_turn();
            waiting[dropped] = None;
            let mut expected = vec![b'f'; 64 * KIB];
            for (write, digit) in waiting.into_iter().zip(b"012") {
                if let Some(write) = write {
                    at_once(write).expect("room");
                    // Another file waits until this one is sent.
                    end_turn();
                    expected.extend(vec![*digit; 100 * KIB]);
                }
            }
            assert_eq!(output.counted(), expected.len() as u64);
            at_once(output.flush()).expect("nothing is wrong with the peer");
            assert!(peer.sent() == expected);
        });
    }
}

/// A call that waits has not looked at its file, so it holds no descriptor of it either.
#[test]
fn a_file_is_as_long_as_it_is_when_there_is_room() {
    let peer = Recorder::limited(0);
    let (output, end_turn) = full(&peer);
    let file = nameless_file(b"");
    {
        let mut write = pin!(output.write_file(&file, ..));
        assert!(poll_once(write.as_mut()).is_pending());
        file.set_len(5).expect("a longer file");
        peer.allow(usize::MAX);
        end_turn();
        assert!(matches!(poll_once(write), Poll::Ready(Ok(5))));
    }
    at_once(output.flush()).expect("nothing is wrong with the peer");
    assert!(peer.sent().ends_with(b"f\0\0\0\0\0"));
}

/// The refused call has waited in front of the others, and gives its place up.
#[test]
fn a_refused_file_gives_its_place_up() {
    let peer = Recorder::limited(0);
    let (output, end_turn) = full(&peer);
    let other = output.clone();
    let file = nameless_file(b"0123456789");
    let mut refused = pin!(output.write_file(&file, 5..11));
    assert!(poll_once(refused.as_mut()).is_pending());
    let mut waits = pin!(other.write_str("waits"));
    assert!(poll_once(waits.as_mut()).is_pending());
    peer.allow(usize::MAX);
    end_turn();
    let error = finish(refused).expect_err("shorter than the range");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed: 6, available: 5 });
    at_once(waits).expect("room");
    at_once(other.flush()).expect("nothing is wrong with the peer");
    assert!(peer.sent().ends_with(b"fwaits"));
}

#[test]
fn a_file_that_becomes_shorter_is_the_error_of_all_clones() {
    let peer = Recorder::limited(0);
    let (output, turns) = peer.channel();
    let output = output.share();
    let other = output.clone();
    let file = nameless_file(&vec![1; 200 * KIB]);
    at_once(output.write_file(&file, ..)).expect("room");
    turns.end();
    file.set_len(100_000).expect("a shorter file");
    let mut waits = pin!(other.write_str("behind"));
    assert!(poll_once(waits.as_mut()).is_pending());
    peer.allow(usize::MAX);
    turns.end();
    // The first block was read before.
    let kind = ErrorKind::UnexpectedEnd { needed: 200 * KIB as u64 - 100_000, available: 0 };
    let errors = [
        finish(waits).expect_err("cut short"),
        finish(output.flush()).expect_err("cut short"),
        finish(other.write_file(&file, ..)).expect_err("cut short"),
        peer.aborted().expect("reset"),
    ];
    assert_eq!(errors.map(|error| error.kind()), [kind; 4]);
}

#[test]
fn loops_over_files_that_are_refused_or_empty_give_way() {
    let (_input, output) = pipe(KIB);
    let output = output.share();
    let file = nameless_file(b"");
    for range in [0..1, 0..0] {
        let mut waits = 0;
        for _ in 0..9 {
            let mut write = pin!(output.write_file(&file, range.clone()));
            while poll_once(write.as_mut()).is_pending() {
                waits += 1;
            }
        }
        assert!(waits >= 3, "{waits} waits in nine answers to {range:?}");
    }
}

#[test]
fn without_automatic_flushing_a_file_waits_for_the_flush() {
    let peer = Recorder::new();
    let (mut output, turns) = peer.channel();
    output.manual_flush();
    let output = output.share();
    let content = scrambled(100 * KIB, 6);
    at_once(output.write_file(&nameless_file(&content), ..)).expect("room");
    turns.end();
    assert_eq!((peer.sent_len(), output.queued()), (0, content.len()));
    finish(output.flush()).expect("nothing is wrong with the peer");
    assert!(peer.sent() == content);
}
