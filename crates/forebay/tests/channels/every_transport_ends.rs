//! Connections end alike, whatever carries them: TCP, Unix sockets and memory.

#![cfg(target_os = "linux")]

use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{
    ByteReadChannel, CloseReason, Connection, Error, ErrorKind, Result, SelectorManager,
};
use forebay_testing::{
    DRAIN_TIMEOUT, MIB, Transport, just_before_silence, on_each, on_every_transport,
    on_every_transport_with_clock, past_silence, pattern, report, settle, size, until,
    until_at_rest, until_given_up,
};
use futures_lite::future::{poll_once, yield_now, zip};

const WRITTEN: usize = 200_000;
/// The most that a client has sent before the server ends, in every other round. In the rest they race.
const EARLY_MAX: usize = 32 * 1024;
const SHORT_DRAIN: Duration = Duration::from_millis(10);

/// Everything up to the end, and the error if it was none.
async fn read_all(input: &mut ByteReadChannel) -> (Vec<u8>, Option<Error>) {
    let mut bytes = Vec::new();
    loop {
        match input.read_chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

// ---- nothing is lost ----------------------------------------------------------------------------

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    DropLastHandle,
}

#[test]
fn what_was_written_before_a_close_arrives_whatever_is_unread() {
    on_every_transport(async |selector, transport| {
        let closes: usize = size("FOREBAY_CLOSES", 20, 100);
        for unread in [10, 200_000, 1_000_000] {
            let (data, sent) = (pattern(WRITTEN), pattern(unread));
            for end in [End::Close, End::DropLastHandle] {
                let mut errors = 0;
                let before = selector.stats().unacknowledged;
                for round in 0..closes {
                    let (client, server) = transport.pair(&selector).await?;
                    let is_early = round % 2 == 0;
                    let split = sent.split_at(if is_early { unread.min(EARLY_MAX) } else { 0 });
                    let error = lose_nothing(client, server, &data, split, end).await?;
                    // Input that had arrived, and is less than a close discards, causes no error.
                    assert!(!error || !is_early || unread > EARLY_MAX, "an error for nothing");
                    errors += usize::from(error);
                }
                until_at_rest(&selector, 0).await;
                // The server lost nothing. A client may have lost what it wrote after the server's close: in
                // every round, or in those where all of it had not arrived before.
                let lost = selector.stats().unacknowledged - before;
                let most = if unread > EARLY_MAX { closes } else { closes / 2 };
                assert!(
                    lost <= most as u64,
                    "{transport}, {unread} B, {end:?}: {lost} of {closes} clients lost input"
                );
                report(&format!(
                    "every_transport_ends: {transport}, {unread} B unread, {end:?}: {closes} closes, \
                     0 bytes lost, {errors} peers saw an error behind their data"
                ));
            }
        }
        Ok(())
    });
}

/// The server writes and ends while the client sends input that stays unread. Returns true if the
/// client saw an error behind what it was sent.
async fn lose_nothing(
    mut client: Connection,
    mut server: Connection,
    data: &[u8],
    (early, late): (&[u8], &[u8]),
    end: End,
) -> Result<bool> {
    client.output.write_all(early).await?;
    client.output.flush().await?;
    let serving = async {
        server.output.write_all(data).await?;
        match end {
            End::Close => server.socket.close().await,
            End::DropLastHandle => {
                drop(server);
                Ok(())
            }
        }
    };
    let sending = async {
        for piece in late.chunks(50_000) {
            // The server may have had enough, which is no fault.
            if client.output.write_all(piece).await.is_err() {
                return;
            }
        }
        client.output.finish().await.ok();
    };
    let receiving = zip(sending, read_all(&mut client.input));
    let (ended, ((), (received, error))) = zip(serving, receiving).await;
    ended?;
    assert!(received == data, "{} of {WRITTEN} bytes, {error:?}", received.len());
    assert!(error.as_ref().is_none_or(Error::is_reset), "{error:?}");
    Ok(error.is_some())
}

// ---- verbs --------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Flush,
    Finish,
    Close,
    Abort,
    DropInput,
    DropOutput,
}

impl Verb {
    const ALL: [Self; 6] =
        [Self::Flush, Self::Finish, Self::Close, Self::Abort, Self::DropInput, Self::DropOutput];
}

/// A connection of which parts may be gone.
struct Parts {
    socket: forebay::Socket,
    input: Option<ByteReadChannel>,
    output: Option<forebay::ByteWriteChannel>,
}

impl Parts {
    async fn apply(&mut self, verb: Verb) -> std::result::Result<(), ErrorKind> {
        let outcome = match (verb, &mut self.output) {
            (Verb::Flush, Some(output)) => output.flush().await,
            (Verb::Finish, Some(output)) => output.finish().await,
            (Verb::Flush | Verb::Finish, None) => Ok(()),
            (Verb::Close, _) => self.socket.close().await,
            (Verb::Abort, _) => {
                self.socket.abort();
                Ok(())
            }
            (Verb::DropInput, _) => {
                drop(self.input.take());
                Ok(())
            }
            (Verb::DropOutput, _) => {
                drop(self.output.take());
                Ok(())
            }
        };
        outcome.map_err(|error| error.kind())
    }
}

/// Every three verbs in every order, each said twice: the second time changes nothing.
#[test]
fn verbs_are_idempotent_in_every_order() {
    on_each(|transport| {
        // A client that has not read the tickets of its TLS session waits for its peer that long.
        let selector = SelectorManager::builder().drain(SHORT_DRAIN, 64 * 1024);
        selector.run(async |selector| say_all(&selector, transport).await).unwrap();
    });
}

async fn say_all(selector: &SelectorManager, transport: Transport) -> Result<()> {
    let triples = Verb::ALL.iter().flat_map(|first| {
        Verb::ALL.iter().flat_map(move |second| Verb::ALL.map(|third| [*first, *second, third]))
    });
    for verbs in triples {
        say_twice(selector, transport, verbs).await?;
    }
    until_at_rest(selector, 0).await;
    Ok(())
}

async fn say_twice(
    selector: &SelectorManager,
    transport: Transport,
    verbs: [Verb; 3],
) -> Result<()> {
    let (mut connection, mut peer) = transport.pair(selector).await?;
    connection.output.write_str("hello\n").await?;
    connection.output.flush().await?;
    let Connection { socket, input, output } = connection;
    let mut parts = Parts { socket, input: Some(input), output: Some(output) };
    let (mut ended, mut aborted) = (false, false);
    for (at, verb) in verbs.into_iter().enumerate() {
        let first = parts.apply(verb).await;
        assert_eq!(parts.apply(verb).await, first, "{verb:?} again, the {at}th of {verbs:?}");
        let may_fail = aborted && matches!(verb, Verb::Flush | Verb::Finish);
        // What was sent before is no error afterwards.
        let is_right = first.is_ok() || (may_fail && first == Err(ErrorKind::Closed));
        assert!(is_right, "{verb:?} in {verbs:?}: {first:?}");
        aborted |= verb == Verb::Abort && !verbs[..at].contains(&Verb::Close);
        ended |= !aborted && matches!(verb, Verb::Finish | Verb::Close | Verb::DropOutput);
    }
    drop(parts);
    let (received, error) = read_all(&mut peer.input).await;
    if aborted && ended && error.is_some() {
        // The end mark was out, and the reset behind it arrived before the first read.
    } else if aborted && !ended && transport.knows_resets() {
        assert!(error.is_some_and(|error| error.is_reset()), "{verbs:?}");
    } else {
        assert!(error.is_none(), "{verbs:?}: {error:?}");
        assert_eq!(received, b"hello\n", "{verbs:?}");
    }
    Ok(())
}

#[test]
fn a_double_and_a_simultaneous_close_succeed() {
    on_every_transport(async |selector, transport| {
        for round in 0..50 {
            let (mut left, mut right) = transport.pair(&selector).await?;
            left.output.write_str("from the left\n").await?;
            right.output.write_str("from the right\n").await?;
            if round % 2 == 0 {
                left.output.flush().await?;
            }
            let (again, also) = (left.socket.clone(), right.socket.clone());
            let lefts = zip(left.socket.close(), again.close());
            let rights = zip(right.socket.close(), also.close());
            let (lefts, rights) = zip(lefts, rights).await;
            for outcome in [lefts.0, lefts.1, rights.0, rights.1] {
                // Unread input may cause a reset, on a transport that knows them.
                assert!(outcome.as_ref().err().is_none_or(Error::is_reset), "{outcome:?}");
            }
            assert!(left.socket.is_closed() && right.socket.is_closed());
            // Another thread may be the one that releases the descriptors.
            until(|| selector.stats().sockets == 0).await;
        }
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

// ---- a peer that never reads --------------------------------------------------------------------

#[test]
fn a_writer_waits_at_the_mark_and_a_close_ends_at_the_drain_timeout() {
    on_every_transport_with_clock(never_read);
}

/// More than the system takes for a peer that does not read.
const MUCH: usize = 12 * MIB;

async fn never_read(
    selector: SelectorManager,
    clock: TestClock,
    transport: Transport,
) -> Result<()> {
    let (mut connection, _peer) = transport.pair(&selector).await?;
    let item = vec![0; 16 * 1024];
    let mut accepted = 0;
    loop {
        // The kernel makes room for a while, as the turns go by.
        if let Some(written) = poll_once(connection.output.write_all(&item)).await {
            accepted += written.map(|()| item.len())?;
            continue;
        }
        // Full for as long as nothing is read; or it only gave way, its share of the turn used up.
        settle().await;
        if connection.output.queued() >= 64 * 1024 {
            break;
        }
    }
    let most = 64 * 1024 + item.len() + transport.queued_besides();
    assert!(connection.output.queued() <= most);

    // A system with less than a third of its buffer free says nothing of it, but takes what is queued when it is asked
    // once more. So here it is much more.
    connection.socket.abort();
    let (mut connection, mut peer) = transport.pair(&selector).await?;
    connection.output.write_bytes(vec![0; MUCH].into()).await?;
    let closing = selector.spawn({
        let socket = connection.socket.clone();
        async move { socket.close().await }
    });
    until(|| selector.stats().background_closes == 1).await;
    just_before_silence(&clock, DRAIN_TIMEOUT).await;
    assert!(!closing.is_finished());
    past_silence(&clock);
    settle().await;
    // Unless the system took some at the last look.
    until_given_up(&selector, &clock, DRAIN_TIMEOUT).await;
    let error = closing.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("acknowledged nothing for 2s"), "{error}");
    assert_eq!(connection.socket.closed().await, CloseReason::Failed);
    assert_eq!(connection.output.write_u8(0).await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(selector.stats().unacknowledged, 1);

    let (received, error) = read_all(&mut peer.input).await;
    assert!(received.len() < MUCH, "it must not take a part for the whole");
    assert_eq!(error.is_some(), transport.knows_resets(), "{error:?}");
    report(&format!(
        "every_transport_ends: {transport}: {accepted} bytes accepted for a peer that never reads, \
         closed at the drain timeout"
    ));
    Ok(())
}

// ---- the ends that each side notices ------------------------------------------------------------

#[test]
fn an_end_is_noticed_without_reading_and_what_came_before_stays() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        let waiting = selector.spawn_value({
            let socket = server.socket.clone();
            async move { socket.peer_finished().await }
        });
        client.output.write_str("last words\n").await?;
        client.output.finish().await?;
        waiting.await??;
        server.socket.peer_finished().await?;
        assert!(poll_once(server.socket.closed()).await.is_none(), "one direction is open");
        assert_eq!(server.input.read_line().await?.as_deref(), Some("last words"));
        assert_eq!(server.input.read_line().await?, None);
        server.output.finish().await?;
        assert_eq!(server.socket.closed().await, CloseReason::Ended);
        assert_eq!(client.socket.closed().await, CloseReason::Ended);
        Ok(())
    });
}

#[test]
fn an_abort_is_noticed_without_reading() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        // Unread at the side that aborts: then every transport says so.
        server.output.write_str("never read\n").await?;
        server.output.flush().await?;
        let waiting = selector.spawn_value({
            let socket = server.socket.clone();
            async move { socket.closed().await }
        });
        yield_now().await;
        client.socket.abort();
        assert_eq!(waiting.await?, CloseReason::Reset);
        let error = server.socket.peer_finished().await.unwrap_err();
        assert!(error.is_reset(), "{error}");
        assert!(server.output.write_u8(0).await.unwrap_err().is_reset());
        assert!(server.input.read_line().await.unwrap_err().is_reset());
        assert!(server.socket.close().await.unwrap_err().is_reset());

        assert!(client.input.read_line().await.unwrap_err().is_closed());
        assert!(client.output.write_u8(0).await.unwrap_err().is_closed());
        assert!(client.socket.peer_finished().await.unwrap_err().is_closed());
        assert_eq!(client.socket.closed().await, CloseReason::Local);
        client.socket.close().await
    });
}

/// When everything was read, Unix sockets have no way to say it; the next write meets it.
#[test]
fn an_abort_with_nothing_unread_is_an_end_on_unix_sockets_alone() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        client.output.write_str("hello\n").await?;
        client.output.flush().await?;
        assert_eq!(server.input.read_line().await?.as_deref(), Some("hello"));
        client.socket.abort();
        let end = server.input.read_line().await;
        if transport.knows_resets() {
            assert!(end.unwrap_err().is_reset());
        } else {
            assert_eq!(end?, None);
            server.socket.peer_finished().await?;
            server.output.write_u8(0).await?;
        }
        assert!(server.output.flush().await.unwrap_err().is_reset());
        assert_eq!(server.socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

#[test]
fn a_local_close_says_closed_and_a_peer_that_writes_then_a_reset() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        let waiting = selector.spawn_value({
            let socket = client.socket.clone();
            async move { socket.closed().await }
        });
        client.socket.close().await?;
        assert_eq!(waiting.await?, CloseReason::Local);
        assert!(client.input.read_line().await.unwrap_err().is_closed());
        assert!(client.output.write_u8(0).await.unwrap_err().is_closed());
        assert!(client.socket.peer_finished().await.unwrap_err().is_closed());
        assert_eq!(client.socket.open_read_channel().unwrap_err().kind(), ErrorKind::Closed);

        assert_eq!(server.input.read_line().await?, None);
        let error = loop {
            // TCP's kernel learns with the first of them that the peer is gone.
            server.output.write_str("anybody?\n").await.ok();
            if let Err(error) = server.output.flush().await {
                break error;
            }
        };
        assert!(error.is_reset(), "{error}");
        assert_eq!(server.socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

// ---- drops --------------------------------------------------------------------------------------

#[test]
fn handles_may_go_in_every_order() {
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    on_every_transport(async |selector, transport| {
        for order in ORDERS {
            let (mut connection, mut peer) = transport.pair(&selector).await?;
            connection.output.write_str("hello\n").await?;
            let Connection { socket, input, output } = connection;
            let (mut socket, mut input, mut output) = (Some(socket), Some(input), Some(output));
            for part in order {
                match part {
                    0 => drop(socket.take()),
                    1 => drop(input.take()),
                    _ => drop(output.take()),
                }
            }
            let (received, error) = read_all(&mut peer.input).await;
            assert_eq!((received, error.is_none()), (b"hello\n".to_vec(), true), "{order:?}");
            drop(peer);
            until_at_rest(&selector, 0).await;
        }
        Ok(())
    });
}

/// A handler that panics may have written half of something.
#[test]
fn a_panic_resets() {
    on_every_transport(async |selector, transport| {
        let (mut connection, mut peer) = transport.pair(&selector).await?;
        peer.output.write_str("never read\n").await?;
        peer.output.flush().await?;
        let panicking = selector.spawn_value::<()>(async move {
            connection.output.write_str("half of").await.unwrap();
            panic!("in the middle of an answer");
        });
        assert_eq!(panicking.await.unwrap_err().kind(), ErrorKind::Panicked);
        let (received, error) = read_all(&mut peer.input).await;
        assert!(error.is_some_and(|error| error.is_reset()), "{received:?}");
        Ok(())
    });
}

/// Also a wait under another selector's worker, where the socket is watched then.
#[test]
fn a_closing_selector_ends_every_wait() {
    on_every_transport(async |_, transport| {
        let selector = SelectorManager::new();
        let (mut client, mut server) = transport.pair(&selector).await?;
        let closing = selector.clone();
        let ends = zip(client.input.read_line(), server.socket.closed());
        let waits = zip(ends, server.input.read_line());
        let (((read, reason), other), ()) = zip(waits, async move {
            yield_now().await;
            closing.close().await;
        })
        .await;
        assert!(read.unwrap_err().is_closed());
        assert!(other.unwrap_err().is_closed());
        assert_eq!(reason, CloseReason::Local);
        assert!(server.socket.peer_finished().await.unwrap_err().is_closed());
        Ok(())
    });
}
