//! Several datagrams at a time.

use std::net::{SocketAddr, UdpSocket};

use forebay::{DatagramBatch, ErrorKind};
use forebay_testing::{KIB, PATIENCE, Random, run, scrambled, seed};

/// Of any lengths, to several peers: each comes out as it was put in, in the order of its peer.
#[test]
fn each_datagram_of_a_batch_arrives_as_it_was_put_in() {
    run(async |selector| {
        let mut random = Random::new(seed("each_datagram_of_a_batch_arrives"), 0);
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let builder = selector.udp().receive_buffer_size(4 << 20);
            let sender = selector.udp().bind(at).await?;
            let peers = [builder.clone().bind(at).await?, builder.bind(at).await?];
            let mut batch = DatagramBatch::new();
            for round in 0..100 {
                let mut expected = [Vec::new(), Vec::new()];
                let length = random.below(1_400);
                for number in 0..random.below(80) {
                    let to = usize::from(random.below(10) == 0);
                    let length = match random.below(12) {
                        0 => random.below(3_000),
                        1 => 0,
                        _ => length,
                    };
                    let payload = scrambled(length, number);
                    batch.push(&payload, peers[to].local_address());
                    expected[to].push(payload);
                }
                sender.send_batch(&mut batch).await?;
                assert!(batch.is_empty());
                for (peer, expected) in peers.iter().zip(expected) {
                    let mut received = Vec::new();
                    while received.len() < expected.len() {
                        let most = expected.len().min(received.len() + 1 + random.below(40));
                        assert!(peer.receive_batch(&mut received, most).await? > 0);
                        assert!(received.len() <= most);
                    }
                    assert!(received.iter().map(|it| &it.payload).eq(&expected), "{at}, {round}");
                    assert_eq!(peer.try_receive()?, None);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn one_bad_datagram_fails_alone() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let to = socket.local_address();
        let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut batch = DatagramBatch::new();
        for (payload, to) in [
            (vec![1; 10], Some(to)),
            (vec![2; 100 * KIB], Some(to)),
            (vec![3; 10], Some(to)),
            (vec![4; 10], Some(nowhere)),
            (vec![4; 10], Some(nowhere)),
            (vec![5; 10], None),
            (vec![6; 10], Some(to)),
            (vec![7; 10], Some(to)),
        ] {
            batch.push(payload, to);
        }
        let mut errors = Vec::new();
        while !batch.is_empty() {
            if let Err(error) = socket.send_batch(&mut batch).await {
                errors.push(error.kind());
            }
        }
        let [first, others @ ..] = &errors[..] else { panic!("no error") };
        assert_eq!(*first, ErrorKind::MessageTooLarge);
        assert_eq!(others, [ErrorKind::InvalidInput; 3]);
        let mut received = Vec::new();
        socket.receive_batch(&mut received, 10).await?;
        let firsts: Vec<_> = received.iter().map(|datagram| datagram.payload[0]).collect();
        assert_eq!(firsts, [1, 3, 6, 7]);
        Ok(())
    });
}

/// A peer that cannot be sent to must not cost the others that several go at a time.
#[cfg(target_os = "linux")]
#[test]
fn a_refused_datagram_costs_other_peers_nothing() {
    use forebay_testing::{Child, Log, role, skip};

    const NAME: &str = "a_refused_datagram_costs_other_peers_nothing";
    const COUNT: usize = 64;
    if role().is_some() {
        return run(async |selector| {
            let socket = selector.udp().receive_buffer_size(1 << 20).bind("127.0.0.1:0").await?;
            let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let mut batch = DatagramBatch::new();
            for _ in 0..3 {
                (0..2).for_each(|_| batch.push([1; 100], nowhere));
                (0..COUNT).for_each(|_| batch.push([2; 100], socket.local_address()));
                while !batch.is_empty() {
                    socket.send_batch(&mut batch).await.ok();
                }
            }
            let mut received = Vec::new();
            while received.len() < 3 * COUNT {
                socket.receive_batch(&mut received, 3 * COUNT).await?;
            }
            Ok(())
        });
    }
    let log = Log::new(NAME);
    let strace = ["strace", "-f", "-o", log.path(), "-e", "trace=sendmsg,sendto"];
    if !Child::can_trace(&strace) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    Child::start_under(&strace, NAME, "sends").end();
    let whole = format!(" = {}", COUNT * 100);
    let trains = log.lines().iter().filter(|line| line.ends_with(&whole)).count();
    assert_eq!(trains, 3, "{:#?}", log.lines());
}

#[test]
fn a_batch_on_a_connected_socket_goes_to_its_peer() {
    run(async |selector| {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = selector.udp().connect(peer.local_addr().unwrap()).await?;
        let mut batch = DatagramBatch::new();
        batch.push("one", None);
        batch.push("two", socket.remote_address());
        batch.push("elsewhere", socket.local_address());
        batch.push("three", None);
        let error = socket.send_batch(&mut batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_eq!(batch.len(), 1);
        socket.send_batch(&mut batch).await?;
        for expected in ["one", "two", "three"] {
            let mut bytes = [0; 10];
            let count = peer.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..count], expected.as_bytes());
        }
        let peer_address = socket.local_address();
        for number in 0..100_u8 {
            peer.send_to(&[number], peer_address).unwrap();
        }
        let mut received = Vec::new();
        while received.len() < 100 {
            socket.receive_batch(&mut received, 100).await?;
        }
        assert!(received.iter().map(|it| it.payload[0]).eq(0..100));
        assert_eq!(socket.receive_batch(&mut received, 100).await?, 0);
        Ok(())
    });
}

/// An IPv4 peer of a socket of IPv6 is shown as an IPv4 address.
#[test]
fn a_batch_may_name_the_peer_as_its_datagrams_do() {
    run(async |selector| {
        let peer = selector.udp().bind("[::ffff:127.0.0.1]:0").await?;
        let socket = selector.udp().connect(peer.local_address()).await?;
        peer.send("question", socket.local_address()).await?;
        let question = socket.receive().await?;
        assert!(question.address.is_ipv4());
        let mut batch = DatagramBatch::new();
        batch.push("answer", question.address);
        batch.push("answer", socket.remote_address());
        socket.send_batch(&mut batch).await?;
        for _ in 0..2 {
            assert_eq!(peer.receive().await?.payload, "answer");
        }
        Ok(())
    });
}

/// In this process waits a part of one system call's datagrams, and not all that the socket holds.
#[test]
fn a_batch_takes_no_more_from_the_system_than_it_was_asked_for() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        for number in 0..10_u8 {
            socket.send([number], socket.local_address()).await?;
        }
        let mut received = Vec::new();
        assert_eq!(socket.receive_batch(&mut received, 4).await?, 4);
        let other = UdpSocket::from(socket.try_clone_fd()?);
        let mut next = [0];
        other.recv(&mut next).unwrap();
        assert_eq!(next, [4]);
        assert_eq!(&socket.receive().await?.payload[..], [5]);
        Ok(())
    });
}
