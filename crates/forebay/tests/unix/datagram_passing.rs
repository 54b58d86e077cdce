//! Descriptors that are passed with datagrams over Unix sockets.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::pin::pin;
use std::process::Command;

use forebay::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, ErrorKind, Result, SelectorManager,
    UnixAddress, UnixDatagramBuilder,
};
use forebay_testing::foreign::{Foreign, piped};
use forebay_testing::unix::{Directory, abstract_name};
use forebay_testing::{
    NoDescriptors, alone, counted_alone, descriptors, in_host, run, run_on_one_worker, watched,
};
use futures_lite::future::poll_once;
use rustix::net::sockopt::set_socket_passcred;

use super::passing::{assert_all_ended, assert_joined, pipes};

/// A builder of sockets that receive so many descriptors with each datagram.
fn builder(selector: &SelectorManager, most: u8) -> UnixDatagramBuilder {
    selector.unix().datagram().descriptors_max(most)
}

/// A server, and a client that is connected to it and can be answered.
async fn pair(
    selector: &SelectorManager,
    most: u8,
) -> Result<(BoundUnixDatagramSocket, ConnectedUnixDatagramSocket)> {
    let server = builder(selector, most).bind(abstract_name("server")).await?;
    let client = builder(selector, most).local_address(abstract_name("client"));
    let client = client.connect(server.local_address()).await?;
    Ok((server, client))
}

/// Sends the writing ends of new pipes to the peer.
async fn send_pipes(
    from: &ConnectedUnixDatagramSocket,
    payload: &[u8],
    count: usize,
) -> Result<Vec<PipeReader>> {
    let (readers, writers) = pipes(count);
    let fds: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
    from.send_with_fds(payload, &fds).await?;
    Ok(readers)
}

/// The same from a socket without a peer.
async fn send_pipes_to(
    from: &BoundUnixDatagramSocket,
    payload: &[u8],
    count: usize,
    to: &UnixAddress,
) -> Result<Vec<PipeReader>> {
    let (readers, writers) = pipes(count);
    let fds: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
    from.send_with_fds(payload, &fds, to).await?;
    Ok(readers)
}

#[test]
fn descriptors_come_with_their_datagrams_both_ways() {
    counted_alone("descriptors_come_with_their_datagrams_both_ways", || {
        in_host(async |selector: SelectorManager| {
            let (server, client) = pair(&selector, 253).await?;
            // From its first wait on the host has all the descriptors that it needs.
            assert!(poll_once(server.receive()).await.is_none());
            let before = descriptors();
            let large = vec![7; 100_000];
            for (payload, count) in [(&b"one"[..], 1), (b"", 2), (&large, 100), (b"x", 253)] {
                let sent = send_pipes(&client, payload, count).await?;
                client.send("none").await?;
                let (datagram, fds) = server.receive_with_fds().await?;
                assert_eq!(datagram.payload, payload);
                assert!(!datagram.truncated);
                assert_joined(fds, sent);
                let (none, fds) = server.receive_with_fds().await?;
                assert_eq!((&none.payload[..], fds.len()), (&b"none"[..], 0));

                let sent = send_pipes_to(&server, payload, count, &datagram.address).await?;
                let (datagram, fds) = client.receive_with_fds().await?;
                assert_eq!(datagram.payload, payload);
                assert_eq!(&datagram.address, server.local_address());
                assert_joined(fds, sent);
            }
            assert_eq!(descriptors(), before);
            Result::Ok(())
        })
        .unwrap();
    });
}

/// By a path as by a name, and by a datagram that is cut.
#[test]
fn descriptors_come_by_a_path_and_with_a_datagram_that_is_cut() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = builder(&selector, 2).max_datagram(3).bind(&path).await?;
        let client = builder(&selector, 2).bind(directory.join("client")).await?;
        let sent = send_pipes_to(&client, b"longer", 2, server.local_address()).await?;
        let (datagram, fds) = server.receive_with_fds().await?;
        assert_eq!(datagram.payload, "lon");
        assert!(datagram.truncated);
        assert_joined(fds, sent);
        Ok(())
    });
}

/// Such a datagram is discarded, its descriptors are closed, and the socket goes on.
#[test]
fn a_datagram_with_more_descriptors_than_there_is_room_for_is_an_error() {
    counted_alone("a_datagram_with_more_descriptors_than_there_is_room_for_is_an_error", || {
        in_host(async |selector: SelectorManager| {
            for most in [1, 4, 5, 252] {
                let (server, client) = pair(&selector, most).await?;
                assert!(poll_once(server.receive()).await.is_none());
                let before = descriptors();
                for count in [usize::from(most) + 1, 253] {
                    let lost = send_pipes(&client, b"too many", count).await?;
                    let kept = send_pipes(&client, b"kept", usize::from(most)).await?;
                    let error = server.receive_with_fds().await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: most.into() });
                    let text = error.to_string();
                    assert!(text.contains("receive_with_fds"), "{text}");
                    assert!(text.contains("descriptors_max"), "{text}");
                    assert!(text.contains(&client.local_address().to_string()), "{text}");
                    assert_all_ended(lost);
                    let (datagram, fds) = server.receive_with_fds().await?;
                    assert_eq!(datagram.payload, "kept");
                    assert_joined(fds, kept);
                }
                assert_eq!(descriptors(), before);
            }
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_process_without_numbers_loses_a_datagrams_descriptors_and_is_told() {
    alone("a_process_without_numbers_loses_a_datagrams_descriptors_and_is_told", || {
        in_host(async |selector: SelectorManager| {
            let (server, client) = pair(&selector, 5).await?;
            // It waits, so that the socket is watched and needs no descriptor any more.
            assert!(poll_once(server.receive()).await.is_none());
            let lost = send_pipes(&client, b"x", 5).await?;
            for left in [2, 0] {
                let full = NoDescriptors::but(left);
                let received = server.receive_with_fds().await;
                drop(full);
                let error = received.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                if left > 0 {
                    send_pipes(&client, b"x", 5).await?;
                }
            }
            assert_all_ended(lost);
            let kept = send_pipes(&client, b"y", 5).await?;
            assert_joined(server.receive_with_fds().await?.1, kept);
            Result::Ok(())
        })
        .unwrap();
    });
}

/// By a call that does not ask for them, with the socket that they have arrived at, and with a send that fails.
#[test]
fn descriptors_that_no_call_asks_for_are_closed() {
    counted_alone("descriptors_that_no_call_asks_for_are_closed", || {
        in_host(async |selector: SelectorManager| {
            let (server, client) = pair(&selector, 253).await?;
            assert!(poll_once(server.receive()).await.is_none());
            let before = descriptors();
            let mut lost = Vec::new();
            for _ in 0..3 {
                lost.extend(send_pipes(&client, b"x", 100).await?);
            }
            assert_eq!(server.receive().await?.payload, "x");
            assert_eq!(server.try_receive()?.expect("it is here").payload, "x");
            assert_eq!(server.incoming().next().await.expect("open")?.payload, "x");
            assert_all_ended(lost);
            assert_eq!(descriptors(), before);

            let left = send_pipes(&client, b"left", 100).await?;
            server.close();
            assert_all_ended(left);

            let (readers, writers) = pipes(2);
            let fds: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
            let error = client.send_with_fds("x", &fds).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.to_string().starts_with("send_with_fds"), "{error}");
            drop(writers);
            assert_all_ended(readers);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_receive_that_is_dropped_takes_no_descriptor() {
    run(async |selector| {
        let (server, client) = pair(&selector, 2).await?;
        {
            let mut dropped = pin!(server.receive_with_fds());
            assert!(poll_once(&mut dropped).await.is_none());
            // It is woken, and dropped before it is polled again.
            let sent = send_pipes(&client, b"one", 2).await?;
            forebay::yield_now().await;
            let other = server.clone();
            let (datagram, fds) = other.receive_with_fds().await?;
            assert_eq!(datagram.payload, "one");
            assert_joined(fds, sent);
        }
        // A close ends one that waits.
        let waiting = server.clone();
        let waiting = selector.spawn_value(async move { waiting.receive_with_fds().await });
        forebay::yield_now().await;
        server.close();
        let error = waiting.await?.unwrap_err();
        assert!(error.is_closed() && error.to_string().starts_with("receive_with_fds"), "{error}");
        let file = File::open("/dev/null").unwrap();
        let fds = [file.as_fd()];
        let error = server.send_with_fds("x", &fds, client.local_address()).await.unwrap_err();
        assert!(error.is_closed(), "{error}");
        Ok(())
    });
}

/// A full queue makes each kind of sender wait, and a dropped call has sent nothing.
#[test]
fn a_send_that_is_dropped_has_sent_neither_bytes_nor_descriptors() {
    watched(|| {
        run_on_one_worker(async |selector| {
            let (server, client) = pair(&selector, 4).await?;
            let bound = builder(&selector, 4).bind(abstract_name("bound")).await?;
            let mut full = 0;
            while client.try_send("full")? {
                full += 1;
            }
            let (readers, writers) = pipes(2);
            let fds: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
            {
                let mut first = pin!(client.send_with_fds("dropped", &fds));
                let mut second = pin!(bound.send_with_fds("dropped", &fds, server.local_address()));
                assert!(poll_once(&mut first).await.is_none());
                assert!(poll_once(&mut second).await.is_none());
            }
            drop(writers);
            assert_all_ended(readers);

            let sender = client.clone();
            let sending =
                selector.spawn_value(async move { send_pipes(&sender, b"sent", 2).await });
            let to = server.local_address().clone();
            let by_name =
                selector.spawn_value(async move { send_pipes_to(&bound, b"sent", 2, &to).await });
            forebay::yield_now().await;
            for _ in 0..full {
                assert_eq!(server.receive_with_fds().await?.0.payload, "full");
            }
            let mut all = Vec::new();
            for _ in 0..2 {
                let (datagram, fds) = server.receive_with_fds().await?;
                assert_eq!(datagram.payload, "sent");
                let is_by_name = &datagram.address != client.local_address();
                all.push((is_by_name, fds));
            }
            all.sort_by_key(|(is_by_name, _)| *is_by_name);
            for (fds, sent) in all.into_iter().zip([sending.await??, by_name.await??]) {
                assert_joined(fds.1, sent);
            }
            assert!(server.try_receive()?.is_none());
            Ok(())
        });
    });
}

#[test]
fn what_cannot_be_passed_is_refused_and_nothing_is_sent() {
    run(async |selector| {
        let (server, client) = pair(&selector, 0).await?;
        let file = File::open("/dev/null").unwrap();
        for fds in [vec![], vec![file.as_fd(); 254]] {
            let by_name = server.send_with_fds("x", &fds, client.local_address()).await;
            for sent in [client.send_with_fds("x", &fds).await, by_name] {
                let error = sent.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains("1 to 253"), "{error}");
            }
        }
        client.send_with_fds("x", &[file.as_fd()]).await?;
        let received = (server.receive_with_fds().await, client.receive_with_fds().await);
        for error in [received.0.unwrap_err(), received.1.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("descriptors_max"), "{error}");
        }
        assert_eq!(server.receive().await?.payload, "x");
        assert!(server.try_receive()?.is_none() && client.try_receive()?.is_none());
        Ok(())
    });
}

/// In a process of its own: one that another test starts has the server for a moment.
#[test]
fn a_server_that_was_started_again_receives_descriptors() {
    alone("a_server_that_was_started_again_receives_descriptors", || {
        run(async |selector| {
            let (server, client) = pair(&selector, 2).await?;
            let address = server.local_address().clone();
            drop(server);
            let error = send_pipes(&client, b"to none", 1).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            let server = builder(&selector, 2).bind(&address).await?;
            let sent = send_pipes(&client, b"again", 2).await?;
            let (datagram, fds) = server.receive_with_fds().await?;
            assert_eq!(datagram.payload, "again");
            assert_joined(fds, sent);
            Ok(())
        });
    });
}

/// The credentials take no room of theirs.
#[test]
fn a_datagrams_descriptors_come_beside_credentials() {
    run(async |selector| {
        let asking = |fd: BorrowedFd<'_>| Ok(set_socket_passcred(fd, true)?);
        let server = builder(&selector, 3).configure(asking).bind(abstract_name("asks")).await?;
        let client = builder(&selector, 3).connect(server.local_address()).await?;
        for count in [1, 2, 3] {
            let sent = send_pipes(&client, b"x", count).await?;
            assert_joined(server.receive_with_fds().await?.1, sent);
        }
        let lost = send_pipes(&client, b"x", 4).await?;
        assert!(server.receive_with_fds().await.unwrap_err().is_limit());
        assert_all_ended(lost);
        Ok(())
    });
}

#[test]
fn sockets_that_were_taken_over_pass_descriptors() {
    run(async |selector| {
        let (one, two) = StdDatagram::pair().unwrap();
        let one = ConnectedUnixDatagramSocket::from_fd(builder(&selector, 3), one.into())?;
        let two = ConnectedUnixDatagramSocket::from_fd(builder(&selector, 3), two.into())?;
        let sent = send_pipes(&one, b"x", 3).await?;
        let (datagram, fds) = two.receive_with_fds().await?;
        assert_eq!(datagram.payload, "x");
        assert_joined(fds, sent);
        Ok(())
    });
}

/// Binds the path of the second argument, greets the path of the first, and sends back what it is sent with its
/// descriptors, twice over. Its `send_fds` loses the address.
const PYTHON: &str = "import array, os, socket, sys\n\
    it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
    it.bind(sys.argv[2])\n\
    it.sendto(b'here', sys.argv[1])\n\
    for _ in range(2):\n    \
        text, fds, flags, sender = socket.recv_fds(it, 100, 10)\n    \
        assert sender == sys.argv[1] and not flags & socket.MSG_CTRUNC\n    \
        for number, fd in enumerate(fds):\n        \
            os.write(fd, b'python %d' % number)\n    \
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))]\n    \
        it.sendmsg([b'back ' + text], rights, 0, sender)\n    \
        for fd in fds:\n        \
            os.close(fd)\n";

#[test]
fn datagrams_pass_descriptors_to_and_from_python() {
    let test = "datagrams_pass_descriptors_to_and_from_python";
    run(async move |selector| {
        let directory = Directory::new();
        let (ours, theirs) = (directory.join("server"), directory.join("python"));
        let server = builder(&selector, 10).bind(&ours).await?;
        let mut python = Command::new("python3");
        python.args(["-c", PYTHON]).args([&ours, &theirs]);
        let Some(peer) = Foreign::start(test, piped(&mut python)) else { return Ok(()) };
        assert_eq!(server.receive_with_fds().await?.0.payload, "here");
        for round in 1..3 {
            let sent =
                send_pipes_to(&server, b"over", round, &UnixAddress::Path(theirs.clone())).await?;
            let (datagram, fds) = server.receive_with_fds().await?;
            assert_eq!(datagram.payload, "back over");
            assert_eq!(datagram.address, UnixAddress::Path(theirs.clone()));
            assert_eq!(fds.len(), round);
            for (number, fd) in fds.into_iter().enumerate() {
                std::io::Write::write_all(
                    &mut File::from(fd),
                    format!(", ours {number}").as_bytes(),
                )?;
            }
            for (number, pipe) in sent.into_iter().enumerate() {
                let written = std::io::read_to_string(pipe)?;
                assert_eq!(written, format!("python {number}, ours {number}"));
            }
        }
        assert_eq!(peer.end_well(), "");
        Ok(())
    });
}
