//! The options of sockets, as Python reads them on a descriptor that it has inherited: so that what sets and what
//! reads here cannot be wrong in the same way.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use forebay::{KeepAlive, SelectorManager};
use forebay_testing::foreign::Foreign;
use forebay_testing::in_host;
use forebay_testing::unix::Directory;

/// Prints each option that it is told, of the socket that is its standard input.
const READER: &str = "
import socket, sys
s = socket.socket(fileno=0)
for name, level, option, length in (argument.split(':') for argument in sys.argv[1:]):
    level, option = (int(x) if x.isdigit() else getattr(socket, x) for x in (level, option))
    if length == 'name':
        value = s.getsockopt(level, option, 16).rstrip(b'\\0').decode()
    else:
        value = s.getsockopt(level, option)
    print(name, value, flush=True)
";

/// A name, the level and the option as Python or the kernel's headers call them, and how it is printed.
type Asked = (&'static str, &'static str, &'static str);

/// Fails unless a foreign program reads these values.
fn assert_foreign(test: &str, socket: OwnedFd, expected: &[(Asked, &str)]) {
    let mut python = Command::new("python3");
    python.args(["-c", READER]);
    python.args(expected.iter().map(|((name, level, option), _)| {
        let kind = if *name == "bind_device" { "name" } else { "number" };
        format!("{name}:{level}:{option}:{kind}")
    }));
    python.stdin(Stdio::from(socket)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Some(python) = Foreign::start(test, &mut python) else { return };
    let read = python.end_well();
    let lines = expected.iter().map(|((name, ..), value)| format!("{name} {value}\n"));
    assert_eq!(read, lines.collect::<String>(), "{test}");
}

const BIND_DEVICE: Asked = ("bind_device", "SOL_SOCKET", "25");
const BROADCAST: Asked = ("broadcast", "SOL_SOCKET", "SO_BROADCAST");
const KEEP_ALIVE: Asked = ("keep_alive", "SOL_SOCKET", "SO_KEEPALIVE");
const IDLE: Asked = ("idle", "IPPROTO_TCP", "TCP_KEEPIDLE");
const INTERVAL: Asked = ("interval", "IPPROTO_TCP", "TCP_KEEPINTVL");
const COUNT: Asked = ("count", "IPPROTO_TCP", "TCP_KEEPCNT");
const MULTICAST_LOOP: Asked = ("multicast_loop", "IPPROTO_IP", "IP_MULTICAST_LOOP");
const MULTICAST_TTL: Asked = ("multicast_ttl", "IPPROTO_IP", "IP_MULTICAST_TTL");
const NO_DELAY: Asked = ("no_delay", "IPPROTO_TCP", "TCP_NODELAY");
const NOTSENT_LOWAT: Asked = ("notsent_lowat", "IPPROTO_TCP", "25");
const ONLY_V6: Asked = ("only_v6", "IPPROTO_IPV6", "IPV6_V6ONLY");
const HOPS: Asked = ("hops", "IPPROTO_IPV6", "IPV6_UNICAST_HOPS");
const TRAFFIC_CLASS: Asked = ("traffic_class", "IPPROTO_IPV6", "IPV6_TCLASS");
const RECEIVE_BUFFER: Asked = ("receive_buffer_size", "SOL_SOCKET", "SO_RCVBUF");
const REUSE_ADDRESS: Asked = ("reuse_address", "SOL_SOCKET", "SO_REUSEADDR");
const REUSE_PORT: Asked = ("reuse_port", "SOL_SOCKET", "SO_REUSEPORT");
const SEND_BUFFER: Asked = ("send_buffer_size", "SOL_SOCKET", "SO_SNDBUF");
const TTL: Asked = ("ttl", "IPPROTO_IP", "IP_TTL");
const TYPE_OF_SERVICE: Asked = ("type_of_service", "IPPROTO_IP", "IP_TOS");
const USER_TIMEOUT: Asked = ("user_timeout", "IPPROTO_TCP", "18");

const ON_CONNECTIONS: &[(Asked, &str)] = &[
    (BIND_DEVICE, "lo"),
    (KEEP_ALIVE, "1"),
    (IDLE, "71"),
    (INTERVAL, "18"),
    (COUNT, "5"),
    (NO_DELAY, "0"),
    (NOTSENT_LOWAT, "70000"),
    // The kernel tells twice what was asked for (`socket(7)`).
    (RECEIVE_BUFFER, "100000"),
    (REUSE_PORT, "1"),
    (SEND_BUFFER, "120000"),
    (TTL, "33"),
    (TYPE_OF_SERVICE, "72"),
    (USER_TIMEOUT, "5001"),
];

#[test]
fn python_reads_the_options_of_tcp() {
    in_host(async |selector: SelectorManager| {
        let probes = KeepAlive {
            idle: Duration::from_secs(71),
            interval: Duration::from_millis(17_001),
            count: 5,
        };
        let builder = selector.tcp().bind_device("lo").keep_alive(probes).no_delay(false);
        let builder = builder.notsent_lowat(70_000).receive_buffer_size(50_000).reuse_port(true);
        let builder = builder.send_buffer_size(60_000).ttl(33).type_of_service(0x48);
        let builder = builder.user_timeout(Duration::from_micros(5_000_001));
        let server = builder.clone().bind("127.0.0.1:0").await?;
        let client = builder.connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        let name = "python_reads_the_options_of_tcp";
        let of_the_listener = [ON_CONNECTIONS, &[(REUSE_ADDRESS, "1")]].concat();
        assert_foreign(name, server.try_clone_fd()?, &of_the_listener);
        assert_foreign(name, client.try_clone_fd()?, ON_CONNECTIONS);
        assert_foreign(name, accepted.try_clone_fd()?, ON_CONNECTIONS);
        Ok(())
    })
    .unwrap();
}

#[test]
fn python_reads_the_options_of_udp() {
    in_host(async |selector: SelectorManager| {
        let builder = selector.udp().bind_device("lo").broadcast(true).multicast_loop(false);
        let builder = builder.multicast_ttl(7).receive_buffer_size(50_000).reuse_address(true);
        let builder = builder.reuse_port(true).send_buffer_size(60_000).ttl(33);
        let builder = builder.type_of_service(0x48);
        let server = builder.clone().bind("127.0.0.1:0").await?;
        let client = builder.connect(server.local_address()).await?;
        for socket in [server.try_clone_fd()?, client.try_clone_fd()?] {
            let expected = [
                (BIND_DEVICE, "lo"),
                (BROADCAST, "1"),
                (MULTICAST_LOOP, "0"),
                (MULTICAST_TTL, "7"),
                (RECEIVE_BUFFER, "100000"),
                (REUSE_ADDRESS, "1"),
                (REUSE_PORT, "1"),
                (SEND_BUFFER, "120000"),
                (TTL, "33"),
                (TYPE_OF_SERVICE, "72"),
            ];
            assert_foreign("python_reads_the_options_of_udp", socket, &expected);
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn python_reads_the_options_of_ipv6() {
    in_host(async |selector: SelectorManager| {
        let builder = selector.tcp().only_v6(true).ttl(33).type_of_service(0x48);
        let Ok(server) = builder.clone().bind("[::1]:0").await else {
            forebay_testing::skip("python_reads_the_options_of_ipv6", "no IPv6 here");
            return Ok(());
        };
        let client = builder.connect(server.local_address()).await?;
        let accepted = server.accept().await?;
        let expected = [(HOPS, "33"), (TRAFFIC_CLASS, "72")];
        let name = "python_reads_the_options_of_ipv6";
        assert_foreign(name, client.try_clone_fd()?, &expected);
        assert_foreign(name, accepted.try_clone_fd()?, &expected);
        assert_foreign(name, server.try_clone_fd()?, &[(ONLY_V6, "1"), expected[0], expected[1]]);
        Ok(())
    })
    .unwrap();
}

#[test]
fn python_reads_the_options_of_unix_sockets() {
    let directory = Directory::new();
    in_host(async |selector: SelectorManager| {
        let builder = selector.unix().receive_buffer_size(50_000).send_buffer_size(60_000);
        let server = builder.clone().bind(directory.join("socket")).await?;
        let client = builder.connect(directory.join("socket")).await?;
        let accepted = server.accept().await?;
        let sockets = [server.try_clone_fd()?, client.try_clone_fd()?, accepted.try_clone_fd()?];
        for socket in sockets {
            let expected = [(RECEIVE_BUFFER, "100000"), (SEND_BUFFER, "120000")];
            assert_foreign("python_reads_the_options_of_unix_sockets", socket, &expected);
        }
        Ok(())
    })
    .unwrap();
}
