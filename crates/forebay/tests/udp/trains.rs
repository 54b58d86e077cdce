//! Several datagrams that the kernel hands over in one piece.

#![cfg(target_os = "linux")]

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;

use forebay::BoundDatagramSocket;
use forebay_testing::{Random, run, scrambled, seed};
use futures_lite::future::block_on;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

/// Sends all of it in one call, as datagrams of this length (`UDP_SEGMENT`, `udp(7)`).
fn send_train(from: &UdpSocket, to: &BoundDatagramSocket, payload: &[u8], length: u16) {
    let sent = send_train_to(from, to.local_address(), payload, length);
    assert_eq!(sent.unwrap(), payload.len());
}

/// Returns the number of bytes that are sent.
pub(super) fn send_train_to(
    from: &UdpSocket,
    to: SocketAddr,
    payload: &[u8],
    length: u16,
) -> nix::Result<usize> {
    let segments = [ControlMessage::UdpGsoSegments(&length)];
    let to = SockaddrStorage::from(to);
    sendmsg(from.as_raw_fd(), &[IoSlice::new(payload)], &segments, MsgFlags::empty(), Some(&to))
}

/// To a socket for which the system never joins datagrams, one for which it always does, and one for which it does
/// since a call that receives several.
#[test]
fn a_train_comes_out_as_it_was_sent() {
    run(async |selector| {
        let builder = || selector.udp().receive_buffer_size(1 << 20);
        let after_a_batch = builder().bind("127.0.0.1:0").await?;
        after_a_batch.send("before", after_a_batch.local_address()).await?;
        after_a_batch.receive_batch(&mut Vec::new(), 10).await?;
        let sockets = [
            builder().bind("127.0.0.1:0").await?,
            builder().packet_info(true).bind("127.0.0.1:0").await?,
            after_a_batch,
        ];
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random = Random::new(seed("a_train_comes_out_as_it_was_sent"), 0);
        for (count, socket) in (2..=64)
            .chain([2, 64])
            .flat_map(|count| sockets.iter().map(move |socket| (count, socket)))
        {
            let length = random.below(900) + 1;
            // The last one is as long, or shorter.
            let last = random.below(length) + 1;
            let payload = scrambled((count - 1) * length + last, 1);
            send_train(&peer, socket, &payload, length.try_into().unwrap());
            peer.send_to(b"", socket.local_address()).unwrap();
            for expected in payload.chunks(length).chain([&[][..]]) {
                let datagram = socket.receive().await?;
                assert!(datagram.payload == expected, "{count} of {length} and {last}");
                assert_eq!(datagram.address, peer.local_addr().unwrap());
            }
            assert_eq!(socket.try_receive()?, None);
        }
        Ok(())
    });
}

/// Through every call that receives, and whatever number they ask for.
#[test]
fn trains_come_out_in_the_order_in_which_they_were_sent() {
    run(async |selector| {
        let builder = selector.udp().receive_buffer_size(1 << 20).packet_info(true);
        let socket = builder.bind("127.0.0.1:0").await?;
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut random =
            Random::new(seed("trains_come_out_in_the_order_in_which_they_were_sent"), 0);
        for _ in 0..200 {
            let mut sent = Vec::new();
            for train in 0..=random.below(20) {
                let (count, length) = (random.below(20) + 1, random.below(90) + 10);
                let last = random.below(length) + 1;
                let bytes = scrambled((count - 1) * length + last, train);
                send_train(&peer, &socket, &bytes, length.try_into().unwrap());
                sent.extend(bytes.chunks(length).map(<[u8]>::to_vec));
            }
            let mut received = Vec::new();
            while received.len() < sent.len() {
                match random.below(3) {
                    0 => received.push(socket.receive().await?),
                    1 => received.extend(socket.try_receive()?),
                    _ => {
                        let most = received.len() + random.below(30) + 1;
                        let before = received.len();
                        let count = socket.receive_batch(&mut received, most).await?;
                        // The share of a turn may end it early.
                        assert!((1..=most - before).contains(&count));
                        assert_eq!(received.len(), before + count);
                    }
                }
            }
            let received: Vec<_> = received.iter().map(|datagram| &datagram.payload[..]).collect();
            assert!(received == sent, "another order, or others");
            assert_eq!(socket.try_receive()?, None);
        }
        Ok(())
    });
}

/// The first call that receives several lets the system join them, while other threads send and receive.
#[test]
fn a_train_comes_apart_while_the_system_begins_to_join() {
    run(async |selector| {
        for _ in 0..100 {
            let socket = selector.udp().receive_buffer_size(1 << 20).bind("127.0.0.1:0").await?;
            let (single, target) = (socket.clone(), socket.clone());
            let by_one = thread::spawn(move || {
                let mut lengths = Vec::new();
                while let Ok(datagram) = block_on(single.receive()) {
                    lengths.push(datagram.payload.len());
                }
                lengths
            });
            let sending = thread::spawn(move || {
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                while !target.is_closed() {
                    send_train(&peer, &target, &[7; 200], 100);
                }
            });
            let mut several = Vec::new();
            for _ in 0..20 {
                socket.receive_batch(&mut several, usize::MAX).await?;
            }
            socket.close();
            sending.join().unwrap();
            let mut lengths = by_one.join().unwrap();
            lengths.extend(several.iter().map(|datagram| datagram.payload.len()));
            assert!(lengths.iter().all(|&length| length == 100), "{lengths:?}");
        }
        Ok(())
    });
}

/// One event for all of them.
#[test]
fn a_train_reaches_every_task_that_waits() {
    run(async |selector| {
        let socket = selector.udp().packet_info(true).bind("127.0.0.1:0").await?;
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let socket = socket.clone();
                selector.spawn_value(async move { socket.receive().await })
            })
            .collect();
        forebay::yield_now().await;
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        send_train(&peer, &socket, &scrambled(1_000, 1), 100);
        for waiting in waiting {
            assert_eq!(waiting.await??.payload.len(), 100);
        }
        Ok(())
    });
}
