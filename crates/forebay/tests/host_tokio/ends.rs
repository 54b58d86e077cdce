//! The ends of a connection.

use std::io::{Read, Write};
use std::net::Shutdown;

use forebay::{CloseReason, Connection};
use forebay_testing::{KIB, connection_and_peer, read_to_end, reset};
use socket2::SockRef;

use crate::support::{in_each, pair};

#[test]
fn a_half_closed_connection_still_answers() {
    in_each("a_half_closed_connection_still_answers", async |selector| {
        let (mut near, mut far) = pair(selector).await?;
        near.output.write_str("Ada\n").await?;
        near.output.finish().await?;
        assert_eq!(far.input.read_line().await?.as_deref(), Some("Ada"));
        assert_eq!(far.input.read_line().await?, None);
        far.output.write_str("Hello, Ada!\n").await?;
        far.output.finish().await?;
        assert_eq!(near.input.read_line().await?.as_deref(), Some("Hello, Ada!"));
        assert_eq!(near.input.read_line().await?, None);
        Ok(())
    });
}

/// A reader, a writer that found no room, and a task that waits for the end wait at the same time.
#[test]
fn a_reset_ends_every_wait() {
    in_each("a_reset_ends_every_wait", async |selector| {
        let (near, peer) = connection_and_peer(selector).await?;
        let Connection { mut input, mut output, socket, .. } = near;
        let reading = tokio::spawn(async move { input.read_line().await });
        let writing = tokio::spawn(async move {
            loop {
                if let Err(error) = output.write_bytes(vec![0; 64 * KIB].into()).await {
                    return error;
                }
            }
        });
        let watching = tokio::spawn(async move { socket.closed().await });
        tokio::task::yield_now().await;
        reset(peer);
        let read = reading.await.unwrap().unwrap_err();
        assert!(read.is_reset(), "{read}");
        let written = writing.await.unwrap();
        assert!(written.is_reset(), "{written}");
        assert_eq!(watching.await.unwrap(), CloseReason::Reset);
        Ok(())
    });
}

#[test]
fn an_end_is_noticed_without_a_reader() {
    in_each("an_end_is_noticed_without_a_reader", async |selector| {
        let (near, peer) = connection_and_peer(selector).await?;
        let socket = near.socket.clone();
        let waiting = tokio::spawn(async move { socket.peer_finished().await });
        tokio::task::yield_now().await;
        peer.shutdown(Shutdown::Write).unwrap();
        waiting.await.unwrap()?;
        near.socket.close().await
    });
}

/// The descriptor is closed when `close` has returned, although the channels live on.
#[test]
fn a_close_and_an_abort_end_the_waits_of_others() {
    in_each("a_close_and_an_abort_end_the_waits_of_others", async |selector| {
        for aborts in [false, true] {
            let (near, mut peer) = connection_and_peer(selector).await?;
            let Connection { mut input, mut output, socket, .. } = near;
            output.write_str("the last word").await?;
            let reading = tokio::spawn(async move { (input.read_line().await, input) });
            tokio::task::yield_now().await;
            if aborts {
                output.flush().await?;
                socket.abort();
            } else {
                let ending = std::thread::spawn(move || (read_to_end(&mut peer), peer));
                socket.close().await?;
                let ((received, error), _peer) = ending.join().unwrap();
                assert_eq!(received, b"the last word");
                assert!(error.is_none());
            }
            let (read, input) = reading.await.unwrap();
            assert!(read.is_err_and(|error| error.is_closed()));
            assert_eq!(selector.stats().sockets, 0);
            drop((input, output));
        }
        Ok(())
    });
}

/// Dropping every handle closes in the background, in a task of the runtime.
#[test]
fn a_dropped_connection_sends_what_was_written() {
    in_each("a_dropped_connection_sends_what_was_written", async |selector| {
        let (mut near, mut peer) = connection_and_peer(selector).await?;
        near.output.write_bytes(vec![7; 5000 * KIB].into()).await?;
        drop(near);
        let reading = tokio::task::spawn_blocking(move || read_to_end(&mut peer));
        let (received, error) = reading.await.unwrap();
        assert_eq!((received.len(), error.map(|error| error.kind())), (5000 * KIB, None));
        Ok(())
    });
}

/// A receive that stops at the mark does not show that the kernel is empty.
#[test]
fn bytes_behind_an_urgent_one_arrive() {
    in_each("bytes_behind_an_urgent_one_arrive", async |selector| {
        let (mut near, mut peer) = connection_and_peer(selector).await?;
        for round in 0..300 {
            write!(peer, "before {round}").unwrap();
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            writeln!(peer, "behind").unwrap();
            let line = near.input.read_line().await?;
            assert_eq!(line, Some(format!("before {round}behind")));
            near.output.write_str(".").await?;
            let read = tokio::task::spawn_blocking(move || {
                peer.read_exact(&mut [0]).unwrap();
                peer
            });
            peer = read.await.unwrap();
        }
        Ok(())
    });
}

#[test]
fn a_refused_connect_says_so() {
    in_each("a_refused_connect_says_so", async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let nowhere = server.local_address().clone();
        server.close();
        let refused = selector.tcp().connect(&nowhere).await;
        assert!(refused.is_err_and(|error| error.is_refused()));
        Ok(())
    });
}
