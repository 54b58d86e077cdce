//! A pipe between two threads that call anything, with too many turns for every order of them.
//!
//! ```text
//!   writer     items of any size, flush; then finish, drop or abort
//!   reader     reads of any size; to the end, or drops before it
//! ```
//!
//! Both threads end. The bytes that are read are the accepted ones, in order and once.

#![cfg(shuttle)]

use std::pin::pin;
use std::task::Poll;

use forebay_io::{ByteReadChannel, ByteWriteChannel, Error, pipe};
use forebay_models::{block_on, explore_widely, poll_once, random, spawn};

#[test]
fn a_busy_pipe_loses_nothing_and_leaves_nobody_waiting() {
    explore_widely("a busy pipe", || {
        let (input, output) = pipe(1 + random(4));
        let writer = spawn(move || write(output));
        let (read, end) = read(input);
        let (accepted, gave_up) = writer.join().expect("no panic");
        assert!(accepted.starts_with(&read), "doubled or out of order");
        match end {
            End::Left => {}
            End::Clean => assert!(!gave_up && read == accepted, "a clean end, and something lost"),
            End::Cause(cause) => assert!(gave_up, "finished, but the reader saw {cause}"),
        }
    });
}

/// The accepted bytes, and whether the channel was then aborted instead of finished.
fn write(mut output: ByteWriteChannel) -> (Vec<u8>, bool) {
    let mut accepted = Vec::new();
    for _ in 0..random(6) {
        // Each byte differs from its neighbours, so that a lost or doubled one is noticed.
        let bytes = (0..=u8::MAX).skip(accepted.len());
        let item: Vec<u8> = bytes.take(random(7)).collect();
        let accepts = if random(4) == 0 {
            // Dropped if it has to wait: it must have written nothing.
            matches!(poll_once(None, pin!(output.write_all(&item))), Poll::Ready(Ok(())))
        } else {
            block_on(None, output.write_all(&item)).is_ok()
        };
        if accepts {
            accepted.extend_from_slice(&item);
        }
        if random(4) == 0 {
            // The reader may be gone, which the next write reports as well.
            block_on(None, output.flush()).ok();
        }
    }
    let end = random(3);
    match end {
        0 => output.abort_with(Error::other("given up")),
        1 => drop(output),
        _ => {
            // As above.
            block_on(None, output.finish()).ok();
        }
    }
    (accepted, end == 0)
}

/// The way in which reading ended.
enum End {
    /// This end was dropped before there was another end.
    Left,
    Clean,
    Cause(Error),
}

fn read(mut input: ByteReadChannel) -> (Vec<u8>, End) {
    let mut read = Vec::new();
    let enough = random(40);
    while read.len() <= enough {
        let mut slice = vec![0; 1 + random(5)];
        let polled = if random(4) == 0 {
            // Dropped if it has to wait: it must have taken nothing.
            poll_once(None, pin!(input.read(&mut slice)))
        } else {
            Poll::Ready(block_on(None, input.read(&mut slice)))
        };
        let Poll::Ready(polled) = polled else { continue };
        match polled {
            Ok(0) => return (read, End::Clean),
            Ok(count) => read.extend_from_slice(&slice[..count]),
            Err(cause) => return (read, End::Cause(cause)),
        }
    }
    (read, End::Left)
}
