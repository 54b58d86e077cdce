//! The network interface of a group.

use std::io;
use std::net::Ipv4Addr;

use forebay_io::{Error, ErrorKind};

/// A network interface, for groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MulticastInterface {
    /// The one that the system chooses by its routes.
    #[default]
    Any,
    /// The one with this index (`if_nametoindex(3)`), as [`Datagram::interface`](crate::Datagram::interface) has
    /// it.
    Index(u32),
    /// The one with this address. For groups of IPv4 only.
    Address(Ipv4Addr),
}

impl From<u32> for MulticastInterface {
    fn from(index: u32) -> Self {
        Self::Index(index)
    }
}

impl From<Ipv4Addr> for MulticastInterface {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address)
    }
}

/// The interface as calls of IPv6 take it.
pub(in crate::net) fn index_of(interface: MulticastInterface) -> io::Result<u32> {
    match interface {
        MulticastInterface::Any => Ok(0),
        MulticastInterface::Index(index) => Ok(index),
        MulticastInterface::Address(_) => Err(invalid("a group of IPv6 wants an index")),
    }
}

/// The interface as some calls of IPv4 take it.
pub(in crate::net) fn address_of(interface: MulticastInterface) -> io::Result<Ipv4Addr> {
    match interface {
        MulticastInterface::Any => Ok(Ipv4Addr::UNSPECIFIED),
        MulticastInterface::Address(address) => Ok(address),
        MulticastInterface::Index(index) => interfaces::address(index)?
            .ok_or_else(|| invalid("the interface has no address of IPv4")),
    }
}

fn invalid(detail: &'static str) -> io::Error {
    Error::new(ErrorKind::InvalidInput, "multicast").with_detail(detail).into()
}

#[cfg(unix)]
mod interfaces {
    use nix::ifaddrs::getifaddrs;
    use nix::net::if_::if_indextoname;
    use nix::sys::socket::SockaddrIn;

    use super::{Ipv4Addr, io};

    /// The first address of IPv4 that an interface has.
    pub(super) fn address(index: u32) -> io::Result<Option<Ipv4Addr>> {
        let name = if_indextoname(index)?;
        let mut of_all = getifaddrs()?;
        Ok(of_all.find_map(|interface| {
            let is_it = interface.interface_name.as_bytes() == name.as_bytes();
            let address = interface.address.filter(|_| is_it)?;
            address.as_sockaddr_in().map(SockaddrIn::ip)
        }))
    }
}

/// There a small index passes for an address (`ip_mreq` of Windows).
#[cfg(windows)]
mod interfaces {
    use super::{Ipv4Addr, io};

    pub(super) fn address(index: u32) -> io::Result<Option<Ipv4Addr>> {
        Ok(Some(index.into()))
    }
}
