//! A reader on one thread, a close on another: what the reader gets is what was sent, without a gap.

use forebay::{ByteReadChannel, Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, Random, Signal, Transport, in_host, on_each, pattern, report, seed, size,
};
use futures_lite::future::block_on;

/// More than is usually read before the close.
const BYTES: usize = 2 * 251 * KIB;

/// The number of times that each transport is closed.
fn rounds() -> usize {
    size("FOREBAY_CLOSES", 12, 50)
}

/// Sends what both sides know in small pieces, so that most receives find a little, until the other
/// side does not want any more of it.
async fn send(peer: Connection) {
    let Connection { mut input, mut output, socket } = peer;
    for piece in pattern(BYTES).chunks(997) {
        if output.write_all(piece).await.is_err() || output.flush().await.is_err() {
            break;
        }
    }
    drop(output);
    input.discard(u64::MAX).await.ok();
    drop(socket);
}

/// Reads on this thread until the end, and says when there was enough.
fn read(mut input: ByteReadChannel, enough: usize, had_enough: &Signal) -> (Vec<u8>, Result<()>) {
    let mut read = Vec::new();
    let end = block_on(async {
        loop {
            match input.read_chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk),
                end => return end.map(drop),
            }
            if read.len() > enough {
                had_enough.set();
            }
        }
    });
    (read, end)
}

/// Returns the bytes that were read before a connection was closed beside its reader.
async fn close_beside_reader(
    selector: &SelectorManager,
    transport: Transport,
    enough: usize,
) -> Result<Vec<u8>> {
    let (near, far) = transport.pair(selector).await?;
    let sending = selector.spawn_value(send(far));
    let Connection { input, output, socket } = near;
    let had_enough = Signal::new();
    let told = had_enough.clone();
    let reading = selector.spawn_blocking(move || read(input, enough, &told));
    had_enough.await;
    drop(output);
    socket.close().await?;
    let (read, end) = reading.await?;
    match end {
        Ok(()) => {
            assert_eq!(read.len(), BYTES, "over {transport}: a clean end is behind everything");
        }
        Err(error) => assert!(error.is_closed(), "over {transport}: {error}"),
    }
    sending.await?;
    Ok(read)
}

#[test]
fn a_reader_beside_a_close_gets_a_beginning_without_a_gap() {
    let seed = seed("read_beside_close");
    on_each(move |transport| {
        let (mut random, mut bytes) = (Random::new(seed, 0), 0);
        for _ in 0..rounds() {
            let enough = random.below(64 * KIB);
            let closing =
                async move |selector| close_beside_reader(&selector, transport, enough).await;
            let read = in_host(closing).unwrap();
            assert!(read == pattern(BYTES)[..read.len()], "over {transport}: there is a gap");
            bytes += read.len();
        }
        report(&format!("read_beside_close: {transport}: {} closes, {bytes} bytes", rounds()));
    });
}
