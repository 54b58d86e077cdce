//! Groups: datagrams to many receivers at once (RFC 1112, RFC 4607, RFC 3810).

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use forebay_io::{Error, ErrorKind, Result};
use socket2::{InterfaceIndexOrAddress, SockRef};

use super::bound::BoundDatagramSocket;
use super::interface::{MulticastInterface, address_of, index_of};
use crate::net::datagram::DatagramSocket;

impl BoundDatagramSocket {
    /// Joins a group: from now on the socket receives what is sent to it at this interface, from any sender. It
    /// receives nothing of groups that other sockets have joined. Closing it leaves all groups.
    ///
    /// Of several sockets at one port ([`reuse_address`](crate::UdpBuilder::reuse_address),
    /// [`reuse_port`](crate::UdpBuilder::reuse_port)) each that has joined receives every datagram; so of several
    /// tasks, one joins.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput): the address is not of a group, or the interface has no
    ///   address of IPv4.
    /// - [`AddressInUse`](crate::ErrorKind::AddressInUse): the socket is a member already.
    /// - [`System`](crate::ErrorKind::System): there is no such interface, or none by the routes.
    /// - [`Exhausted`](crate::ErrorKind::Exhausted): too many groups (`net.ipv4.igmp_max_memberships`).
    /// - [`Closed`](crate::ErrorKind::Closed): the socket or its selector is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::{IpAddr, Ipv4Addr};
    ///
    /// use forebay::MulticastInterface;
    ///
    /// forebay::run(async |selector| {
    ///     let group: IpAddr = Ipv4Addr::new(239, 255, 70, 72).into();
    ///     // On this machine alone; `Any` is the interface that the routes name.
    ///     let interface = MulticastInterface::Address(Ipv4Addr::LOCALHOST);
    ///     let member = selector.udp().bind("0.0.0.0:0").await?;
    ///     member.join(group, interface)?;
    ///
    ///     let sender = selector.udp().multicast_interface(interface).bind("0.0.0.0:0").await?;
    ///     sender.send("to all", (group, member.local_address().port()).into()).await?;
    ///     let datagram = member.receive().await?;
    ///     assert_eq!(datagram.payload, "to all");
    ///     assert_eq!(datagram.local_address, Some(group));
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn join(&self, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        self.on_group("join", group, |socket| match group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &of_ipv4(interface)),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, index_of(interface)?),
        })
    }

    /// Leaves a group that [`join`](Self::join) has joined at this interface.
    ///
    /// # Errors
    ///
    /// [`AddressNotAvailable`](crate::ErrorKind::AddressNotAvailable): the socket is no member;
    /// [`Closed`](crate::ErrorKind::Closed).
    pub fn leave(&self, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        self.on_group("leave", group, |socket| match group {
            IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &of_ipv4(interface)),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, index_of(interface)?),
        })
    }

    /// Joins a group of IPv4 for what one source sends (RFC 4607).
    ///
    /// # Errors
    ///
    /// Those of [`join`](Self::join).
    ///
    /// # Platform
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on NetBSD and OpenBSD.
    pub fn join_source(
        &self,
        group: Ipv4Addr,
        source: Ipv4Addr,
        interface: MulticastInterface,
    ) -> Result<()> {
        self.on_group("join", group.into(), |socket| {
            source::join(socket, source, group, address_of(interface)?)
        })
    }

    /// Leaves a group that [`join_source`](Self::join_source) has joined.
    ///
    /// # Errors
    ///
    /// Those of [`leave`](Self::leave).
    pub fn leave_source(
        &self,
        group: Ipv4Addr,
        source: Ipv4Addr,
        interface: MulticastInterface,
    ) -> Result<()> {
        self.on_group("leave", group.into(), |socket| {
            source::leave(socket, source, group, address_of(interface)?)
        })
    }

    fn on_group(
        &self,
        operation: &'static str,
        group: IpAddr,
        call: impl Fn(&SockRef<'_>) -> io::Result<()>,
    ) -> Result<()> {
        self.core.check_open(operation)?;
        if !group.is_multicast() {
            let error = Error::new(ErrorKind::InvalidInput, operation).with_address(group);
            return Err(error.with_detail("this is not the address of a group"));
        }
        let done = self.core.call(|fd| call(&SockRef::from(&fd)));
        done.map_err(|error| Error::from_io(operation, error).with_address(group))
    }
}

fn of_ipv4(interface: MulticastInterface) -> InterfaceIndexOrAddress {
    match interface {
        MulticastInterface::Any => InterfaceIndexOrAddress::Address(Ipv4Addr::UNSPECIFIED),
        MulticastInterface::Index(index) => InterfaceIndexOrAddress::Index(index),
        MulticastInterface::Address(address) => InterfaceIndexOrAddress::Address(address),
    }
}

#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
mod source {
    use super::{Ipv4Addr, SockRef, io};

    pub(super) fn join(
        socket: &SockRef<'_>,
        source: Ipv4Addr,
        group: Ipv4Addr,
        interface: Ipv4Addr,
    ) -> io::Result<()> {
        socket.join_ssm_v4(&source, &group, &interface)
    }

    pub(super) fn leave(
        socket: &SockRef<'_>,
        source: Ipv4Addr,
        group: Ipv4Addr,
        interface: Ipv4Addr,
    ) -> io::Result<()> {
        socket.leave_ssm_v4(&source, &group, &interface)
    }
}

#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
mod source {
    use super::{Ipv4Addr, SockRef, io};

    pub(super) fn join(_: &SockRef<'_>, _: Ipv4Addr, _: Ipv4Addr, _: Ipv4Addr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn leave(_: &SockRef<'_>, _: Ipv4Addr, _: Ipv4Addr, _: Ipv4Addr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
