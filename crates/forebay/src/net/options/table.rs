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
//!   without the option both return [`io::ErrorKind::Unsupported`]; `told`, the type by which `SocketOptions`
//!   tells it, and how that is made of the value that was read; `systems`, if not all have it;
//! - `told`, for an option of this library, the same of the values;
//! - `silence`, for a limit on silence: the documentation and the name of the setter of `Socket`.

use std::fmt;
use std::io;
use std::time::Duration;

use socket2::SockRef;

use super::configure::Configure;
use super::define::{define_options, take};
use super::fast_open::FastOpen;
use super::keep_alive::{self, KeepAlive};
use super::role::SocketRole;
use super::silence::Silence;
use super::{buffer_size, device, multipath, of_linux, packets, reuse_port};
use crate::net::protocol::Protocol;
use crate::net::udp::MulticastInterface;

define_options! {
    /// Sets how many connections may wait to be accepted (`listen(2)`). The system may lower it.
    #[doc(alias("backlogSize", "listen"))]
    pub fn backlog(connections: u32) {
        value: u32 = connections,
        default: 511 => "511",
        sockets: [Tcp Unix],
        on: [Listening],
        told: u32 = |options| Some(options.backlog),
    }

    /// Sets the network interface that the socket is bound to, by its name: it sends and receives there only
    /// (`SO_BINDTODEVICE`, `socket(7)`). Sockets that a listener accepts are bound to it as well.
    ///
    /// # Platform
    ///
    /// Linux and Android, where it needs the capability `CAP_NET_RAW` before 5.7, and Apple's systems
    /// (`IP_BOUND_IF`); elsewhere opening the socket fails with [`Unsupported`](crate::ErrorKind::Unsupported). A
    /// name that no interface has is [`NotFound`](crate::ErrorKind::NotFound).
    #[doc(alias("SO_BINDTODEVICE", "set_device"))]
    pub fn bind_device(interface: impl Into<String>) {
        value: Option<String> = Some(interface.into()),
        default: None => "none",
        sockets: [Tcp Udp],
        on: [Listening Bound Connected Accepted],
        system: "`SO_BINDTODEVICE`, `socket(7)`" {
            systems: "Linux, Android, Apple",
            wanted: |interface, _| interface.clone().map(Some),
            set: |socket, interface| device::set(socket, interface),
            read: |socket| device::read(socket),
            told: String = |interface| interface,
        },
    }

    /// Sets whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`, `socket(7)`). Without it such a
    /// send fails with [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    #[doc(alias("set_broadcast", "SO_BROADCAST"))]
    pub fn broadcast(broadcast: bool) {
        value: bool = broadcast,
        default: false => "off",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`SO_BROADCAST`, `socket(7)`" {
            wanted: |broadcast, _| broadcast.then_some(true),
            set: |socket, broadcast| socket.set_broadcast(broadcast),
            read: |socket| socket.broadcast(),
            told: bool = Some,
        },
    }

    /// Sets a closure that is run on the socket of the system after all other options are set, and before it is
    /// bound or connected: for what this table does not have. An error of it fails the call, and names `configure`.
    ///
    /// A call that tries several addresses, or falls back from [`mptcp`](crate::TcpBuilder::mptcp), runs it on each
    /// socket that it makes. It does not run on accepted sockets: most systems let them inherit what the listener
    /// has, and [`Socket::try_clone_fd`](crate::Socket::try_clone_fd) gives access to each. A closure that makes the
    /// socket blocking stops its worker.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// forebay::run(async |selector| {
    ///     let server = selector
    ///         .tcp()
    ///         .configure(|fd| Ok(rustix::net::sockopt::set_tcp_quickack(fd, false)?))
    ///         .bind("127.0.0.1:0")
    ///         .await?;
    ///     server.close();
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "setsockopt")]
    pub fn configure(
        configure: impl Fn(rustix::fd::BorrowedFd<'_>) -> std::io::Result<()> + Send + Sync + 'static
    ) {
        value: Option<Configure> = Some(crate::net::options::Configure::new(configure)),
        default: None => "nothing",
        sockets: [Tcp Udp Unix UnixDatagram],
        on: [Listening Bound Connected],
    }

    /// Sets the limit on connecting as a whole.
    ///
    /// Over TCP it covers the look-up of the name and every address that is tried. A Unix socket waits for a
    /// server with a full backlog, and for nothing else.
    pub fn connect_timeout(timeout: Duration) {
        value: Duration = timeout,
        default: Duration::from_secs(10) => "10 s",
        sockets: [Tcp Unix],
        on: [Connected],
    }

    /// Sets how many descriptors are received: over a connection, how many may have arrived and not be taken by
    /// [`receive_with_fds`](crate::Socket::receive_with_fds) yet; by a datagram socket, how many
    /// [one datagram](crate::BoundUnixDatagramSocket::receive_with_fds) may have. At most 253, as many as one message
    /// has. Without it the system closes what a peer sends.
    pub fn descriptors_max(count: u8) {
        value: u8 = count,
        default: 0 => "0: none is received",
        sockets: [Unix UnixDatagram],
        on: [Bound Connected Accepted],
        told: u8 = |options| Some(options.descriptors_max),
    }

    /// Sets how many bytes of input closing or dropping a connection discards. Default: the selector's,
    /// 64 KiB.
    pub fn drain_limit(limit_bytes: u64) {
        value: Option<u64> = Some(limit_bytes),
        default: None => "the selector's: 64 KiB",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        told: u64 = |options| options.drain_limit,
    }

    /// Sets how long closing or dropping a connection may take in all, however steadily its peer reads.
    /// Default: the selector's, 5 minutes, or the drain timeout if that is longer.
    pub fn drain_max(total: Duration) {
        value: Option<Duration> = Some(total),
        default: None => "the selector's: 5 min",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        told: Duration = |options| options.drain_max,
    }

    /// Sets how long the peer may be silent while a connection is closed or dropped: how long it may
    /// acknowledge none of the bytes sent to it (where the system does not tell, take none). A peer
    /// that reads slowly but steadily receives everything. Default: the selector's, 10 seconds.
    ///
    /// There is no `SO_LINGER`, which Ktor calls `lingerSeconds`: it makes `close(2)` wait even on a socket that
    /// never waits otherwise, and so stops a worker. With a time of zero it is
    /// [`Socket::abort`](crate::Socket::abort).
    #[doc(alias("lingerSeconds", "set_linger", "SO_LINGER"))]
    pub fn drain_timeout(timeout: Duration) {
        value: Option<Duration> = Some(timeout),
        default: None => "the selector's: 10 s",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        told: Duration = |options| options.drain_timeout,
    }

    /// Sets whether the first bytes may travel with the SYN, which saves a round trip (RFC 7413, TCP Fast Open).
    ///
    /// A listener answers clients that have been here before with so many connections at a time whose handshake is
    /// not complete yet (`TCP_FASTOPEN`, `tcp(7)`); zero turns it off. Bytes in a SYN may arrive twice, so it is for
    /// protocols whose first message may be repeated.
    ///
    /// To connect, any number but zero turns it on (`TCP_FASTOPEN_CONNECT`). Once the system knows a server's
    /// cookie, `connect` returns before the server has answered, and what is written before the task waits for
    /// something else leaves with the SYN. If nothing is, the SYN leaves without. The errors of connecting are then
    /// those of the first read or write, and no other address of the name is tried.
    /// [`TcpInfo::is_fast_open`](crate::TcpInfo::is_fast_open) tells whether it has worked.
    ///
    /// # Platform
    ///
    /// Linux and Android, 4.11 or later. Where `net.ipv4.tcp_fastopen` does not allow it (it needs 1 to connect, 2 to
    /// listen, so 3 for both; 1 is the default), and on other systems, opening the socket fails with
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    #[doc(alias = "TCP_FASTOPEN")]
    pub fn fast_open(waiting_max: u32) {
        value: Option<u32> = Some(waiting_max),
        default: None => "off",
        sockets: [Tcp],
        on: [Listening Connected],
        system: "`TCP_FASTOPEN`, `TCP_FASTOPEN_CONNECT`, `tcp(7)`" {
            systems: "Linux, Android",
            wanted: |waiting_max, role| waiting_max.map(|waiting| FastOpen::of(waiting, role)),
            set: |socket, fast_open: FastOpen| fast_open.set(socket),
            read: |socket| FastOpen::read(socket),
            told: u32 = |fast_open: FastOpen| Some(fast_open.number()),
        },
    }

    /// Sets how long no byte may pass in either direction; see
    /// [`Socket::set_idle_timeout`](crate::Socket::set_idle_timeout). Default: no limit.
    pub fn idle_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "none",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        told: Duration = |options| options.idle_timeout,
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

    /// Sets how an idle connection is probed. `None` turns probing off. Times are rounded up to whole seconds; zero,
    /// and on Linux more than 32,767 seconds or 127 probes, is [`InvalidInput`](crate::ErrorKind::InvalidInput).
    ///
    /// A connection with unacknowledged bytes is not probed, because they are sent again instead:
    /// [`user_timeout`](crate::TcpBuilder::user_timeout) and
    /// [`write_timeout`](crate::TcpBuilder::write_timeout) limit that.
    #[doc(alias("keepAlive", "set_keepalive", "SO_KEEPALIVE"))]
    pub fn keep_alive(keep_alive: impl Into<Option<KeepAlive>>) {
        value: Option<KeepAlive> = keep_alive.into(),
        default: Some(KeepAlive::default()) => "60 s, 15 s, 8",
        sockets: [Tcp],
        on: [Connected Accepted],
        system: "`SO_KEEPALIVE`, `TCP_KEEPIDLE`, `TCP_KEEPINTVL`, `TCP_KEEPCNT`, `tcp(7)`" {
            wanted: |keep_alive, _| Some(keep_alive.map(keep_alive::whole_seconds)),
            set: keep_alive::set,
            read: keep_alive::read,
            told: KeepAlive = |probes| probes,
        },
    }

    /// Sets the largest datagram that is received whole, in bytes. What a longer one has behind that is
    /// discarded, and the datagram is marked as [`truncated`](crate::Datagram::truncated).
    pub fn max_datagram(bytes: u16) {
        value: u16 = bytes,
        default: u16::MAX => "65,535, which is more than any has",
        sockets: [Udp],
        on: [Bound Connected],
        told: u16 = |options| Some(options.max_datagram),
    }

    /// Sets the permissions of the path, whatever the umask of the process. Connecting needs the permission
    /// to write (`unix(7)`). At no moment can a process connect that the mode excludes.
    pub fn mode(mode: u32) {
        value: Option<u32> = Some(mode),
        default: None => "0777 without the process's umask",
        sockets: [Unix UnixDatagram],
        on: [Listening Bound],
        told: u32 = |options| options.mode,
    }

    /// Sets whether connections may use several paths at once (RFC 8684, multipath TCP), if the other side knows
    /// that too.
    ///
    /// It is a wish. Where the kernel has none, or refuses it (`net.mptcp.enabled`), or refuses another option of
    /// this builder on such a socket ([`ttl`](crate::TcpBuilder::ttl) and
    /// [`user_timeout`](crate::TcpBuilder::user_timeout), as of Linux 6.18), the socket is one of plain TCP; and a
    /// connection falls back to TCP if its other side, or something on the way, does not know it.
    /// [`SocketOptions::mptcp`](crate::SocketOptions::mptcp) tells what it became: of a connection, whether it is
    /// one of multipath TCP now; of a listener, whether it accepts them.
    ///
    /// The addresses of the connection, [`TcpInfo`](crate::TcpInfo), and what a close takes for acknowledged, are those of
    /// its first path.
    ///
    /// # Platform
    ///
    /// Linux 5.6 or later; other systems are [`Unsupported`](crate::ErrorKind::Unsupported), naming it.
    #[doc(alias("multipath", "IPPROTO_MPTCP"))]
    pub fn mptcp(multipath: bool) {
        value: bool = multipath,
        default: false => "off",
        sockets: [Tcp],
        on: [Listening Connected],
        system: "`IPPROTO_MPTCP`, RFC 8684" {
            systems: "Linux",
            // It is chosen when the socket is made.
            wanted: |_, _| None,
            set: |_, _: bool| Ok(()),
            read: |socket| multipath::is_in_use(socket),
            told: bool = Some,
        },
    }

    /// Sets the interface at which datagrams to groups leave (`IP_MULTICAST_IF`, `ip(7)`; `IPV6_MULTICAST_IF`,
    /// `ipv6(7)`).
    pub fn multicast_interface(interface: MulticastInterface) {
        value: Option<MulticastInterface> = Some(interface),
        default: None => "by the routes",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`, `ip(7)`" {
            wanted: |interface, _| *interface,
            set: |socket, interface| packets::set_multicast_interface(socket, interface),
            read: |socket| packets::multicast_interface(socket),
            told: MulticastInterface = Some,
        },
    }

    /// Sets whether datagrams to groups also reach the sockets of this machine that have joined
    /// (`IP_MULTICAST_LOOP`, `ip(7)`; `IPV6_MULTICAST_LOOP`, `ipv6(7)`).
    #[doc(alias("set_multicast_loop_v4", "set_multicast_loop_v6"))]
    pub fn multicast_loop(reach: bool) {
        value: Option<bool> = Some(reach),
        default: None => "on",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`, `ip(7)`" {
            wanted: |reach, _| *reach,
            set: |socket, reach| packets::set_multicast_loop(socket, reach),
            read: |socket| packets::multicast_loop(socket),
            told: bool = Some,
        },
    }

    /// Sets the number of routers that a datagram to a group may pass, plus one (`IP_MULTICAST_TTL`, `ip(7)`;
    /// `IPV6_MULTICAST_HOPS`, `ipv6(7)`). With 0 it stays on this machine.
    #[doc(alias = "set_multicast_ttl_v4")]
    pub fn multicast_ttl(routers: u8) {
        value: Option<u8> = Some(routers),
        default: None => "1: it stays in this network",
        sockets: [Udp],
        on: [Bound Connected],
        system: "`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`, `ip(7)`" {
            wanted: |routers, _| *routers,
            set: |socket, routers| packets::set_multicast_ttl(socket, routers),
            read: |socket| packets::multicast_ttl(socket),
            told: u8 = Some,
        },
    }

    /// Sets whether small segments are sent at once (`TCP_NODELAY`, `tcp(7)`). The bytes written in one
    /// turn leave as one segment in any case.
    #[doc(alias("noDelay", "set_nodelay", "TCP_NODELAY"))]
    pub fn no_delay(no_delay: bool) {
        value: bool = no_delay,
        default: true => "on",
        sockets: [Tcp],
        on: [Connected Accepted],
        system: "`TCP_NODELAY`, `tcp(7)`" {
            wanted: |no_delay, _| Some(*no_delay),
            set: |socket, no_delay| socket.set_tcp_nodelay(no_delay),
            read: |socket| socket.tcp_nodelay(),
            told: bool = Some,
        },
    }

    /// Sets how many bytes may wait in the system that are not sent yet, before a write waits
    /// (`TCP_NOTSENT_LOWAT`, `tcp(7)`). What is written late is then sent soon, however large the
    /// [`send_buffer_size`](crate::TcpBuilder::send_buffer_size) is, which also counts what is on its way. Zero: the
    /// system's (`net.ipv4.tcp_notsent_lowat`), which is no limit by default.
    ///
    /// # Platform
    ///
    /// Linux and Android; elsewhere [`Unsupported`](crate::ErrorKind::Unsupported), naming it.
    #[doc(alias = "TCP_NOTSENT_LOWAT")]
    pub fn notsent_lowat(bytes: u32) {
        value: Option<u32> = Some(bytes),
        default: None => "the system's: no limit",
        sockets: [Tcp],
        on: [Connected Accepted],
        system: "`TCP_NOTSENT_LOWAT`, `tcp(7)`" {
            systems: "Linux, Android",
            wanted: |bytes, _| *bytes,
            set: |socket, bytes| of_linux::set_notsent_lowat(socket, bytes),
            read: |socket| of_linux::notsent_lowat(socket),
            told: u32 = Some,
        },
    }

    /// Sets whether a socket of IPv6 leaves IPv4 to others (`IPV6_V6ONLY`, `ipv6(7)`). Otherwise one on `[::]` also
    /// has the clients of IPv4, if the system lets it. At an address of IPv4 it is refused.
    #[doc(alias("IPV6_V6ONLY", "set_only_v6"))]
    pub fn only_v6(only: bool) {
        value: Option<bool> = Some(only),
        default: None => "the system's",
        sockets: [Tcp Udp],
        on: [Listening Bound],
        system: "`IPV6_V6ONLY`, `ipv6(7)`" {
            wanted: |only, _| *only,
            set: |socket, only| socket.set_only_v6(only),
            read: |socket| socket.only_v6(),
            told: bool = Some,
        },
    }

    /// Sets whether the system tells about each datagram to which address it was sent, by which interface it came, and
    /// its congestion mark ([`interface`](crate::Datagram::interface), [`ecn`](crate::Datagram::ecn)). Telling it takes
    /// a quarter of the time of a receive.
    ///
    /// A socket that is bound to one address knows the first without being told.
    ///
    /// # Platform
    ///
    /// On other systems than Linux and Android it is always told.
    pub fn packet_info(told: bool) {
        value: Option<bool> = Some(told),
        default: None => "on if bound to all addresses or to a group, else off",
        sockets: [Udp],
        on: [Bound Connected],
        told: bool = |options| options.packet_info,
    }

    /// Sets how long a read may wait for a byte; see
    /// [`Socket::set_read_timeout`](crate::Socket::set_read_timeout). Default: no limit.
    #[doc(alias("socketTimeout", "SO_RCVTIMEO"))]
    pub fn read_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "none",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        told: Duration = |options| options.read_timeout,
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
    #[doc(alias("receiveBufferSize", "set_recv_buffer_size", "SO_RCVBUF"))]
    pub fn receive_buffer_size(bytes: u32) {
        value: Option<u32> = Some(bytes),
        default: None => "the system's",
        sockets: [Tcp Udp Unix UnixDatagram],
        on: [Bound Connected Accepted],
        system: "`SO_RCVBUF`, `socket(7)`" {
            wanted: |bytes, _| *bytes,
            set: |socket, bytes| socket.set_recv_buffer_size(buffer_size::given(bytes)),
            read: |socket| socket.recv_buffer_size().map(buffer_size::asked),
            told: u32 = Some,
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
        told: bool = |options| Some(options.replace_stale),
    }

    /// Sets whether a local address may be bound while connections of an earlier socket are still in
    /// TIME-WAIT (`SO_REUSEADDR`, `socket(7)`).
    #[doc(alias("reuseAddress", "set_reuse_address", "SO_REUSEADDR"))]
    pub fn reuse_address(reuse: bool) {
        value: Option<bool> = Some(reuse),
        default: None => "on for listeners on Unix",
        sockets: [Tcp Udp],
        on: [Listening Bound Connected],
        system: "`SO_REUSEADDR`, `socket(7)`" {
            wanted: |reuse, role| {
                // A server that is started again must not have to wait for its old connections.
                reuse.or((role == SocketRole::Listening).then_some(cfg!(unix)))
            },
            set: |socket, reuse| socket.set_reuse_address(reuse),
            read: |socket| socket.reuse_address(),
            told: bool = Some,
        },
    }

    /// Sets whether several listening or datagram sockets may have the same address, if all of them set this and belong to
    /// the same user (`SO_REUSEPORT`, `socket(7)`; `SO_REUSEPORT_LB` on FreeBSD). The system distributes new
    /// connections among them: among several processes, for instance, or an old and a new one during an update.
    ///
    /// For several workers it is not needed, because they share one listening socket. Closing one of several
    /// resets the connections in its own backlog, though another one could have taken them.
    #[doc(alias("reusePort", "set_reuse_port", "SO_REUSEPORT"))]
    pub fn reuse_port(reuse: bool) {
        value: Option<bool> = Some(reuse),
        default: None => "off",
        sockets: [Tcp Udp],
        on: [Listening Bound Connected],
        system: "`SO_REUSEPORT`, `socket(7)`" {
            systems: "all but Windows, illumos and Solaris",
            wanted: |reuse, _| *reuse,
            set: |socket, reuse| reuse_port::set(socket, reuse),
            read: |socket| reuse_port::read(socket),
            told: bool = Some,
        },
    }

    /// Sets how many bytes the system may keep that are not sent, or not acknowledged yet (`SO_SNDBUF`,
    /// `socket(7)`). Linux takes twice this number, because it counts its own structures too, and no more than
    /// `net.core.wmem_max`.
    #[doc(alias("sendBufferSize", "set_send_buffer_size", "SO_SNDBUF"))]
    pub fn send_buffer_size(bytes: u32) {
        value: Option<u32> = Some(bytes),
        default: None => "the system's",
        sockets: [Tcp Udp Unix UnixDatagram],
        on: [Bound Connected Accepted],
        system: "`SO_SNDBUF`, `socket(7)`" {
            wanted: |bytes, _| *bytes,
            set: |socket, bytes| socket.set_send_buffer_size(buffer_size::given(bytes)),
            read: |socket| socket.send_buffer_size().map(buffer_size::asked),
            told: u32 = Some,
        },
    }

    /// Sets the number of routers that a packet may pass (`IP_TTL`, `ip(7)`; `IPV6_UNICAST_HOPS`, `ipv6(7)`):
    /// at least 1. Packets to groups have a limit of their own, which is 1 by default.
    #[doc(alias("hop_limit", "set_ttl", "IP_TTL"))]
    pub fn ttl(routers: u8) {
        value: Option<u8> = Some(routers),
        default: None => "the system's, mostly 64",
        sockets: [Tcp Udp],
        on: [Bound Connected Accepted],
        system: "`IP_TTL`, `IPV6_UNICAST_HOPS`, `ip(7)`" {
            wanted: |routers, _| *routers,
            set: |socket, routers| packets::set_ttl(socket, routers),
            read: |socket| packets::ttl(socket),
            told: u8 = Some,
        },
    }

    /// Sets the class of service of packets, the byte that RFC 2474 calls DS field (`IP_TOS`, `ip(7)`;
    /// `IPV6_TCLASS`, `ipv6(7)`). Its last two bits are for ECN (RFC 3168), and the system keeps them for
    /// itself on TCP.
    #[doc(alias("traffic_class", "typeOfService", "set_tos", "IP_TOS"))]
    pub fn type_of_service(class: u8) {
        value: Option<u8> = Some(class),
        default: None => "0",
        sockets: [Tcp Udp],
        on: [Bound Connected Accepted],
        system: "`IP_TOS`, `IPV6_TCLASS`, `ip(7)`" {
            systems: "all but Windows",
            wanted: |class, _| *class,
            set: |socket, class| packets::set_class(socket, class),
            read: |socket| packets::class(socket),
            told: u8 = Some,
        },
    }

    /// Sets how long bytes that were sent may stay unacknowledged, or what is queued unsent because the peer has no
    /// room, before the system ends the connection (`TCP_USER_TIMEOUT`, `tcp(7)`; RFC 5482). Then every call on it
    /// fails with [`TimedOut`](crate::ErrorKind::TimedOut). The system counts in milliseconds, up to 24 days; less
    /// than one is rounded up, and zero is [`InvalidInput`](crate::ErrorKind::InvalidInput).
    ///
    /// It acts only when the system sends something, be it again or a probe. On an idle connection that is
    /// [`keep_alive`](crate::TcpBuilder::keep_alive), whose number of probes it overrides: with 3 seconds here and
    /// 10 seconds of idling, a silent peer is gone after 11.
    ///
    /// # Platform
    ///
    /// Linux and Android; elsewhere [`Unsupported`](crate::ErrorKind::Unsupported), naming it.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    pub fn user_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "the system's",
        sockets: [Tcp],
        on: [Connected Accepted],
        system: "`TCP_USER_TIMEOUT`, `tcp(7)`" {
            systems: "Linux, Android",
            wanted: |timeout, _| timeout.map(of_linux::whole_milliseconds).map(Some),
            set: |socket, timeout| of_linux::set_user_timeout(socket, timeout),
            read: |socket| of_linux::user_timeout(socket),
            told: Duration = |timeout| timeout,
        },
    }

    /// Sets how long the peer may take none of the queued bytes; see
    /// [`Socket::set_write_timeout`](crate::Socket::set_write_timeout). Default: no limit.
    #[doc(alias("socketTimeout", "SO_SNDTIMEO"))]
    pub fn write_timeout(timeout: impl Into<Option<Duration>>) {
        value: Option<Duration> = timeout.into(),
        default: None => "none",
        sockets: [Tcp Unix],
        on: [Connected Accepted],
        told: Duration = |options| options.write_timeout,
        silence: Writing {
            /// Sets how long the peer may take none of the queued bytes. `None` lifts the limit. When the
            /// time is over, the connection is reset, and every call fails with
            /// [`TimedOut`](ErrorKind::TimedOut).
            #[doc(alias = "socketTimeout")]
            pub fn set_write_timeout;
        },
    }
}
