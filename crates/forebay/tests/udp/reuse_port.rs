//! Several UDP sockets at one port, by `reuse_port`. In a process of their own: one that another test starts has the
//! sockets of this one for a moment, also those that are closed here.

#![cfg(target_os = "linux")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use forebay::{BoundDatagramSocket, ErrorKind, Result, SelectorManager};
use forebay_testing::{alone, run, until};

/// As many senders as never all reach the same socket by chance.
const SENDERS: usize = 100;

async fn member(
    selector: &SelectorManager,
    at: std::net::SocketAddr,
) -> Result<BoundDatagramSocket> {
    selector.udp().reuse_port(true).receive_buffer_size(1 << 20).bind(at).await
}

/// Receives all that has arrived.
fn arrived(socket: &BoundDatagramSocket) -> Result<usize> {
    let mut count = 0;
    while socket.try_receive()?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn each_datagram_reaches_one_of_them_and_all_reach_the_one_that_is_left() {
    let test = "each_datagram_reaches_one_of_them_and_all_reach_the_one_that_is_left";
    alone(test, || {
        run(async |selector| {
            let first = member(&selector, ([127, 0, 0, 1], 0).into()).await?;
            let at = first.local_address();
            let error = selector.udp().bind(at).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
            let second = member(&selector, at).await?;
            let senders: Vec<_> =
                (0..SENDERS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
            let send = || senders.iter().all(|it| it.send_to(b"one", at).unwrap() == 3);
            assert!(send());
            let counts = [arrived(&first)?, arrived(&second)?];
            assert_eq!(counts[0] + counts[1], SENDERS, "{counts:?}");
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");

            // What had arrived at the one that is closed is lost with it, and nothing that comes later.
            assert!(send());
            first.close();
            assert!(send());
            assert_eq!(arrived(&second)?, counts[1] + SENDERS);
            let third = member(&selector, at).await?;
            assert!(send());
            assert_eq!(arrived(&second)? + arrived(&third)?, SENDERS);
            Ok(())
        });
    });
}

/// Sockets come and go under a stream of datagrams: one that stays receives on, and no call fails.
#[test]
fn a_socket_that_is_closed_while_datagrams_come_does_the_others_no_harm() {
    alone("a_socket_that_is_closed_while_datagrams_come_does_the_others_no_harm", || {
        run(async |selector| {
            let stays = member(&selector, ([127, 0, 0, 1], 0).into()).await?;
            let at = stays.local_address();
            let is_over = Arc::new(AtomicBool::new(false));
            let over = Arc::clone(&is_over);
            let sending = thread::spawn(move || {
                let senders: Vec<_> =
                    (0..16).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
                while !over.load(SeqCst) {
                    for sender in &senders {
                        sender.send_to(b"one", at).unwrap();
                    }
                }
            });
            for _ in 0..300 {
                let goes = member(&selector, at).await?;
                let waiting = goes.clone();
                let receiving = selector.spawn_value(async move {
                    while let Ok(datagram) = waiting.receive().await {
                        assert_eq!(datagram.payload, "one");
                    }
                });
                assert_eq!(stays.receive().await?.payload, "one");
                goes.close();
                receiving.await?;
            }
            is_over.store(true, SeqCst);
            sending.join().unwrap();
            arrived(&stays)?;
            // All that come now are for the one that has stayed.
            let senders: Vec<_> =
                (0..SENDERS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
            for sender in &senders {
                sender.send_to(b"last", at).unwrap();
            }
            let mut count = 0;
            until(|| {
                count += arrived(&stays).unwrap();
                count == SENDERS
            })
            .await;
            Ok(())
        });
    });
}
