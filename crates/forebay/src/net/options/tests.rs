//! The table, row by row.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use forebay_testing::{alone, socket_descriptors};
use rustix::io::Result as SystemResult;
use rustix::net::sockopt;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;

use super::table::ROWS;
use super::{KeepAlive, OptionValues, Row, SocketRole, option_table, rows_of};
use crate::net::protocol::Protocol;
use crate::net::{TcpBuilder, UdpBuilder};
use crate::{Result, SelectorManager};

const ROLES: [SocketRole; 3] = [SocketRole::Listening, SocketRole::Connected, SocketRole::Accepted];

/// An option of the system, and how the kernel reports it: read by other calls than the table's, so that a
/// wrong pair of calls there does not confirm itself.
struct Case {
    name: &'static str,
    /// Sets another value than the default, by the builder and as a value.
    set: fn(TcpBuilder) -> TcpBuilder,
    change: fn(&mut OptionValues),
    read: fn(&OwnedFd) -> SystemResult<String>,
    /// As the kernel reports that value, and the default one, on a listening, a connected and an accepted
    /// socket.
    changed: [&'static str; 3],
    default: [&'static str; 3],
}

const PROBES: KeepAlive =
    KeepAlive { idle: Duration::from_secs(71), interval: Duration::from_secs(17), count: 5 };

/// One for each row with a `system`, in the same order.
const CASES: [Case; 11] = [
    Case {
        name: "bind_device",
        set: |builder| builder.bind_device("lo"),
        change: |options| options.bind_device = Some("lo".to_owned()),
        read: |fd| {
            let name = SockRef::from(fd).device().expect("a value").unwrap_or_default();
            Ok(String::from_utf8(name).expect("a name"))
        },
        changed: ["lo"; 3],
        default: [""; 3],
    },
    Case {
        name: "keep_alive",
        set: |builder| builder.keep_alive(PROBES),
        change: |options| options.keep_alive = Some(PROBES),
        read: |fd| {
            let (on, count) = (sockopt::socket_keepalive(fd)?, sockopt::tcp_keepcnt(fd)?);
            let (idle, interval) = (sockopt::tcp_keepidle(fd)?, sockopt::tcp_keepintvl(fd)?);
            Ok(format!("{on}, {idle:?}, {interval:?}, {count}"))
        },
        changed: ["true, 71s, 17s, 5"; 3],
        default: ["true, 60s, 15s, 8"; 3],
    },
    Case {
        name: "no_delay",
        set: |builder| builder.no_delay(false),
        change: |options| options.no_delay = false,
        read: |fd| sockopt::tcp_nodelay(fd).map(|on| on.to_string()),
        changed: ["false"; 3],
        default: ["true"; 3],
    },
    Case {
        name: "notsent_lowat",
        set: |builder| builder.notsent_lowat(50_000),
        change: |options| options.notsent_lowat = Some(50_000),
        read: |fd| Ok(SockRef::from(fd).tcp_notsent_lowat().expect("a value").to_string()),
        changed: ["50000"; 3],
        default: ["0"; 3],
    },
    Case {
        name: "receive_buffer_size",
        set: |builder| builder.receive_buffer_size(BUFFER_BYTES),
        change: |options| options.receive_buffer_size = Some(BUFFER_BYTES),
        read: |fd| sockopt::socket_recv_buffer_size(fd).map(is_buffer_set),
        changed: ["true"; 3],
        default: ["false"; 3],
    },
    Case {
        name: "reuse_address",
        set: |builder| builder.reuse_address(false),
        change: |options| options.reuse_address = Some(false),
        read: |fd| sockopt::socket_reuseaddr(fd).map(|on| on.to_string()),
        changed: ["false"; 3],
        default: ["true", "false", "true"],
    },
    Case {
        name: "reuse_port",
        set: |builder| builder.reuse_port(true),
        change: |options| options.reuse_port = Some(true),
        read: |fd| sockopt::socket_reuseport(fd).map(|on| on.to_string()),
        changed: ["true"; 3],
        default: ["false"; 3],
    },
    Case {
        name: "send_buffer_size",
        set: |builder| builder.send_buffer_size(BUFFER_BYTES),
        change: |options| options.send_buffer_size = Some(BUFFER_BYTES),
        read: |fd| sockopt::socket_send_buffer_size(fd).map(is_buffer_set),
        changed: ["true"; 3],
        default: ["false"; 3],
    },
    Case {
        name: "ttl",
        set: |builder| builder.ttl(33),
        change: |options| options.ttl = Some(33),
        read: |fd| sockopt::ip_ttl(fd).map(|ttl| ttl.to_string()),
        changed: ["33"; 3],
        default: ["64"; 3],
    },
    Case {
        name: "type_of_service",
        set: |builder| builder.type_of_service(0x48),
        change: |options| options.type_of_service = Some(0x48),
        read: |fd| sockopt::ip_tos(fd).map(|class| class.to_string()),
        changed: ["72"; 3],
        default: ["0"; 3],
    },
    Case {
        name: "user_timeout",
        set: |builder| builder.user_timeout(Duration::from_micros(2_001)),
        change: |options| options.user_timeout = Some(Duration::from_micros(2_001)),
        read: |fd| sockopt::tcp_user_timeout(fd).map(|milliseconds| milliseconds.to_string()),
        changed: ["3"; 3],
        default: ["0"; 3],
    },
];

/// The options of the system that need more than a socket at 127.0.0.1: `tests/options` has them.
const ELSEWHERE: [&str; 3] = ["fast_open", "mptcp", "only_v6"];

/// Less than any system's limit, and no system's default.
const BUFFER_BYTES: u32 = 50_000;

/// Linux reports twice what was asked for.
fn is_buffer_set(bytes: usize) -> String {
    (bytes == 2 * BUFFER_BYTES as usize).to_string()
}

/// As [`Case`], on a bound and a connected socket for datagrams.
struct DatagramCase {
    name: &'static str,
    set: fn(UdpBuilder) -> UdpBuilder,
    read: fn(&OwnedFd) -> SystemResult<String>,
    changed: &'static str,
    default: &'static str,
}

const DATAGRAM_CASES: [DatagramCase; 11] = [
    DatagramCase {
        name: "bind_device",
        set: |builder| builder.bind_device("lo"),
        read: |fd| {
            let name = SockRef::from(fd).device().expect("a value").unwrap_or_default();
            Ok(String::from_utf8(name).expect("a name"))
        },
        changed: "lo",
        default: "",
    },
    DatagramCase {
        name: "broadcast",
        set: |builder| builder.broadcast(true),
        read: |fd| sockopt::socket_broadcast(fd).map(|on| on.to_string()),
        changed: "true",
        default: "false",
    },
    DatagramCase {
        name: "multicast_interface",
        set: |builder| builder.multicast_interface(Ipv4Addr::LOCALHOST.into()),
        read: |fd| Ok(SockRef::from(fd).multicast_if_v4().expect("a value").to_string()),
        changed: "127.0.0.1",
        default: "0.0.0.0",
    },
    DatagramCase {
        name: "multicast_loop",
        set: |builder| builder.multicast_loop(false),
        read: |fd| sockopt::ip_multicast_loop(fd).map(|on| on.to_string()),
        changed: "false",
        default: "true",
    },
    DatagramCase {
        name: "multicast_ttl",
        set: |builder| builder.multicast_ttl(7),
        read: |fd| sockopt::ip_multicast_ttl(fd).map(|ttl| ttl.to_string()),
        changed: "7",
        default: "1",
    },
    DatagramCase {
        name: "receive_buffer_size",
        set: |builder| builder.receive_buffer_size(BUFFER_BYTES),
        read: |fd| sockopt::socket_recv_buffer_size(fd).map(is_buffer_set),
        changed: "true",
        default: "false",
    },
    DatagramCase {
        name: "reuse_address",
        set: |builder| builder.reuse_address(true),
        read: |fd| sockopt::socket_reuseaddr(fd).map(|on| on.to_string()),
        changed: "true",
        default: "false",
    },
    DatagramCase {
        name: "reuse_port",
        set: |builder| builder.reuse_port(true),
        read: |fd| sockopt::socket_reuseport(fd).map(|on| on.to_string()),
        changed: "true",
        default: "false",
    },
    DatagramCase {
        name: "send_buffer_size",
        set: |builder| builder.send_buffer_size(BUFFER_BYTES),
        read: |fd| sockopt::socket_send_buffer_size(fd).map(is_buffer_set),
        changed: "true",
        default: "false",
    },
    DatagramCase {
        name: "ttl",
        set: |builder| builder.ttl(33),
        read: |fd| sockopt::ip_ttl(fd).map(|ttl| ttl.to_string()),
        changed: "33",
        default: "64",
    },
    DatagramCase {
        name: "type_of_service",
        set: |builder| builder.type_of_service(0x48),
        read: |fd| sockopt::ip_tos(fd).map(|class| class.to_string()),
        changed: "72",
        default: "0",
    },
];

fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).expect("a row of this name")
}

fn run(test: impl AsyncFnOnce(SelectorManager) -> Result<()>) {
    crate::run(test).expect("the test succeeds");
}

/// Returns at each call another handle of the one socket that was made since the last.
fn newest() -> impl FnMut() -> OwnedFd {
    // By inode, because each other handle is a descriptor too.
    let mut known: HashSet<_> = socket_descriptors().into_iter().map(|(_, inode)| inode).collect();
    move || {
        let mut new = socket_descriptors();
        new.retain(|(_, inode)| !known.contains(inode));
        let [(number, inode)] = new.try_into().expect("one new socket");
        known.insert(inode);
        let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
        let number = number.parse().expect("a number");
        pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).expect("another handle")
    }
}

/// Other handles of a bound and a connected socket for datagrams.
async fn datagram_sockets(builder: UdpBuilder) -> Result<[OwnedFd; 2]> {
    let mut newest = newest();
    let server = builder.clone().bind("127.0.0.1:0").await?;
    let bound = newest();
    let _client = builder.connect(server.local_address()).await?;
    Ok([bound, newest()])
}

/// Other handles of a listening, a connected and an accepted socket.
async fn sockets(builder: TcpBuilder) -> Result<[OwnedFd; 3]> {
    let mut newest = newest();
    let server = builder.clone().bind("127.0.0.1:0").await?;
    let listening = newest();
    let _client = builder.connect(server.local_address()).await?;
    let connected = newest();
    let _peer = server.accept().await?;
    Ok([listening, connected, newest()])
}

#[test]
fn rows_are_sorted_by_name_and_each_option_of_the_system_has_a_case() {
    assert!(ROWS.is_sorted_by_key(|row| row.name));
    let of_the_system = |protocol| {
        let names = rows_of(protocol).filter(|row| row.system.is_some()).map(|row| row.name);
        names.filter(|name| !ELSEWHERE.contains(name))
    };
    assert!(of_the_system(Protocol::Tcp).eq(CASES.iter().map(|case| case.name)));
    assert!(of_the_system(Protocol::Udp).eq(DATAGRAM_CASES.iter().map(|case| case.name)));
}

#[test]
fn the_kernel_has_each_option_as_it_was_set() {
    alone("the_kernel_has_each_option_as_it_was_set", || {
        run(async |selector| {
            for case in CASES {
                for (builder, expected) in
                    [(selector.tcp(), case.default), ((case.set)(selector.tcp()), case.changed)]
                {
                    let read = sockets(builder).await?.map(|fd| (case.read)(&fd).expect("a value"));
                    assert_eq!(read, expected, "{}", case.name);
                }
            }
            Ok(())
        });
    });
}

#[test]
fn the_kernel_has_each_option_of_a_datagram_socket() {
    alone("the_kernel_has_each_option_of_a_datagram_socket", || {
        run(async |selector| {
            for case in DATAGRAM_CASES {
                for (builder, expected) in
                    [(selector.udp(), case.default), ((case.set)(selector.udp()), case.changed)]
                {
                    let sockets = datagram_sockets(builder).await?;
                    let read = sockets.map(|fd| (case.read)(&fd).expect("a value"));
                    assert_eq!(read, [expected; 2], "{}", case.name);
                }
            }
            Ok(())
        });
    });
}

#[test]
fn the_table_reads_what_the_kernel_has() {
    alone("the_table_reads_what_the_kernel_has", || {
        run(async |selector| {
            for case in CASES {
                let system = row(case.name).system.as_ref().expect("an option of the system");
                let mut changed = OptionValues::default();
                (case.change)(&mut changed);
                for builder in [selector.tcp(), (case.set)(selector.tcp())] {
                    for (at, fd) in sockets(builder).await?.iter().enumerate() {
                        let has_it = (case.read)(fd).expect("a value") == case.changed[at];
                        let holds = (system.holds)(&SockRef::from(fd), &changed, ROLES[at]);
                        assert_eq!(holds, has_it, "{} on {:?}", case.name, ROLES[at]);
                    }
                }
            }
            Ok(())
        });
    });
}

/// As on a system whose accepted sockets inherit nothing.
#[test]
fn an_accepted_socket_that_lacks_an_option_is_given_all() {
    for case in CASES.iter().filter(|case| row(case.name).is_set_on(SocketRole::Accepted)) {
        let mut wanted = OptionValues::default();
        let socket =
            crate::net::system::stream_socket(([127, 0, 0, 1], 0).into()).expect("a socket");
        let socket = SockRef::from(&socket);
        wanted.apply(Protocol::Tcp, SocketRole::Accepted, &socket).expect("it is set");
        assert!(wanted.hold_on(Protocol::Tcp, &socket));
        (case.change)(&mut wanted);
        assert!(!wanted.hold_on(Protocol::Tcp, &socket), "{}", case.name);
        wanted.apply(Protocol::Tcp, SocketRole::Accepted, &socket).expect("it is set");
        assert!(wanted.hold_on(Protocol::Tcp, &socket), "{}", case.name);
    }
}

/// A pipe has no options, so every call on it would fail.
#[test]
fn an_option_without_a_wanted_value_is_neither_set_nor_missed() {
    let (pipe, _other_end) = std::io::pipe().expect("a pipe");
    let (socket, unset) = (SockRef::from(&pipe), OptionValues::default());
    let reuse_address = row("reuse_address").system.as_ref().expect("an option of the system");
    (reuse_address.set)(&socket, &unset, SocketRole::Connected).expect("no call");
    assert!((reuse_address.holds)(&socket, &unset, SocketRole::Connected));
    assert!(!(reuse_address.holds)(&socket, &unset, SocketRole::Listening));
}

/// No system can set an option of a socket on a pipe.
#[test]
fn the_error_of_an_option_names_it() {
    let (pipe, _other_end) = std::io::pipe().expect("a pipe");
    for case in CASES {
        let mut changed = OptionValues::default();
        (case.change)(&mut changed);
        let set = row(case.name).set(&changed, SocketRole::Listening, &SockRef::from(&pipe));
        let error = set.expect_err("not a socket").to_string();
        assert!(error.contains(case.name), "{error}");
        assert!(error.contains("setting a socket option"), "{error}");
    }
}

#[test]
fn builders_print_and_document_their_options() {
    run(async |selector| {
        let (tcp, unix) = (format!("{:#?}", selector.tcp()), format!("{:#?}", selector.unix()));
        let udp = format!("{:#?}", selector.udp().local_address(([127, 0, 0, 1], 9).into()));
        let udp = udp.replace("    local_address: Some(\n        127.0.0.1:9,\n    ),\n", "");
        for (protocol, printed, documented) in [
            (Protocol::Tcp, tcp, option_table!(Tcp)),
            (Protocol::Udp, udp, option_table!(Udp)),
            (Protocol::Unix, unix, option_table!(Unix)),
        ] {
            let names: Vec<_> = rows_of(protocol).map(|row| row.name).collect();
            let fields = printed.lines().filter_map(|line| line.strip_prefix("    "));
            let fields = fields.filter_map(|field| field.split_once(": "));
            let fields = fields.map(|(name, _)| name).filter(|name| !name.starts_with(' '));
            assert_eq!(fields.skip(1).collect::<Vec<_>>(), names);
            let links = names.iter().map(|name| format!("| [`{name}`](Self::{name}) | "));
            let written: Vec<_> = documented.lines().skip(2).collect();
            assert_eq!(written.len(), names.len());
            assert!(links.zip(&written).all(|(link, line)| line.starts_with(&link)), "{written:?}");
        }
        assert!(option_table!(Tcp).contains(
            "| [`no_delay`](Self::no_delay) | on | connected, accepted | `TCP_NODELAY`, `tcp(7)` |\n"
        ));
        Ok(())
    });
}
