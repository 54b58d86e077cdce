//! Bytes get across, whatever carries them: TCP, Unix sockets and memory.

#![cfg(target_os = "linux")]

use forebay::{ByteReadChannel, ByteWriteChannel, CloseReason, Connection, Result};
use forebay_testing::{
    MIB, on_every_transport, on_every_transport_on_one_worker, pattern, report, settle, until,
};
use futures_lite::future::{poll_once, yield_now, zip};

/// Each direction of the echo.
const ECHOED: usize = 10_000_000;
/// Both, where nothing else is carried.
const CARRIED: u64 = 2 * ECHOED as u64;
/// Never a divisor of anything that the library counts by.
const PIECE: usize = 10_007;

/// An endless stream, told from others by where in the pattern it begins.
struct Stream {
    pattern: Vec<u8>,
    at: usize,
}

impl Stream {
    fn new(begins_at: usize) -> Self {
        Self { pattern: pattern(MIB + 251), at: begins_at }
    }

    /// The next bytes of it.
    fn next(&mut self, length: usize) -> &[u8] {
        let start = self.at % 251;
        self.at += length;
        &self.pattern[start..start + length]
    }
}

/// Writes this much of a stream, and the end.
async fn write(output: &mut ByteWriteChannel, mut stream: Stream, length: usize) -> Result<()> {
    let mut left = length;
    while left > 0 {
        let piece = stream.next(PIECE.min(left));
        output.write_all(piece).await?;
        left -= piece.len();
    }
    output.finish().await
}

/// Reads to the end, and compares every byte; says how many there were.
async fn read(input: &mut ByteReadChannel, mut stream: Stream) -> Result<usize> {
    let mut length = 0;
    while let Some(chunk) = input.read_chunk().await? {
        assert!(chunk == stream.next(chunk.len()), "different behind {length} bytes");
        length += chunk.len();
    }
    Ok(length)
}

/// Sends back what comes until the peer ends, then ends too.
async fn echo(mut connection: Connection) -> Result<u64> {
    let copied = connection.input.copy_to(&mut connection.output).await?;
    connection.output.finish().await?;
    assert_eq!(connection.socket.closed().await, CloseReason::Ended);
    Ok(copied)
}

#[test]
fn an_echo_of_ten_megabytes_comes_back_the_same() {
    on_every_transport(async |selector, transport| {
        let (mut client, server) = transport.pair(&selector).await?;
        let echoing = selector.spawn_value(echo(server));
        let Connection { input, output, socket } = &mut client;
        let writing = write(output, Stream::new(0), ECHOED);
        let (written, read) = zip(writing, read(input, Stream::new(0))).await;
        assert_eq!(written.and(read)?, ECHOED);
        assert_eq!(echoing.await??, ECHOED as u64);
        assert_eq!(socket.closed().await, CloseReason::Ended);
        socket.close().await?;
        let stats = selector.stats();
        assert_eq!((stats.blocks, stats.sockets), (0, 0));
        if transport.is_transparent() {
            assert_eq!((stats.sent_bytes, stats.received_bytes), (CARRIED, CARRIED));
        }
        report(&format!(
            "every_transport: {transport}: {ECHOED} bytes there and back, {} receives, {} sends",
            stats.receives, stats.sends
        ));
        Ok(())
    });
}

#[test]
fn both_directions_at_once_do_not_disturb_each_other() {
    on_every_transport(async |selector, transport| {
        let (mut left, mut right) = transport.pair(&selector).await?;
        let leftward = zip(
            write(&mut right.output, Stream::new(1), ECHOED),
            read(&mut left.input, Stream::new(1)),
        );
        let rightward = zip(
            write(&mut left.output, Stream::new(2), ECHOED),
            read(&mut right.input, Stream::new(2)),
        );
        let ((written, arrived), (written_too, arrived_too)) = zip(leftward, rightward).await;
        assert_eq!(written.and(arrived)?, ECHOED);
        assert_eq!(written_too.and(arrived_too)?, ECHOED);
        Ok(())
    });
}

#[test]
fn after_a_half_close_the_other_direction_goes_on() {
    on_every_transport(async |selector, transport| {
        for client_first in [true, false] {
            let (client, server) = transport.pair(&selector).await?;
            let (mut first, mut second) =
                if client_first { (client, server) } else { (server, client) };
            let writing = write(&mut first.output, Stream::new(3), 200_000);
            let (written, all) = zip(writing, read(&mut second.input, Stream::new(3))).await;
            assert_eq!(written.and(all)?, 200_000);
            assert!(first.output.write_u8(0).await.is_err(), "its direction is over");
            assert!(!first.socket.is_closed() && !second.socket.is_closed());

            let answering = write(&mut second.output, Stream::new(4), 200_000);
            let (written, all) = zip(answering, read(&mut first.input, Stream::new(4))).await;
            assert_eq!(written.and(all)?, 200_000);
            assert_eq!(first.socket.closed().await, CloseReason::Ended);
            assert_eq!(second.socket.closed().await, CloseReason::Ended);
        }
        Ok(())
    });
}

#[test]
fn lines_are_whole_wherever_they_are_split() {
    const TEXT: &str = "ab\r\ncd\n\r\n\u{e9}\nlast";
    const LINES: [&str; 5] = ["ab", "cd", "", "\u{e9}", "last"];
    on_every_transport(async |selector, transport| {
        for split in 0..=TEXT.len() {
            let (mut client, mut server) = transport.pair(&selector).await?;
            let (head, tail) = TEXT.as_bytes().split_at(split);
            let before = selector.stats().received_bytes;
            let writing = async {
                client.output.write_all(head).await?;
                client.output.flush().await?;
                // The reader has taken the head before the tail is sent.
                let all = before + split as u64;
                until(|| selector.stats().received_bytes >= all || transport.sockets() == 0).await;
                yield_now().await;
                client.output.write_all(tail).await?;
                client.output.finish().await
            };
            let reading = async {
                for line in LINES {
                    assert_eq!(server.input.read_line().await?.as_deref(), Some(line), "{split}");
                }
                assert_eq!(server.input.read_line().await?, None);
                Result::Ok(())
            };
            let (written, read) = zip(writing, reading).await;
            written.and(read)?;
        }
        Ok(())
    });
}

/// Small pieces: neither side ever moves more than a byte at a time.
#[test]
fn a_byte_at_a_time_is_the_same_stream() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        let sent = pattern(5_000);
        let writing = async {
            for byte in &sent {
                client.output.write_u8(*byte).await?;
                client.output.flush().await?;
            }
            client.output.finish().await
        };
        let reading = async {
            let (mut received, mut byte) = (Vec::new(), [0]);
            while server.input.read(&mut byte).await? == 1 {
                received.push(byte[0]);
            }
            Result::Ok(received)
        };
        let (written, received) = zip(writing, reading).await;
        written?;
        assert!(received? == sent);
        Ok(())
    });
}

#[test]
fn a_read_that_is_dropped_costs_no_byte() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        for byte in b"one line\n" {
            assert!(poll_once(server.input.read_line()).await.is_none());
            client.output.write_u8(*byte).await?;
            client.output.flush().await?;
            yield_now().await;
        }
        assert_eq!(server.input.read_line().await?.as_deref(), Some("one line"));
        Ok(())
    });
}

#[test]
fn queued_counts_what_was_accepted_in_this_turn() {
    on_every_transport_on_one_worker(async |selector, transport| {
        let (mut client, _server) = transport.pair(&selector).await?;
        assert_eq!(client.output.queued(), 0);
        client.output.write_str("hello\n").await?;
        assert_eq!(client.output.queued(), 6, "the turn is not over");
        client.output.flush().await?;
        assert_eq!(client.output.queued(), 0);
        Ok(())
    });
}

#[test]
fn queued_counts_what_was_accepted_and_not_handed_over() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        assert_eq!(client.output.queued(), 0);
        client.output.write_str("hello\n").await?;
        client.output.flush().await?;
        assert_eq!(client.output.queued(), 0);

        // A peer that does not read: more and more is queued, up to the mark and one item.
        let item = vec![0; 16 * 1024];
        // A write that gives way, its share of the turn used up, does not wait for the peer.
        while client.output.queued() < 64 * 1024 {
            while poll_once(client.output.write_all(&item)).await.is_some() {}
            settle().await;
        }
        let queued = client.output.queued();
        let most = 64 * 1024 + item.len() + transport.queued_besides();
        assert!((64 * 1024..most).contains(&queued), "{queued}");
        assert!(poll_once(client.output.write_u8(0)).await.is_none(), "it waits");

        // It goes on as soon as there is room.
        let reading = async {
            while server.input.read_chunk().await?.is_some() {}
            Result::Ok(())
        };
        let writing = async {
            client.output.write_str("goodbye\n").await?;
            client.output.finish().await
        };
        let (read, written) = zip(reading, writing).await;
        read.and(written)
    });
}
