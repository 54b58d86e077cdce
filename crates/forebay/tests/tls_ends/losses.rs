//! A connection that is lost while something of the peer's is still in our kernel: that is read before
//! the loss is believed, and both halves and every call tell one cause.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use forebay::{
    ByteReadChannel, ClientAuth, CloseReason, Connection, Error, Result, SelectorManager, Socket,
    TlsFault,
};
use forebay_testing::{
    KIB, MIB, Transport, connection_between, is_gone, on_transports, report, reset, run, settle,
    size,
    tls::{Authority, Configs},
    until, wait_for,
};
use futures_lite::future::{block_on, zip};

/// The bytes read before the loss, so that the receive window has grown to a megabyte or so.
const GROWING: usize = 16 * MIB;
/// The bytes that the peer sends behind that, as far as the window lets it.
const UNREAD: usize = 4 * MIB;
/// More than a reader may take in one turn.
const MORE_THAN_A_SHARE: usize = 300 * KIB;

/// Returns the system's row of this end of a connection, while that stands.
fn row(connection: &Connection) -> Option<forebay_testing::TcpRow> {
    let socket = &connection.socket;
    let (local, remote) = (socket.local_address(), socket.remote_address());
    connection_between(local.as_inet().unwrap(), remote.as_inet().unwrap())
}

/// Bytes that have arrived and that the process has not received.
fn unread(connection: &Connection) -> usize {
    row(connection).map_or(0, |row| row.unread)
}

/// Bytes that were sent and that the peer has not acknowledged.
fn unacknowledged(connection: &Connection) -> usize {
    row(connection).map_or(0, |row| row.unacknowledged)
}

/// Reads to the end: how much that was, and how it ended.
async fn count_to_end(input: &mut ByteReadChannel) -> (usize, Option<Error>) {
    let (mut count, mut buffer) = (0, vec![0; 16 * KIB]);
    loop {
        match input.read(&mut buffer).await {
            Ok(0) => return (count, None),
            Ok(more) => count += more,
            Err(error) => return (count, Some(error)),
        }
    }
}

// ---- bytes first --------------------------------------------------------------------------------

#[test]
fn a_reader_gets_all_that_has_arrived_before_the_reset_that_the_writer_has_met() {
    on_transports(
        |transport| matches!(transport, Transport::Tcp | Transport::Tls),
        async |selector, transport| {
            let (mut near, mut far) = transport.pair(&selector).await?;
            let growing = async {
                far.output.write_all(&vec![b'a'; GROWING]).await?;
                far.output.flush().await
            };
            let (grown, discarded) = zip(growing, near.input.discard(GROWING as u64)).await;
            grown?;
            assert_eq!(discarded?, GROWING as u64);
            let Connection { output: mut from_far, socket: far, .. } = far;
            let sending = selector.spawn(async move {
                from_far.write_all(&vec![b'b'; UNREAD]).await?;
                from_far.finish().await
            });
            until(|| unread(&near) > MORE_THAN_A_SHARE).await;
            settle().await;
            // The kernel counts the end mark as a byte.
            let arrived = unread(&near);
            let arrived = if transport == Transport::Tcp { arrived.min(UNREAD) } else { arrived };
            far.abort();
            drop(sending);
            // A thread that is in a call of the far end resets it when that is over.
            let met = loop {
                near.output.write_str("to nobody").await.ok();
                if let Err(met) = near.output.flush().await {
                    break met;
                }
            };
            assert!(met.is_reset(), "{met}");

            let (read, error) = count_to_end(&mut near.input).await;
            let error = error.expect("no clean end behind a reset");
            assert!(error.is_reset(), "{error}");
            // Over TLS what arrived has headers, and may end in half a record.
            let least =
                if transport == Transport::Tls { arrived / 100 * 99 - 16 * KIB } else { arrived };
            report(&format!("tls_losses: {transport}: {read} bytes read of {arrived}"));
            assert!(read >= least, "over {transport}: {read} bytes read of {arrived}");
            Ok(())
        },
    );
}

// ---- one cause ----------------------------------------------------------------------------------

/// Carries bytes between a connection that is tested and its peer, and resets that connection when the
/// test says so: only there, so that its peer's last words can be in front of the reset.
struct Relay {
    deed: Arc<AtomicU8>,
    ends: (SocketAddr, SocketAddr),
}

/// Bytes are carried both ways; none are read from the side that is tested; it is reset.
const CARRY: u8 = 0;
const READ_NOTHING: u8 = 1;
const RESET: u8 = 2;

impl Relay {
    /// Starts a relay between the listener's client and this server.
    fn start(listener: &TcpListener, server: u16) -> Self {
        let (near, address) = listener.accept().unwrap();
        let far = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let ends = (address, near.local_addr().unwrap());
        let deed = Arc::new(AtomicU8::new(CARRY));
        let told = Arc::clone(&deed);
        thread::spawn(move || {
            for socket in [&near, &far] {
                socket.set_nonblocking(true).unwrap();
            }
            loop {
                match told.load(Ordering::SeqCst) {
                    CARRY => carry(&near, &far),
                    READ_NOTHING => {}
                    _ => return reset(near),
                }
                carry(&far, &near);
                thread::yield_now();
            }
        });
        Self { deed, ends }
    }

    fn read_nothing(&self) {
        self.deed.store(READ_NOTHING, Ordering::SeqCst);
    }

    /// Resets the connection that is tested, and waits until that has arrived.
    fn reset(&self) {
        self.deed.store(RESET, Ordering::SeqCst);
        wait_for(|| is_gone(self.ends.0, self.ends.1));
    }
}

/// Carries what is there and fits.
fn carry(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = [0; 4096];
    if let Ok(count @ 1..) = from.read(&mut bytes) {
        let mut left = &bytes[..count];
        while !left.is_empty() {
            match to.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                Err(_) => return,
            }
        }
    }
}

/// A secure connection of ours, through a relay, to a server of ours.
async fn through_relay(
    selector: &SelectorManager,
    configs: &Configs,
) -> Result<(Connection, Relay, Result<Socket>)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = selector.tcp().connect(listener.local_addr().unwrap()).await?;
    let relay = Relay::start(&listener, server.port());
    let accepting = async {
        let accepted = server.accept().await?;
        accepted.handshake().await.map(|_| accepted)
    };
    let (secure, accepted) = zip(plain.tls(&configs.client), accepting).await;
    Ok((secure?.connection()?, relay, accepted))
}

/// The step of a client whose certificate is refused, before it closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Nothing,
    Write,
    Flush,
    Read,
    WaitForTheEnd,
    /// It waits, and only then does the reset come.
    WaitForTheReset,
}

fn assert_refused(deed: Deed, error: &Error) {
    assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{deed:?}: {error}");
}

#[test]
fn a_refusal_in_front_of_a_reset_is_what_every_call_tells() {
    let authority = Authority::new();
    let auth = ClientAuth::Required(authority.trust());
    let configs = Configs::by(&authority, |client| client, |server| server.client_auth(auth));
    run(async move |selector| {
        use Deed::{Flush, Nothing, Read, WaitForTheEnd, WaitForTheReset, Write};
        for deed in [Nothing, Write, Flush, Read, WaitForTheEnd, WaitForTheReset] {
            let (mut it, relay, accepted) = through_relay(&selector, &configs).await?;
            assert!(accepted.is_err(), "it has no certificate");
            until(|| unread(&it) > 0).await;
            if deed == WaitForTheReset {
                let socket = it.socket.clone();
                let waiting = selector.spawn_value(async move { socket.peer_finished().await });
                settle().await;
                relay.reset();
                assert_refused(deed, &waiting.await?.unwrap_err());
            }
            relay.reset();
            match deed {
                Nothing | WaitForTheReset => {}
                Write => it.output.write_str("to nobody").await?,
                Flush => {
                    it.output.write_str("to nobody").await?;
                    assert_refused(deed, &it.output.flush().await.unwrap_err());
                }
                Read => assert_refused(deed, &it.input.read_u8().await.unwrap_err()),
                WaitForTheEnd => {
                    assert_refused(deed, &it.socket.peer_finished().await.unwrap_err());
                }
            }
            assert_refused(deed, &it.socket.close().await.unwrap_err());
            assert_eq!(it.socket.closed().await, CloseReason::Failed, "{deed:?}");
            assert_refused(deed, &it.output.write_u8(1).await.unwrap_err());
            assert_refused(deed, &it.input.closed_cause().unwrap());
        }
        Ok(())
    });
}

/// A reader on another thread meets the reset in the same moment as the writer.
#[test]
fn two_threads_are_told_one_cause() {
    let races = size("FOREBAY_RACES", 8, 30);
    let authority = Authority::new();
    let auth = ClientAuth::Required(authority.trust());
    let configs = Configs::by(&authority, |client| client, |server| server.client_auth(auth));
    run(async move |selector| {
        for race in 0..races {
            let (it, relay, _) = through_relay(&selector, &configs).await?;
            until(|| unread(&it) > 0).await;
            let Connection { mut input, mut output, socket } = it;
            let start = Arc::new(Barrier::new(2));
            let reader = thread::spawn({
                let start = Arc::clone(&start);
                move || {
                    start.wait();
                    block_on(input.read_u8())
                }
            });
            relay.reset();
            start.wait();
            for _ in 0..race % 4 {
                thread::yield_now();
            }
            output.write_str("to nobody").await.ok();
            let written = output.flush().await.map(|()| 0);
            let closed = socket.close().await.map(|()| 0);
            until(|| reader.is_finished()).await;
            for (call, outcome) in
                [("read", reader.join().unwrap()), ("flush", written), ("close", closed)]
            {
                let error = outcome.expect_err("it was refused");
                let is_told = error.tls_fault() == Some(TlsFault::RefusedByPeer);
                assert!(is_told || error.is_closed(), "race {race}: {call}: {error}");
            }
        }
        Ok(())
    });
}

// ---- a reset that loses nothing -----------------------------------------------------------------

/// A connection that is tested, and the peer behind the relay, which has ended cleanly.
async fn ended_by_peer(
    selector: &SelectorManager,
    configs: &Configs,
) -> Result<(Connection, Relay, Connection)> {
    let (it, relay, accepted) = through_relay(selector, configs).await?;
    let mut far = accepted?.connection()?;
    far.output.finish().await?;
    until(|| unread(&it) > 0).await;
    Ok((it, relay, far))
}

/// In which order the end is read, ours is sent, and the reset comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// It is reset, and then it is closed.
    ResetClose,
    /// A call of `closed` has seen the reset before it is closed.
    WatchResetClose,
    ReadResetClose,
    /// Our end mark is out when it is reset.
    FinishResetClose,
    ReadFinishResetClose,
    /// A close waits when it is reset.
    CloseReset,
    /// A call of `closed` waits for the end of it all.
    WatchFinishReset,
}

#[test]
fn a_reset_behind_the_peers_end_is_no_error_when_nothing_was_lost() {
    let configs = Configs::new();
    run(async move |selector| {
        use Order::*;
        for order in [
            ResetClose,
            WatchResetClose,
            ReadResetClose,
            FinishResetClose,
            ReadFinishResetClose,
            CloseReset,
            WatchFinishReset,
        ] {
            let (mut it, relay, far) = ended_by_peer(&selector, &configs).await?;
            it.output.write_str("an answer that is acknowledged").await?;
            it.output.flush().await?;
            until(|| unacknowledged(&it) == 0).await;
            relay.read_nothing();
            if matches!(order, ReadResetClose | ReadFinishResetClose) {
                assert_eq!(it.input.read_line().await?, None, "{order:?}");
            }
            if matches!(order, WatchResetClose | WatchFinishReset) {
                let socket = it.socket.clone();
                let watching = selector.spawn_value(async move { socket.closed().await });
                settle().await;
                if order == WatchFinishReset {
                    it.output.finish().await?;
                }
                relay.reset();
                let is_ended = order == WatchFinishReset;
                let expected = if is_ended { CloseReason::Ended } else { CloseReason::Reset };
                assert_eq!(watching.await?, expected, "{order:?}");
            }
            if matches!(order, FinishResetClose | ReadFinishResetClose) {
                it.output.finish().await?;
            }
            let closing = if order == CloseReset {
                let socket = it.socket.clone();
                let closing = selector.spawn_value(async move { socket.close().await });
                settle().await;
                relay.reset();
                closing.await?
            } else {
                relay.reset();
                it.socket.close().await
            };
            assert!(closing.is_ok(), "{order:?}: {closing:?}");
            drop(far);
        }
        Ok(())
    });
}

#[test]
fn a_reset_that_loses_something_of_ours_is_an_error() {
    let configs = Configs::new();
    run(async move |selector| {
        for reads in [false, true] {
            let (mut it, relay, far) = ended_by_peer(&selector, &configs).await?;
            relay.read_nothing();
            // The system takes it, and the peer, whose window is full, does not.
            while unacknowledged(&it) < 256 * KIB {
                it.output.write_all(&[b'a'; 16 * KIB]).await?;
                it.output.flush().await?;
            }
            if reads {
                assert_eq!(it.input.read_line().await?, None);
            }
            it.output.finish().await?;
            relay.reset();
            let error = it.socket.close().await.unwrap_err();
            assert!(error.is_reset(), "{error}");
            drop(far);
        }
        // Without the peer's end it is one as well.
        let (it, relay, far) = through_relay(&selector, &configs).await?;
        relay.reset();
        let error = it.socket.close().await.unwrap_err();
        assert!(error.is_reset(), "{error}");
        drop(far);
        Ok(())
    });
}
