//! However the bytes come: one at a time, cut at every place, each byte of a message in a record of its
//! own.

use forebay_io::{ErrorKind, TlsFault};
use forebay_testing::{
    report, scrambled,
    sessions::{
        BOTH, Conn, HANDSHAKE, client, fault, handshake, opened_with_middle, plain_record, records,
        server, side_and_raw, with_middle,
    },
    watched_future,
};
use futures_lite::future::{or, zip};

#[test]
fn a_session_of_one_byte_at_a_time() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) = with_middle();
            let data = scrambled(5000, 0);
            let (client, server) = (client(version), server(version));
            let both = async {
                let (ours, theirs) =
                    zip(handshake(&left, &client), handshake(&right, &server)).await;
                ours.expect("a handshake");
                theirs.expect("a handshake");
                let (there, back) = (data.clone(), data.clone());
                let ours = async {
                    left.output.write_all(&there).await.expect("room");
                    left.output.finish().await.expect("room");
                    left.input.read_remaining(1 << 20).await.expect("an answer")
                };
                let theirs = async {
                    right.output.write_all(&back).await.expect("room");
                    right.output.finish().await.expect("room");
                    right.input.read_remaining(1 << 20).await.expect("an answer")
                };
                let (ours, theirs) = zip(ours, theirs).await;
                assert!(ours.as_ref() == data && theirs.as_ref() == data);
            };
            or(both, async {
                middle.pass_on(1).await;
                std::future::pending::<()>().await;
            })
            .await;
        }
    });
}

#[test]
fn a_record_can_be_split_at_every_byte() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client(version), &server(version)).await;
            let mut at = 0;
            loop {
                right.output.write_str("the record").await.expect("room");
                let record = middle.sent_by_server().await;
                let mut read = [0; 10];
                {
                    let mut reading = std::pin::pin!(left.input.read_exact(&mut read));
                    middle.give_client(&record[..at]).await;
                    let early = futures_lite::future::poll_once(reading.as_mut()).await;
                    assert_eq!(early.is_some(), at == record.len(), "split at {at}");
                    if early.is_none() {
                        middle.give_client(&record[at..]).await;
                        reading.await.expect("the rest has come");
                    }
                }
                assert_eq!(&read, b"the record");
                if at == record.len() {
                    break;
                }
                at += 1;
            }
        }
    });
}

/// A client's first message, in records of so many bytes of it.
fn hello_in_records(of: usize) -> Vec<u8> {
    let (hello, _) = Conn::client("1.3").go(&mut Vec::new());
    let payload = &records(&hello)[0][5..];
    payload.chunks(of).flat_map(|piece| plain_record(HANDSHAKE, piece)).collect()
}

#[test]
fn a_hello_in_records_of_one_byte_is_a_hello() {
    watched_future(|| async {
        for at_once in [true, false] {
            let (side, mut raw) = side_and_raw();
            let hello = hello_in_records(1);
            let server = server("1.3");
            let sends = async {
                let piece = if at_once { hello.len() } else { 1 };
                for piece in hello.chunks(piece) {
                    raw.output.write_all(piece).await.expect("room");
                    futures_lite::future::yield_now().await;
                }
                let answer = raw.input.read_chunk().await.expect("an answer").expect("no end");
                assert_eq!(answer[0], HANDSHAKE, "a ServerHello");
                raw.output.finish().await.expect("room");
            };
            let (made, ()) = zip(handshake(&side, &server), sends).await;
            assert_eq!(fault(&made.expect_err("cut off")), TlsFault::EndedInHandshake);
        }
    });
}

#[test]
fn a_hello_that_never_ends_is_refused_after_a_bounded_number_of_bytes() {
    watched_future(|| async {
        // The longest message that rustls takes, in records of one byte: six for each that counts.
        let claimed = plain_record(HANDSHAKE, &[1, 0, 0xff, 0xff]);
        let (side, mut raw) = side_and_raw();
        let server = server("1.3");
        let mut sent = 0;
        let sends = async {
            raw.output.write_all(&claimed).await.expect("room");
            let record = plain_record(HANDSHAKE, &[0]).repeat(100);
            while sent < 3_000_000 && raw.output.write_all(&record).await.is_ok() {
                sent += record.len();
                futures_lite::future::yield_now().await;
            }
        };
        let (made, ()) = zip(handshake(&side, &server), sends).await;
        let error = made.expect_err("enough");
        assert_eq!(fault(&error), TlsFault::Misbehaved, "{error}");
        report(&format!("a hello without end: {error}"));
    });
}

#[test]
fn a_message_longer_than_any_is_refused_by_its_header() {
    watched_future(|| async {
        let (side, mut raw) = side_and_raw();
        let claimed = plain_record(HANDSHAKE, &[1, 1, 0, 0, 0]);
        raw.output.write_all(&claimed).await.expect("room");
        let error = handshake(&side, &server("1.3")).await.expect_err("too long");
        assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error}");
    });
}
