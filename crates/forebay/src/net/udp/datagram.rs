//! A received datagram.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use quinn_udp::{EcnCodepoint, RecvMeta};

/// A datagram that was received, and what the system tells about it.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let socket = selector.udp().bind("127.0.0.1:0").await?;
///     socket.send("hello", socket.local_address()).await?;
///     let datagram = socket.receive().await?;
///     assert_eq!(&datagram.payload[..], b"hello");
///     assert_eq!(datagram.address, socket.local_address());
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// The content. It may be empty: a datagram without content is a datagram.
    pub payload: Bytes,
    /// The address of the sender. A mapped address, `::ffff:192.0.2.1`, is shown as the IPv4 address.
    pub address: SocketAddr,
    /// The address that it was sent to: of this machine, of a group, or of broadcast. `None` where the system
    /// does not tell.
    pub local_address: Option<IpAddr>,
    /// The index of the network interface at which it arrived. `None` where the system does not tell, which it does
    /// with [`packet_info`](crate::UdpBuilder::packet_info).
    pub interface: Option<u32>,
    /// The mark of explicit congestion notification (RFC 3168); `None` if it has none, or the system does not tell, which
    /// it does with [`packet_info`](crate::UdpBuilder::packet_info).
    pub ecn: Option<Ecn>,
    /// The datagram was longer than [`max_datagram`](crate::UdpBuilder::max_datagram), and the rest of it is
    /// discarded.
    pub truncated: bool,
}

/// A mark of explicit congestion notification (RFC 3168, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ecn {
    /// The sender can be told of congestion: `ECT(0)`.
    Capable0,
    /// The sender can be told of congestion: `ECT(1)`.
    Capable1,
    /// A router has met congestion: `CE`.
    Congestion,
}

impl Ecn {
    fn of(mark: EcnCodepoint) -> Self {
        match mark {
            EcnCodepoint::Ect0 => Self::Capable0,
            EcnCodepoint::Ect1 => Self::Capable1,
            EcnCodepoint::Ce => Self::Congestion,
        }
    }
}

impl Datagram {
    /// Makes a datagram of its bytes, of which it keeps `bytes_max`, and the two ends.
    #[inline]
    pub(super) fn new(
        whole: &[u8],
        sender: SocketAddr,
        local_address: Option<IpAddr>,
        bytes_max: usize,
    ) -> Self {
        Self {
            payload: Bytes::copy_from_slice(&whole[..whole.len().min(bytes_max)]),
            address: as_shown(sender),
            local_address,
            interface: None,
            ecn: None,
            truncated: whole.len() > bytes_max,
        }
    }

    /// Makes a datagram of all that the system can tell.
    fn with(whole: &[u8], about: &RecvMeta, bytes_max: usize) -> Self {
        Self {
            interface: about.interface_index,
            ecn: about.ecn.map(Ecn::of),
            ..Self::new(whole, about.addr, about.dst_ip.map(|ip| ip.to_canonical()), bytes_max)
        }
    }
}

/// The address without its mapping, or else with its scope, which a mapped address has not.
#[inline]
fn as_shown(sender: SocketAddr) -> SocketAddr {
    match sender {
        SocketAddr::V4(_) => sender,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(ip.into(), v6.port()),
            None => sender,
        },
    }
}

/// The datagrams of one receive: of one sender, of the same length except for the last, which may be shorter.
pub(super) fn split(
    received: &[u8],
    about: RecvMeta,
    bytes_max: usize,
) -> impl Iterator<Item = Datagram> + '_ {
    // Zero for an empty datagram.
    let length = about.stride.max(1);
    let empty = received.is_empty().then_some(&received[..0]);
    let parts = received.chunks(length).chain(empty);
    parts.map(move |whole| Datagram::with(whole, &about, bytes_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(bytes: usize, stride: usize, bytes_max: usize) -> Vec<(usize, bool)> {
        let mut about = RecvMeta::default();
        (about.len, about.stride) = (bytes, stride);
        let received = vec![7; bytes];
        split(&received, about, bytes_max).map(|it| (it.payload.len(), it.truncated)).collect()
    }

    #[test]
    fn a_train_comes_apart_as_it_was_sent() {
        assert_eq!(lengths(10, 4, 100), [(4, false), (4, false), (2, false)]);
        assert_eq!(lengths(8, 4, 100), [(4, false), (4, false)]);
        assert_eq!(lengths(5, 5, 100), [(5, false)]);
        assert_eq!(lengths(64, 1, 100), [(1, false); 64]);
    }

    #[test]
    fn an_empty_datagram_is_one() {
        assert_eq!(lengths(0, 0, 100), [(0, false)]);
    }

    #[test]
    fn a_long_one_is_cut_and_marked() {
        assert_eq!(lengths(10, 4, 3), [(3, true), (3, true), (2, false)]);
        assert_eq!(lengths(3, 3, 3), [(3, false)]);
        assert_eq!(lengths(3, 3, 0), [(0, true)]);
    }
}
