//! Messages that come in pieces, and a write of ours between the pieces: rustls keeps its place in an
//! unfinished message by where it lies in what has arrived.

use forebay_io::TlsFault;
use forebay_testing::{
    report,
    sessions::{ALERT, BOTH, DATA, HANDSHAKE, Puppet, Raw, Side, fault, led},
    watched_future,
};
use futures_lite::future::poll_once;

/// A key update (RFC 8446, section 4.6.3).
fn key_update(requested: bool) -> [u8; 5] {
    [24, 0, 0, 1, u8::from(requested)]
}

/// Makes our side's reader look at the input, and find nothing to read.
async fn look(side: &mut Side) {
    assert!(poll_once(side.input.read_u8()).await.is_none(), "nothing is there to read");
}

async fn data(raw: &mut Raw, puppet: &mut Puppet) -> Vec<u8> {
    let arrived = raw.arrived().await;
    let mut found = Vec::new();
    for (kind, content) in puppet.open(&arrived) {
        assert_eq!(kind, DATA);
        found.extend_from_slice(&content);
    }
    found
}

/// Sends the pieces, each with a look of the reader and a write of ours behind it, then goes on in the
/// next keys.
async fn in_pieces(
    side: &mut Side,
    raw: &mut Raw,
    puppet: &mut Puppet,
    pieces: &[&[u8]],
    requested: bool,
    reads: bool,
) {
    for (count, piece) in pieces.iter().enumerate() {
        raw.output.write_all(piece).await.expect("room");
        if reads {
            look(side).await;
        }
        side.output.write_str("written between").await.expect("the session is fine");
        side.output.flush().await.expect("room");
        if count + 1 < pieces.len() || !reads {
            assert_eq!(data(raw, puppet).await, b"written between");
        }
    }
    puppet.update_sealing();
    raw.output.write_all(&puppet.seal(DATA, b"in the next keys")).await.expect("room");
    let mut read = [0; 16];
    side.input.read_exact(&mut read).await.expect("no byte is lost");
    assert_eq!(&read, b"in the next keys");
    side.output.write_str("and back").await.expect("the session is fine");
    let arrived = raw.arrived().await;
    if requested {
        answered(puppet, &arrived);
    } else {
        let all: Vec<u8> = puppet.open(&arrived).into_iter().flat_map(|found| found.1).collect();
        assert!(all.ends_with(b"and back"));
    }
}

/// The answer to a request comes in front of the next data, in the keys of before.
fn answered(puppet: &mut Puppet, arrived: &[u8]) {
    let mut text = Vec::new();
    let mut updates = 0;
    for record in forebay_testing::sessions::records(arrived) {
        for (kind, content) in puppet.open(record) {
            if kind == HANDSHAKE {
                assert_eq!(content, key_update(false));
                puppet.update_opening();
                updates += 1;
            } else {
                text.extend_from_slice(&content);
            }
        }
    }
    assert_eq!(updates, 1, "one answer to one request");
    assert!(text.ends_with(b"and back"), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn half_a_key_update_then_a_write_of_ours() {
    watched_future(|| async {
        for as_client in [true, false] {
            for requested in [false, true] {
                for cut in 1..5 {
                    let (mut side, mut raw, mut puppet) = led("1.3", as_client).await;
                    let message = key_update(requested);
                    let first = puppet.seal(HANDSHAKE, &message[..cut]);
                    let second = puppet.seal(HANDSHAKE, &message[cut..]);
                    let pieces: [&[u8]; 2] = [&first, &second];
                    in_pieces(&mut side, &mut raw, &mut puppet, &pieces, requested, true).await;
                }
            }
        }
    });
}

#[test]
fn half_the_record_of_a_key_update_then_a_write_of_ours() {
    watched_future(|| async {
        for as_client in [true, false] {
            for requested in [false, true] {
                for cut in [1, 4, 5, 6, 20, 26] {
                    let (mut side, mut raw, mut puppet) = led("1.3", as_client).await;
                    let record = puppet.seal(HANDSHAKE, &key_update(requested));
                    let (first, second) = record.split_at(cut);
                    let pieces = [first, second];
                    in_pieces(&mut side, &mut raw, &mut puppet, &pieces, requested, true).await;
                }
            }
        }
    });
}

#[test]
fn half_a_key_update_that_a_writer_finds_before_any_reader() {
    watched_future(|| async {
        for as_client in [true, false] {
            let (mut side, mut raw, mut puppet) = led("1.3", as_client).await;
            // The reader sees the first half, and then sleeps forever. So it is the writer that meets the
            // bytes after data that the reader did not take.
            let message = key_update(false);
            let first = puppet.seal(HANDSHAKE, &message[..3]);
            raw.output.write_all(&first).await.expect("room");
            look(&mut side).await;
            for _ in 0..5 {
                side.output.write_str("again and again").await.expect("the session is fine");
                assert_eq!(data(&mut raw, &mut puppet).await, b"again and again");
            }
            let second = puppet.seal(HANDSHAKE, &message[3..]);
            in_pieces(&mut side, &mut raw, &mut puppet, &[&second], false, false).await;
        }
    });
}

#[test]
fn half_of_what_asks_for_a_renegotiation_then_a_write_of_ours() {
    watched_future(|| async {
        for as_client in [true, false] {
            // A client asks with a ClientHello, a server with a HelloRequest (RFC 5246, section 7.4.1).
            let asking: Vec<u8> = if as_client { vec![1, 0, 0, 41] } else { vec![0, 0, 0, 0] };
            for cut in 1..4 {
                let (mut side, mut raw, mut puppet) = led("1.2", as_client).await;
                let mut message = asking.clone();
                if as_client {
                    message.extend_from_slice(&CLIENT_HELLO);
                }
                let first = puppet.seal(HANDSHAKE, &message[..cut]);
                raw.output.write_all(&first).await.expect("room");
                look(&mut side).await;
                side.output.write_str("written between").await.expect("the session is fine");
                assert_eq!(data(&mut raw, &mut puppet).await, b"written between");
                let second = puppet.seal(HANDSHAKE, &message[cut..]);
                raw.output.write_all(&second).await.expect("room");
                raw.output.write_all(&puppet.seal(DATA, b"going on")).await.expect("room");
                let mut read = [0; 8];
                side.input.read_exact(&mut read).await.expect("no byte is lost");
                side.output.write_str("and back").await.expect("the session is fine");
                let arrived = raw.arrived().await;
                let mut found = puppet.open(&arrived);
                // Refused by a warning: no_renegotiation.
                assert_eq!(found.pop_front(), Some((ALERT, vec![1, 100])), "as client {as_client}");
                assert_eq!(found.pop_front(), Some((DATA, b"and back".to_vec())));
            }
        }
    });
}

/// The smallest body: a version, a random, no session, one suite, no compression.
const CLIENT_HELLO: [u8; 41] = {
    let mut body = [0; 41];
    (body[0], body[1]) = (3, 3);
    (body[36], body[37], body[38]) = (2, 0xc0, 0x2b);
    (body[39], body[40]) = (1, 0);
    body
};

#[test]
fn a_flood_of_key_updates_ends_in_an_error() {
    watched_future(|| async {
        for as_client in [true, false] {
            for requested in [false, true] {
                let (mut side, mut raw, mut puppet) = led("1.3", as_client).await;
                let mut sent = 0;
                for _ in 0..1000 {
                    raw.output
                        .write_all(&puppet.seal(HANDSHAKE, &key_update(requested)))
                        .await
                        .ok();
                    puppet.update_sealing();
                    sent += 1;
                }
                let error = side.input.read_u8().await.expect_err("enough");
                assert_eq!(fault(&error), TlsFault::Misbehaved, "{error}");
                let answers = raw.arrived().await.len();
                report(&format!(
                    "{sent} key updates, requested {requested}: {answers} bytes of answers"
                ));
                assert!(answers < 200, "{answers}");
            }
        }
    });
}

#[test]
fn a_flood_of_key_updates_between_data_costs_nothing_while_we_do_not_write() {
    watched_future(|| async {
        for as_client in [true, false] {
            let (mut side, mut raw, mut puppet) = led("1.3", as_client).await;
            for _ in 0..2000 {
                raw.output
                    .write_all(&puppet.seal(HANDSHAKE, &key_update(true)))
                    .await
                    .expect("room");
                puppet.update_sealing();
                raw.output.write_all(&puppet.seal(DATA, b"x")).await.expect("room");
                assert_eq!(side.input.read_u8().await.expect("data"), b'x');
                assert_eq!(side.output.queued(), 0);
            }
            // The peer has never read: one answer waits for our next data, not two thousand.
            assert!(raw.arrived().await.is_empty());
            side.output.write_str("and back").await.expect("the session is fine");
            let arrived = raw.arrived().await;
            answered(&mut puppet, &arrived);
        }
    });
}

#[test]
fn empty_records_are_borne_but_not_a_flood_of_them() {
    watched_future(|| async {
        for version in BOTH {
            for as_client in [true, false] {
                let (mut side, mut raw, mut puppet) = led(version, as_client).await;
                for _ in 0..50 {
                    for _ in 0..8 {
                        raw.output.write_all(&puppet.seal(DATA, b"")).await.expect("room");
                    }
                    raw.output.write_all(&puppet.seal(DATA, b"x")).await.expect("room");
                    assert_eq!(side.input.read_u8().await.expect("data"), b'x');
                }
                for _ in 0..1000 {
                    raw.output.write_all(&puppet.seal(DATA, b"")).await.ok();
                }
                let error = side.input.read_u8().await.expect_err("enough");
                assert_eq!(fault(&error), TlsFault::Misbehaved, "{error}");
                let written = side.output.write_str("x").await.expect_err("it is over");
                assert_eq!(written.kind(), error.kind());
            }
        }
    });
}
