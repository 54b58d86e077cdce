//! Ways to end a connection, and what each does with bytes that were accepted and messages that are
//! not whole: a message is delivered, or its reader gets an error.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use forebay::{Connection, ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{
    KIB, MIB, Transport, on_every_transport_with_clock, pair, pattern, run, settle, size, until,
};
use futures_lite::future::{block_on, poll_once};

/// More than the buffers of a connection hold: on Linux 4 MiB to send, and as much again where they are received.
const HUGE_BYTES: usize = 10 * MIB;
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Reads until the end or an error, and says how much came.
async fn read_out(mut it: Connection) -> (usize, Result<()>) {
    let (mut count, mut piece) = (0, vec![0; 64 * KIB]);
    loop {
        match it.input.read(&mut piece).await {
            Ok(0) => return (count, Ok(())),
            Ok(length) => count += length,
            Err(error) => return (count, Err(error)),
        }
    }
}

/// The reader was not told that it has everything.
#[track_caller]
fn assert_cut(transport: Transport, what: &str, (count, end): (usize, Result<()>)) {
    assert!(count < HUGE_BYTES, "over {transport}, {what}: all {count} bytes came");
    // A Unix socket has no reset: a peer that has read everything sees the end.
    assert!(
        end.is_err() || !transport.knows_resets(),
        "over {transport}, {what}: a clean end after {count} of {HUGE_BYTES} bytes"
    );
}

#[track_caller]
fn assert_incomplete(transport: Transport, what: &str, outcome: Result<()>) {
    let error = outcome.expect_err("half a message is an error");
    let is_incomplete = matches!(error.kind(), ErrorKind::Incomplete { .. });
    assert!(is_incomplete, "over {transport}, {what}: {error}");
}

/// The calls by which a socket's user ends it.
async fn end(what: &str, socket: &Socket) -> Result<()> {
    match what {
        "close" => socket.close().await,
        _ => socket.close_within(IDLE_LIMIT).await,
    }
}

#[test]
fn half_of_a_huge_write_is_never_signed_off_by_a_close() {
    on_every_transport_with_clock(async |selector, _clock, transport| {
        for what in ["close", "close_within"] {
            let (near, far) = transport.pair(&selector).await?;
            let Connection { socket, mut output, input: _input } = near;
            let huge = pattern(HUGE_BYTES);
            assert!(poll_once(output.write_all(&huge)).await.is_none());
            let reading = selector.spawn_value(read_out(far));
            assert_incomplete(transport, what, end(what, &socket).await);
            assert_cut(transport, what, reading.await?);
        }
        Ok(())
    });
}

#[test]
fn nor_by_a_close_in_the_middle_of_it() {
    on_every_transport_with_clock(async |selector, _clock, transport| {
        let (near, mut far) = transport.pair(&selector).await?;
        let Connection { socket, mut output, input: _input } = near;
        let writing = selector.spawn(async move { output.write_all(&pattern(HUGE_BYTES)).await });
        let mut begun = vec![0; 64 * KIB];
        far.input.read_exact(&mut begun).await?;
        let mut closing = pin!(socket.close());
        let closed = poll_once(closing.as_mut()).await;
        // Only now, so that another thread does not write everything before the close.
        let reading = selector.spawn_value(read_out(far));
        let closed = match closed {
            Some(closed) => closed,
            None => closing.await,
        };
        assert_incomplete(transport, "close", closed);
        assert_incomplete(transport, "the write", writing.await);
        assert_cut(transport, "close", reading.await?);
        Ok(())
    });
}

#[test]
fn nor_by_the_idle_limit_or_a_closing_selector() {
    on_every_transport_with_clock(async |selector, clock, transport| {
        let (near, far) = transport.pair(&selector).await?;
        let Connection { socket, mut output, input: _input } = near;
        let huge = pattern(HUGE_BYTES);
        assert!(poll_once(output.write_all(&huge)).await.is_none());
        socket.set_idle_timeout(IDLE_LIMIT);
        let reading = selector.spawn_value(read_out(far));
        // What was accepted is delivered, and then nothing moves.
        until(|| output.queued() == 0).await;
        settle().await;
        // The limit looks at the link, and what it finds there for the first time counts as movement.
        while !reading.is_finished() {
            clock.advance(IDLE_LIMIT);
            settle().await;
        }
        assert_cut(transport, "the idle limit", reading.await?);
        Ok(())
    });
    on_every_transport_with_clock(async |selector, _clock, transport| {
        let other = SelectorManager::new();
        let (near, _far) = transport.pair(&selector).await?;
        let Connection { socket: _socket, mut output, input: _input } = near;
        assert!(poll_once(output.write_all(&pattern(HUGE_BYTES))).await.is_none());
        selector.close().await;
        assert_incomplete(transport, "a write", output.write_u8(1).await);
        other.close().await;
        Ok(())
    });
}

/// The channel was told that its message is whole when it is finished, and not before.
#[test]
fn a_channel_that_aborts_on_drop_is_not_signed_off_by_a_close() {
    on_every_transport_with_clock(async |selector, _clock, transport| {
        let (near, far) = transport.pair(&selector).await?;
        let Connection { socket, mut output, input: _input } = near;
        output.abort_on_drop();
        output.write_str("half a mess").await?;
        output.flush().await?;
        let reading = selector.spawn_value(read_out(far));
        let error = socket.close().await.expect_err("the message was not finished");
        assert!(error.is_closed() && error.to_string().contains("abort_on_drop"), "{error}");
        assert_cut(transport, "close", reading.await?);

        let (near, far) = transport.pair(&selector).await?;
        let Connection { socket, mut output, input: _input } = near;
        output.abort_on_drop();
        output.write_str("a message").await?;
        let reading = selector.spawn_value(read_out(far));
        output.finish().await?;
        socket.close().await?;
        let (count, end) = reading.await?;
        assert!(count == 9 && end.is_ok(), "over {transport}: {count} bytes, {end:?}");
        Ok(())
    });
}

/// The writer is on another thread, and the limit about as long as what it takes to write: an
/// accepted line is there, or its reader gets an error.
#[test]
fn the_idle_limit_signs_off_nothing_that_was_accepted_meanwhile() {
    let rounds: usize = size("FOREBAY_IDLE_ROUNDS", 40, 150);
    let clean: usize = run(async move |selector| {
        let mut clean = 0;
        for round in 0..rounds {
            let (socket, mut peer) = pair(&selector).await?;
            let mut output = socket.open_write_channel()?;
            socket.set_idle_timeout(Duration::from_micros(300));
            let writing = thread::spawn(move || {
                let mut accepted = 0;
                while block_on(output.write_str("an accepted line\n")).is_ok() {
                    accepted += 17;
                    for _ in 0..round % 64 * 50 {
                        std::hint::spin_loop();
                    }
                }
                accepted
            });
            let reading = thread::spawn(move || {
                let mut bytes = Vec::new();
                (peer.read_to_end(&mut bytes).is_ok(), bytes.len())
            });
            until(|| writing.is_finished() && reading.is_finished()).await;
            let (accepted, (is_clean, came)) = (writing.join().unwrap(), reading.join().unwrap());
            assert!(!is_clean || came == accepted, "a clean end after {came} of {accepted} bytes");
            clean += usize::from(is_clean);
        }
        Ok(clean)
    });
    assert!(clean > 0, "no connection ended in order");
}
