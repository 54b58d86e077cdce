//! Advice on the errors of `bind` and `connect`, where their kind and address tell.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use forebay_io::{Error, ErrorKind};
use rustix::io::Errno;

const ZONE: &str = "a link-local address needs the zone of its interface, as in [fe80::1%eth0]:80";

/// The error of a system call of `connect`. The system says of a blackhole route only that an argument is
/// invalid (`EINVAL`), and a socket address that was parsed is valid, unless its zone is missing.
pub(super) fn connect_failed(error: io::Error, address: SocketAddr) -> Error {
    let is_invalid = error.raw_os_error() == Some(Errno::INVAL.raw_os_error());
    if is_invalid && !lacks_zone(address) {
        return Error::new(ErrorKind::Unreachable, "connect").with_cause(error);
    }
    Error::from_io("connect", error)
}

/// Advice on an error of `bind` at this address.
pub(super) fn on_bind(error: &Error, address: SocketAddr) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::System if lacks_zone(address) => Some(ZONE),
        ErrorKind::AddressInUse if cfg!(target_os = "linux") => {
            Some("another socket has it (`ss -ltnp` shows whose), or take port 0 for a free one")
        }
        ErrorKind::AddressInUse => Some("another socket has it, or take port 0 for a free one"),
        ErrorKind::AddressNotAvailable => {
            Some("no interface here has this address; 0.0.0.0 and [::] stand for all of them")
        }
        ErrorKind::PermissionDenied if cfg!(target_os = "linux") => Some(
            "a port below net.ipv4.ip_unprivileged_port_start, usually 1024, needs \
             CAP_NET_BIND_SERVICE",
        ),
        ErrorKind::PermissionDenied => Some("a port below 1024 usually needs root"),
        _ => None,
    }
}

/// Advice on an error of `connect` to this address.
pub(super) fn on_connect(error: &Error, address: SocketAddr) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unreachable | ErrorKind::System
            if lacks_zone(address) =>
        {
            Some(ZONE)
        }
        ErrorKind::Refused => {
            Some("nothing listens there, or a firewall refuses; check the port and the server")
        }
        ErrorKind::Unreachable if is_invalid_argument(error) => {
            Some("a route of type blackhole drops what is sent there; `ip route get` shows it")
        }
        ErrorKind::Unreachable => Some("check the network, and the route to it (`ip route get`)"),
        ErrorKind::PermissionDenied => {
            Some("a route of type prohibit, a firewall or a security module forbids it")
        }
        ErrorKind::AddressNotAvailable => Some(
            "no local port is left for it; net.ipv4.ip_local_port_range sets how many there are",
        ),
        _ => None,
    }
}

fn is_invalid_argument(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.raw_os_error() == Some(Errno::INVAL.raw_os_error()))
}

/// True for a link-local address of IPv6 that does not say on which interface it is (RFC 4007, section 6).
fn lacks_zone(address: SocketAddr) -> bool {
    match (address, address.ip()) {
        (SocketAddr::V6(address), IpAddr::V6(ip)) => {
            ip.is_unicast_link_local() && address.scope_id() == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{connect_failed, on_bind, on_connect};
    use forebay_io::{Error, ErrorKind};
    use std::io;
    use std::net::SocketAddr;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn met(errno: rustix::io::Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn an_error_of_bind_says_what_to_do() {
        use rustix::io::Errno;
        let cases = [
            (Errno::ADDRINUSE, "127.0.0.1:80", "port 0"),
            (Errno::ADDRNOTAVAIL, "192.0.2.1:80", "0.0.0.0"),
            (Errno::INVAL, "[fe80::1]:80", "%eth0"),
            #[cfg(target_os = "linux")]
            (Errno::ADDRINUSE, "127.0.0.1:80", "`ss -ltnp`"),
            #[cfg(target_os = "linux")]
            (Errno::ACCESS, "127.0.0.1:80", "CAP_NET_BIND_SERVICE"),
            #[cfg(target_os = "linux")]
            (Errno::ACCESS, "127.0.0.1:80", "net.ipv4.ip_unprivileged_port_start"),
        ];
        for (errno, at, words) in cases {
            let error = Error::from_io("bind", met(errno));
            let advice = on_bind(&error, address(at)).unwrap_or_default();
            assert!(advice.contains(words), "{errno:?}: {advice}");
        }
        let other = Error::from_io("bind", met(Errno::IO));
        assert_eq!(on_bind(&other, address("127.0.0.1:80")), None);
    }

    #[test]
    fn an_invalid_argument_of_connect_is_a_route_or_a_missing_zone() {
        use rustix::io::Errno;
        let cases = [
            (Errno::INVAL, "192.0.2.1:80", ErrorKind::Unreachable, "blackhole"),
            (Errno::INVAL, "[fe80::1]:80", ErrorKind::InvalidInput, "%eth0"),
            (Errno::INVAL, "[fe80::1%2]:80", ErrorKind::Unreachable, "blackhole"),
            (Errno::NETUNREACH, "192.0.2.1:80", ErrorKind::Unreachable, "ip route get"),
            (Errno::CONNREFUSED, "192.0.2.1:80", ErrorKind::Refused, "nothing listens"),
        ];
        for (errno, to, kind, words) in cases {
            let error = connect_failed(met(errno), address(to));
            let advice = on_connect(&error, address(to)).unwrap_or_default();
            assert_eq!(error.kind(), kind, "{errno:?}");
            assert!(advice.contains(words), "{errno:?}: {advice}");
        }
    }
}
