//! A session that is given up in the very moment in which its handshake is complete.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};

use forebay_io::{Error, ErrorKind};
use forebay_testing::{
    sessions::{Conn, client, handshake, side_and_raw},
    watched_future,
};
use forebay_tls::seam::Session;
use futures_lite::future::poll_once;

/// Gives the session up when it is woken.
struct GiveUp(Weak<Session>);

impl Wake for GiveUp {
    fn wake(self: Arc<Self>) {
        if let Some(session) = self.0.upgrade() {
            session.abort(&Error::new(ErrorKind::LimitExceeded { limit: 256 }, "tls handshake"));
        }
    }
}

/// The task that waits for the client's last message runs before the client itself goes on.
#[test]
fn a_handshake_that_was_given_up_as_it_ended_has_failed() {
    watched_future(|| async {
        let version = "1.3";
        let (side, mut raw) = side_and_raw();
        let config = client(version);
        let mut conn = Conn::server(version);
        let outcome = {
            let mut shaking = pin!(handshake(&side, &config));
            assert!(poll_once(&mut shaking).await.is_none(), "it waits for the server");
            let (flight, _) = conn.go(&mut raw.arrived().await);
            raw.output.write_all(&flight).await.expect("room");
            let give_up = Waker::from(Arc::new(GiveUp(Arc::downgrade(&side.session))));
            let mut reading = pin!(raw.input.read_chunk());
            let waits = reading.as_mut().poll(&mut Context::from_waker(&give_up));
            assert!(waits.is_pending(), "the client has not said its last words");
            poll_once(&mut shaking).await.expect("it is over")
        };
        let error = outcome.expect_err("it was given up");
        assert!(matches!(error.kind(), ErrorKind::LimitExceeded { .. }), "{error}");
        assert!(side.session.info().is_none(), "nothing was agreed on");
    });
}
