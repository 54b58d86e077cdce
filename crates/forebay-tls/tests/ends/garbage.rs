//! Bytes that are not TLS, before the handshake and after it: an alert to a peer that can read one, the
//! same kind of error at both halves, and earlier bytes are delivered.

use std::collections::BTreeMap;

use forebay_io::{ErrorKind, TlsFault};
use forebay_testing::{
    Random, report, scrambled, seed,
    sessions::{
        ALERT, BOTH, DATA, HANDSHAKE, Puppet, alert, client, fault, handshake, led,
        opened_with_middle, plain_record, records, server, side_and_raw,
    },
    watched_future,
};
use forebay_tls::TlsConfig;

/// The level that RFC 8446, section 6 calls fatal.
const FATAL: u8 = 2;
const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const DECODE_ERROR: u8 = 50;

/// Sends garbage instead of a handshake. Returns the error here, and the alert that the sender gets.
async fn instead_of_a_handshake(config: &TlsConfig, garbage: &[u8]) -> (TlsFault, Option<u8>) {
    let (mut side, mut raw) = side_and_raw();
    raw.output.write_all(garbage).await.expect("room");
    raw.output.finish().await.expect("room");
    let error = handshake(&side, config).await.expect_err("no handshake");
    let read = side.input.read_u8().await.expect_err("nothing to read");
    let written = side.output.write_str("x").await.expect_err("nobody to write to");
    assert_eq!((read.kind(), written.kind()), (error.kind(), error.kind()), "{error}");
    let sent = raw.arrived().await;
    assert!(raw.input.read_chunk().await.expect("its end mark").is_none());
    let last = records(&sent).pop().filter(|last| last[0] == ALERT).map(alert);
    assert!(last.is_none_or(|alert| alert.0 == FATAL), "{error}");
    (fault(&error), last.map(|alert| alert.1))
}

#[test]
fn who_speaks_no_tls_is_told_so() {
    watched_future(|| async {
        let zeros = [0; 600];
        let openings: [(&str, &[u8]); 5] = [
            ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            ("an answer of HTTP", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
            ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
            ("SMTP", b"220 mail.example.com ESMTP\r\n"),
            ("zeros", &zeros),
        ];
        for version in BOTH {
            for (name, opening) in openings {
                for config in [client(version), server(version)] {
                    let told = instead_of_a_handshake(&config, opening).await;
                    assert_eq!(told, (TlsFault::NotTls, Some(DECODE_ERROR)), "{name}");
                }
            }
        }
    });
}

#[test]
fn random_bytes_end_in_an_error_of_tls() {
    let mut rng = Random::new(seed("random_bytes_end_in_an_error_of_tls"), 0);
    watched_future(move || async move {
        let mut told = BTreeMap::new();
        for round in 0..600 {
            let mut bytes: Vec<u8> =
                (0..rng.below(400)).map(|_| rng.next().to_le_bytes()[0]).collect();
            if round % 2 == 0 {
                // One that gets past the header of the record, and every other time of the message.
                if round % 4 == 0 {
                    let length = u8::try_from(bytes.len() % 256).expect("eight bits");
                    bytes.splice(..0, [1 + u8::from(rng.below(2) == 0), 0, 0, length]);
                }
                bytes = plain_record(HANDSHAKE, &bytes);
            }
            let config = if rng.below(2) == 0 { client("1.3") } else { server("1.3") };
            let (fault, alert) = instead_of_a_handshake(&config, &bytes).await;
            // No alert answers an alert, or a peer that is gone. And rustls sends none for a message
            // whose header claims more bytes than any message has.
            let may_be_mute = fault != TlsFault::NotTls && fault != TlsFault::BadRecord;
            assert!(may_be_mute || alert.is_some(), "{fault:?} for {bytes:?}");
            *told.entry(format!("{fault:?}, alert {alert:?}")).or_insert(0) += 1;
        }
        report(&format!("random bytes: {told:?}"));
    });
}

#[test]
fn data_in_front_of_the_handshake_is_unexpected() {
    watched_future(|| async {
        for version in BOTH {
            for config in [client(version), server(version)] {
                let told = instead_of_a_handshake(&config, &plain_record(DATA, b"data")).await;
                assert_eq!(told, (TlsFault::Misbehaved, Some(UNEXPECTED_MESSAGE)));
            }
        }
    });
}

/// Sends garbage after a puppet's data. Returns the error of both halves, and the alert that it gets.
async fn behind_data(
    version: forebay_testing::sessions::Version,
    as_client: bool,
    garbage: impl FnOnce(&mut Puppet) -> Vec<u8>,
) -> (TlsFault, Option<(u8, u8)>) {
    let (mut side, mut raw, mut puppet) = led(version, as_client).await;
    let mut bytes = puppet.seal(DATA, b"what came before");
    let garbage = garbage(&mut puppet);
    bytes.extend_from_slice(&garbage);
    raw.output.write_all(&bytes).await.expect("room");
    let mut before = [0; 16];
    side.input.read_exact(&mut before).await.expect("it was whole");
    assert_eq!(&before, b"what came before");
    let read = side.input.read_u8().await.expect_err("nothing came behind it");
    let written = side.output.write_str("x").await.expect_err("the session is over");
    assert_eq!(read.kind(), written.kind());
    let told = side.input.closed_cause().expect("a cause");
    assert_eq!(told.kind(), read.kind());
    let arrived = raw.arrived().await;
    let found = puppet.open(&arrived);
    assert!(raw.input.read_chunk().await.expect("its end mark").is_none());
    let alert = found.back().filter(|last| last.0 == ALERT).map(|last| (last.1[0], last.1[1]));
    (fault(&read), alert)
}

/// Runs [`behind_data`] as a client and as a server, in both versions.
async fn behind_data_everywhere(
    name: &str,
    expected: (TlsFault, u8),
    garbage: impl Fn(&mut Puppet) -> Vec<u8>,
) {
    for version in BOTH {
        for as_client in [true, false] {
            let (told, alert) = behind_data(version, as_client, &garbage).await;
            report(&format!("{name}, TLS {version}: {told:?}, alert {alert:?}"));
            assert_eq!((told, alert), (expected.0, Some((FATAL, expected.1))), "{name}, {version}");
        }
    }
}

#[test]
fn what_is_no_record_is_no_tls_behind_the_handshake_either() {
    watched_future(|| async {
        let http = |_: &mut Puppet| b"GET / HTTP/1.1\r\n\r\n".to_vec();
        behind_data_everywhere("HTTP", (TlsFault::NotTls, DECODE_ERROR), http).await;
        let kind = |_: &mut Puppet| plain_record(99, &[7; 40]);
        behind_data_everywhere("content type 99", (TlsFault::NotTls, DECODE_ERROR), kind).await;
    });
}

#[test]
fn an_oversized_record_is_refused() {
    watched_future(|| async {
        let garbage = |_: &mut Puppet| plain_record(DATA, &vec![7; 16 * 1024 + 2048 + 1]);
        behind_data_everywhere("oversized", (TlsFault::BadRecord, DECODE_ERROR), garbage).await;
    });
}

#[test]
fn a_record_of_too_much_plaintext_is_refused() {
    watched_future(|| async {
        let garbage = |puppet: &mut Puppet| puppet.seal(DATA, &vec![7; 16 * 1024 + 1]);
        behind_data_everywhere("16,385 B", (TlsFault::BadRecord, RECORD_OVERFLOW), garbage).await;
    });
}

#[test]
fn a_record_again_or_too_early_is_refused() {
    watched_future(|| async {
        let again = |puppet: &mut Puppet| {
            let record = puppet.seal(DATA, b"once");
            // Nothing of the first is held back, but it came first.
            [puppet.seal(DATA, b""), record].concat()
        };
        behind_data_everywhere("reordered", (TlsFault::BadRecord, BAD_RECORD_MAC), again).await;
    });
}

#[test]
fn messages_of_the_handshake_that_nobody_expects_are_refused() {
    watched_future(|| async {
        // A Finished (RFC 8446, section 4.4.4), which no correct peer sends twice.
        let finished = |puppet: &mut Puppet| puppet.seal(HANDSHAKE, &[20, 0, 0, 4, 1, 2, 3, 4]);
        let expected = (TlsFault::Misbehaved, UNEXPECTED_MESSAGE);
        behind_data_everywhere("Finished", expected, finished).await;
    });
}

#[test]
fn a_record_that_was_replayed_is_refused_and_not_delivered_twice() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client(version), &server(version)).await;
            right.output.write_str("once").await.expect("room");
            let record = middle.sent_by_server().await;
            middle.give_client(&record).await;
            middle.give_client(&record).await;
            let mut once = [0; 4];
            left.input.read_exact(&mut once).await.expect("it came");
            let error = left.input.read_u8().await.expect_err("not again");
            assert_eq!(fault(&error), TlsFault::BadRecord);
            // The other side reads the alert.
            let sent = middle.sent_by_client().await;
            middle.give_server(&sent).await;
            let theirs = right.input.read_u8().await.expect_err("an alert");
            assert_eq!(fault(&theirs), TlsFault::RefusedByPeer, "{theirs}");
            assert!(theirs.to_string().contains("bad_record_mac"), "{theirs}");
            let written = right.output.write_str("x").await.expect_err("it is over");
            assert_eq!(written.kind(), theirs.kind());
        }
    });
}

#[test]
fn no_byte_of_a_record_can_be_changed() {
    watched_future(|| async {
        for version in BOTH {
            let mut kinds = BTreeMap::new();
            let length = changed(version, None, &mut kinds).await;
            for at in 0..length {
                changed(version, Some(at), &mut kinds).await;
            }
            report(&format!("TLS {version}: {length} changed bytes: {kinds:?}"));
        }
    });
}

/// Passes a record on with a byte of it changed; how many there are.
async fn changed(
    version: forebay_testing::sessions::Version,
    at: Option<usize>,
    kinds: &mut BTreeMap<String, usize>,
) -> usize {
    let (mut left, mut middle, mut right) =
        opened_with_middle(&client(version), &server(version)).await;
    right.output.write_str("before").await.expect("room");
    let before = middle.sent_by_server().await;
    right.output.write_str("the record").await.expect("room");
    let mut record = middle.sent_by_server().await;
    if let Some(at) = at {
        record[at] ^= 0x15;
    }
    middle.give_client(&before).await;
    middle.give_client(&record).await;
    middle.client.output.finish().await.expect("room");
    let mut first = [0; 6];
    left.input.read_exact(&mut first).await.expect("nobody touched it");
    let mut second = [0; 10];
    let outcome = left.input.read_exact(&mut second).await;
    let Some(at) = at else {
        outcome.expect("nobody touched it");
        return record.len();
    };
    if let (Ok(()), 1..=2) = (&outcome, at) {
        // The version in a record's header is of no account (RFC 8446, section 5.1).
        assert_eq!(&second, b"the record");
        *kinds.entry("as if nothing had happened".to_owned()).or_insert(0) += 1;
        return record.len();
    }
    let error = outcome.expect_err("it was changed");
    assert_eq!(left.input.buffered(), 0, "nothing of it is plaintext: byte {at}");
    assert!(
        error.kind() == ErrorKind::EndedWithoutNotify || matches!(error.kind(), ErrorKind::Tls(_)),
        "{error}"
    );
    *kinds.entry(format!("{:?}", error.kind())).or_insert(0) += 1;
    record.len()
}

#[test]
fn what_came_before_a_bad_record_is_whole_however_much_it_is() {
    watched_future(|| async {
        for version in BOTH {
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client(version), &server(version)).await;
            let data = scrambled(200_000, 0);
            right.output.write_all(&data).await.expect("room");
            let mut stream = middle.sent_by_server().await;
            stream.extend_from_slice(&plain_record(DATA, &[1; 64]));
            middle.give_client(&stream).await;
            let mut read = vec![0; data.len()];
            left.input.read_exact(&mut read).await.expect("it was whole");
            assert!(read == data);
            let error = left.input.read_u8().await.expect_err("a bad record");
            assert_eq!(fault(&error), TlsFault::BadRecord);
        }
    });
}
