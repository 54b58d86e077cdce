//! An error that is found ahead of the reader, by a wait for the peer's end, concerns the writer too.

use std::pin::pin;
use std::task::{Context, Poll};

use forebay_io::TlsFault;
use forebay_testing::{
    counted_waker,
    sessions::{ALERT, BOTH, DATA, fault, led},
    watched_future,
};

/// The description of `bad_certificate` (RFC 8446, section 6).
const BAD_CERTIFICATE: u8 = 42;
/// More than the transport of these sides holds, with both outboxes.
const MUCH: usize = 6 << 20;

/// The peer reads nothing any more, and there may be no reader here that would meet its alert.
#[test]
fn a_writer_that_waits_for_room_is_told_of_an_error_that_is_found_ahead_of_the_reader() {
    watched_future(|| async {
        for (version, is_alert) in BOTH.into_iter().flat_map(|it| [(it, true), (it, false)]) {
            let (mut side, mut raw, mut puppet) = led(version, false).await;
            let (waker, woken) = counted_waker();
            let mut cx = Context::from_waker(&waker);
            let much = vec![7; MUCH];
            let mut writing = pin!(side.output.write_all(&much));
            let mut known = None;
            // Until it does not only give way.
            while known != Some(woken.count()) {
                known = Some(woken.count());
                assert!(writing.as_mut().poll(&mut cx).is_pending(), "{version}");
            }
            let (found, expected) = if is_alert {
                (puppet.seal(ALERT, &[2, BAD_CERTIFICATE]), TlsFault::RefusedByPeer)
            } else {
                let mut bad = puppet.seal(DATA, b"changed on its way");
                *bad.last_mut().expect("a record") ^= 1;
                (bad, TlsFault::BadRecord)
            };
            raw.output.write_all(&found).await.expect("room");
            side.session.look_for_end();
            assert!(
                Some(woken.count()) > known,
                "{version}: the writer waits for a peer that is gone"
            );
            let Poll::Ready(Err(error)) = writing.poll(&mut cx) else { panic!("it has failed") };
            assert_eq!(fault(&error), expected, "{version}: {error}");
        }
    });
}
