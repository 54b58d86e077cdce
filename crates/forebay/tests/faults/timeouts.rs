//! Limits on silence, over every transport: reading, writing and idling may last so long, and
//! a call that waits for longer says which limit it was. The clock is the test's, so hours pass in
//! milliseconds.

#![cfg(target_os = "linux")]

use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{CloseReason, Connection, Error, Result, SelectorManager};
use forebay_testing::{
    KIB, MIB, MOMENT, Transport, just_before, on_each, on_every_transport_with_clock, pattern,
    settle, until, with_clock,
};
use futures_lite::future::{block_on, poll_once, yield_now};

const LIMIT: Duration = Duration::from_secs(3600);
const LOGIN: Duration = Duration::from_secs(30);
const SESSION: Duration = Duration::from_secs(300);

/// The error of a limit: which one it was and how long it is.
#[track_caller]
fn assert_told<T: std::fmt::Debug>(outcome: Result<T>, knob: &str, limit: Duration) {
    let error = outcome.expect_err("it waited too long");
    let text = error.to_string();
    assert!(error.is_timeout(), "{text}");
    assert!(text.contains(knob) && text.contains(&format!("{limit:?}")), "{text}");
}

/// Polls a read once, and drops it.
async fn try_read(it: &mut Connection) -> Option<Result<u8>> {
    poll_once(it.input.read_u8()).await
}

async fn assert_still_waits(it: &mut Connection) {
    settle().await;
    let outcome = try_read(it).await;
    assert!(outcome.is_none(), "{outcome:?}");
}

/// Sends a byte, and has it read there.
async fn pass_byte(from: &mut Connection, to: &mut Connection) -> Result<()> {
    from.output.write_u8(7).await?;
    from.output.flush().await?;
    assert_eq!(to.input.read_u8().await?, 7);
    Ok(())
}

/// Writes until neither the peer nor the system takes any more, and the writer would wait: the worker
/// has had many turns in which nothing moved.
async fn fill(selector: &SelectorManager, it: &mut Connection) -> Result<()> {
    let piece = pattern(256 * KIB);
    let (mut queued, mut refused_alike) = (0, 0);
    while refused_alike < 500 {
        let written = poll_once(it.output.write_all(&piece)).await;
        let is_refused = written.transpose()?.is_none();
        refused_alike =
            if is_refused && it.output.queued() == queued { refused_alike + 1 } else { 0 };
        queued = it.output.queued();
        selector.spawn_value(async {}).await?;
    }
    Ok(())
}

/// Lets a limit pass that the writer runs into, and again for as long as something moves: a system with
/// less than a third of its buffer free says nothing of it, but takes it when asked once more.
async fn outlast(
    limit: Duration,
    clock: &TestClock,
    selector: &SelectorManager,
    it: &mut Connection,
) -> Error {
    loop {
        clock.advance(limit);
        if let Err(error) = fill(selector, it).await {
            return error;
        }
    }
}

// ---- reading ------------------------------------------------------------------------------------

#[test]
fn a_read_that_waits_too_long_is_told_once_and_the_channel_stays_usable() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_read_timeout(LIMIT);
        for _ in 0..2 {
            let reading = selector.spawn_value(async move {
                let outcome = it.input.read_u8().await;
                (it, outcome)
            });
            settle().await;
            clock.advance(just_before(LIMIT));
            settle().await;
            assert!(!reading.is_finished(), "told too early over {transport}");
            clock.advance(MOMENT);
            let outcome;
            (it, outcome) = reading.await?;
            assert_told(outcome, "read_timeout", LIMIT);
            // Once: what comes now is read, and what is written arrives.
            assert!(try_read(&mut it).await.is_none());
            pass_byte(&mut peer, &mut it).await?;
            pass_byte(&mut it, &mut peer).await?;
            assert!(!it.socket.is_closed() && it.input.closed_cause().is_none());
        }
        Ok(())
    });
}

#[test]
fn a_read_that_is_dropped_and_repeated_does_not_start_the_time_anew() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, _peer) = transport.pair(&selector).await?;
        it.socket.set_read_timeout(LIMIT);
        for tenth in 0..10 {
            let outcome = try_read(&mut it).await;
            assert!(outcome.is_none(), "over {transport}, {tenth} tenths of the time: {outcome:?}");
            clock.advance(LIMIT / 10);
        }
        assert_told(try_read(&mut it).await.unwrap(), "read_timeout", LIMIT);
        Ok(())
    });
}

#[test]
fn a_byte_starts_the_time_of_a_read_anew() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_read_timeout(LIMIT);
        for _ in 0..5 {
            assert!(try_read(&mut it).await.is_none());
            clock.advance(just_before(LIMIT));
            assert_still_waits(&mut it).await;
            pass_byte(&mut peer, &mut it).await?;
        }
        // Without a read that waits, no time passes.
        clock.advance(LIMIT * 2);
        assert_still_waits(&mut it).await;
        clock.advance(LIMIT);
        assert_told(it.input.read_u8().await, "read_timeout", LIMIT);
        Ok(())
    });
}

#[test]
fn half_a_minute_for_the_login_and_five_after_it() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_read_timeout(LOGIN);
        assert!(try_read(&mut it).await.is_none());
        clock.advance(just_before(LOGIN));
        assert_still_waits(&mut it).await;
        pass_byte(&mut peer, &mut it).await?;
        it.socket.set_read_timeout(SESSION);
        assert!(try_read(&mut it).await.is_none());
        clock.advance(just_before(SESSION));
        assert_still_waits(&mut it).await;
        clock.advance(MOMENT);
        assert_told(it.input.read_u8().await, "read_timeout", SESSION);

        // Lifted, it never ends, and leaves no timer.
        assert!(try_read(&mut it).await.is_none());
        it.socket.set_read_timeout(None);
        assert_eq!(selector.stats().timers, 0, "over {transport}");
        clock.advance(SESSION * 1000);
        assert_still_waits(&mut it).await;
        pass_byte(&mut peer, &mut it).await
    });
}

/// The read waits already when the limit comes, and nothing else would have it look again.
#[test]
fn a_limit_holds_for_the_read_that_waits_already() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (it, _peer) = transport.pair(&selector).await?;
        let Connection { socket, mut input, .. } = it;
        let reading = selector.spawn_value(async move { input.read_u8().await });
        settle().await;
        socket.set_read_timeout(LIMIT);
        settle().await;
        assert_eq!(selector.stats().timers, 1, "over {transport}");
        clock.advance(LIMIT);
        assert_told(reading.await?, "read_timeout", LIMIT);
        Ok(())
    });
}

// ---- writing ------------------------------------------------------------------------------------

#[test]
fn a_peer_that_takes_nothing_is_reset() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_write_timeout(LIMIT);
        fill(&selector, &mut it).await?;
        clock.advance(just_before(LIMIT));
        settle().await;
        assert!(!it.output.is_closed_for_write() && !it.socket.is_closed());
        let queued = it.output.queued();
        clock.advance(MOMENT);
        until(|| it.socket.is_closed() || it.output.queued() < queued).await;
        outlast(LIMIT, &clock, &selector, &mut it).await;
        assert_eq!(it.socket.closed().await, CloseReason::Failed);
        for _ in 0..2 {
            assert_told(it.output.write_u8(1).await, "write_timeout", LIMIT);
            assert_told(it.output.flush().await, "write_timeout", LIMIT);
            assert_told(it.input.read_u8().await, "write_timeout", LIMIT);
            assert_told(it.socket.close().await, "write_timeout", LIMIT);
        }
        assert_broken_off(transport, &mut peer).await;
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

/// As a client of HTTP makes it: one call with the whole body, and a limit of its builder.
#[test]
fn an_upload_to_a_reader_that_has_stopped_ends_by_its_write_timeout() {
    with_clock(async |selector, clock| {
        let server = selector.tcp().receive_buffer_size(1 << 16).bind("127.0.0.1:0").await?;
        for limit in [Duration::from_secs(1), Duration::from_millis(500)] {
            let tcp = selector.tcp().write_timeout(limit).send_buffer_size(1 << 16);
            let client = tcp.connect(server.local_address()).await?;
            let reader = server.accept().await?.connection()?;
            let mut output = client.open_write_channel()?;
            let upload = selector.spawn_value(async move {
                output.write_all(&pattern(4 * MIB)).await?;
                output.flush().await
            });
            while !upload.is_finished() {
                settle().await;
                clock.advance(limit);
            }
            assert_told(upload.await?, "write_timeout", limit);
            assert_eq!(client.closed().await, CloseReason::Failed);
            reader.socket.abort();
        }
        Ok(())
    });
}

/// The peer of a connection that ended with something queued.
async fn assert_broken_off(transport: Transport, peer: &mut Connection) {
    let mut space = vec![0; 64 * KIB];
    let outcome = loop {
        match peer.input.read(&mut space).await {
            Ok(0) => break Ok(()),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    match outcome {
        Ok(()) if !transport.knows_resets() => {}
        Err(error) if error.is_reset() => {}
        outcome => panic!("over {transport}: {outcome:?}"),
    }
}

#[test]
fn a_peer_that_takes_a_little_has_all_the_time_again() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_write_timeout(LIMIT);
        fill(&selector, &mut it).await?;
        for _ in 0..3 {
            clock.advance(just_before(LIMIT));
            let queued = it.output.queued();
            let mut space = vec![0; 64 * KIB];
            while it.output.queued() == queued {
                poll_once(peer.input.read(&mut space)).await.transpose()?;
                yield_now().await;
            }
            // It may have taken all there was, and nothing queued is no silence.
            fill(&selector, &mut it).await?;
        }
        clock.advance(just_before(LIMIT));
        settle().await;
        assert!(!it.socket.is_closed(), "over {transport}");
        outlast(LIMIT, &clock, &selector, &mut it).await;
        assert_eq!(it.socket.closed().await, CloseReason::Failed);
        Ok(())
    });
}

// ---- idling -------------------------------------------------------------------------------------

#[test]
fn an_idle_connection_is_closed() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        it.socket.set_idle_timeout(LIMIT);
        // Bytes either way start the time anew.
        clock.advance(just_before(LIMIT));
        pass_byte(&mut peer, &mut it).await?;
        clock.advance(just_before(LIMIT));
        pass_byte(&mut it, &mut peer).await?;
        clock.advance(just_before(LIMIT));
        settle().await;
        assert!(!it.socket.is_closed(), "over {transport}");
        clock.advance(MOMENT);
        assert_eq!(it.socket.closed().await, CloseReason::Failed);
        assert_told(it.input.read_u8().await, "idle_timeout", LIMIT);
        assert_told(it.output.write_u8(1).await, "idle_timeout", LIMIT);
        assert_told(it.socket.peer_finished().await, "idle_timeout", LIMIT);
        assert!(it.input.closed_cause().is_some_and(|cause| cause.is_timeout()));
        // Nothing was queued, so the peer gets the end mark.
        assert_eq!(peer.input.read(&mut [0]).await?, 0);
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

#[test]
fn an_idle_connection_with_something_queued_is_reset() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (mut it, mut peer) = transport.pair(&selector).await?;
        fill(&selector, &mut it).await?;
        it.socket.set_idle_timeout(LIMIT);
        outlast(LIMIT, &clock, &selector, &mut it).await;
        assert_eq!(it.socket.closed().await, CloseReason::Failed);
        assert_told(it.output.write_u8(1).await, "idle_timeout", LIMIT);
        assert_broken_off(transport, &mut peer).await;
        Ok(())
    });
}

// ---- options ------------------------------------------------------------------------------------

#[test]
fn the_builders_give_limits_to_what_they_accept_and_connect() {
    with_clock(async |selector, clock| {
        let server = selector.tcp().read_timeout(LIMIT).bind("127.0.0.1:0").await?;
        let connecting = selector.tcp().read_timeout(LIMIT * 2).connect(server.local_address());
        let (near, far) = (connecting.await?, server.accept().await?);
        assert_builder_limits(&selector, &clock, [(far, LIMIT), (near, LIMIT * 2)]).await
    });
    with_clock(async |selector, clock| {
        let name = format!("forebay-test-timeouts-{}", std::process::id());
        let name = forebay::UnixAddress::Abstract(name.into_bytes());
        let server = selector.unix().read_timeout(LIMIT).bind(&name).await?;
        let connecting = selector.unix().read_timeout(LIMIT * 2).connect(&name);
        let (near, far) = (connecting.await?, server.accept().await?);
        assert_builder_limits(&selector, &clock, [(far, LIMIT), (near, LIMIT * 2)]).await
    });
}

async fn assert_builder_limits(
    selector: &SelectorManager,
    clock: &TestClock,
    sockets: [(forebay::Socket, Duration); 2],
) -> Result<()> {
    let began = selector.now();
    let mut connections = Vec::new();
    for (socket, limit) in sockets {
        let mut it = socket.connection()?;
        assert!(try_read(&mut it).await.is_none());
        connections.push((it, limit));
    }
    assert_eq!(selector.stats().timers, 2);
    // Ended ones are kept: the end of their peers would come first.
    for (it, limit) in &mut connections {
        clock.advance(limit.saturating_sub(selector.now().duration_since(began)));
        assert_told(it.input.read_u8().await, "read_timeout", *limit);
    }
    Ok(())
}

// ---- timers -------------------------------------------------------------------------------------

#[test]
fn a_socket_has_one_timer_for_all_its_limits_and_none_without() {
    on_every_transport_with_clock(async |selector, _, transport| {
        let timers = || selector.stats().timers;
        let (mut it, mut peer) = transport.pair(&selector).await?;
        assert!(try_read(&mut peer).await.is_none());
        pass_byte(&mut it, &mut peer).await?;
        assert_eq!(timers(), 0, "without limits, over {transport}");

        it.socket.set_read_timeout(LIMIT);
        it.socket.set_write_timeout(LIMIT * 2);
        assert_eq!(timers(), 0, "nothing waits yet, over {transport}");
        assert!(try_read(&mut it).await.is_none());
        fill(&selector, &mut it).await?;
        it.socket.set_idle_timeout(LIMIT * 3);
        assert_eq!(timers(), 1, "with all three, over {transport}");
        it.socket.set_read_timeout(LIMIT * 5);
        it.socket.set_write_timeout(LIMIT * 4);
        assert_eq!(timers(), 1, "over {transport}");
        it.socket.abort();
        assert_eq!(timers(), 0, "after the end, over {transport}");
        Ok(())
    });
}

#[test]
fn no_timer_is_left_by_a_socket_that_has_ended() {
    on_every_transport_with_clock(async |selector, _, transport| {
        let timers = || selector.stats().timers;
        let (it, peer) = transport.pair(&selector).await?;
        it.socket.set_idle_timeout(LIMIT);
        peer.socket.set_idle_timeout(LIMIT);
        assert_eq!(timers(), 2);
        drop(peer);
        it.socket.close().await?;
        forebay_testing::until_at_rest(&selector, 0).await;
        assert_eq!(timers(), 0, "after the close, over {transport}");
        // Nor does a limit that comes too late start one.
        it.socket.set_idle_timeout(LIMIT);
        it.socket.set_read_timeout(LIMIT);
        assert_eq!(timers(), 0, "set afterwards, over {transport}");
        Ok(())
    });
}

/// Sending and receiving happen on a thread that is no worker's, where a flush runs in the write
/// itself: the alarm of a read that was given up must not wait for the writer that is just sending.
#[test]
fn a_limit_that_has_passed_unnoticed_does_not_hold_up_a_writer() {
    on_each(|transport| {
        let clock = TestClock::new();
        let selector = SelectorManager::builder().clock(clock.clone()).build().unwrap();
        let other = selector.clone();
        let (mut it, _peer) = selector.block_on(transport.pair(&other)).unwrap();
        it.socket.set_read_timeout(LIMIT);
        it.socket.set_write_timeout(LIMIT * 3);
        block_on(async {
            assert!(try_read(&mut it).await.is_none());
            clock.advance(LIMIT);
            until(|| selector.stats().timers == 0).await;
            fill(&selector, &mut it).await.unwrap();
            assert!(!it.socket.is_closed());
            let error = outlast(LIMIT * 3, &clock, &selector, &mut it).await;
            assert_eq!(it.socket.closed().await, CloseReason::Failed);
            assert_told(Err::<(), _>(error), "write_timeout", LIMIT * 3);
        });
        drop(it);
        thread::spawn(move || drop(selector)).join().unwrap();
    });
}
