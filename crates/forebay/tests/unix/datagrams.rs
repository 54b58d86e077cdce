//! Datagrams over Unix sockets: whole, once and in order, to a receiver that may be slow, gone, or started again.

#![cfg(target_os = "linux")]

use std::env::set_current_dir;
use std::fs::File;
use std::os::unix::net::{UnixDatagram as StdDatagram, UnixListener};
use std::pin::pin;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, ErrorKind, Result, SelectorManager,
    UnixAddress,
};
use forebay_testing::{
    alone, counted_alone, in_host, lock, run, run_on_one_worker, skip,
    unix::{Directory, abstract_name, mode},
    until, wait_for, watched,
};
use futures_lite::StreamExt;
use futures_lite::future::{poll_once, zip};

/// The datagrams that an unread socket holds.
fn queue_length() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    text.trim().parse::<usize>().unwrap() + 1
}

async fn bind(
    selector: &SelectorManager,
    at: impl forebay::ToUnixAddress,
) -> Result<BoundUnixDatagramSocket> {
    selector.unix().datagram().bind(at).await
}

async fn connect(
    selector: &SelectorManager,
    to: impl forebay::ToUnixAddress,
) -> Result<ConnectedUnixDatagramSocket> {
    selector.unix().datagram().connect(to).await
}

#[test]
fn each_arrives_whole_with_the_address_of_its_sender() {
    run(async |selector| {
        let directory = Directory::new();
        let (server_path, client_path) = (directory.join("server"), directory.join("client"));
        let server = bind(&selector, &server_path).await?;
        assert_eq!(server.local_address(), &UnixAddress::Path(server_path.clone()));
        let builder = selector.unix().datagram().local_address(&client_path);
        let client = builder.connect(&server_path).await?;
        assert_eq!(client.local_address(), &UnixAddress::Path(client_path.clone()));
        assert_eq!(client.remote_address(), server.local_address());
        let large = vec![7; 200_000];
        for payload in [&b"one"[..], b"", &large, b"last"] {
            client.send(payload).await?;
            let datagram = server.receive().await?;
            assert_eq!(datagram.payload, payload);
            assert_eq!(&datagram.address, client.local_address());
            assert!(!datagram.truncated);
            server.send(payload, &datagram.address).await?;
            assert_eq!(client.receive().await?.payload, payload);
        }
        let named = bind(&selector, abstract_name("datagrams")).await?;
        named.send("by name", &server_path).await?;
        assert_eq!(&server.receive().await?.address, named.local_address());
        connect(&selector, named.local_address()).await?.send("no name").await?;
        assert_eq!(named.receive().await?.address, UnixAddress::Unnamed);
        assert!(server.try_receive()?.is_none() && client.try_receive()?.is_none());
        Ok(())
    });
}

#[test]
fn a_long_one_is_cut_and_marked_and_the_next_one_is_whole() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        for (most, expected) in [(10, 10), (99, 99), (100, 100), (101, 100), (0, 0)] {
            let builder = selector.unix().datagram().max_datagram(most);
            let server = builder.bind(&path).await?;
            let client = connect(&selector, &path).await?;
            client.send([7; 100]).await?;
            client.send("").await?;
            let datagram = server.receive().await?;
            assert_eq!(datagram.payload, vec![7; expected]);
            assert_eq!(datagram.truncated, most < 100);
            let empty = server.receive().await?;
            assert!(empty.payload.is_empty() && !empty.truncated);
        }
        Ok(())
    });
}

#[test]
fn one_that_is_too_large_is_refused_and_nothing_is_sent() {
    run(async |selector| {
        let server = bind(&selector, abstract_name("too-large")).await?;
        let client = connect(&selector, server.local_address()).await?;
        let large = vec![7; 10 << 20];
        let errors = [
            client.send(&large).await.unwrap_err(),
            client.try_send(&large).unwrap_err(),
            server.send(&large, server.local_address()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::MessageTooLarge, "{error}");
            assert!(error.to_string().contains("10485760 bytes; send_buffer_size"), "{error}");
        }
        client.send("small").await?;
        assert_eq!(server.receive().await?.payload, "small");
        assert!(server.try_receive()?.is_none());
        Ok(())
    });
}

/// Both are easy to do wrong, and the error says what to do instead.
#[test]
fn a_socket_of_another_kind_and_one_without_a_name_are_told() {
    run(async |selector| {
        let directory = Directory::new();
        let [streams, datagrams] = ["streams", "datagrams"].map(|name| directory.join(name));
        let (_listener, socket) =
            (UnixListener::bind(&streams)?, bind(&selector, &datagrams).await?);
        let told = "the socket that is open there is not of this kind";
        for error in [
            selector.unix().connect(&datagrams).await.unwrap_err(),
            connect(&selector, &streams).await.unwrap_err(),
            socket.send("x", &streams).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(told), "{error}");
        }
        connect(&selector, &datagrams).await?.send("from nowhere").await?;
        let question = socket.receive().await?;
        let error = socket.send("answer", &question.address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("bound, which its own side does"), "{error}");
        Ok(())
    });
}

/// A full queue makes each kind of sender wait until there is room; the order stays, and each arrives once.
#[test]
fn senders_to_a_full_receiver_wait_for_room() {
    watched(|| {
        run_on_one_worker(async |selector| {
            let server = bind(&selector, abstract_name("full")).await?;
            let to = server.local_address();
            let (connected, bound) =
                (connect(&selector, to).await?, bind(&selector, abstract_name("sender")).await?);
            let mut accepted = 0;
            while connected.try_send([accepted])? {
                accepted += 1;
            }
            assert_eq!(usize::from(accepted), queue_length());
            assert!(!bound.try_send("more", to)?);
            {
                // A call that is dropped has sent nothing.
                let (mut first, mut second) =
                    (pin!(connected.send("dropped")), pin!(bound.send("dropped", to)));
                assert!(poll_once(&mut first).await.is_none());
                assert!(poll_once(&mut second).await.is_none());
            }
            for sends_by_name in [false, true] {
                let last = [100 + u8::from(sends_by_name)];
                let (connected, bound, to) = (connected.clone(), bound.clone(), to.clone());
                let sending = selector.spawn(async move {
                    if sends_by_name {
                        bound.send(last, &to).await
                    } else {
                        connected.send(last).await
                    }
                });
                selector.spawn(async { Ok(()) }).await?;
                assert!(!sending.is_finished());
                server.receive().await?;
                sending.await?;
            }
            let mut left = Vec::new();
            while let Some(datagram) = server.try_receive()? {
                left.extend_from_slice(&datagram.payload);
            }
            let expected: Vec<_> = (2..accepted).chain([100, 101]).collect();
            assert_eq!(left, expected);
            Ok(())
        });
    });
}

#[test]
fn many_senders_and_receivers_lose_nothing() {
    const EACH: u32 = 500;
    watched(|| {
        run(async |selector| {
            let server = bind(&selector, abstract_name("many")).await?;
            let mut senders = Vec::new();
            for sender in 0..4_u32 {
                let socket = connect(&selector, server.local_address()).await?;
                let (bound, to) = (server.clone(), server.local_address().clone());
                senders.push(selector.spawn(async move {
                    for number in 0..EACH {
                        let payload = (sender * EACH + number).to_be_bytes();
                        if sender == 3 {
                            bound.send(payload, &to).await?;
                        } else {
                            socket.send(payload).await?;
                        }
                    }
                    Ok(())
                }));
            }
            let numbers = Arc::new(Mutex::new(Vec::new()));
            let mut receivers = Vec::new();
            for _ in 0..2 {
                let (server, numbers) = (server.clone(), Arc::clone(&numbers));
                receivers.push(selector.spawn(async move {
                    let mut incoming = server.incoming();
                    while let Some(datagram) = incoming.next().await {
                        let number = u32::from_be_bytes(datagram?.payload[..].try_into().unwrap());
                        lock(&numbers).push(number);
                    }
                    Ok(())
                }));
            }
            for sender in senders {
                sender.await?;
            }
            until(|| lock(&numbers).len() == 4 * EACH as usize).await;
            server.close();
            for receiver in receivers {
                receiver.await?;
            }
            let mut numbers = std::mem::take(&mut *lock(&numbers));
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..4 * EACH));
            Ok(())
        });
    });
}

/// Linux forgets the peer with the first error, and then says "not connected" forever.
#[test]
fn a_server_that_was_started_again_is_reached() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = bind(&selector, &path).await?;
        let client = connect(&selector, &path).await?;
        client.send("one").await?;
        assert_eq!(server.receive().await?.payload, "one");
        for round in 0..2 {
            server.close();
            for _ in 0..3 {
                let error = client.send("to none").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                assert_eq!(client.try_send("to none").unwrap_err().kind(), ErrorKind::NotFound);
            }
            drop(StdDatagram::bind(&path).unwrap());
            wait_for(|| StdDatagram::unbound().unwrap().connect(&path).is_err());
            for _ in 0..3 {
                let error = client.send("to none").await.unwrap_err();
                assert!(error.is_refused(), "{error}");
                assert!(error.to_string().contains("no socket is open at this path"), "{error}");
            }
            let server = selector.unix().datagram().replace_stale().bind(&path).await?;
            // The first one arrives, without an error.
            client.send([round]).await?;
            assert_eq!(server.receive().await?.payload, [round][..]);
            server.close();
        }
        Ok(())
    });
}

#[test]
fn a_server_that_was_replaced_at_once_is_reached_without_an_error() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let mut server = bind(&selector, &path).await?;
        let client = connect(&selector, &path).await?;
        for round in 0..5_u8 {
            // A sender that waits for room finds the new one too.
            let full = connect(&selector, &path).await?;
            while full.try_send("old")? {}
            let mut waiting = pin!(full.send("waited"));
            assert!(poll_once(&mut waiting).await.is_none());
            server.close();
            server = bind(&selector, &path).await?;
            waiting.await?;
            assert_eq!(server.receive().await?.payload, "waited");
            client.send([round]).await?;
            assert_eq!(server.receive().await?.payload, [round][..]);
        }
        Ok(())
    });
}

#[test]
fn the_peer_is_found_again_whatever_the_directory_is() {
    alone("the_peer_is_found_again_whatever_the_directory_is", || {
        let directory = Directory::new();
        set_current_dir(directory.path()).unwrap();
        in_host(async |selector: SelectorManager| {
            let server = bind(&selector, "server").await?;
            let client = connect(&selector, "server").await?;
            set_current_dir("/").unwrap();
            server.close();
            assert_eq!(directory.names(), [""; 0]);
            let server = bind(&selector, directory.join("server")).await?;
            client.send("found").await?;
            assert_eq!(server.receive().await?.payload, "found");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn only_the_peer_may_write_to_a_connected_socket() {
    run(async |selector| {
        let directory = Directory::new();
        let (path, own) = (directory.join("server"), directory.join("client"));
        let server = bind(&selector, &path).await?;
        let client = selector.unix().datagram().local_address(&own).connect(&path).await?;
        let stranger = bind(&selector, directory.join("stranger")).await?;
        let error = stranger.send("hello", &own).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("has another peer"), "{error}");
        let error = connect(&selector, &own).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        server.send("hello", &own).await?;
        assert_eq!(client.receive().await?.payload, "hello");
        Ok(())
    });
}

#[test]
fn a_close_ends_every_call_that_waits() {
    watched(|| {
        run(async |selector| {
            let full = bind(&selector, abstract_name("never-read")).await?;
            let to = full.local_address().clone();
            let connected = connect(&selector, &to).await?;
            let bound = bind(&selector, abstract_name("closes")).await?;
            while connected.try_send("x")? {}
            let mut waiting = Vec::new();
            for _ in 0..2 {
                let (connected, bound, to) = (connected.clone(), bound.clone(), to.clone());
                let also = bound.clone();
                waiting.push(
                    selector.spawn_value(async move { bound.send("y", &to).await.unwrap_err() }),
                );
                waiting
                    .push(selector.spawn_value(async move { also.receive().await.unwrap_err() }));
                let also = connected.clone();
                waiting
                    .push(selector.spawn_value(async move { also.send("y").await.unwrap_err() }));
                waiting.push(
                    selector.spawn_value(async move { connected.receive().await.unwrap_err() }),
                );
            }
            let mut incoming = bound.incoming();
            assert!(poll_once(incoming.next()).await.is_none());
            forebay_testing::settle().await;
            let closes = zip(bound.closed(), connected.closed());
            zip(closes, async {
                bound.close();
                connected.close();
            })
            .await;
            for call in waiting {
                let error = call.await?;
                assert!(error.is_closed(), "{error}");
            }
            assert!(
                incoming.next().await.is_none() && StreamExt::next(&mut incoming).await.is_none()
            );
            assert!(bound.is_closed() && bound.try_receive().unwrap_err().is_closed());
            assert!(connected.try_send("z").unwrap_err().is_closed());
            Ok(())
        });
    });
}

#[test]
fn a_closed_selector_closes_its_datagram_sockets_and_leaves_nothing() {
    counted_alone("a_closed_selector_closes_its_datagram_sockets_and_leaves_nothing", || {
        let directory = Directory::new();
        in_host(async |outer: SelectorManager| {
            let selector = SelectorManager::new();
            let server = bind(&selector, directory.join("server")).await?;
            let client = connect(&selector, server.local_address()).await?;
            let receiving = server.clone();
            let receiving =
                outer.spawn_value(async move { receiving.receive().await.unwrap_err() });
            selector.close().await;
            assert!(receiving.await?.is_closed());
            assert!(server.is_closed() && client.is_closed());
            assert_eq!(directory.names(), [""; 0]);
            assert!(bind(&selector, directory.join("late")).await.unwrap_err().is_closed());
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_stale_path_is_replaced_and_nothing_else() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let replacing = || selector.unix().datagram().replace_stale().bind(&path);
        drop(StdDatagram::bind(&path).unwrap());
        wait_for(|| StdDatagram::unbound().unwrap().connect(&path).is_err());
        let error = bind(&selector, &path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
        drop(replacing().await?);
        assert_eq!(directory.names(), [""; 0]);

        let refused = async |told: &str| {
            let error = replacing().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
            assert!(error.to_string().contains(told), "{error}");
        };
        let live = StdDatagram::bind(&path).unwrap();
        refused("a server listens there").await;
        // One that has a peer refuses to be connected to.
        let peer = StdDatagram::bind(directory.join("peer")).unwrap();
        live.connect(directory.join("peer")).unwrap();
        refused("a socket of another kind is open there").await;
        drop((live, peer));
        std::fs::remove_file(&path).unwrap();
        let stream = UnixListener::bind(&path).unwrap();
        refused("a socket of another kind is open there").await;
        let as_stream = selector.unix().replace_stale().bind(&directory.join("peer")).await?;
        drop((stream, as_stream));
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap();
        refused("the path is no socket").await;
        Ok(())
    });
}

#[test]
fn the_path_has_the_mode_and_is_removed_with_the_socket() {
    run(async |selector| {
        let directory = Directory::new();
        let (path, own) = (directory.join("server"), directory.join("client"));
        let server = selector.unix().datagram().mode(0o622).bind(&path).await?;
        assert_eq!(mode(&path), 0o622);
        let builder = selector.unix().datagram().mode(0o600).local_address(&own);
        let client = builder.connect(&path).await?;
        assert_eq!(mode(&own), 0o600);
        let also = server.clone();
        drop(server);
        also.close();
        drop(client);
        assert_eq!(directory.names(), [""; 0]);
        let builder = selector.unix().datagram().mode(0o600);
        let error = builder.bind(abstract_name("mode")).await.unwrap_err();
        assert_eq!(error.operation(), "mode", "{error}");
        let failed = selector.unix().datagram().local_address(&own).connect(&path).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(directory.names(), [""; 0], "what a failed call has made");
        Ok(())
    });
}

#[test]
fn python_and_socat_send_and_receive_datagrams() {
    let test = "python_and_socat_send_and_receive_datagrams";
    run(async move |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = bind(&selector, &path).await?;
        let script = "import socket, sys\n\
                      it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                      it.bind(sys.argv[2])\n\
                      for text in (b'one', b'', b'x' * 100000):\n    \
                          it.sendto(text, sys.argv[1])\n    \
                          back, sender = it.recvfrom(200000)\n    \
                          assert back == text and sender == sys.argv[1], (len(back), sender)\n";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(&path).arg(directory.join("python"));
        if let Ok(mut python) = python.spawn() {
            for length in [3, 0, 100_000] {
                let datagram = server.receive().await?;
                assert_eq!(datagram.payload.len(), length);
                server.send(&datagram.payload, &datagram.address).await?;
            }
            assert!(python.wait().unwrap().success());
        } else {
            skip(test, "python3 is missing");
        }
        let to = format!("UNIX-SENDTO:{}", path.display());
        let mut socat = Command::new("socat");
        socat.args(["-u", "EXEC:echo from socat", &to]);
        match socat.spawn() {
            Ok(mut socat) => {
                assert_eq!(server.receive().await?.payload, "from socat\n");
                assert!(socat.wait().unwrap().success());
            }
            Err(_) => skip(test, "socat is missing"),
        }
        Ok(())
    });
}

/// A waiting call costs nothing while nothing happens.
#[test]
fn a_waiting_receiver_and_a_waiting_sender_do_not_spin() {
    run_on_one_worker(async |selector| {
        let full = bind(&selector, abstract_name("spin")).await?;
        let client = connect(&selector, full.local_address()).await?;
        while client.try_send("x")? {}
        let (sends, receives) = (client.clone(), client.clone());
        let sending = selector.spawn(async move { sends.send("y").await });
        let receiving = selector.spawn(async move { receives.receive().await.map(drop) });
        selector.sleep(Duration::from_millis(1)).await;
        let turns = || selector.worker_stats().iter().map(|worker| worker.turns).sum::<u64>();
        let before = turns();
        selector.sleep(Duration::from_millis(50)).await;
        assert!(turns() - before < 10, "{} turns", turns() - before);
        client.close();
        assert!(sending.await.unwrap_err().is_closed());
        assert!(receiving.await.unwrap_err().is_closed());
        Ok(())
    });
}

#[test]
fn the_options_are_told_and_the_descriptor_is_cloned() {
    run(async |selector| {
        let directory = Directory::new();
        let builder = selector.unix().datagram().mode(0o640).send_buffer_size(50_000);
        let server = builder.bind(directory.join("server")).await?;
        let told = server.options()?;
        assert_eq!((told.mode(), told.send_buffer_size()), (Some(0o640), Some(50_000)));
        let client = connect(&selector, server.local_address()).await?;
        assert_eq!(client.options()?.mode(), None);
        let clone = StdDatagram::from(client.try_clone_fd()?);
        clone.send(b"by the clone").unwrap();
        assert_eq!(server.receive().await?.payload, "by the clone");
        client.close();
        assert!(client.options().unwrap_err().is_closed());
        assert!(client.try_clone_fd().unwrap_err().is_closed());
        Ok(())
    });
}
