//! A close waits for its peer, but not forever: at the drain timeout the descriptor is released,
//! and counted if the peer had not acknowledged everything. The clock is the test's.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind as IoKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{CloseReason, ErrorKind, Result, SelectorManager, Socket, Stats};
use forebay_testing::{
    Host, KIB, MIB, TcpState, just_before_silence, listener, other_end, past_silence, pattern,
    read_to_end, settle, until, until_at_rest, until_given_up, watched,
};
use socket2::{Domain, Type};

const TIMEOUT: Duration = Duration::from_millis(700);
const MOMENT: Duration = Duration::from_millis(1);

/// Runs a test on a selector whose clock it owns.
fn run_with_clock(
    test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static,
) {
    watched(|| {
        let clock = TestClock::new();
        let selector =
            SelectorManager::builder().clock(clock.clone()).drain(TIMEOUT, 64 * KIB as u64);
        Host::of_environment().run(selector, async |selector| test(selector, clock).await)
    })
    .unwrap();
}

/// A connection whose peer has a window of a few kilobytes, and reads nothing of its own accord.
async fn silent_pair(selector: &SelectorManager) -> Result<(Socket, TcpStream)> {
    let server = listener(selector).await?;
    let peer = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(4 * KIB).unwrap();
    let address = server.local_address().as_inet().unwrap();
    peer.connect(&address.into()).unwrap();
    Ok((server.accept().await?, peer.into()))
}

/// Waits until the peer's kernel has acknowledged the end mark, and everything before it.
async fn until_end_mark_arrived(peer: &TcpStream) {
    until(|| other_end(peer).is_none_or(|it| it.state == TcpState::FinWait2)).await;
}

/// Lets the time go on to just before the timeout, sees that it still waits, and then past it.
async fn see_it_time_out(selector: &SelectorManager, clock: &TestClock) -> Stats {
    until(|| selector.stats().background_closes == 1).await;
    just_before_silence(clock, TIMEOUT).await;
    assert_eq!(selector.stats().background_closes, 1);
    assert_eq!(selector.stats().sockets, 1);
    past_silence(clock);
    settle().await;
    // Unless the system took some at the last look, or the peer's system did.
    until_given_up(selector, clock, TIMEOUT).await;
    until_at_rest(selector, 0).await;
    selector.stats()
}

/// The kernel has taken everything, and its peer has not.
#[test]
fn a_peer_that_never_reads_is_released() {
    run_with_clock(async |selector, clock| {
        let (socket, _peer) = silent_pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        output.write_all(&pattern(200 * KIB)).await?;
        output.flush().await?;

        let closing = selector.spawn(async move { socket.close().await });
        until(|| selector.stats().background_closes == 1).await;
        just_before_silence(&clock, TIMEOUT).await;
        assert!(!closing.is_finished());
        past_silence(&clock);
        settle().await;
        until_given_up(&selector, &clock, TIMEOUT).await;
        // Everything was handed to the kernel, which goes on to deliver it.
        closing.await?;
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().unacknowledged, 1);
        Ok(())
    });
}

/// Not even the kernel has taken everything: the peer must not take what it got for the whole.
#[test]
fn a_peer_that_never_reads_is_reset_if_the_kernel_had_not_everything() {
    run_with_clock(async |selector, clock| {
        let (socket, mut peer) = silent_pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        output.write_bytes(pattern(32 * MIB).into()).await?;

        let closing = selector.spawn({
            let socket = socket.clone();
            async move { socket.close().await }
        });
        until(|| selector.stats().background_closes == 1).await;
        until_given_up(&selector, &clock, TIMEOUT).await;
        let error = closing.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("acknowledged nothing for 700ms"), "{error}");
        assert_eq!(output.write_u8(1).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(socket.closed().await, CloseReason::Failed);
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().unacknowledged, 1);

        let (bytes, error) = read_to_end(&mut peer);
        assert!(bytes.len() < 32 * MIB);
        assert_eq!(error.unwrap().kind(), IoKind::ConnectionReset);
        Ok(())
    });
}

#[test]
fn after_the_drop_of_the_last_handle_as_well() {
    run_with_clock(async |selector, clock| {
        for (round, length) in [(1, 200 * KIB), (2, 32 * MIB)] {
            let (socket, _peer) = silent_pair(&selector).await?;
            let mut output = socket.open_write_channel()?;
            output.write_bytes(pattern(length).into()).await?;
            drop((socket, output));
            let stats = see_it_time_out(&selector, &clock).await;
            assert_eq!(stats.unacknowledged, round);
        }
        Ok(())
    });
}

/// A writer alone is given up in the same time; the reader, which is still there, gets the error.
#[test]
fn after_the_drop_of_the_writer_as_well() {
    run_with_clock(async |selector, clock| {
        let (socket, _peer) = silent_pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        let mut input = socket.open_read_channel()?;
        output.write_bytes(pattern(32 * MIB).into()).await?;
        drop(output);
        let reading = selector.spawn_value(async move { input.read_line().await });
        until(|| selector.stats().tasks == 2 && selector.stats().timers == 1).await;
        // Once, unless the system or the peer's takes some meanwhile.
        while !reading.is_finished() {
            just_before_silence(&clock, TIMEOUT).await;
            past_silence(&clock);
            settle().await;
        }
        assert!(reading.await?.unwrap_err().is_timeout());
        assert_eq!(socket.closed().await, CloseReason::Failed);
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

/// Input was thrown away, and the peer says nothing more, and does not end either. It has
/// acknowledged everything, so nothing is counted.
#[test]
fn a_peer_that_stays_silent_is_released() {
    run_with_clock(async |selector, clock| {
        let (socket, mut peer) = silent_pair(&selector).await?;
        peer.write_all(b"never read").unwrap();
        let mut output = socket.open_write_channel()?;
        output.write_str("goodbye\n").await?;
        drop((socket, output));
        until_end_mark_arrived(&peer).await;
        let stats = see_it_time_out(&selector, &clock).await;
        assert_eq!(stats.unacknowledged, 0);
        let (bytes, error) = read_to_end(&mut peer);
        assert_eq!(bytes, b"goodbye\n");
        assert!(error.is_none());
        Ok(())
    });
}

/// A peer that has said nothing, and need not end: one look, a millisecond later, finds that it has
/// everything.
#[test]
fn a_peer_that_has_everything_is_not_waited_for() {
    run_with_clock(async |selector, clock| {
        let (socket, mut peer) = forebay_testing::pair(&selector).await?;
        let mut output = socket.open_write_channel()?;
        output.write_str("goodbye\n").await?;
        let closing = selector.spawn(async move { socket.close().await });
        until_end_mark_arrived(&peer).await;
        clock.advance(MOMENT);
        closing.await?;
        assert_eq!(selector.stats().unacknowledged, 0);
        assert_eq!(read_to_end(&mut peer).0, b"goodbye\n");
        Ok(())
    });
}
