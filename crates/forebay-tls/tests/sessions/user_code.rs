//! A verifier and a key log run in the middle of a handshake. They may come back to the connection, and
//! they may panic; neither makes a task wait forever, nor harms another session.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use forebay_io::{ByteReadChannel, ByteWriteChannel, ErrorKind};
use forebay_testing::{
    sessions::{
        BOTH, Conn, Side, Version, client, client_of, handshake, opened, opened_over, pair, server,
        server_of, side_and_raw, soon,
    },
    watched_future,
};
use forebay_tls::seam::{Session, Store};
use forebay_tls::{TlsConfig, Trust};
use futures_lite::FutureExt as _;
use futures_lite::future::{block_on, zip};

/// The parts of its own connection that user code can reach.
type Found = Arc<Mutex<Option<(Arc<Session>, ByteReadChannel, ByteWriteChannel)>>>;

/// The call that user code makes on it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Misuse {
    Ask,
    Read,
    Write,
    Finish,
}

fn misuse(found: &Found, what: Misuse) {
    let taken = found.lock().expect("no panic under it").take();
    let Some((session, mut input, mut output)) = taken else { return };
    match what {
        Misuse::Ask => {
            assert!(session.info().is_none());
            assert!(input.closed_cause().is_none());
        }
        Misuse::Read => {
            let read = block_on(soon(input.read_u8())).expect("an answer at once");
            assert_eq!(read.expect_err("not from inside").kind(), ErrorKind::InvalidInput);
        }
        Misuse::Write => {
            // It may be accepted, but cannot be sent.
            block_on(soon(output.write_str("from inside"))).expect("an answer at once").ok();
            let flushed = block_on(soon(output.flush())).expect("an answer at once");
            assert_eq!(flushed.expect_err("not from inside").kind(), ErrorKind::InvalidInput);
        }
        Misuse::Finish => {
            let finished = block_on(soon(output.finish())).expect("an answer at once");
            finished.expect_err("not from inside");
        }
    }
    *found.lock().expect("no panic under it") = Some((session, input, output));
}

/// A handshake whose user code does that, at the client or at the server.
async fn with_misuse(version: Version, what: Misuse, in_key_log: bool, is_client: bool) {
    let found = Found::default();
    let inside = Arc::clone(&found);
    let run = move || misuse(&inside, what);
    let (mut client, mut server) = (client_of(version), server_of(version));
    match (in_key_log, is_client) {
        (true, true) => client = client.key_log(move |_| run()),
        (true, false) => server = server.key_log(move |_| run()),
        (false, _) => {
            client = client.trust(Trust::verifier(move |_| {
                run();
                Ok(())
            }));
        }
    }
    let (client, server) = (client.build().expect("a client"), server.build().expect("a server"));
    let (left, right) = pair(1 << 20);
    let (Side { session, input, output }, other) =
        if is_client { (left, right) } else { (right, left) };
    *found.lock().expect("no panic under it") = Some((Arc::clone(&session), input, output));
    let (ours, theirs) = if is_client { (&client, &server) } else { (&server, &client) };
    let store = Store::default();
    let one = session.handshake(ours, &store, Some("localhost"));
    let two = async {
        let outcome = handshake(&other, theirs).await;
        // A failed side sends no more.
        drop(other.output);
        outcome
    };
    let (outcome, _) = zip(one, two).await;
    let is_harmless = matches!(what, Misuse::Ask | Misuse::Read);
    assert_eq!(outcome.is_ok(), is_harmless, "{what:?}: {outcome:?}");
}

#[test]
fn user_code_that_uses_its_own_connection_gets_an_error() {
    watched_future(|| async {
        for version in BOTH {
            for what in [Misuse::Ask, Misuse::Read, Misuse::Write, Misuse::Finish] {
                with_misuse(version, what, false, true).await;
                with_misuse(version, what, true, true).await;
                with_misuse(version, what, true, false).await;
            }
        }
    });
}

async fn assert_works(client: &TlsConfig, server: &TlsConfig) {
    let (mut left, mut right) = opened_over(1 << 20, client, server).await;
    left.output.write_str("fine\n").await.expect("room");
    assert_eq!(right.input.read_line().await.expect("a line").as_deref(), Some("fine"));
}

#[test]
fn a_panic_of_a_verifier_ends_its_session_and_no_other() {
    watched_future(|| async {
        for version in BOTH {
            let (mut other, mut peer) = opened(version).await;
            let trust = Trust::verifier(|_| panic!("of a verifier, on purpose"));
            let panics = client_of(version).trust(trust).build().expect("a client");
            let (mut left, mut right) = pair(1 << 20);
            let server = server(version);
            let ours = async {
                let made = AssertUnwindSafe(handshake(&left, &panics)).catch_unwind().await;
                assert!(made.is_err(), "the panic is the caller's");
            };
            let ((), theirs) = zip(ours, handshake(&right, &server)).await;
            theirs.expect_err("no handshake there either");
            let read = left.input.read_u8().await.expect_err("it is over");
            let written = left.output.write_str("x").await.expect_err("it is over");
            assert_eq!((read.kind(), written.kind()), (ErrorKind::Panicked, ErrorKind::Panicked));
            right.input.read_u8().await.expect_err("it is over there, too");
            // On the same thread: a new one, and one that was there before.
            assert_works(&client(version), &server).await;
            other.output.write_str("still\n").await.expect("room");
            assert_eq!(peer.input.read_line().await.expect("a line").as_deref(), Some("still"));
        }
    });
}

#[test]
fn a_panic_leaves_no_notes_for_the_next_session() {
    watched_future(|| async {
        let panics = server_of("1.3").key_log(|_| panic!("of a key log, on purpose"));
        let panics = panics.build().expect("a server");
        let (side, mut raw) = side_and_raw();
        // It asks for `localhost`.
        let (hello, _) = Conn::client("1.3").go(&mut Vec::new());
        raw.output.write_all(&hello).await.expect("room");
        let made = AssertUnwindSafe(handshake(&side, &panics)).catch_unwind().await;
        assert!(made.is_err(), "the panic is the caller's");
        // The next one asks for no name: it connected to an address.
        let nameless = client_of("1.3").trust(Trust::verifier(|_| Ok(())));
        let nameless = nameless.server_name("127.0.0.1").build().expect("a client");
        let (left, right) = opened_over(1 << 20, &nameless, &server("1.3")).await;
        for side in [left, right] {
            let info = side.session.info().expect("it is complete");
            assert_ne!(info.server_name(), Some("localhost"), "of the session before");
        }
    });
}
