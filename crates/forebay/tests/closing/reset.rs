//! After a reset both halves report the reset, again and again, and never a clean end.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use forebay::{
    ByteReadChannel, ByteWriteChannel, CloseReason, Connection, Error, Result, SelectorManager,
};
use forebay_testing::{MIB, is_gone, pair, pattern, reset, run, until, wait_for};

/// A connection whose peer wrote this and reset it, which this side's kernel knows already.
async fn reset_after(selector: &SelectorManager, data: &[u8]) -> Result<Connection> {
    let (socket, mut peer) = pair(selector).await?;
    let connection = socket.connection()?;
    peer.write_all(data).unwrap();
    reset_and_arrive(peer);
    Ok(connection)
}

fn reset_and_arrive(peer: TcpStream) {
    let (there, here) = (peer.local_addr().unwrap(), peer.peer_addr().unwrap());
    reset(peer);
    wait_for(|| is_gone(here, there));
}

fn assert_reset<T: std::fmt::Debug>(call: &str, outcome: Result<T>) {
    let error = outcome.expect_err(call);
    assert!(error.is_reset(), "{call} said: {error}");
}

async fn assert_reads_say_so(input: &mut ByteReadChannel) {
    assert_reset("read_line", input.read_line().await);
    assert_reset("read_line_ref", input.read_line_ref().await);
    assert_reset("read_line_into", input.read_line_into(&mut String::new()).await);
    assert_reset("read_lines_ref", input.read_lines_ref().await);
    assert_reset("skip_line", input.skip_line().await);
    assert_reset("read", input.read(&mut [0; 8]).await);
    assert_reset("read, large", input.read(&mut vec![0; MIB]).await);
    assert_reset("read_exact", input.read_exact(&mut [0; 8]).await);
    assert_reset("read_u8", input.read_u8().await);
    assert_reset("read_f64_le", input.read_f64_le().await);
    assert_reset("read_chunk", input.read_chunk().await);
    assert_reset("read_packet", input.read_packet(8).await);
    assert_reset("read_remaining", input.read_remaining(MIB).await);
    assert_reset("discard", input.discard(8).await);
    let (_other, mut output) = forebay::pipe(64);
    assert_reset("copy_to", input.copy_to(&mut output).await);
}

async fn assert_writes_say_so(output: &mut ByteWriteChannel) {
    assert_reset("write_str", output.write_str("more").await);
    assert_reset("write_strs", output.write_strs(&["more"]).await);
    assert_reset("write_all", output.write_all(b"more").await);
    assert_reset("write_bytes", output.write_bytes(pattern(MIB).into()).await);
    assert_reset("write_u64", output.write_u64(1).await);
    assert_reset("write_with", output.write_with(|out| out.put_u8(1)).await);
    assert_reset("write_fmt", forebay::write_fmt!(output, "{}", 1).await);
    assert_reset("flush", output.flush().await);
    assert_reset("finish", output.finish().await);
}

async fn assert_everything_says_so(mut it: Connection) {
    for _ in 0..2 {
        assert_reads_say_so(&mut it.input).await;
        assert_writes_say_so(&mut it.output).await;
    }
    assert!(it.socket.is_closed());
    assert_eq!(it.socket.closed().await, CloseReason::Reset);
    assert_reset("close", it.socket.close().await);
    assert_eq!(it.socket.closed().await, CloseReason::Reset);
    assert_reads_say_so(&mut it.input).await;
    assert_writes_say_so(&mut it.output).await;
}

#[test]
fn read_then_write() {
    run(async |selector| {
        let mut it = reset_after(&selector, b"").await?;
        assert_reads_say_so(&mut it.input).await;
        assert_writes_say_so(&mut it.output).await;
        assert_everything_says_so(it).await;
        Ok(())
    });
}

#[test]
fn write_then_read() {
    run(async |selector| {
        let mut it = reset_after(&selector, b"").await?;
        it.output.write_str("into the void").await?;
        assert_reset("flush", it.output.flush().await);
        assert_writes_say_so(&mut it.output).await;
        assert_reads_say_so(&mut it.input).await;
        assert_everything_says_so(it).await;
        Ok(())
    });
}

/// The write itself is accepted; the turn's end sends it and meets the reset, and the next call
/// says so.
#[test]
fn the_end_of_the_turn_meets_it() {
    run(async |selector| {
        let mut it = reset_after(&selector, b"").await?;
        it.output.write_str("into the void").await?;
        assert_eq!(it.socket.closed().await, CloseReason::Reset);
        assert_everything_says_so(it).await;
        Ok(())
    });
}

/// Everything was sent before it came: the end mark is what meets it.
#[test]
fn the_end_mark_meets_it() {
    run(async |selector| {
        let mut it = reset_after(&selector, b"last\nwords").await?;
        assert_reset("finish", it.output.finish().await);
        assert_eq!(it.socket.closed().await, CloseReason::Reset);
        assert_eq!(it.input.read_line().await?.as_deref(), Some("last"));
        assert_reset("read_line", it.input.read_line().await);
        assert_eq!(it.input.read_chunk().await?.as_deref(), Some(&b"words"[..]));
        assert_everything_says_so(it).await;
        Ok(())
    });
}

#[test]
fn a_close_meets_it() {
    run(async |selector| {
        let it = reset_after(&selector, b"").await?;
        assert_reset("close", it.socket.close().await);
        assert_everything_says_so(it).await;

        // Also where no half was ever opened.
        let (socket, peer) = pair(&selector).await?;
        reset_and_arrive(peer);
        assert_reset("close", socket.close().await);
        assert_eq!(socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

#[test]
fn what_came_before_it_is_read_first() {
    run(async |selector| {
        let mut it = reset_after(&selector, b"one\ntwo\nhalf of thr").await?;
        assert_eq!(it.input.read_line().await?.as_deref(), Some("one"));
        assert_eq!(it.input.read_line().await?.as_deref(), Some("two"));
        // Half a line is not the last line, and not lost either.
        assert_reset("read_line", it.input.read_line().await);
        assert_reset("read_line", it.input.read_line().await);
        assert_eq!(it.input.read_chunk().await?.as_deref(), Some(&b"half of thr"[..]));
        assert_everything_says_so(it).await;
        Ok(())
    });
}

#[test]
fn what_came_before_it_is_read_first_although_the_writer_met_it() {
    run(async |selector| {
        let mut it = reset_after(&selector, b"one\nhalf of tw").await?;
        it.output.write_str("into the void").await?;
        assert_reset("flush", it.output.flush().await);
        assert_writes_say_so(&mut it.output).await;
        assert_eq!(it.input.read_line().await?.as_deref(), Some("one"));
        assert_reset("read_line", it.input.read_line().await);
        assert_eq!(it.input.read_chunk().await?.as_deref(), Some(&b"half of tw"[..]));
        assert_everything_says_so(it).await;
        Ok(())
    });
}

/// A reader and a writer that both wait when it comes.
#[test]
fn both_wait() {
    run(async |selector| {
        let (socket, peer) = pair(&selector).await?;
        let Connection { mut input, mut output, socket } = socket.connection()?;
        let reading = selector.spawn(async move {
            assert_reads_say_so(&mut input).await;
            Ok(())
        });
        let queue = selector.clone();
        let writing = selector.spawn(async move {
            let error: Error = loop {
                if let Err(error) = output.write_all(&pattern(MIB)).await {
                    break error;
                }
            };
            assert_reset("write_all", Err::<(), _>(error));
            assert_writes_say_so(&mut output).await;
            drop(queue);
            Ok(())
        });
        // The writer waits once the kernel takes no more.
        let (mut sent, mut turns_alike) = (0, 0);
        until(|| {
            let now = selector.stats().sent_bytes;
            turns_alike = if now == sent { turns_alike + 1 } else { 0 };
            sent = now;
            sent > 0 && turns_alike > 100
        })
        .await;
        assert!(!reading.is_finished() && !writing.is_finished());
        reset(peer);
        reading.await?;
        writing.await?;
        assert_eq!(socket.closed().await, CloseReason::Reset);
        Ok(())
    });
}

/// A peer that closes without having read everything resets, too (RFC 1122, section 4.2.2.13).
#[test]
fn by_a_peer_that_left_something_unread() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut it = socket.connection()?;
        it.output.write_str("one\ntwo\n").await?;
        it.output.flush().await?;
        peer.read_exact(&mut [0; 4]).unwrap();
        peer.write_all(b"thanks\n").unwrap();
        drop(peer);
        assert_eq!(it.input.read_line().await?.as_deref(), Some("thanks"));
        assert_everything_says_so(it).await;
        Ok(())
    });
}

/// The peer's own stream was whole: that is told as it was. The other direction was not.
#[test]
fn behind_the_end_mark() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        let mut it = socket.connection()?;
        peer.write_all(b"all of it\n").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        reset_and_arrive(peer);
        assert_eq!(it.input.read_line().await?.as_deref(), Some("all of it"));
        assert_eq!(it.input.read_line().await?, None);
        it.output.write_str("into the void").await?;
        assert_reset("flush", it.output.flush().await);
        assert_writes_say_so(&mut it.output).await;
        assert_eq!(it.socket.closed().await, CloseReason::Reset);
        assert_reset("close", it.socket.close().await);
        Ok(())
    });
}

#[test]
fn before_it_was_accepted() {
    run(async |selector| {
        let server = forebay_testing::listener(&selector).await?;
        reset(forebay_testing::dial(server.port()));
        let it = server.accept().await?.connection()?;
        assert_everything_says_so(it).await;

        // The listener is none the worse for it.
        let client = thread::spawn({
            let port = server.port();
            move || forebay_testing::dial(port).write_all(b"next\n").unwrap()
        });
        let mut it = server.accept().await?.connection()?;
        assert_eq!(it.input.read_line().await?.as_deref(), Some("next"));
        client.join().unwrap();
        Ok(())
    });
}

/// Halves without their socket say the same.
#[test]
fn halves_alone() {
    run(async |selector| {
        for reader_first in [true, false] {
            let it = reset_after(&selector, b"").await?;
            let (mut input, mut output) = (it.input, it.output);
            drop(it.socket);
            if reader_first {
                assert_reads_say_so(&mut input).await;
                assert_writes_say_so(&mut output).await;
            } else {
                output.write_u8(0).await?;
                assert_reset("flush", output.flush().await);
                assert_writes_say_so(&mut output).await;
                assert_reads_say_so(&mut input).await;
            }
        }
        forebay_testing::until_at_rest(&selector, 0).await;
        Ok(())
    });
}
