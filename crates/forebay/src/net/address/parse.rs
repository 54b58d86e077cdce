//! Parses host and port strictly.
//!
//! Texts come from configurations and from peers, and one program may check a text that another one
//! connects to. So a text has exactly one meaning, or none. Anything that the system's resolver would read
//! in its own way (the number bases of `inet_aton`, blanks, an incomplete address) is refused before the
//! resolver sees it.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use forebay_io::seam::{HOST_NAME_MAX, HostNameFault, LABEL_MAX, host_name_fault, printable};
use forebay_io::{Error, ErrorKind, Result};

use super::{Address, Target};

/// An error repeats at most this many characters of a refused text. The longest name fits.
const SHOWN_MAX: usize = 300;

/// Parses `host:port`.
pub(super) fn address(text: &str) -> Result<Address> {
    split(text)
        .and_then(|(host, port)| target(host, self::port(port)?))
        .map(Address)
        .map_err(|error| error.with_address(shown(text)))
}

/// Parses a host without a port.
pub(super) fn host_and_port(host: &str, port: u16) -> Result<Address> {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_text = match bracketed {
        Some(inner) => HostText::Bracketed(inner),
        // No port follows, so colons can only belong to an IPv6 address.
        None if host.contains(':') => HostText::Bracketed(host),
        None => HostText::Plain(host),
    };
    target(host_text, port)
        .map(Address)
        .map_err(|error| error.with_address(format_args!("{}:{port}", shown(host))))
}

/// Parses `ip:port`.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr> {
    match address(text)?.0 {
        Target::Literal(inet) => Ok(inet),
        Target::Name(..) => {
            let error = refusal("a name is not an address yet; write an IP address, or resolve it");
            Err(error.with_address(shown(text)))
        }
    }
}

/// The host part of a text.
#[derive(Clone, Copy)]
enum HostText<'a> {
    Bracketed(&'a str),
    Plain(&'a str),
}

fn split(text: &str) -> Result<(HostText<'_>, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| refusal("the bracket is not closed; write [::1]:80"))?;
        let port = rest.strip_prefix(':').ok_or_else(no_port)?;
        return Ok((HostText::Bracketed(host), port));
    }
    let (host, port) = text.split_once(':').ok_or_else(no_port)?;
    if port.contains(':') {
        let is_ipv6 = text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        return Err(refusal(if is_ipv6 || text.contains('%') {
            "an IPv6 address stands in brackets, as in [::1]:80"
        } else {
            "one ':' stands between host and port, and nothing before or after them"
        }));
    }
    Ok((HostText::Plain(host), port))
}

fn no_port() -> Error {
    refusal("the port is missing; write host:port or [::1]:port, where port 0 is any")
}

fn port(text: &str) -> Result<u16> {
    if text.is_empty() {
        return Err(no_port());
    }
    // `parse` alone would accept a sign.
    let digits_only = text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits_only { text.parse().ok() } else { None };
    port.ok_or_else(|| refusal("a port is a number from 0 to 65535, in digits alone"))
}

fn target(host: HostText<'_>, port: u16) -> Result<Target> {
    match host {
        HostText::Bracketed(text) => {
            let (ip, scope) = ipv6(text)?;
            Ok(Target::Literal(SocketAddrV6::new(ip, port, 0, scope).into()))
        }
        HostText::Plain("") => Err(refusal(
            "the host is empty; 0.0.0.0 or [::] listens everywhere, localhost is this machine",
        )),
        HostText::Plain(text) => match text.parse::<Ipv4Addr>() {
            Ok(ip) => Ok(Target::Literal((ip, port).into())),
            Err(_) => check_name(text).map(|()| Target::Name(text.into(), port)),
        },
    }
}

/// Parses an IPv6 address with its zone (RFC 4007 section 11).
fn ipv6(text: &str) -> Result<(Ipv6Addr, u32)> {
    let (ip, zone) = match text.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (text, None),
    };
    let ip = ip.parse().map_err(|_| {
        refusal("no IPv6 address; only those have colons and brackets, as in [::1]:80")
    })?;
    Ok((ip, zone.map_or(Ok(0), scope)?))
}

fn scope(zone: &str) -> Result<u32> {
    if zone.is_empty() {
        return Err(refusal(
            "the zone after '%' is empty; write an interface, as in [fe80::1%lo]:80",
        ));
    }
    if zone.bytes().all(|b| b.is_ascii_digit()) {
        let number = zone.parse();
        return number.map_err(|_| refusal("the zone's number after '%' is above 4294967295"));
    }
    interface(zone)
}

#[cfg(unix)]
fn interface(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name).map_err(|error| {
        Error::new(ErrorKind::NotFound, "address")
            .with_detail(format!("there is no network interface {}", shown(name)))
            .with_cause(error)
    })
}

#[cfg(not(unix))]
fn interface(_: &str) -> Result<u32> {
    Err(Error::new(ErrorKind::Unsupported, "address")
        .with_detail("the zone after '%' is a number here, the index of the interface"))
}

fn check_name(text: &str) -> Result<()> {
    let Some(fault) = host_name_fault(text) else { return Ok(()) };
    let detail: Cow<'static, str> = match fault {
        HostNameFault::NotAscii => {
            "a name is ASCII; pass the punycode form of others (xn--...)".into()
        }
        HostNameFault::Character(wrong) => {
            format!("a name holds letters, digits, '-', '_' and '.', and not {wrong:?}").into()
        }
        HostNameFault::TooLong(bytes) => {
            format!("the name has {bytes} bytes; {HOST_NAME_MAX} at most").into()
        }
        HostNameFault::EmptyLabel => {
            "a part of the name is empty; one dot between two parts".into()
        }
        HostNameFault::LongLabel(bytes) => {
            format!("a part of the name has {bytes} bytes; {LABEL_MAX} at most").into()
        }
        HostNameFault::EndsInNumber => {
            "a name does not end in a number; an IPv4 address is four decimal numbers up to 255 \
             without leading zeros and without a dot at the end, as in 127.0.0.1"
                .into()
        }
    };
    Err(refusal(detail))
}

fn refusal(what_would_be_right: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, "address").with_detail(what_would_be_right)
}

fn shown(text: &str) -> String {
    printable(text, SHOWN_MAX)
}
