//! A connection in memory ends as a TCP connection does. What holds for every transport that knows
//! resets runs over each, so that the one is the other's oracle.

#![cfg(target_os = "linux")]

use std::time::Duration;

use forebay::{CloseReason, Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, Transport, assert_reset, on_transports, pattern, run, settle, until, until_at_rest,
    with_clock,
};
use futures_lite::future::poll_once;

/// Runs a test over the transports that know resets, and sees that nothing is left behind.
#[track_caller]
fn where_resets_are_known(
    test: impl AsyncFn(SelectorManager, Transport) -> Result<()> + Send + Copy + 'static,
) {
    on_transports(Transport::knows_resets, async move |selector, transport| {
        test(selector.clone(), transport).await?;
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

/// Writes until the peer's reset comes back: as much as it throws away before, in not many steps.
async fn write_until_refused(it: &mut Connection) -> forebay::Error {
    loop {
        let outcome = match it.output.write_all(&[b'm'; 4 * KIB]).await {
            Ok(()) => it.output.flush().await,
            refused => refused,
        };
        if let Err(error) = outcome {
            return error;
        }
        forebay_testing::settle().await;
    }
}

#[test]
fn a_half_that_is_finished_leaves_the_other_open() {
    where_resets_are_known(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        near.output.write_str("question\n").await?;
        near.output.finish().await?;
        near.output.finish().await?;
        assert!(near.output.write_str("more").await.is_err_and(|error| error.is_closed()));
        assert_eq!(far.input.read_line().await?.as_deref(), Some("question"));
        assert_eq!(far.input.read_line().await?, None);
        assert_eq!(far.input.read_line().await?, None);
        // More than waits between them, in the direction that is open.
        let answering = selector.spawn(async move {
            far.output.write_all(&pattern(300 * KIB)).await?;
            far.output.finish().await?;
            assert_eq!(far.socket.closed().await, CloseReason::Ended);
            far.socket.close().await
        });
        let answer = near.input.read_remaining(1 << 20).await?;
        assert!(answer.as_slice() == pattern(300 * KIB), "over {transport}");
        assert_eq!(near.socket.closed().await, CloseReason::Ended, "over {transport}");
        near.socket.close().await?;
        answering.await
    });
}

#[test]
fn a_dropped_writer_is_the_end_mark_behind_everything() {
    where_resets_are_known(async |selector, transport| {
        let (near, mut far) = transport.pair(&selector).await?;
        let Connection { mut output, mut input, socket } = near;
        output.write_all(&pattern(50 * KIB)).await?;
        drop(output);
        let received = far.input.read_remaining(1 << 20).await?;
        assert!(received.as_slice() == pattern(50 * KIB), "over {transport}");
        far.output.write_str("answer\n").await?;
        assert_eq!(input.read_line().await?.as_deref(), Some("answer"));
        drop(far);
        assert_eq!(input.read_line().await?, None);
        assert_eq!(socket.closed().await, CloseReason::Ended, "over {transport}");
        Ok(())
    });
}

#[test]
fn dropping_every_handle_is_a_close() {
    where_resets_are_known(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        near.output.write_str("all of it\n").await?;
        drop(near);
        assert_eq!(far.input.read_line().await?.as_deref(), Some("all of it"), "{transport}");
        assert_eq!(far.input.read_line().await?, None);
        let error = write_until_refused(&mut far).await;
        assert!(error.is_reset(), "over {transport}: {error}");
        assert_eq!(far.socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

/// Input that a dropped reader leaves unread does not stop the writer of the same connection.
#[test]
fn a_dropped_reader_changes_nothing_for_the_peer() {
    where_resets_are_known(async |selector, transport| {
        let (near, mut far) = transport.pair(&selector).await?;
        let Connection { mut output, input, socket } = near;
        drop(input);
        far.output.write_str("unread\n").await?;
        far.output.flush().await?;
        settle().await;
        output.write_str("still here\n").await?;
        assert_eq!(far.input.read_line().await?.as_deref(), Some("still here"), "{transport}");
        far.output.finish().await?;
        socket.peer_finished().await?;
        drop((output, socket));
        assert_eq!(far.input.read_line().await?, None, "over {transport}");
        Ok(())
    });
}

#[test]
fn a_writer_whose_task_panics_resets() {
    where_resets_are_known(async |selector, transport| {
        for whole in [false, true] {
            let (near, mut far) = transport.pair(&selector).await?;
            let task = selector.spawn(async move {
                let Connection { mut output, socket, input } = near;
                output.write_str("half a mess").await?;
                output.flush().await?;
                let kept = whole.then_some((socket, input));
                assert!(kept.is_none() && !whole, "not this time");
                panic!("not this time");
            });
            assert!(task.await.is_err_and(|error| error.is_panicked()));
            assert_reset(transport, far.input.read_line().await);
            assert_eq!(far.socket.closed().await, CloseReason::Reset, "over {transport}");
            assert_reset(transport, poll_once(far.output.write_u8(1)).await.unwrap());
        }
        Ok(())
    });
}

#[test]
fn an_abort_is_a_reset_for_the_peer_and_our_own_end_here() {
    where_resets_are_known(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        let waiting = selector.spawn_value(async move {
            let read = far.input.read(&mut [0]).await;
            (far, read)
        });
        settle().await;
        near.socket.abort();
        near.socket.abort();
        let (mut far, read) = waiting.await?;
        assert_reset(transport, read);
        assert_reset(transport, far.output.write_u8(1).await);
        assert!(near.input.read(&mut [0]).await.is_err_and(|error| error.is_closed()));
        assert!(near.output.write_u8(1).await.is_err_and(|error| error.is_closed()));
        assert_eq!(near.socket.closed().await, CloseReason::Local);
        assert_eq!(far.socket.closed().await, CloseReason::Reset);
        near.socket.close().await?;
        assert_reset(transport, far.socket.close().await);
        Ok(())
    });
}

#[test]
fn abort_on_drop_resets_unless_it_was_finished() {
    where_resets_are_known(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        near.output.abort_on_drop();
        near.output.write_str("all\n").await?;
        near.output.finish().await?;
        let Connection { output, socket, .. } = near;
        drop(output);
        assert_eq!(far.input.read_line().await?.as_deref(), Some("all"));
        assert_eq!(far.input.read_line().await?, None, "over {transport}");
        assert!(!socket.is_closed());

        let (mut near, mut far) = transport.pair(&selector).await?;
        near.output.abort_on_drop();
        near.output.write_str("half").await?;
        near.output.flush().await?;
        let Connection { output, socket, mut input } = near;
        drop(output);
        assert_reset(transport, far.input.read_line().await);
        assert_eq!(socket.closed().await, CloseReason::Local, "over {transport}");
        assert!(input.closed_cause().is_some_and(|cause| cause.is_closed()));
        assert!(input.read(&mut [0]).await.is_err_and(|error| error.is_closed()));
        Ok(())
    });
}

/// In memory nothing is in flight that a reset could overtake, so a close with unread input need not
/// wait for a peer that goes on; the clock stands still, so it does not.
/// What a user does whose replies have no length.
async fn relay(mut backend: Connection, mut client: Connection, resets: bool) -> Result<()> {
    if resets {
        client.output.abort_on_drop();
    }
    backend.input.copy_to(&mut client.output).await?;
    client.output.finish().await
}

/// The backend goes in the middle of a reply, and the handler leaves by `?`.
#[test]
fn half_a_reply_ends_cleanly_unless_its_handler_asked_for_a_reset() {
    where_resets_are_known(async |selector, transport| {
        for (is_whole, resets) in [(false, false), (false, true), (true, true)] {
            let (mut server, backend) = transport.pair(&selector).await?;
            let (client, mut user) = transport.pair(&selector).await?;
            let relaying = selector.spawn(relay(backend, client, resets));
            server.output.write_str("half a rep").await?;
            server.output.flush().await?;
            assert_eq!(user.input.read_packet(10).await?.len(), 10);
            if is_whole {
                server.output.finish().await?;
            } else {
                server.socket.abort();
            }
            let end = user.input.read_line().await;
            if is_whole || !resets {
                assert_eq!(end?, None, "over {transport}");
            } else {
                assert_reset(transport, end);
            }
            assert_eq!(relaying.await.is_ok(), is_whole, "over {transport}");
        }
        Ok(())
    });
}

#[test]
fn a_close_in_memory_with_unread_input_ends_at_once() {
    with_clock(async |selector, _| {
        let (mut near, mut far) = selector.duplex(4 * KIB);
        far.output.write_all(&pattern(KIB)).await?;
        far.output.flush().await?;
        near.output.write_str("last words\n").await?;
        near.socket.close().await?;
        assert_eq!(selector.stats().unacknowledged, 0);
        // Everything came, and the end; what is written afterwards goes nowhere, and says so.
        assert_eq!(far.input.read_line().await?.as_deref(), Some("last words"));
        assert_eq!(far.input.read_line().await?, None);
        assert!(write_until_refused(&mut far).await.is_reset());
        assert!(far.output.write_u8(1).await.is_err_and(|error| error.is_reset()));
        assert!(near.input.read(&mut [0]).await.is_err_and(|error| error.is_closed()));
        Ok(())
    });
}

/// A peer that takes nothing keeps the close waiting, as on TCP, until the drain timeout.
#[test]
fn a_close_in_memory_waits_for_what_is_queued() {
    with_clock(async |selector, clock| {
        let (mut near, mut far) = selector.duplex(16);
        near.output.write_all(&pattern(KIB)).await?;
        let closing = selector.spawn(async move { near.socket.close().await });
        settle().await;
        assert!(!closing.is_finished() && selector.stats().background_closes == 1);
        assert!(far.input.read_remaining(1 << 20).await?.as_slice() == pattern(KIB));
        closing.await?;

        let (mut near, mut far) = selector.duplex(16);
        near.output.write_all(&pattern(KIB)).await?;
        let closing = selector.spawn(async move { near.socket.close().await });
        until(|| selector.stats().background_closes == 1).await;
        // The close has looked at its clock.
        settle().await;
        clock.advance(Duration::from_secs(10));
        assert!(closing.await.is_err_and(|error| error.is_timeout()));
        let end = loop {
            match far.input.read(&mut [0; 64]).await {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        assert!(end.is_err_and(|error| error.is_reset()));
        Ok(())
    });
}

#[test]
fn a_writer_waits_while_nobody_reads() {
    run(async |selector| {
        let (mut near, mut far) = selector.duplex(KIB);
        let mut written = 0;
        while poll_once(near.output.write_all(&[7; KIB])).await.transpose()?.is_some() {
            written += KIB;
            settle().await;
        }
        // The queue of the writer, what waits between the two, and one item.
        assert!(written <= (64 + 1 + 1) * KIB, "{written}");
        far.input.discard(written as u64).await?;
        near.output.write_u8(1).await?;
        assert_eq!(far.input.read_u8().await?, 1);
        Ok(())
    });
}

#[test]
fn addresses_in_memory_have_no_name() {
    run(async |selector| {
        let (near, far) = selector.duplex(1);
        assert_eq!(near.socket.local_address(), far.socket.remote_address());
        assert_eq!(near.socket.remote_address().port(), None);
        assert_eq!(selector.stats().sockets, 0);
        Ok(())
    });
}
