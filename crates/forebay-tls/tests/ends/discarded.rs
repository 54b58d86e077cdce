//! Input that arrives while a connection is being closed is discarded, but its information about the peer
//! counts.

use std::sync::Arc;

use forebay_io::TlsFault;
use forebay_testing::{
    sessions::{ALERT, BOTH, DATA, HANDSHAKE, fault, led},
    watched_future,
};
use futures_lite::future::poll_once;

use super::raced::led_and_raced;

/// The description of `bad_certificate` (RFC 8446, section 6).
const BAD_CERTIFICATE: u8 = 42;

/// A server of TLS 1.3 judges its client's certificate behind the client's handshake, so this is how a
/// client that writes and closes at once learns that the peer has not read it.
#[test]
fn a_fatal_alert_that_is_met_while_closing_ends_the_writer() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, _raw, mut puppet) = led(version, false).await;
            let refusal = puppet.seal(ALERT, &[2, BAD_CERTIFICATE]);
            side.session.discard(&refusal);
            let error = match side.output.write_str("to nobody").await {
                Ok(()) => side.output.finish().await.expect_err("the peer has refused"),
                Err(error) => error,
            };
            assert_eq!(fault(&error), TlsFault::RefusedByPeer, "{version}: {error}");
            assert_eq!(side.session.cause().get().map(fault), Some(TlsFault::RefusedByPeer));
        }
    });
}

#[test]
fn a_bad_record_that_is_met_while_closing_ends_the_writer_and_the_peer_is_told() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, mut raw, mut puppet) = led(version, false).await;
            let mut bad = puppet.seal(DATA, b"changed on its way");
            *bad.last_mut().expect("a record") ^= 1;
            assert!(side.session.discard(&bad), "{version}: whoever sends this may send more");
            let error = match side.output.write_str("to nobody").await {
                Ok(()) => side.output.finish().await.expect_err("the session is over"),
                Err(error) => error,
            };
            assert_eq!(fault(&error), TlsFault::BadRecord, "{version}: {error}");
            let sent = raw.arrived().await;
            let said = Vec::from(puppet.open(&sent));
            assert_eq!(said, [(ALERT, vec![2, 20])], "{version}: bad_record_mac, and nothing else");
        }
    });
}

/// Behind data that was thrown away, even an end that the peer has said is none to a reader.
#[test]
fn a_close_notify_that_is_met_while_closing_is_no_clean_end_to_a_reader() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, mut raw, mut puppet) = led(version, false).await;
            raw.output.write_all(&puppet.seal(DATA, b"read")).await.expect("room");
            let mut read = [0; 4];
            side.input.read_exact(&mut read).await.expect("it has arrived");
            side.session.discard(&puppet.seal(DATA, b"thrown away"));
            side.session.discard(&puppet.seal(ALERT, &[1, 0]));
            let error = side.input.read_u8().await.expect_err("there was more");
            assert!(error.is_closed(), "{version}: {error}");
            side.output.write_str("whole").await.expect("the writer goes on");
            side.output.finish().await.expect("the writer goes on");
        }
    });
}

/// The rest is still to come.
#[test]
fn half_a_record_says_that_the_peer_is_still_sending() {
    watched_future(|| async {
        for version in BOTH {
            let (side, _raw, mut puppet) = led(version, false).await;
            let record = puppet.seal(DATA, &[7; 1000]);
            let (half, rest) = record.split_at(500);
            assert!(side.session.discard(half), "{version}: half a record");
            assert!(side.session.discard(rest), "{version}: the rest");
        }
    });
}

#[test]
fn a_ticket_is_no_data_however_it_is_cut() {
    watched_future(|| async {
        let ticket =
            [&[4, 0, 0, 16, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 3][..], &[9; 3], &[0, 0]].concat();
        for cut in 0..40 {
            let (side, _raw, mut puppet) = led("1.3", false).await;
            let record = puppet.seal(HANDSHAKE, &ticket);
            let (first, second) = record.split_at(cut);
            side.session.discard(first);
            assert!(!side.session.discard(second), "cut at {cut}: it is whole, and no data");
        }
    });
}

#[test]
fn what_is_thrown_away_beside_a_reader_harms_no_writer() {
    watched_future(|| async {
        for version in BOTH {
            let (mut side, mut raw, mut puppet, next) = led_and_raced(version).await;
            let (session, arrived) = (Arc::clone(&side.session), puppet.seal(DATA, b"thrown away"));
            next.is(move || {
                assert!(session.discard(&arrived), "it has not been looked at");
                None
            });
            let read = poll_once(side.input.read_u8()).await.expect("no more comes");
            let error = read.expect_err("nothing else had come");
            assert!(error.is_closed(), "{version}: {error}");
            assert!(side.session.discard(&puppet.seal(DATA, b"and so is this")));
            side.output.write_str("whole").await.expect("the session is fine");
            side.output.finish().await.expect("the session is fine");
            let sent = raw.arrived().await;
            let said = Vec::from(puppet.open(&sent));
            assert_eq!(said, [(DATA, b"whole".to_vec()), (ALERT, vec![1, 0])], "{version}");
        }
    });
}
