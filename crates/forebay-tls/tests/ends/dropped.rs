//! Futures that are dropped at every poll: nothing of a session is lost, and a handshake that is
//! dropped is given up.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use forebay_io::ErrorKind;
use forebay_testing::{
    Random, report, scrambled, seed,
    sessions::{
        BOTH, Side, client, handshake, led, opened_over, opened_with_middle, server, with_middle,
    },
    watched_future,
};
use futures_lite::future::{yield_now, zip};

/// Polls at most this often, with a waker that does nothing; then the future is dropped.
fn cut_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

#[test]
fn a_handshake_that_is_dropped_at_any_poll_is_given_up() {
    watched_future(|| async {
        for version in BOTH {
            for drops_client in [true, false] {
                let (client, server) = (client(version), server(version));
                let mut polls = 1;
                loop {
                    let (left, mut middle, right) = with_middle();
                    let (mut ours, other, config, others) = if drops_client {
                        (left, right, &client, &server)
                    } else {
                        (right, left, &server, &client)
                    };
                    // In pieces so small that a handshake takes many polls.
                    let mut others = pin!(zip(handshake(&other, others), middle.pass_on(100)));
                    let shaken = async {
                        let mut shaking = pin!(handshake(&ours, config));
                        let mut cx = Context::from_waker(Waker::noop());
                        for _ in 0..polls {
                            if let Poll::Ready(outcome) = shaking.as_mut().poll(&mut cx) {
                                return Some(outcome);
                            }
                            // The other side goes on in between, and so does the middle.
                            assert!(others.as_mut().poll(&mut cx).is_pending());
                        }
                        None
                    };
                    if let Some(outcome) = shaken.await {
                        outcome.expect("it was let finish");
                        break;
                    }
                    let read = ours.input.read_u8().await.expect_err("given up");
                    assert_eq!(read.kind(), ErrorKind::Cancelled);
                    let written = ours.output.write_str("x").await.expect_err("given up");
                    assert_eq!(written.kind(), ErrorKind::Cancelled);
                    polls += 1;
                }
                report(&format!("TLS {version}, client {drops_client}: {polls} polls"));
                assert!(polls > 5);
            }
        }
    });
}

/// One call of a reader, dropped after one poll if it is not ready by then.
fn read_some(side: &mut Side, rng: &mut Random, into: &mut Vec<u8>) {
    let mut slice = vec![0; 1 + rng.below(5000)];
    match rng.below(3) {
        0 => {
            if let Some(count) = cut_after(1, side.input.read(&mut slice)) {
                into.extend_from_slice(&slice[..count.expect("the session is fine")]);
            }
        }
        1 => {
            if let Some(outcome) = cut_after(1, side.input.read_exact(&mut slice)) {
                outcome.expect("the session is fine");
                into.extend_from_slice(&slice);
            }
        }
        _ => {
            if let Some(chunk) = cut_after(1, side.input.read_chunk()) {
                into.extend_from_slice(&chunk.expect("the session is fine").expect("no end yet"));
            }
        }
    }
}

#[test]
fn reads_writes_and_flushes_that_are_dropped_lose_nothing() {
    let mut rng = Random::new(seed("reads_writes_and_flushes_that_are_dropped_lose_nothing"), 0);
    watched_future(move || async move {
        for version in BOTH {
            let (mut left, mut right) = opened_over(3000, &client(version), &server(version)).await;
            let data = scrambled(400_000, 0);
            let (mut written, mut read) = (0, Vec::new());
            let mut end = 0;
            while read.len() < data.len() {
                if end == written {
                    end = data.len().min(written + 1 + rng.below(9000));
                }
                // A write that is dropped has written nothing, so that it is tried again.
                let polls = 1 + rng.below(2);
                if let Some(outcome) = cut_after(polls, left.output.write_all(&data[written..end]))
                {
                    outcome.expect("the session is fine");
                    written = end;
                }
                if rng.below(4) == 0 {
                    cut_after(1 + rng.below(2), left.output.flush());
                }
                // At the end only what is there is asked for.
                if data.len() - read.len() < 5000 {
                    let mut byte = [0];
                    if let Some(outcome) = cut_after(1, right.input.read_exact(&mut byte)) {
                        outcome.expect("the session is fine");
                        read.push(byte[0]);
                    }
                } else {
                    read_some(&mut right, &mut rng, &mut read);
                }
            }
            assert!(read == data);
        }
    });
}

#[test]
fn a_finish_that_is_dropped_goes_on() {
    watched_future(|| async {
        for version in BOTH {
            for polls in 1..4 {
                let (mut left, mut right) =
                    opened_over(500, &client(version), &server(version)).await;
                let data = scrambled(20_000, 0);
                left.output.write_all(&data).await.expect("room");
                assert!(cut_after(polls, left.output.finish()).is_none(), "there is no room");
                left.output.write_str("more").await.expect_err("it is finishing");
                let read = right.input.read_remaining(1 << 20).await.expect("all of it");
                assert!(read.as_ref() == data);
                assert_eq!(right.input.read_line().await.expect("a clean end"), None);
                left.output.finish().await.expect("it is done");
            }
        }
    });
}

#[test]
fn a_writer_that_is_dropped_finishes_in_the_background() {
    watched_future(|| async {
        for version in BOTH {
            let (left, mut right) = opened_over(500, &client(version), &server(version)).await;
            let data = scrambled(20_000, 0);
            let Side { session, input, mut output } = left;
            output.write_all(&data).await.expect("room");
            drop((output, input, session));
            let read = right.input.read_remaining(1 << 20).await.expect("all of it");
            assert!(read.as_ref() == data, "{}", read.len());
            assert_eq!(right.input.read_line().await.expect("a clean end"), None);
        }
    });
}

#[test]
fn a_reader_that_sleeps_is_woken_by_what_the_writer_meets() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, raw, _puppet) = led(version, false).await;
            let (input, output) = (&mut side.input, &mut side.output);
            let sleeps = async { input.read_u8().await.expect_err("the transport is gone") };
            let breaks = async {
                yield_now().await;
                drop(raw.input);
                output.write_str("x").await.ok();
                output.flush().await.expect_err("nobody reads")
            };
            let (read, written) = zip(sleeps, breaks).await;
            assert_eq!(read.kind(), written.kind());
            // The other direction was fine all the time.
            drop(raw.output);
        }
    });
}

#[test]
fn a_writer_that_waits_is_woken_by_what_the_reader_meets() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client(version), &server(version)).await;
            right.output.write_str("bad").await.expect("room");
            let mut record = middle.sent_by_server().await;
            *record.last_mut().expect("a record") ^= 1;
            let (input, output) = (&mut left.input, &mut left.output);
            let fails = async {
                yield_now().await;
                middle.give_client(&record).await;
                input.read_u8().await.expect_err("it was changed")
            };
            let waits = async {
                let big = scrambled(1 << 20, 0);
                loop {
                    // The pipe holds four of them.
                    if let Err(error) = output.write_all(&big).await {
                        return error;
                    }
                }
            };
            let (read, written) = zip(fails, waits).await;
            assert_eq!(read.kind(), written.kind());
        }
    });
}

#[test]
fn a_writer_that_waits_is_woken_by_what_the_reader_meets_behind_its_data() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client(version), &server(version)).await;
            right.output.write_str("good").await.expect("room");
            right.output.write_str("bad").await.expect("room");
            let mut records = middle.sent_by_server().await;
            *records.last_mut().expect("a record") ^= 1;
            let (input, output) = (&mut left.input, &mut left.output);
            let reads = async {
                yield_now().await;
                middle.give_client(&records).await;
                let mut good = [0; 4];
                input.read_exact(&mut good).await.expect("it was whole");
                // And never again.
            };
            let waits = async {
                let big = scrambled(1 << 20, 0);
                // The pipe holds four of them.
                while output.write_all(&big).await.is_ok() {}
            };
            zip(reads, waits).await;
        }
    });
}
