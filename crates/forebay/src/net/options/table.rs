//! The table of options: to add one is to add its row, in the order of the names.
//!
//! A row begins with what users see: the documentation, the name and the argument of the builder's setter.
//! Then come
//!
//! - `value`: the type that is kept, and the argument as such a value;
//! - `default`, and how documentation writes it;
//! - `sockets`: the protocols whose builders have the option;
//! - `on`: the roles of the sockets that it concerns. A listening socket is also given the options of the
//!   sockets that it accepts, because most systems let them inherit these;
//! - `system`, for an option of the system's sockets: its name there; the value that is wanted for a socket of a
//!   role, `None` to leave it as it is; a function that sets a value, and one that reads it back. On a system
//!   without the option both return [`io::ErrorKind::Unsupported`];
//! - `silence`, for a limit on silence: the documentation and the name of the setter of `Socket`.

use std::fmt;
use std::io;
use std::time::Duration;

use socket2::SockRef;

use super::define::define_options;
use super::keep_alive::{self, KeepAlive};
use super::silence::Silence;
use super::{buffer_size, packets, reuse_port};
use crate::net::protocol::Protocol;
use crate::net::udp::MulticastInterface;

define_options! {
    /// Sets how many connections may wait to be accepted (`listen(2)`). The system may lower it.
    pub fn backlog(connections: u32) {
        value: u32 = connections,
        default: 511 => "511",
        sockets: [Tcp Unix],
        on: [Listening],
    }

    /// Sets whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`, `socket(7)`). Without it such a
    /// send fails with [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn broadcast(broadcast: bool) {
        value: bool = broadcast,
        default: false => "off",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`SO_BROADCAST`" {
            wanted: |broadcast, _| broadcast.then_some(true),
            set: |socket, broadcast| socket.set_broadcast(broadcast),
            read: |socket| socket.broadcast(),
        },
    }

    /// Sets the limit on connecting as a whole.
    ///
    /// Over TCP it covers the look-up of the name and every address that is tried. Each address gets an equal
    /// share of the time that is left: of two addresses, a silent first one leaves half of the time to the
    /// second. A Unix socket waits for a server with a full backlog, and for nothing else.
    pub fn connect_timeout(timeout: Duration) {
        value: Duration = timeout,
        default: Duration::from_secs(10) => "10 s",
        sockets: [Tcp Unix],
        on: [Connected],
    }

    /// Sets how many bytes of input closing or dropping a connection discards. Default: the selector's,
    /// 64 KiB.
    pub fn drain_limit(limit_bytes: u64) {
        value: Option<u64> = Some(limit_bytes),
        default: None => "the selector's: 64 KiB",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
    }

    /// Sets how long closing or dropping a connection may take in all, however steadily its peer reads.
    /// Default: the selector's, 5 minutes, or the drain timeout if that is longer.
    pub fn drain_max(total: Duration) {
        value: Option<Duration> = Some(total),
        default: None => "the selector's: 5 min",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
    }

    /// Sets how long the peer may be silent while a connection is closed or dropped: how long it may
    /// acknowledge none of the bytes sent to it (where the system does not tell, take none). A peer
    /// that reads slowly but steadily receives everything. Default: the selector's, 10 seconds.
    pub fn drain_timeout(timeout: Duration) {
        value: Option<Duration> = Some(timeout),
        default: None => "the selector's: 10 s",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
    }

    /// Sets how long no byte may pass in either direction; see
    /// [`Socket::set_idle_timeout`](crate::Socket::set_idle_timeout). Default: no limit.
    pub fn idle_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "none",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        silence: Idling {
            /// Sets how long no byte may pass in either direction. `None` lifts the limit. The time counts
            /// from this call on. When it is over, the connection is closed (or reset, if bytes are still
            /// queued), and every call fails with [`TimedOut`](ErrorKind::TimedOut).
            ///
            /// Bytes that have arrived but were not read yet, because this process was held up or because
            /// nothing reads, count once: the time starts anew. If they are still unread when it is over
            /// again, the connection ends.
            pub fn set_idle_timeout;
        },
    }

    /// Sets how an idle connection is probed. `None` turns probing off.
    pub fn keep_alive(keep_alive: impl Into<Option<KeepAlive>>) {
        value: Option<KeepAlive> = keep_alive.into(),
        default: Some(KeepAlive::default()) => "60 s, 15 s, 8",
        sockets: [Tcp],
        on: [Connected Accepted],
        system: "`SO_KEEPALIVE`, `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`" {
            wanted: |keep_alive, _| Some(*keep_alive),
            set: keep_alive::set,
            read: keep_alive::read,
        },
    }

    /// Sets the largest datagram that is received whole, in bytes. What a longer one has behind that is
    /// discarded, and the datagram is marked as [`truncated`](crate::Datagram::truncated).
    pub fn max_datagram(bytes: u16) {
        value: u16 = bytes,
        default: u16::MAX => "65,535, which is more than any has",
        sockets: [Udp],
        on: [Bound Connected],
    }

    /// Sets the permissions of the path, whatever the umask of the process. Connecting needs the permission
    /// to write (`unix(7)`). At no moment can a process connect that the mode excludes.
    pub fn mode(mode: u32) {
        value: Option<u32> = Some(mode),
        default: None => "0777 without the process's umask",
        sockets: [Unix UnixDatagram],
        on: [Listening Bound],
    }

    /// Sets the interface at which datagrams to groups leave (`IP_MULTICAST_IF`, `ip(7)`; `IPV6_MULTICAST_IF`,
    /// `ipv6(7)`).
    pub fn multicast_interface(interface: MulticastInterface) {
        value: Option<MulticastInterface> = Some(interface),
        default: None => "by the routes",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`" {
            wanted: |interface, _| *interface,
            set: |socket, interface| packets::set_multicast_interface(socket, interface),
            read: |socket| packets::multicast_interface(socket),
        },
    }

    /// Sets whether datagrams to groups also reach the sockets of this machine that have joined
    /// (`IP_MULTICAST_LOOP`, `ip(7)`; `IPV6_MULTICAST_LOOP`, `ipv6(7)`).
    pub fn multicast_loop(reach: bool) {
        value: Option<bool> = Some(reach),
        default: None => "on",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`" {
            wanted: |reach, _| *reach,
            set: |socket, reach| packets::set_multicast_loop(socket, reach),
            read: |socket| packets::multicast_loop(socket),
        },
    }

    /// Sets the number of routers that a datagram to a group may pass, plus one (`IP_MULTICAST_TTL`, `ip(7)`;
    /// `IPV6_MULTICAST_HOPS`, `ipv6(7)`). With 0 it stays on this machine.
    pub fn multicast_ttl(routers: u8) {
        value: Option<u8> = Some(routers),
        default: None => "1: it stays in this network",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`" {
            wanted: |routers, _| *routers,
            set: |socket, routers| packets::set_multicast_ttl(socket, routers),
            read: |socket| packets::multicast_ttl(socket),
        },
    }

    /// Sets whether small segments are sent at once (`TCP_NODELAY`, `tcp(7)`). The bytes written in one
    /// turn leave as one segment in any case.
    pub fn no_delay(no_delay: bool) {
        value: bool = no_delay,
        default: true => "on",
        sockets: [Tcp],
        on: [Connected Accepted],
        system: "`TCP_NODELAY`" {
            wanted: |no_delay, _| Some(*no_delay),
            set: |socket, no_delay| socket.set_tcp_nodelay(no_delay),
            read: |socket| socket.tcp_nodelay(),
        },
    }

    /// Sets how long a read may wait for a byte; see
    /// [`Socket::set_read_timeout`](crate::Socket::set_read_timeout). Default: no limit.
    #[doc(alias = "socketTimeout")]
    pub fn read_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "none",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        silence: Reading {
            /// Sets how long a read may wait for a byte. `None` lifts the limit.
            ///
            /// The time counts from the moment when a read first had to wait, and starts anew with every
            /// byte. It belongs to the connection: a read that is dropped and repeated does not restart it.
            /// When it is over, the read fails with [`TimedOut`](ErrorKind::TimedOut), once; the channel
            /// stays usable. A byte that has arrived by then is read, even if this process was held up for
            /// all of that time.
            #[doc(alias = "socketTimeout")]
            pub fn set_read_timeout;
        },
    }

    /// Sets how many bytes the system may keep for this process before they are received (`SO_RCVBUF`,
    /// `socket(7)`). Linux takes twice this number, because it counts its own structures too, and no more than
    /// `net.core.rmem_max`. A datagram that does not fit is dropped by the system.
    pub fn receive_buffer_size(bytes: u32) {
        value: Option<u32> = Some(bytes),
        default: None => "the system's",
        sockets: [Tcp Udp Unix UnixDatagram],
        on: [Bound Connected Accepted],
        system: "`SO_RCVBUF`" {
            wanted: |bytes, _| *bytes,
            set: |socket, bytes| socket.set_recv_buffer_size(buffer_size::given(bytes)),
            read: |socket| socket.recv_buffer_size().map(buffer_size::asked),
        },
    }

    /// Makes [`bind`](Self::bind) replace a path that a dead server has left behind. Only a socket is
    /// removed that belongs to this user and at which no process listens. Servers that ask for this and
    /// start at the same moment do not replace each other: they lock the directory (`flock(2)`), and wait
    /// while another program holds the lock. A server that does not ask for this is not protected between
    /// its `bind(2)` and its `listen(2)`: until then its path looks stale.
    pub fn replace_stale() {
        value: bool = true,
        default: false => "off",
        sockets: [Unix UnixDatagram],
        on: [Listening Bound],
    }

    /// Sets whether a local address may be bound while connections of an earlier socket are still in
    /// TIME-WAIT (`SO_REUSEADDR`, `socket(7)`).
    pub fn reuse_address(reuse: bool) {
        value: Option<bool> = Some(reuse),
        default: None => "on for listeners on Unix",
        sockets: [Tcp Udp],
        on: [Listening Bound Connected],
        system: "`SO_REUSEADDR`" {
            wanted: |reuse, role| {
                // A server that is started again must not have to wait for its old connections.
                reuse.or((role == SocketRole::Listening).then_some(cfg!(unix)))
            },
            set: |socket, reuse| socket.set_reuse_address(reuse),
            read: |socket| socket.reuse_address(),
        },
    }

    /// Sets whether several listening or datagram sockets may have the same address, if all of them set this and belong to
    /// the same user (`SO_REUSEPORT`, `socket(7)`; `SO_REUSEPORT_LB` on FreeBSD). The system distributes new
    /// connections among them: among several processes, for instance, or an old and a new one during an update.
    ///
    /// For several workers it is not needed, because they share one listening socket. Closing one of several
    /// resets the connections in its own backlog, though another one could have taken them.
    pub fn reuse_port(reuse: bool) {
        value: Option<bool> = Some(reuse),
        default: None => "off",
        sockets: [Tcp Udp],
        on: [Listening Bound Connected],
        system: "`SO_REUSEPORT`" {
            wanted: |reuse, _| *reuse,
            set: |socket, reuse| reuse_port::set(socket, reuse),
            read: |socket| reuse_port::read(socket),
        },
    }

    /// Sets how many bytes the system may keep that are not sent, or not acknowledged yet (`SO_SNDBUF`,
    /// `socket(7)`). Linux takes twice this number, because it counts its own structures too, and no more than
    /// `net.core.wmem_max`.
    pub fn send_buffer_size(bytes: u32) {
        value: Option<u32> = Some(bytes),
        default: None => "the system's",
        sockets: [Tcp Udp Unix UnixDatagram],
        on: [Bound Connected Accepted],
        system: "`SO_SNDBUF`" {
            wanted: |bytes, _| *bytes,
            set: |socket, bytes| socket.set_send_buffer_size(buffer_size::given(bytes)),
            read: |socket| socket.send_buffer_size().map(buffer_size::asked),
        },
    }

    /// Sets the number of routers that a packet may pass (`IP_TTL`, `ip(7)`; `IPV6_UNICAST_HOPS`, `ipv6(7)`):
    /// at least 1. Packets to groups have a limit of their own, which is 1 by default.
    #[doc(alias = "hop_limit")]
    pub fn ttl(routers: u8) {
        value: Option<u8> = Some(routers),
        default: None => "the system's, mostly 64",
        sockets: [Tcp Udp],
        on: [Bound Connected Accepted],
        system: "`IP_TTL`, `IPV6_UNICAST_HOPS`" {
            wanted: |routers, _| *routers,
            set: |socket, routers| packets::set_ttl(socket, routers),
            read: |socket| packets::ttl(socket),
        },
    }

    /// Sets the class of service of packets, the byte that RFC 2474 calls DS field (`IP_TOS`, `ip(7)`;
    /// `IPV6_TCLASS`, `ipv6(7)`). Its last two bits are for ECN (RFC 3168), and the system keeps them for
    /// itself on TCP.
    #[doc(alias = "traffic_class")]
    pub fn type_of_service(class: u8) {
        value: Option<u8> = Some(class),
        default: None => "0",
        sockets: [Tcp Udp],
        on: [Bound Connected Accepted],
        system: "`IP_TOS`, `IPV6_TCLASS`" {
            wanted: |class, _| *class,
            set: |socket, class| packets::set_class(socket, class),
            read: |socket| packets::class(socket),
        },
    }

    /// Sets how long the peer may take none of the queued bytes; see
    /// [`Socket::set_write_timeout`](crate::Socket::set_write_timeout). Default: no limit.
    #[doc(alias = "socketTimeout")]
    pub fn write_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "none",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        silence: Writing {
            /// Sets how long the peer may take none of the queued bytes. `None` lifts the limit. When the
            /// time is over, the connection is reset, and every call fails with
            /// [`TimedOut`](ErrorKind::TimedOut).
            #[doc(alias = "socketTimeout")]
            pub fn set_write_timeout;
        },
    }
}

/// The role of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum SocketRole {
    /// A datagram socket without a peer.
    Bound,
    Listening,
    Connected,
    Accepted,
}

impl SocketRole {
    /// The word for it in a span.
    pub(in crate::net) const fn text(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Listening => "listening",
            Self::Connected => "connected",
            Self::Accepted => "accepted",
        }
    }
}

/// A row of the table, without its types.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) protocols: &'static [Protocol],
    pub(super) roles: &'static [SocketRole],
    pub(super) value: fn(&OptionValues) -> &dyn fmt::Debug,
    /// `None` for an option that only this library knows.
    pub(super) system: Option<SystemOption>,
}

/// The calls of an option of the system's sockets.
pub(super) struct SystemOption {
    pub(super) set: fn(&SockRef<'_>, &OptionValues, SocketRole) -> io::Result<()>,
    /// True if the system reports the value that is wanted, or if none is.
    pub(super) holds: fn(&SockRef<'_>, &OptionValues, SocketRole) -> bool,
}
