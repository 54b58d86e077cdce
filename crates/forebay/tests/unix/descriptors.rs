//! A message with descriptors ends a receive on a Unix socket early (`unix(7)`). Such a short
//! receive says nothing about what is left: the reader goes on, and the descriptors go away.

#![cfg(target_os = "linux")]

use std::io::{IoSlice, PipeReader, Read, pipe};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use forebay::{ByteReadChannel, Result, SelectorManager};
use forebay_testing::{counted_alone, descriptors, in_host, unix::pair_with_std, watched};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::{cmsg_space, io};

/// Sends bytes with the writing end of a pipe; the reading end sees its end once
/// no process holds the descriptor, and no message either.
fn send_with_descriptor(peer: &UnixStream, bytes: &[u8]) -> PipeReader {
    let (reader, writer) = pipe().unwrap();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let lent = [writer.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&lent)));
    let sent = sendmsg(peer, &[IoSlice::new(bytes)], &mut control, SendFlags::empty());
    assert_eq!(sent, io::Result::Ok(bytes.len()));
    reader
}

/// Asserts that the other end of each of these is closed everywhere.
fn assert_all_ended(pipes: Vec<PipeReader>) {
    for mut pipe in pipes {
        assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
    }
}

/// Runs a read that has begun to wait when the messages arrive, all in one event.
fn read_across(test: &str, read: impl AsyncFn(&mut ByteReadChannel) -> Result<()> + Send + Copy) {
    counted_alone(test, || {
        in_host(async |selector: SelectorManager| {
            let (mut connection, peer) = pair_with_std(&selector).await?;
            // From its first wait on the descriptor is watched, and that brings its first event.
            futures_lite::future::poll_once(connection.input.read_line()).await;
            selector.sleep(std::time::Duration::from_millis(1)).await;
            let before = descriptors();
            for _ in 0..3 {
                let sending = async {
                    // The reader waits; nothing here gives way until all three are on their way.
                    futures_lite::future::yield_now().await;
                    [&b"abc"[..], b"def", b"gh\n"].map(|bytes| send_with_descriptor(&peer, bytes))
                };
                let reading = read(&mut connection.input);
                let (outcome, pipes) = futures_lite::future::zip(reading, sending).await;
                outcome?;
                assert_all_ended(pipes.into());
            }
            assert_eq!(descriptors(), before, "a descriptor that was not asked for was kept");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn read_exact_crosses_messages_with_descriptors() {
    watched(|| {
        read_across("read_exact_crosses_messages_with_descriptors", async |input| {
            let mut bytes = [0; 9];
            input.read_exact(&mut bytes).await?;
            assert_eq!(&bytes, b"abcdefgh\n");
            Ok(())
        });
    });
}

#[test]
fn read_line_crosses_messages_with_descriptors() {
    watched(|| {
        read_across("read_line_crosses_messages_with_descriptors", async |input| {
            assert_eq!(input.read_line().await?.as_deref(), Some("abcdefgh"));
            Ok(())
        });
    });
}

/// Also without a read: what a close throws away is gone, and the rest with the socket.
#[test]
fn a_close_drops_descriptors_that_nobody_received() {
    watched(|| {
        counted_alone("a_close_drops_descriptors_that_nobody_received", || {
            in_host(async |selector: SelectorManager| {
                let before = descriptors();
                let (connection, peer) = pair_with_std(&selector).await?;
                let pipes = (0..100).map(|_| send_with_descriptor(&peer, b"abc")).collect();
                drop(peer);
                connection.socket.close().await?;
                assert_all_ended(pipes);
                drop(connection);
                assert_eq!(descriptors(), before);
                Result::Ok(())
            })
            .unwrap();
        });
    });
}
