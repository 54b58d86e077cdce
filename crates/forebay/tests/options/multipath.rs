//! Multipath TCP, and what becomes of it where the kernel, the other side or another option does not allow it.

use std::io::Write;
use std::time::Duration;

use forebay::{CloseReason, ErrorKind, KeepAlive, Result, SelectorManager, Socket};
use forebay_testing::{
    End, MIB, PATIENCE, PLUG, dial, in_host, on_a_cable, pattern, reset, role, say, settle, skip,
    until_that,
};
use socket2::{Domain, SockAddr, Type};

use crate::namespace::{in_a_namespace, read_to_end};

/// True if this kernel has sockets of multipath TCP, and may use them.
fn is_possible(name: &str) -> bool {
    let enabled = std::fs::read_to_string("/proc/sys/net/mptcp/enabled");
    let is_enabled = enabled.is_ok_and(|enabled| enabled.trim() == "1");
    if !is_enabled {
        skip(name, "no multipath TCP in this kernel");
    }
    is_enabled
}

async fn echo_through(client: &Socket, accepted: &Socket) -> Result<()> {
    let (mut client, mut accepted) = (client.connection()?, accepted.connection()?);
    client.output.write_str("there\n").await?;
    assert_eq!(accepted.input.read_line().await?.as_deref(), Some("there"));
    accepted.output.write_str("and back\n").await?;
    assert_eq!(client.input.read_line().await?.as_deref(), Some("and back"));
    client.output.finish().await?;
    assert_eq!(accepted.input.read_line().await?, None);
    accepted.output.finish().await?;
    assert_eq!(client.input.read_line().await?, None);
    client.socket.close().await?;
    accepted.socket.close().await
}

#[test]
fn both_sides_tell_that_the_connection_is_of_multipath_tcp() {
    if !is_possible("both_sides_tell_that_the_connection_is_of_multipath_tcp") {
        return;
    }
    in_host(async |selector| {
        let server = selector.tcp().mptcp(true).bind("127.0.0.1:0").await?;
        assert_eq!(server.options()?.mptcp(), Some(true));
        // More than one, because the options of accepted sockets are looked at once where that is enough.
        for _ in 0..3 {
            let client = selector.tcp().mptcp(true).connect(server.local_address()).await?;
            let accepted = server.accept().await?;
            assert_eq!(client.options()?.mptcp(), Some(true));
            assert_eq!(accepted.options()?.mptcp(), Some(true));
            assert_eq!(accepted.options()?.no_delay(), Some(true));
            assert!(client.tcp_info()?.congestion_window() > 0);
            echo_through(&client, &accepted).await?;
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_large_transfer_over_multipath_tcp_is_whole() {
    if !is_possible("a_large_transfer_over_multipath_tcp_is_whole") {
        return;
    }
    in_host(async |selector| {
        let server = selector.tcp().mptcp(true).bind("127.0.0.1:0").await?;
        let client = selector.tcp().mptcp(true).connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        let bytes = pattern(8 * MIB);
        let sent = bytes.clone();
        let sending = selector.spawn(async move {
            let mut output = client.open_write_channel()?;
            for part in sent.chunks(MIB / 3) {
                output.write_all(part).await?;
            }
            drop(output);
            client.close().await
        });
        let read = read_to_end(&mut accepted.open_read_channel()?).await?;
        assert!(read == bytes);
        sending.await
    })
    .unwrap();
}

#[test]
fn a_plain_peer_makes_it_plain_tcp() {
    if !is_possible("a_plain_peer_makes_it_plain_tcp") {
        return;
    }
    in_host(async |selector| {
        // Between connections of both kinds.
        let server =
            selector.tcp().mptcp(true).keep_alive(KeepAlive::default()).notsent_lowat(9_999);
        let server = server.bind("127.0.0.1:0").await?;
        for is_multipath in [true, false, true, false] {
            let builder = selector.tcp().mptcp(is_multipath);
            let client = builder.connect(server.local_address()).await?;
            let accepted = server.accept().await?;
            let options = accepted.options()?;
            assert_eq!(options.mptcp(), Some(is_multipath));
            assert_eq!(options.no_delay(), Some(true), "{options:?}");
            assert_eq!(options.keep_alive(), Some(KeepAlive::default()), "{options:?}");
            assert_eq!(options.notsent_lowat(), Some(9_999), "{options:?}");
            echo_through(&client, &accepted).await?;
        }
        let mut foreign = dial(server.port());
        let accepted = server.accept().await?;
        assert_eq!(accepted.options()?.mptcp(), Some(false));
        foreign.write_all(b"from std\n").unwrap();
        let line = accepted.open_read_channel()?.read_line().await?;
        assert_eq!(line.as_deref(), Some("from std"));

        let plain = selector.tcp().bind("127.0.0.1:0").await?;
        let client = selector.tcp().mptcp(true).connect(plain.local_address()).await?;
        assert_eq!(client.options()?.mptcp(), Some(false));
        echo_through(&client, &plain.accept().await?).await
    })
    .unwrap();
}

/// A client that has fallen back sees neither an end nor an error in its events, and `recv` is `ENOTCONN`.
#[test]
fn the_reset_of_a_plain_peer_is_a_reset() {
    if !is_possible("the_reset_of_a_plain_peer_is_a_reset") {
        return;
    }
    in_host(async |selector| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for waits_first in [true, false] {
            let connecting = selector.tcp().mptcp(true).connect(listener.local_addr().unwrap());
            let client = connecting.await?;
            let (peer, _) = listener.accept().unwrap();
            let mut input = client.open_read_channel()?;
            let error = if waits_first {
                let reading = selector.spawn_value(async move { input.read_u8().await });
                settle().await;
                reset(peer);
                reading.await?.unwrap_err()
            } else {
                reset(peer);
                input.read_u8().await.unwrap_err()
            };
            assert_eq!(error.kind(), ErrorKind::Reset, "{error}");
            assert_eq!(client.closed().await, CloseReason::Reset);
        }
        // Without a reader, too.
        let client = selector.tcp().mptcp(true).connect(listener.local_addr().unwrap()).await?;
        let (peer, _) = listener.accept().unwrap();
        let watched = client.clone();
        let closed = selector.spawn_value(async move { watched.closed().await });
        settle().await;
        reset(peer);
        assert_eq!(closed.await?, CloseReason::Reset);
        Ok(())
    })
    .unwrap();
}

#[test]
fn another_option_that_multipath_tcp_refuses_makes_it_plain_tcp() {
    in_host(async |selector| {
        let builder = selector.tcp().mptcp(true).ttl(33).user_timeout(Duration::from_secs(9));
        let server = builder.clone().bind("127.0.0.1:0").await?;
        let client = builder.connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        for options in [server.options()?, client.options()?, accepted.options()?] {
            assert_eq!(options.ttl(), Some(33));
            assert_eq!(options.user_timeout(), Some(Duration::from_secs(9)));
            assert_eq!(options.mptcp(), Some(false));
        }
        // An option that plain TCP refuses too is an error all the same.
        let refused = selector.tcp().mptcp(true).ttl(0).bind("127.0.0.1:0").await.unwrap_err();
        assert!(refused.to_string().contains("ttl"), "{refused}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_kernel_that_is_set_to_refuse_it_makes_plain_tcp() {
    let settings = [("mptcp/enabled", "0")];
    in_a_namespace("a_kernel_that_is_set_to_refuse_it_makes_plain_tcp", &settings, || {
        in_host(async |selector: SelectorManager| {
            let server = selector.tcp().mptcp(true).bind("127.0.0.1:0").await?;
            let client = selector.tcp().mptcp(true).connect(server.local_address()).await?;
            let accepted = server.accept().await?;
            for options in [server.options()?, client.options()?, accepted.options()?] {
                assert_eq!(options.mptcp(), Some(false));
            }
            echo_through(&client, &accepted).await
        })
        .unwrap();
    });
}

/// Closing waits for the peer's acknowledgement, which multipath TCP counts by itself.
#[test]
fn a_close_over_multipath_tcp_loses_nothing() {
    if !is_possible("a_close_over_multipath_tcp_loses_nothing") {
        return;
    }
    in_host(async |selector| {
        let server = selector.tcp().mptcp(true).bind("127.0.0.1:0").await?;
        let client = selector.tcp().mptcp(true).connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        let mut output = client.open_write_channel()?;
        output.write_all(&pattern(MIB)).await?;
        drop((output, client));
        let mut input = accepted.open_read_channel()?;
        let read = read_to_end(&mut input).await?;
        assert!(read == pattern(MIB));
        drop((accepted, input));
        until_that("both are closed", || selector.stats().sockets == 1).await;
        assert_eq!(selector.stats().unacknowledged, 0);
        Ok(())
    })
    .unwrap();
}

/// Over a second address of the client, which the kernel joins to the connection (`ip-mptcp(8)`).
#[test]
fn a_transfer_over_two_paths_is_whole_both_ways() {
    const NAME: &str = "a_transfer_over_two_paths_is_whole_both_ways";
    const BYTES: usize = 16 * MIB;
    let answer = || -> Vec<u8> { pattern(BYTES).into_iter().rev().collect() };
    match role().as_deref() {
        Some("server") => in_host(async |selector| {
            let server = selector.tcp().mptcp(true).bind((End::Right.address(), 7_072)).await?;
            say("listening");
            let accepted = server.accept().await?;
            let (mut input, mut output) =
                (accepted.open_read_channel()?, accepted.open_write_channel()?);
            assert!(read_to_end(&mut input).await? == pattern(BYTES));
            output.write_bytes(answer().into()).await?;
            drop(output);
            accepted.close().await
        })
        .unwrap(),
        Some(_) => in_host(async |selector| {
            let address = (End::Right.address(), 7_072);
            let client = selector.tcp().mptcp(true).connect(address).await?.connection()?;
            let (mut input, mut output) = (client.input, client.output);
            output.write_bytes(pattern(BYTES).into()).await?;
            output.flush().await?;
            say(&format!("{:?}", client.socket.options()?.mptcp()));
            std::io::stdin().read_line(&mut String::new()).unwrap();
            output.finish().await?;
            assert!(read_to_end(&mut input).await? == answer());
            client.socket.close().await?;
            say("whole");
            Ok(())
        })
        .unwrap(),
        None if !is_possible(NAME) => {}
        None => on_a_cable(NAME, PATIENCE, |cable| {
            let limits =
                ["ip", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2"];
            for end in End::BOTH {
                cable.run(end, &limits);
            }
            cable.run(End::Left, &["ip", "address", "add", "10.77.0.3/24", "dev", PLUG]);
            cable.run(
                End::Left,
                &["ip", "mptcp", "endpoint", "add", "10.77.0.3", "dev", PLUG, "subflow"],
            );
            let mut server = cable.start(End::Right, NAME, "server");
            assert_eq!(server.hear().as_deref(), Some("listening"));
            let mut client = cable.start(End::Left, NAME, "client");
            assert_eq!(client.hear().as_deref(), Some("Some(true)"));
            let paths = cable.run(End::Left, &["cat", "/proc/net/tcp"]);
            let established = paths.lines().filter(|line| line.contains(":1BA0 01 "));
            assert_eq!(established.count(), 2, "{paths}");
            client.tell("the rest");
            assert_eq!(client.hear().as_deref(), Some("whole"));
            client.end();
            server.end();
        }),
    }
}

/// Whatever the kernel says of options on a socket whose peer is gone, it is no error of `accept`.
#[test]
fn a_peer_that_resets_before_it_is_accepted_does_not_end_accepting() {
    if !is_possible("a_peer_that_resets_before_it_is_accepted_does_not_end_accepting") {
        return;
    }
    in_host(async |selector| {
        let builder = selector.tcp().mptcp(true).notsent_lowat(9_999).type_of_service(0x48);
        let builder = builder.receive_buffer_size(9_999).send_buffer_size(9_999).bind_device("lo");
        let server = builder.keep_alive(None).bind("127.0.0.1:0").await?;
        let to = SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], server.port())));
        for protocol in [socket2::Protocol::MPTCP, socket2::Protocol::TCP] {
            for sends_first in [false, true] {
                let hasty =
                    socket2::Socket::new(Domain::IPV4, Type::STREAM, Some(protocol)).unwrap();
                hasty.connect(&to).unwrap();
                if sends_first {
                    hasty.send(b"x").unwrap();
                }
                reset(hasty.into());
                let patient = dial(server.port());
                // The hasty one may be accepted, and is found to be gone then.
                loop {
                    let accepted = server.accept().await?;
                    if accepted.remote_address().as_inet() == Some(patient.local_addr().unwrap()) {
                        break;
                    }
                }
            }
        }
        Ok(())
    })
    .unwrap();
}
