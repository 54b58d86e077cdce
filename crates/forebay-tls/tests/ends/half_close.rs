//! Each direction has an end of its own, and a flush means what it says.

use std::pin::pin;

use forebay_io::{ErrorKind, TlsFault};
use forebay_testing::{
    scrambled,
    sessions::{
        ALERT, BOTH, DATA, Version, client, fault, handshake, led, opened, opened_over,
        opened_with_middle, server, with_middle,
    },
    watched_future,
};
use futures_lite::future::{poll_once, zip};

#[test]
fn after_our_finish_we_still_read_and_they_still_write() {
    watched_future(|| async {
        for version in BOTH {
            for client_finishes in [true, false] {
                let (left, right) = opened(version).await;
                let (mut ours, mut theirs) =
                    if client_finishes { (left, right) } else { (right, left) };
                ours.output.write_str("that was it").await.expect("room");
                ours.output.finish().await.expect("room");
                assert_eq!(
                    theirs.input.read_line().await.expect("a clean end").as_deref(),
                    Some("that was it")
                );
                assert_eq!(theirs.input.read_line().await.expect("a clean end"), None);
                let data = scrambled(200_000, 0);
                let writes = async {
                    for piece in data.chunks(13_000) {
                        theirs.output.write_all(piece).await.expect("they still write");
                    }
                    theirs.output.finish().await.expect("their end");
                };
                let reads = async { ours.input.read_remaining(1 << 20).await.expect("we read") };
                let ((), read) = zip(writes, reads).await;
                assert!(read.as_ref() == data);
                assert_eq!(ours.input.read_line().await.expect("a clean end"), None);
                let refused = ours.output.write_str("more").await.expect_err("we finished");
                assert!(matches!(refused.kind(), ErrorKind::Closed), "{refused}");
            }
        }
    });
}

#[test]
fn a_finish_is_close_notify_and_then_the_end_mark() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, mut raw, mut puppet) = led(version, false).await;
            side.output.write_str("last").await.expect("room");
            side.output.finish().await.expect("room");
            let mut sent = Vec::new();
            while let Some(chunk) = raw.input.read_chunk().await.expect("its end mark, no error") {
                sent.extend_from_slice(&chunk);
            }
            let mut found = puppet.open(&sent);
            assert_eq!(found.pop_front(), Some((DATA, b"last".to_vec())));
            assert_eq!(found.pop_front(), Some((ALERT, vec![1, 0])), "close_notify");
            assert_eq!(found.pop_front(), None, "it is said once");
        }
    });
}

#[test]
fn a_close_notify_is_told_once_whoever_meets_it() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, mut raw, mut puppet) = led(version, true).await;
            // The reader takes the first record and leaves the rest to the writer.
            let stream = [
                puppet.seal(DATA, &scrambled(16_384, 0)),
                puppet.seal(DATA, b"kept"),
                puppet.seal(ALERT, &[1, 0]),
                puppet.seal(DATA, b"of no account"),
            ];
            raw.output.write_all(&stream.concat()).await.expect("room");
            let mut first = vec![0; 10];
            side.input.read_exact(&mut first).await.expect("the beginning");
            side.output.write_str("written").await.expect("the session is fine");
            let mut rest = vec![0; 16_374 + 4];
            side.input.read_exact(&mut rest).await.expect("no byte is lost");
            assert!(rest.ends_with(b"kept"));
            for _ in 0..3 {
                assert_eq!(side.input.read_line().await.expect("a clean end"), None);
            }
            side.output.write_str(" and more").await.expect("we go on");
            side.output.finish().await.expect("room");
            let sent = raw.arrived().await;
            let said: Vec<u8> = puppet
                .open(&sent)
                .into_iter()
                .filter(|found| found.0 == DATA)
                .flat_map(|found| found.1)
                .collect();
            assert_eq!(said, b"written and more");
        }
    });
}

#[test]
fn a_bad_record_behind_our_finish_is_an_error_like_any_other() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client(version), &server(version)).await;
            left.output.finish().await.expect("room");
            right.output.write_str("good").await.expect("room");
            right.output.write_str("bad").await.expect("room");
            let mut stream = middle.sent_by_server().await;
            *stream.last_mut().expect("a record") ^= 1;
            middle.give_client(&stream).await;
            let mut good = [0; 4];
            left.input.read_exact(&mut good).await.expect("it was whole");
            let error = left.input.read_u8().await.expect_err("it was changed");
            assert_eq!(fault(&error), TlsFault::BadRecord);
        }
    });
}

#[test]
fn a_flush_waits_until_the_transport_has_taken_it() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut right) = opened_over(1000, &client(version), &server(version)).await;
            let data = scrambled(30_000, 0);
            left.output.write_all(&data).await.expect("room");
            let mut read = Vec::new();
            {
                let mut flush = pin!(left.output.flush());
                let mut piece = vec![0; 30_000];
                let flushed = loop {
                    if let Some(flushed) = poll_once(flush.as_mut()).await {
                        break flushed;
                    }
                    let count = right.input.read(&mut piece).await.expect("it is sent");
                    read.extend_from_slice(&piece[..count]);
                    if read.len() == data.len() {
                        break flush.await;
                    }
                };
                flushed.expect("the transport has it");
            }
            // What is left was in the pipe: less than that holds.
            assert!(data.len() - read.len() <= 16_384 + 1000, "{}", read.len());
            assert_eq!(left.output.queued(), 0);
            while read.len() < data.len() {
                let mut piece = vec![0; 30_000];
                let count = right.input.read(&mut piece).await.expect("it is sent");
                read.extend_from_slice(&piece[..count]);
            }
            assert!(read == data);
        }
    });
}

#[test]
fn what_had_arrived_when_the_peer_stopped_reading_is_still_read() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, mut raw, mut puppet) = led(version, false).await;
            raw.output.write_all(&puppet.seal(DATA, b"why I refuse")).await.expect("room");
            drop(raw.input);
            let error = side.output.write_str("a long request").await;
            let error = match error {
                Ok(()) => side.output.flush().await.expect_err("nobody reads"),
                Err(error) => error,
            };
            let mut read = [0; 12];
            side.input.read_exact(&mut read).await.expect("it had arrived");
            assert_eq!(&read, b"why I refuse");
            let after = side.input.read_u8().await.expect_err("and then the error");
            assert_eq!(after.kind(), error.kind());
        }
    });
}

/// Its last words of the handshake, a client's of TLS 1.3 and a server's of TLS 1.2, arrive together with its end.
async fn ends_with_its_handshake(version: Version) {
    let (left, middle, right) = with_middle();
    let (client, server) = (client(version), server(version));
    let ((mut first, mut from_first, its), (mut second, mut from_second, config)) =
        if version == "1.3" {
            ((left, middle.client, client), (right, middle.server, server))
        } else {
            ((right, middle.server, server), (left, middle.client, client))
        };
    {
        let mut second_shakes = pin!(handshake(&second, &config));
        {
            let mut first_shakes = pin!(handshake(&first, &its));
            while poll_once(&mut first_shakes).await.is_none() {
                assert!(
                    poll_once(&mut second_shakes).await.is_none(),
                    "the last words are missing"
                );
                let (there, back) = (from_first.arrived().await, from_second.arrived().await);
                from_second.output.write_all(&there).await.expect("room");
                from_first.output.write_all(&back).await.expect("room");
            }
        }
        first.output.finish().await.expect("room");
        let together = from_first.arrived().await;
        from_second.output.write_all(&together).await.expect("room");
        second_shakes.await.expect("the handshake is whole");
    }
    from_second.output.finish().await.expect("room");
    assert_eq!(second.input.read_line().await.expect("a clean end"), None, "TLS {version}");
    second.output.write_str("and yet").await.expect("this side goes on");
    second.output.finish().await.expect("room");
    let answer = from_second.arrived().await;
    from_first.output.write_all(&answer).await.expect("room");
    assert_eq!(first.input.read_line().await.expect("it still reads").as_deref(), Some("and yet"));
}

#[test]
fn a_peer_that_ends_with_its_handshake_has_ended_in_order() {
    watched_future(|| async {
        for version in BOTH {
            ends_with_its_handshake(version).await;
        }
    });
}
