//! Other descriptors of a socket, and closing beside them.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use forebay::{ErrorKind, SelectorManager};
use forebay_testing::{
    connection_and_peer, counted_alone, dial, in_host, settle, socket_descriptors,
};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt;

#[test]
fn another_descriptor_is_of_the_same_socket() {
    in_host(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let client = selector.tcp().connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        let bound = selector.udp().bind("127.0.0.1:0").await?;
        let connected = selector.udp().connect(bound.local_address()).await?;
        let clones = [
            server.try_clone_fd()?,
            client.try_clone_fd()?,
            accepted.try_clone_fd()?,
            bound.try_clone_fd()?,
            connected.try_clone_fd()?,
        ];
        let numbers = clones.each_ref().map(AsRawFd::as_raw_fd);
        for clone in &clones {
            assert_eq!(fcntl_getfd(clone).unwrap(), FdFlags::CLOEXEC);
            sockopt::set_socket_send_buffer_size(clone, 30_000).unwrap();
        }
        let options = [client.options()?, accepted.options()?, bound.options()?];
        assert!(options.iter().all(|options| options.send_buffer_size() == Some(30_000)));
        assert_ne!(client.try_clone_fd()?.as_raw_fd(), numbers[1]);
        // Each is the caller's, and stays open.
        server.close();
        bound.close();
        connected.close();
        client.abort();
        for clone in &clones {
            assert_eq!(sockopt::socket_send_buffer_size(clone).unwrap(), 60_000);
        }
        for refused in [
            server.try_clone_fd().unwrap_err(),
            client.try_clone_fd().unwrap_err(),
            bound.try_clone_fd().unwrap_err(),
            connected.try_clone_fd().unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Closed, "{refused}");
            assert!(refused.to_string().contains("try_clone_fd"), "{refused}");
        }
        let memory = selector.duplex(10).0.socket;
        assert_eq!(memory.try_clone_fd().unwrap_err().kind(), ErrorKind::Unsupported);
        Ok(())
    })
    .unwrap();
}

/// Closing sends the end mark all the same. What arrives later wakes no call, and does not keep the worker busy.
#[test]
fn a_socket_is_closed_beside_another_descriptor() {
    in_host(async |selector| {
        for _ in 0..100 {
            let (connection, mut peer) = connection_and_peer(&selector).await?;
            let clone = connection.socket.try_clone_fd()?;
            let mut input = connection.input;
            let waiting = selector.spawn_value(async move { input.read_u8().await });
            settle().await;
            drop(connection.output);
            let closed = connection.socket.clone();
            let peer_ends = thread::spawn(move || {
                peer.read_to_end(&mut Vec::new()).unwrap();
                peer
            });
            closed.close().await?;
            assert!(waiting.await?.is_err());
            let peer = peer_ends.join().unwrap();
            // The number that was closed is the next connection's, whose events are its own.
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let other = dial(server.port());
            let next = server.accept().await?;
            let mut input = next.open_read_channel()?;
            let reading = selector.spawn_value(async move { input.read_u8().await });
            settle().await;
            assert!(!reading.is_finished());
            std::io::Write::write_all(&mut &other, b"!").unwrap();
            assert_eq!(reading.await??, b'!');
            drop((clone, peer));
        }
        Ok(())
    })
    .unwrap();
}

/// Asking for options, descriptors and the state of a connection, while another thread closes it.
#[test]
fn questions_beside_a_close_are_answered_or_refused() {
    counted_alone("questions_beside_a_close_are_answered_or_refused", || {
        in_host(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            settle().await;
            let before = socket_descriptors().len();
            for _ in 0..300 {
                let peer = dial(server.port());
                let socket = server.accept().await?;
                let udp = selector.udp().bind("127.0.0.1:0").await?;
                let ends = Arc::new(AtomicBool::new(false));
                let asking = {
                    let (socket, udp, ends) = (socket.clone(), udp.clone(), Arc::clone(&ends));
                    thread::spawn(move || {
                        let mut answered = 0_u32;
                        while !ends.load(Relaxed) || answered == 0 {
                            answered += u32::from(match socket.options() {
                                // All of it, or nothing.
                                Ok(options) => {
                                    options.no_delay() == Some(true) && options.ttl().is_some()
                                }
                                Err(error) => error.is_closed(),
                            });
                            let told = [
                                socket.tcp_info().map(drop),
                                socket.try_clone_fd().map(drop),
                                udp.options().map(drop),
                                udp.try_clone_fd().map(drop),
                            ];
                            let refused = told.into_iter().filter_map(Result::err);
                            refused.for_each(|error| assert_eq!(error.kind(), ErrorKind::Closed));
                        }
                    })
                };
                socket.abort();
                udp.close();
                ends.store(true, Relaxed);
                asking.join().unwrap();
                drop(peer);
            }
            settle().await;
            assert_eq!(socket_descriptors().len(), before);
            Ok(())
        })
        .unwrap();
    });
}
