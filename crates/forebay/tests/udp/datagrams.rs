//! Each datagram is received as it was sent, or refused, cut or dropped as the contract says.

use std::net::{Ipv4Addr, UdpSocket};

use forebay::{Ecn, ErrorKind, Result};
use forebay_testing::{KIB, run, scrambled};
use futures_lite::{Stream, StreamExt, future};
use socket2::SockRef;

const UDP_BYTES_MAX: usize = 65_507;

/// The original cannot send one, and takes one for the end.
#[test]
fn an_empty_datagram_is_a_datagram() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let connected = selector.udp().connect(socket.local_address()).await?;
        for payload in ["", "hello", ""] {
            connected.send(payload).await?;
        }
        for expected in ["", "hello", ""] {
            let datagram = socket.receive().await?;
            assert_eq!(datagram.payload, expected);
            assert!(!datagram.truncated);
            assert_eq!(datagram.address, connected.local_address());
            socket.reply(&datagram, "").await?;
            assert_eq!(connected.receive().await?.payload, "");
        }
        assert_eq!(socket.try_receive()?, None);
        Ok(())
    });
}

#[test]
fn large_datagrams_arrive_whole() {
    run(async |selector| {
        let builder = selector.udp().receive_buffer_size(1 << 20).send_buffer_size(1 << 20);
        let socket = builder.bind("127.0.0.1:0").await?;
        for bytes in [1, 1_472, 1_473, 10_000, 10_000, 10_000, 32 * KIB, UDP_BYTES_MAX] {
            let payload = scrambled(bytes, 1);
            socket.send(&payload, socket.local_address()).await?;
            let datagram = socket.receive().await?;
            assert!(datagram.payload == payload, "{bytes}");
            assert!(!datagram.truncated);
        }
        Ok(())
    });
}

#[test]
fn one_that_is_too_large_is_refused_and_harms_nothing() {
    run(async |selector| {
        let socket = selector.udp().send_buffer_size(1 << 20).bind("127.0.0.1:0").await?;
        let to = socket.local_address();
        for bytes in [UDP_BYTES_MAX + 1, 100_000, 1_000_000] {
            let payload = vec![0; bytes];
            for error in [
                socket.send(&payload, to).await.unwrap_err(),
                socket.try_send(&payload, to).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::MessageTooLarge, "{error}");
                let line = error.to_string();
                assert!(line.contains(&bytes.to_string()) && line.contains("65,507"), "{line}");
            }
        }
        socket.send("small", to).await?;
        assert_eq!(socket.receive().await?.payload, "small");
        Ok(())
    });
}

/// A socket on all addresses of one family is none on those of the other.
#[test]
fn a_peer_of_the_other_family_is_refused_with_what_to_do() {
    run(async |selector| {
        let socket = selector.udp().bind("0.0.0.0:0").await?;
        let error = socket.send("x", (std::net::Ipv6Addr::LOCALHOST, 9).into()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("send [::1]:9") && text.contains("bound to [::]"), "{text}");
        socket.send("still open", socket.local_address()).await
    });
}

#[test]
fn a_long_one_is_cut_and_marked() {
    run(async |selector| {
        let socket = selector.udp().max_datagram(10).bind("127.0.0.1:0").await?;
        let payload = scrambled(100, 1);
        for bytes in [100, 11, 10, 0] {
            socket.send(&payload[..bytes], socket.local_address()).await?;
            let datagram = socket.receive().await?;
            assert_eq!(datagram.payload, payload[..bytes.min(10)]);
            assert_eq!(datagram.truncated, bytes > 10, "{bytes}");
        }
        Ok(())
    });
}

#[test]
fn any_number_of_tasks_receive_and_each_datagram_comes_once() {
    const TASKS: u32 = 8;
    const EACH: u32 = 500;
    run(async |selector| {
        let server = selector.udp().receive_buffer_size(4 << 20).bind("127.0.0.1:0").await?;
        let group = selector.group();
        for _ in 0..TASKS {
            let server = server.clone();
            group.spawn(async move {
                loop {
                    let datagram = server.receive().await?;
                    server.reply(&datagram, &datagram.payload).await?;
                }
            });
        }
        let client = selector.udp().connect(server.local_address()).await?;
        for number in 0..TASKS * EACH {
            client.send(number.to_be_bytes()).await?;
            let answer = client.receive().await?;
            assert_eq!(answer.payload, number.to_be_bytes()[..]);
        }
        server.close();
        Ok(())
    });
}

fn is_an_unpinned_stream<S: Stream<Item = Result<forebay::Datagram>> + Unpin>(stream: S) -> S {
    stream
}

#[test]
fn a_socket_is_a_stream_of_its_datagrams() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let mut incoming = is_an_unpinned_stream(socket.incoming());
        for number in 0..10_u8 {
            socket.send([number], socket.local_address()).await?;
            let datagram = if number % 2 == 0 {
                incoming.next().await
            } else {
                StreamExt::next(&mut incoming).await
            };
            assert_eq!(datagram.unwrap()?.payload, [number][..]);
        }
        assert!(future::poll_once(incoming.next()).await.is_none());
        socket.close();
        assert!(incoming.next().await.is_none());
        assert!(StreamExt::next(&mut incoming).await.is_none());
        Ok(())
    });
}

#[test]
fn the_mark_of_congestion_comes_with_each() {
    run(async |selector| {
        for (at, sender) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
            let socket = selector.udp().packet_info(true).bind(at).await?;
            let peer = UdpSocket::bind(sender).unwrap();
            for (mark, expected) in [
                (0, None),
                (2, Some(Ecn::Capable0)),
                (1, Some(Ecn::Capable1)),
                (3, Some(Ecn::Congestion)),
            ] {
                let peer_options = SockRef::from(&peer);
                if at.starts_with('[') {
                    peer_options.set_tclass_v6(mark).unwrap();
                } else {
                    peer_options.set_tos_v4(mark).unwrap();
                }
                peer.send_to(b"marked", socket.local_address()).unwrap();
                assert_eq!(socket.receive().await?.ecn, expected, "{at}");
            }
        }
        Ok(())
    });
}

/// The address that all of them were sent to is known without asking for each.
#[test]
fn a_socket_of_one_address_is_told_no_more_than_it_asks_for() {
    run(async |selector| {
        let loopback = Some("127.0.0.1".parse().unwrap());
        for (at, info, interface) in [
            ("127.0.0.1:0", None, None),
            ("127.0.0.1:0", Some(false), None),
            ("127.0.0.1:0", Some(true), Some(1)),
            ("0.0.0.0:0", None, Some(1)),
            ("0.0.0.0:0", Some(true), Some(1)),
        ] {
            let builder = selector.udp();
            let builder = match info {
                Some(told) => builder.packet_info(told),
                None => builder,
            };
            let socket = builder.bind(at).await?;
            let to = (Ipv4Addr::LOCALHOST, socket.local_address().port()).into();
            for _ in 0..2 {
                socket.send("hello", to).await?;
                let mut received = vec![socket.receive().await?];
                // From the second round on the system may join them.
                socket.send("hello", to).await?;
                socket.receive_batch(&mut received, 2).await?;
                for datagram in received {
                    assert_eq!(datagram.local_address, loopback, "{at}, {info:?}");
                    assert_eq!(datagram.interface, interface, "{at}, {info:?}");
                    assert_eq!(datagram.payload, "hello");
                }
            }
        }
        let socket = selector.udp().packet_info(false).bind("0.0.0.0:0").await?;
        let to = (Ipv4Addr::LOCALHOST, socket.local_address().port()).into();
        socket.send("hello", to).await?;
        assert_eq!(socket.receive().await?.local_address, None);
        Ok(())
    });
}

/// As SCENARIOS has it of the original.
#[test]
fn a_broadcast_wants_its_option() {
    run(async |selector| {
        let socket = selector.udp().bind("0.0.0.0:0").await?;
        let all = "255.255.255.255:56700".parse().unwrap();
        let error = socket.send("0123456789", all).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("UdpBuilder::broadcast"), "{error}");
        socket.close();
        socket.closed().await;
        let socket = selector.udp().broadcast(true).bind("127.0.0.1:0").await?;
        // A machine without a network has no route.
        if let Err(error) = socket.send("0123456789", all).await {
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        }
        Ok(())
    });
}

#[test]
fn a_connected_socket_sends_from_the_address_that_was_set() {
    run(async |selector| {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let builder = selector.udp().local_address(local);
        let socket = builder.clone().connect(peer.local_addr().unwrap()).await?;
        socket.send("hello").await?;
        let (_, from) = peer.recv_from(&mut [0; 10]).unwrap();
        assert_eq!(from, socket.local_address());
        assert_eq!(from.ip(), local.ip());
        let taken = selector.udp().local_address(from).connect(peer.local_addr().unwrap()).await;
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AddressInUse);
        Ok(())
    });
}

#[test]
fn what_is_dropped_is_counted() {
    const SENT: u64 = 20_000;
    run(async |selector| {
        let socket = selector.udp().receive_buffer_size(64 << 10).bind("127.0.0.1:0").await?;
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!(socket.dropped_datagrams().unwrap_err().kind(), ErrorKind::Unsupported);
            return Ok(());
        }
        assert_eq!(socket.dropped_datagrams()?, 0);
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..SENT {
            peer.send_to(&number.to_be_bytes(), socket.local_address()).unwrap();
        }
        let mut received = 0;
        while socket.try_receive()?.is_some() {
            received += 1;
        }
        assert!(received > 0);
        assert_eq!(received + socket.dropped_datagrams()?, SENT);
        Ok(())
    });
}

/// By every call that sends: a library below could write another one into each datagram.
#[cfg(target_os = "linux")]
#[test]
fn each_datagram_has_the_class_of_service_of_its_socket() {
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};

    const VOICE: u8 = 0xb8;

    fn class_of_next(receiver: &UdpSocket) -> u8 {
        let (mut bytes, mut about) = ([0; 16], nix::cmsg_space!(u8, i32));
        let into = &mut [std::io::IoSliceMut::new(&mut bytes)];
        let fd = receiver.as_raw_fd();
        let message = recvmsg::<SockaddrIn>(fd, into, Some(&mut about), MsgFlags::empty());
        let message = message.unwrap();
        let mut classes = message.cmsgs().unwrap().filter_map(|about| match about {
            ControlMessageOwned::Ipv4Tos(class) => Some(class),
            _ => None,
        });
        classes.next().unwrap()
    }

    run(async |selector| {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        SockRef::from(&peer).set_recv_tos_v4(true).unwrap();
        let to = peer.local_addr().unwrap();
        let builder = selector.udp().type_of_service(VOICE);
        let bound = builder.clone().bind("0.0.0.0:0").await?;
        let connected = builder.connect(to).await?;
        bound.send("one", to).await?;
        assert_eq!(class_of_next(&peer), VOICE);
        connected.send("two").await?;
        assert_eq!(class_of_next(&peer), VOICE);
        peer.send_to(b"who?", ("127.0.0.2", bound.local_address().port())).unwrap();
        let question = bound.receive().await?;
        bound.reply(&question, "three").await?;
        assert_eq!(class_of_next(&peer), VOICE);
        Ok(())
    });
}
