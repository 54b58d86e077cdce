//! One message to many connections: it is held once, and a reader that reads nothing costs its queue and no more.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use forebay::{ByteWriteChannel, Result, SelectorManager, ServerSocket};
use forebay_testing::witness::live_bytes;
use forebay_testing::{KIB, MIB, alone, report, size};
use socket2::{Domain, Type};

/// The memory that may be held for each connection besides what is said, such as entries of lists.
const OVERHEAD_BYTES: i64 = 1024;
/// A size that the kernel's buffers have where they are not to take much.
const SMALL_BUFFER: u32 = 4096;
/// The mark of a queue.
const MARK_BYTES: usize = 64 * KIB;

/// A peer with a small buffer in the kernel.
fn dial(server: &ServerSocket) -> TcpStream {
    let peer = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    peer.set_recv_buffer_size(SMALL_BUFFER as usize).unwrap();
    let address: SocketAddr = server.local_address().as_inet().unwrap();
    peer.connect(&address.into()).unwrap();
    peer.into()
}

async fn readers(
    server: &ServerSocket,
    count: usize,
) -> Result<(Vec<ByteWriteChannel>, Vec<TcpStream>)> {
    let (mut outputs, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        peers.push(dial(server));
        outputs.push(server.accept().await?.open_write_channel()?);
    }
    Ok((outputs, peers))
}

fn readers_count() -> usize {
    size("FOREBAY_READERS", 200, 1000)
}

#[test]
fn a_large_value_that_waits_for_many_is_held_once() {
    alone("a_large_value_that_waits_for_many_is_held_once", || {
        let selector = SelectorManager::builder().workers(1).build().unwrap();
        let said = selector.block_on(async {
            let server = selector.tcp().send_buffer_size(SMALL_BUFFER).bind("127.0.0.1:0").await?;
            let count = readers_count();
            let (mut outputs, _peers) = readers(&server, count).await?;
            let value = Bytes::from(vec![7; MIB]);
            let before = live_bytes();
            for output in &mut outputs {
                assert!(output.try_write_bytes(value.clone())?, "an empty queue");
            }
            let held = live_bytes() - before;
            // Sent as far as the kernel takes it. The rest waits.
            forebay::yield_now().await;
            forebay::yield_now().await;
            assert!(outputs.iter().all(|output| output.queued() > MIB / 2));
            let waiting = live_bytes() - before;
            report(&format!("one_to_many: {count} queues of a MiB: {held} bytes, then {waiting}"));
            let most = OVERHEAD_BYTES * i64::try_from(count).unwrap();
            assert!(held.max(waiting) <= most, "{held}, then {waiting} bytes; copied");
            // At the mark nothing more is taken.
            assert!(
                !outputs.iter_mut().any(|output| output.try_write_bytes(value.clone()).unwrap())
            );
            Result::Ok(())
        });
        said.unwrap();
    });
}

#[test]
fn a_reader_that_reads_nothing_among_many_costs_its_queue() {
    const MESSAGE: usize = 16 * KIB;
    const ROUNDS: usize = 40;
    alone("a_reader_that_reads_nothing_among_many_costs_its_queue", || {
        let selector = SelectorManager::builder().workers(1).build().unwrap();
        let said = selector.block_on(async {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let (mut outputs, mut peers) = readers(&server, readers_count()).await?;
            let server = selector.tcp().send_buffer_size(SMALL_BUFFER).bind("127.0.0.1:0").await?;
            let (mut deaf, _deaf_peer) = readers(&server, 1).await?;
            let mut deaf = deaf.remove(0);
            let mut before = None;
            let (mut most, mut missed) = (0, 0);
            for round in 0..=ROUNDS {
                let value = Bytes::from(vec![7; MESSAGE]);
                for output in &mut outputs {
                    assert!(output.try_write_bytes(value.clone())?, "a reader that reads");
                }
                // The first round makes what stays: memory of lists, and idle blocks.
                if round > 0 {
                    missed += usize::from(!deaf.try_write_bytes(value)?);
                }
                let reading = selector.spawn_blocking(move || {
                    for peer in &mut peers {
                        peer.read_exact(&mut [0; MESSAGE]).unwrap();
                    }
                    peers
                });
                peers = reading.await?;
                let before = *before.get_or_insert_with(live_bytes);
                most = most.max(live_bytes() - before);
            }
            report(&format!("one_to_many: a deaf reader among {}: {most} bytes", peers.len()));
            assert!(missed > ROUNDS / 2, "{missed} messages were left out");
            assert!(deaf.queued() >= MARK_BYTES - MESSAGE && deaf.queued() <= MARK_BYTES + MESSAGE);
            let bound = i64::try_from(MARK_BYTES + 2 * MESSAGE + 32 * KIB).unwrap();
            assert!(most <= bound, "{most} bytes, at most {bound} were expected");
            Result::Ok(())
        });
        said.unwrap();
    });
}
