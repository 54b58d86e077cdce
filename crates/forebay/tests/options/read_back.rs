//! Each option, set and read back.

use std::net::Ipv4Addr;
use std::time::Duration;

use forebay::{ErrorKind, KeepAlive, MulticastInterface, Result, SelectorManager, TcpBuilder};
use forebay::{UdpBuilder, UnixBuilder};
use forebay_testing::unix::Directory;
use forebay_testing::{in_host, run};

const SECOND: Duration = Duration::from_secs(1);

const PROBES: KeepAlive =
    KeepAlive { idle: Duration::from_secs(71), interval: Duration::from_secs(17), count: 5 };

/// Every option that concerns the life of a connection, which all stream sockets have.
macro_rules! of_a_life {
    ($builder:expr) => {
        $builder
            .backlog(17)
            .connect_timeout(3 * SECOND)
            .drain_limit(1_234)
            .drain_max(44 * SECOND)
            .drain_timeout(4 * SECOND)
            .idle_timeout(50 * SECOND)
            .read_timeout(51 * SECOND)
            .write_timeout(52 * SECOND)
            .receive_buffer_size(50_000)
            .send_buffer_size(60_000)
    };
}

fn tcp(selector: &SelectorManager) -> TcpBuilder {
    of_a_life!(selector.tcp())
        .bind_device("lo")
        .keep_alive(PROBES)
        .no_delay(false)
        .notsent_lowat(70_000)
        .reuse_address(false)
        .reuse_port(true)
        .ttl(33)
        .type_of_service(0x48)
        .user_timeout(5 * SECOND)
}

fn udp(selector: &SelectorManager) -> UdpBuilder {
    let builder = selector.udp().bind_device("lo").broadcast(true).max_datagram(1_500);
    let builder = builder.multicast_interface(Ipv4Addr::LOCALHOST.into()).multicast_loop(false);
    let builder = builder.multicast_ttl(7).receive_buffer_size(50_000).reuse_address(true);
    builder.reuse_port(true).send_buffer_size(60_000).ttl(33).type_of_service(0x48)
}

fn unix(selector: &SelectorManager) -> UnixBuilder {
    of_a_life!(selector.unix()).mode(0o620).replace_stale()
}

/// Fails with the name of an option that is not as expected.
macro_rules! assert_options {
    ($options:expr, { $($name:ident: $expected:expr),+ $(,)? }) => {{
        let options = $options;
        $(assert_eq!(options.$name(), $expected, concat!(stringify!($name), " of {:?}"), options);)+
    }};
}

#[test]
fn options_of_tcp_are_read_back() {
    in_host(async |selector| {
        let server = tcp(&selector).bind("127.0.0.1:0").await?;
        let client = tcp(&selector).connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        assert_options!(server.options()?, { backlog: Some(17), reuse_address: Some(false) });
        for options in [server.options()?, client.options()?, accepted.options()?] {
            assert_options!(&options, {
                bind_device: Some("lo".to_owned()),
                drain_limit: Some(1_234),
                drain_max: Some(44 * SECOND),
                drain_timeout: Some(4 * SECOND),
                keep_alive: Some(PROBES),
                mptcp: Some(false),
                no_delay: Some(false),
                notsent_lowat: Some(70_000),
                only_v6: None,
                receive_buffer_size: Some(50_000),
                reuse_port: Some(true),
                send_buffer_size: Some(60_000),
                ttl: Some(33),
                type_of_service: Some(0x48),
                user_timeout: Some(5 * SECOND),
                broadcast: None,
                max_datagram: None,
                mode: None,
            });
            assert_eq!(options.read_timeout(), Some(51 * SECOND));
            assert_eq!(options.write_timeout(), Some(52 * SECOND));
            assert_eq!(options.idle_timeout(), Some(50 * SECOND));
        }
        accepted.set_read_timeout(2 * SECOND);
        accepted.set_idle_timeout(None);
        let changed = accepted.options()?;
        assert_eq!((changed.read_timeout(), changed.idle_timeout()), (Some(2 * SECOND), None));
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_not_set_is_the_systems() {
    in_host(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let client = selector.tcp().connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        assert_options!(server.options()?, { backlog: Some(511), reuse_address: Some(true), fast_open: Some(0) });
        assert_options!(client.options()?, { reuse_address: Some(false) });
        for options in [server.options()?, client.options()?, accepted.options()?] {
            assert_options!(&options, {
                bind_device: None,
                drain_limit: Some(64 * 1024),
                drain_max: Some(300 * SECOND),
                drain_timeout: Some(10 * SECOND),
                fast_open: Some(0),
                idle_timeout: None,
                keep_alive: Some(KeepAlive::default()),
                no_delay: Some(true),
                notsent_lowat: Some(0),
                read_timeout: None,
                reuse_port: Some(false),
                ttl: Some(64),
                type_of_service: Some(0),
                user_timeout: None,
                write_timeout: None,
            });
            assert!(options.receive_buffer_size() > Some(10_000), "{options:?}");
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn options_of_udp_are_read_back() {
    in_host(async |selector| {
        let server = udp(&selector).bind("127.0.0.1:0").await?;
        let client = udp(&selector).connect(server.local_address()).await?;
        for options in [server.options()?, client.options()?] {
            assert_options!(&options, {
                bind_device: Some("lo".to_owned()),
                broadcast: Some(true),
                max_datagram: Some(1_500),
                multicast_interface: Some(MulticastInterface::Address(Ipv4Addr::LOCALHOST)),
                multicast_loop: Some(false),
                multicast_ttl: Some(7),
                packet_info: Some(false),
                receive_buffer_size: Some(50_000),
                reuse_address: Some(true),
                reuse_port: Some(true),
                send_buffer_size: Some(60_000),
                ttl: Some(33),
                type_of_service: Some(0x48),
                backlog: None,
                keep_alive: None,
                no_delay: None,
            });
        }
        server.close();
        assert_eq!(server.options().unwrap_err().kind(), ErrorKind::Closed);
        Ok(())
    })
    .unwrap();
}

#[test]
fn options_of_unix_sockets_are_read_back() {
    let directory = Directory::new();
    let path = directory.join("socket");
    in_host(async |selector| {
        let server = unix(&selector).bind(&path).await?;
        let client = unix(&selector).connect(&path).await?;
        let accepted = server.accept().await?;
        assert_options!(server.options()?, { backlog: Some(17), mode: Some(0o620), replace_stale: Some(true) });
        // An accepted Unix socket inherits nothing, so it is given all.
        for options in [server.options()?, client.options()?, accepted.options()?] {
            assert_options!(&options, {
                drain_limit: Some(1_234),
                read_timeout: Some(51 * SECOND),
                receive_buffer_size: Some(50_000),
                send_buffer_size: Some(60_000),
                no_delay: None,
                ttl: None,
            });
        }
        // Not what was asked for, but what is.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(server.options()?.mode(), Some(0o600));
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_connection_in_memory_has_the_limits_of_this_library() {
    in_host(async |selector| {
        let (left, _right) = selector.duplex(100);
        left.socket.set_read_timeout(2 * SECOND);
        let options = left.socket.options()?;
        assert_options!(&options, { read_timeout: Some(2 * SECOND), drain_limit: Some(64 * 1024) });
        assert_options!(&options, { ttl: None, receive_buffer_size: None, backlog: None });
        left.socket.abort();
        assert_eq!(left.socket.options().unwrap_err().kind(), ErrorKind::Closed);
        Ok(())
    })
    .unwrap();
}

#[test]
fn only_v6_leaves_ipv4_to_others() {
    run(async |selector: SelectorManager| {
        let Ok(server) = selector.tcp().only_v6(true).bind("[::]:0").await else {
            forebay_testing::skip("only_v6_leaves_ipv4_to_others", "no IPv6 here");
            return Ok(());
        };
        assert_eq!(server.options()?.only_v6(), Some(true));
        let other = selector.tcp().bind(("0.0.0.0", server.port())).await?;
        assert_eq!(other.options()?.only_v6(), None);
        let both = selector.udp().only_v6(false).bind("[::]:0").await?;
        assert_eq!(both.options()?.only_v6(), Some(false));
        let one = selector.udp().only_v6(true).bind("[::]:0").await?;
        assert_eq!(one.options()?.only_v6(), Some(true));
        Ok(())
    });
}

#[test]
fn the_last_of_two_values_counts() {
    in_host(async |selector| {
        let builder = selector.tcp().ttl(1).ttl(44).no_delay(false).no_delay(true);
        let builder = builder.keep_alive(PROBES).keep_alive(None).user_timeout(SECOND);
        let builder = builder.user_timeout(None).bind_device("none0").bind_device("lo");
        let server = builder.clone().bind("127.0.0.1:0").await?;
        let client = builder.connect(server.local_address()).await?;
        assert_options!(client.options()?, {
            ttl: Some(44),
            no_delay: Some(true),
            keep_alive: None,
            user_timeout: None,
            bind_device: Some("lo".to_owned()),
        });
        Ok(())
    })
    .unwrap();
}

#[test]
fn times_are_rounded_up_and_sizes_brought_into_the_systems_bounds() {
    in_host(async |selector| {
        let probes = KeepAlive {
            idle: Duration::from_millis(1),
            interval: Duration::from_millis(1_500),
            count: 127,
        };
        let builder = selector.tcp().keep_alive(probes).user_timeout(Duration::from_nanos(1));
        let builder = builder.receive_buffer_size(0).send_buffer_size(u32::MAX);
        let builder = builder.notsent_lowat(u32::MAX).backlog(u32::MAX);
        let server = builder.clone().bind("127.0.0.1:0").await?;
        let client = builder.connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        for options in [client.options()?, accepted.options()?] {
            let rounded = KeepAlive { idle: SECOND, interval: 2 * SECOND, count: 127 };
            assert_options!(&options, {
                keep_alive: Some(rounded),
                user_timeout: Some(Duration::from_millis(1)),
                notsent_lowat: Some(u32::MAX),
            });
            let (least, most) = (options.receive_buffer_size(), options.send_buffer_size());
            assert!(least > Some(0) && least < Some(10_000), "{least:?}");
            assert!(most > Some(10_000) && most < Some(u32::MAX / 2), "{most:?}");
        }
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        assert_eq!(server.options()?.backlog(), most.trim().parse().ok());
        Ok(())
    })
    .unwrap();
}

#[test]
fn options_print_those_that_the_socket_has() {
    run(async |selector: SelectorManager| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let printed = format!("{:?}", socket.options()?);
        assert!(printed.starts_with("SocketOptions { broadcast: false, max_datagram: 65535, "));
        assert!(!printed.contains("no_delay") && !printed.contains("None"), "{printed}");
        Result::Ok(())
    });
}
