//! A close that may take so long and no longer, whatever the drain timeout says. The clock is the
//! test's.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use forebay::{CloseReason, Result, SelectorManager, Socket};
use forebay_testing::{
    MIB, MOMENT, just_before, on_every_transport_with_clock, pair, pattern, settle, until,
    until_at_rest, with_clock,
};

/// Shorter than the drain timeout of two seconds, and longer.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(3600);

/// More than the kernel takes for a peer that does not read.
static UNSENT: LazyLock<Bytes> = LazyLock::new(|| pattern(12 * MIB).into());

/// A connection with more to send than the kernel takes, and its peer, which does not read of its
/// own accord. Its writer is dropped already, which says nothing about the socket.
async fn laden_pair(selector: &SelectorManager) -> Result<(Socket, TcpStream)> {
    let (socket, peer) = pair(selector).await?;
    let mut output = socket.open_write_channel()?;
    output.write_bytes(UNSENT.clone()).await?;
    Ok((socket, peer))
}

#[test]
fn it_ends_when_its_time_is_over_be_it_shorter_or_longer_than_the_drain_timeout() {
    for limit in [SHORT, LONG] {
        with_clock(async move |selector, clock| {
            let (socket, mut peer) = laden_pair(&selector).await?;
            let closing = selector.spawn({
                let socket = socket.clone();
                async move { socket.close_within(limit).await }
            });
            settle().await;
            clock.advance(just_before(limit));
            settle().await;
            assert!(!closing.is_finished() && selector.stats().sockets == 1);
            clock.advance(MOMENT);
            let error = closing.await.unwrap_err();
            assert!(error.is_timeout(), "{error}");
            until_at_rest(&selector, 0).await;
            assert_eq!(selector.stats().unacknowledged, 1);
            assert_eq!(selector.stats().timers, 0);
            assert_eq!(socket.closed().await, CloseReason::Failed);
            // Half of it must not look like all of it.
            let (_, end) = forebay_testing::read_to_end(&mut peer);
            assert!(end.is_some());
            Ok(())
        });
    }
}

#[test]
fn a_peer_that_needs_longer_than_the_drain_timeout_gets_everything() {
    with_clock(async |selector, clock| {
        let (socket, mut peer) = laden_pair(&selector).await?;
        let closing = selector.spawn(async move { socket.close_within(LONG).await });
        settle().await;
        clock.advance(LONG / 2);
        settle().await;
        assert!(!closing.is_finished());
        let reading = selector.spawn_blocking(move || {
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).map(|_| bytes)
        });
        assert!(reading.await?? == *UNSENT);
        closing.await?;
        assert_eq!(selector.stats().unacknowledged, 0);
        Ok(())
    });
}

#[test]
fn it_shortens_a_close_that_is_under_way() {
    with_clock(async |selector, clock| {
        let (socket, _peer) = laden_pair(&selector).await?;
        let under_way = selector.spawn({
            let socket = socket.clone();
            async move { socket.close_within(LONG).await }
        });
        settle().await;
        let shorter = selector.spawn(async move { socket.close_within(SHORT).await });
        settle().await;
        clock.advance(SHORT);
        assert!(shorter.await.is_err_and(|error| error.is_timeout()));
        assert!(under_way.await.is_err_and(|error| error.is_timeout()));
        until_at_rest(&selector, 0).await;
        assert_eq!((selector.stats().unacknowledged, selector.stats().timers), (1, 0));
        Ok(())
    });
}

/// A connection's own drain timeout holds for a writer that was dropped, too.
#[test]
fn a_dropped_writer_has_the_drain_timeout_of_its_connection() {
    with_clock(async |selector, clock| {
        let server = selector.tcp().drain_timeout(LONG).bind("127.0.0.1:0").await?;
        let mut peer = forebay_testing::dial(server.port());
        let socket = server.accept().await?;
        let mut output = socket.open_write_channel()?;
        output.write_bytes(UNSENT.clone()).await?;
        drop((output, socket));
        settle().await;
        clock.advance(just_before(LONG));
        settle().await;
        assert_eq!(selector.stats().unacknowledged, 0);
        let reading = selector.spawn_blocking(move || {
            let mut bytes = Vec::new();
            peer.read_to_end(&mut bytes).map(|_| bytes)
        });
        assert!(reading.await?? == *UNSENT);
        Ok(())
    });
}

/// The peer has acknowledged everything and goes on sending: at the end of the time nothing of ours
/// is lost, so nothing is counted.
#[test]
fn what_was_acknowledged_is_not_counted_as_lost() {
    with_clock(async |selector, clock| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        output.write_str("all of it\n").await?;
        output.flush().await?;
        peer.read_exact(&mut [0; 10]).unwrap();
        peer.write_all(b"more is to come").unwrap();
        until(|| forebay_testing::other_end(&peer).is_some_and(|it| it.unread == 15)).await;
        let closing = selector.spawn(async move { socket.close_within(SHORT).await });
        until(|| selector.stats().background_closes == 1).await;
        until(|| forebay_testing::other_end(&peer).is_some_and(|it| it.unacknowledged == 0)).await;
        assert!(!closing.is_finished());
        clock.advance(SHORT);
        closing.await?;
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().unacknowledged, 0);
        Ok(())
    });
}

#[test]
fn it_takes_no_time_where_nothing_is_to_be_waited_for() {
    on_every_transport_with_clock(async |selector, _, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.output.write_str("all\n").await?;
        it.output.flush().await?;
        drop(peer.output);
        it.socket.peer_finished().await?;
        it.socket.close_within(Duration::ZERO).await?;
        it.socket.close_within(LONG).await?;
        assert_eq!(peer.input.read_line().await?.as_deref(), Some("all"));
        assert_eq!(peer.input.read_line().await?, None);
        Ok(())
    });
}
