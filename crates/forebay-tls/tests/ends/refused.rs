//! Nothing of a peer that is refused is delivered, even if it came together with its last words of the
//! handshake.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use forebay_io::{ByteReadChannel, Error, ErrorKind, Result, TlsFault};
use forebay_testing::{
    sessions::{
        BOTH, Raw, Side, Version, client, client_of, fault, handshake, identity_pem, server,
        server_of, side_and_raw, with_middle,
    },
    watched_future,
};
use forebay_tls::seam::{Session, Store};
use forebay_tls::{ClientAuth, Trust};
use futures_lite::future::poll_once;

/// One side insists on an application protocol, which the other does not have. That one ends its part
/// of the handshake first, a client of TLS 1.3 and a server of TLS 1.2, and what it then says arrives
/// together with the end of its handshake.
async fn refused(version: Version) {
    let (client, server) = (client_of(version), server_of(version));
    let (left, middle, right) = with_middle();
    let ((mut first, mut from_first, its), (mut second, mut from_second, insisting)) =
        if version == "1.3" {
            let insisting = server.alpn(["h2"]).require_alpn().build();
            ((left, middle.client, client.build()), (right, middle.server, insisting))
        } else {
            let insisting = client.alpn(["h2"]).require_alpn().build();
            ((right, middle.server, server.build()), (left, middle.client, insisting))
        };
    let (its, insisting) = (its.expect("a configuration"), insisting.expect("a configuration"));
    let error = {
        let mut refusing = pin!(handshake(&second, &insisting));
        {
            let mut shaking = pin!(handshake(&first, &its));
            loop {
                if let Some(done) = poll_once(&mut shaking).await {
                    break done.expect("nothing is missing on this side");
                }
                assert!(poll_once(&mut refusing).await.is_none(), "its last words are missing");
                let (there, back) = (from_first.arrived().await, from_second.arrived().await);
                from_second.output.write_all(&there).await.expect("room");
                from_first.output.write_all(&back).await.expect("room");
            }
        }
        first.output.write_str("of a peer that is refused").await.expect("it is open here");
        first.output.flush().await.expect("room");
        let together = from_first.arrived().await;
        from_second.output.write_all(&together).await.expect("room");
        refusing.await.expect_err("nothing was agreed on")
    };
    assert_eq!(fault(&error), TlsFault::NoCommonProtocol, "TLS {version}: {error}");
    let read = second.input.read_u8().await.expect_err("nothing is delivered");
    assert_eq!(fault(&read), TlsFault::NoCommonProtocol, "TLS {version}: {read}");
    let written = second.output.write_u8(1).await.expect_err("nothing is sent");
    assert_eq!(fault(&written), TlsFault::NoCommonProtocol, "TLS {version}: {written}");
}

#[test]
fn what_a_refused_peer_sent_with_its_handshake_is_not_delivered() {
    watched_future(|| async {
        for version in BOTH {
            refused(version).await;
        }
    });
}

/// A reader on another thread, as far as the session can tell: it reads when it is woken.
struct Reader {
    input: Mutex<ByteReadChannel>,
    read: Mutex<Option<Poll<Result<u8>>>>,
}

impl Wake for Reader {
    fn wake(self: Arc<Self>) {
        let mut input = self.input.lock().expect("nobody panics under it");
        let read = pin!(input.read_u8()).poll(&mut Context::from_waker(Waker::noop()));
        *self.read.lock().expect("nobody panics under it") = Some(read);
    }
}

/// The server's tickets leave when it has heard the last of the handshake, which is before it knows
/// whether it lets the client in; the task that is woken by that reads.
#[test]
fn what_came_with_a_handshake_is_not_read_before_it_counts() {
    watched_future(|| async {
        let insisting = server_of("1.3").ticket_count(1).alpn(["h2"]).require_alpn().build();
        let insisting = insisting.expect("a server");
        let (mut left, mut middle, right) = with_middle();
        let Side { session, input, output } = right;
        let reader = Arc::new(Reader { input: Mutex::new(input), read: Mutex::default() });
        let (store, config) = (Store::default(), client("1.3"));
        let mut refusing = pin!(session.handshake(&insisting, &store, None));
        {
            let mut shaking = pin!(handshake(&left, &config));
            assert!(poll_once(&mut shaking).await.is_none(), "it waits for the server");
            let hello = middle.sent_by_client().await;
            middle.give_server(&hello).await;
            assert!(poll_once(&mut refusing).await.is_none(), "it waits for the client");
            let flight = middle.sent_by_server().await;
            middle.give_client(&flight).await;
            shaking.await.expect("nothing is missing on this side");
        }
        left.output.write_str("of a peer that is refused").await.expect("it is open here");
        left.output.flush().await.expect("room");
        let together = middle.sent_by_client().await;
        let waker = Waker::from(Arc::clone(&reader));
        let mut tickets = pin!(middle.server.input.read_chunk());
        let waits = tickets.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(waits.is_pending(), "there are no tickets yet");
        middle.server.output.write_all(&together).await.expect("room");
        let error = refusing.await.expect_err("nothing was agreed on");
        assert_eq!(fault(&error), TlsFault::NoCommonProtocol, "{error}");
        let read = reader.read.lock().expect("nobody panics under it").take();
        assert!(matches!(read, Some(Poll::Pending)), "{read:?}");
        drop(output);
    });
}

/// As servers of mbedTLS and wolfSSL refuse a client that shows no certificate: by no alert.
#[test]
fn a_silent_refusal_behind_a_request_for_a_certificate_says_so() {
    watched_future(|| async {
        let trust = Trust::roots_pem(identity_pem().0).expect("a root");
        for (asks, resets) in [(true, false), (true, true), (false, false)] {
            let server = server_of("1.2");
            let auth = ClientAuth::Required(trust.clone());
            let server = if asks { server.client_auth(auth) } else { server };
            let (server, config) = (server.build().expect("a server"), client("1.2"));
            let (left, mut middle, right) = with_middle();
            let mut refusing = pin!(handshake(&right, &server));
            let mut shaking = pin!(handshake(&left, &config));
            assert!(poll_once(&mut shaking).await.is_none(), "it waits for the server");
            let hello = middle.sent_by_client().await;
            middle.give_server(&hello).await;
            assert!(poll_once(&mut refusing).await.is_none(), "it waits for the client");
            let flight = middle.sent_by_server().await;
            middle.give_client(&flight).await;
            assert!(poll_once(&mut shaking).await.is_none(), "the server has not finished");
            let Raw { mut output, .. } = middle.client;
            if resets {
                output.abort_with(Error::new(ErrorKind::Reset, "write"));
            } else {
                output.finish().await.expect("room");
            }
            let error = shaking.await.expect_err("it was cut off");
            let kind =
                if resets { ErrorKind::Reset } else { ErrorKind::Tls(TlsFault::EndedInHandshake) };
            assert_eq!(error.kind(), kind, "{error}");
            let says_why = error.to_string().contains("this client has none: set `identity`");
            assert_eq!(says_why, asks, "{error}");
        }
    });
}

/// A wait for the handshake on another thread, as far as the session can tell: it looks when the alert is on its way.
struct Looker {
    session: Arc<Session>,
    found: Mutex<Option<Poll<Result<()>>>>,
}

impl Wake for Looker {
    fn wake(self: Arc<Self>) {
        let looked = pin!(self.session.opened()).poll(&mut Context::from_waker(Waker::noop()));
        *self.found.lock().expect("no panic") = Some(looked);
    }
}

/// The handshake has failed by then, but its driver has not reported that yet.
#[test]
fn a_wait_for_a_handshake_that_is_failing_gets_its_error() {
    watched_future(|| async {
        for version in BOTH {
            let (side, mut raw) = side_and_raw();
            raw.output.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("room");
            let looker =
                Arc::new(Looker { session: Arc::clone(&side.session), found: Mutex::default() });
            let waker = Waker::from(Arc::clone(&looker));
            let mut reading = pin!(raw.input.read_u8());
            assert!(reading.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            handshake(&side, &server(version)).await.expect_err("it is no TLS");
            let found = looker.found.lock().expect("no panic").take();
            let Some(Poll::Ready(Err(error))) = found else { panic!("{version}: {found:?}") };
            assert_eq!(fault(&error), TlsFault::NotTls, "{version}: {error}");
        }
    });
}
