//! Parses host and port strictly.
//!
//! Texts come from configurations and from peers, and one program may check a text that another one
//! connects to. So a text has exactly one meaning, or none. Anything that the system's resolver would read
//! in its own way (the number bases of `inet_aton`, blanks, an incomplete address) is refused before the
//! resolver sees it. A refusal has the place of the first character that does not fit.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

use forebay_io::seam::{HOST_NAME_MAX, HostNameFault, LABEL_MAX, host_name_fault, printable};
use forebay_io::{Error, ErrorKind, Result};

use super::numbers::{v4_fault, v6_fault};
use super::{Address, Target};

/// An error repeats at most this many characters of a refused text. The longest name fits.
const SHOWN_MAX: usize = 300;

/// A reason why a text is refused.
enum Misfit {
    /// The character at this place, in bytes, is not what was expected there.
    Unexpected(usize, Cow<'static, str>),
    /// The text is well-formed, but means nothing on this machine.
    Other(Error),
}

impl Misfit {
    fn at(place: usize, expected: impl Into<Cow<'static, str>>) -> Self {
        Self::Unexpected(place, expected.into())
    }

    /// Moves the place, because the text begins in the middle of another one.
    fn behind(self, before: usize) -> Self {
        match self {
            Self::Unexpected(place, expected) => Self::Unexpected(before + place, expected),
            Self::Other(error) => Self::Other(error),
        }
    }

    fn into_error(self, text: &str) -> Error {
        match self {
            Self::Unexpected(place, expected) => {
                Error::new(ErrorKind::InvalidInput, "address").with_expected(text, place, expected)
            }
            Self::Other(error) => error,
        }
    }
}

type Parsed<T> = std::result::Result<T, Misfit>;

/// Parses `host:port`.
pub(super) fn address(text: &str) -> Result<Address> {
    let parsed = split(text).and_then(|(host, port_at)| {
        let port = port(&text[port_at..]).map_err(|misfit| misfit.behind(port_at))?;
        target(host, port)
    });
    parsed.map(Address).map_err(|misfit| misfit.into_error(text).with_address(shown(text)))
}

/// Parses a host without a port.
pub(super) fn host_and_port(host: &str, port: u16) -> Result<Address> {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_text = match bracketed {
        Some(inner) => HostText::Bracketed(inner, 1),
        // No port follows, so colons can only belong to an IPv6 address.
        None if host.contains(':') => HostText::Bracketed(host, 0),
        None => HostText::Plain(host),
    };
    target(host_text, port).map(Address).map_err(|misfit| {
        misfit.into_error(host).with_address(format_args!("{}:{port}", shown(host)))
    })
}

/// Parses `ip:port`.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr> {
    match address(text)?.0 {
        Target::Literal(inet) => Ok(inet),
        Target::Name(..) => {
            let expected = "a name is not an address yet; write an IP address, or resolve it";
            Err(Misfit::at(0, expected).into_error(text).with_address(shown(text)))
        }
    }
}

/// The host part of a text.
#[derive(Clone, Copy)]
enum HostText<'a> {
    /// With the place at which it begins.
    Bracketed(&'a str, usize),
    Plain(&'a str),
}

/// Returns the host, and the place at which the port begins.
fn split(text: &str) -> Parsed<(HostText<'_>, usize)> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else {
            return Err(Misfit::at(text.len(), "the bracket is not closed; write [::1]:80"));
        };
        let behind = text.len() - rest.len();
        if !rest.starts_with(':') {
            return Err(no_port(behind));
        }
        return Ok((HostText::Bracketed(host, 1), behind + 1));
    }
    let (host, port) = text.split_once(':').ok_or_else(|| no_port(text.len()))?;
    let port_at = text.len() - port.len();
    if port.contains(':') {
        let is_ipv6 = text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        if is_ipv6 || text.contains('%') {
            return Err(Misfit::at(0, "an IPv6 address stands in brackets, as in [::1]:80"));
        }
        let digits = port.bytes().take_while(u8::is_ascii_digit).count();
        let expected = "one ':' stands between host and port, and nothing before or after them";
        return Err(Misfit::at(port_at + digits, expected));
    }
    Ok((HostText::Plain(host), port_at))
}

fn no_port(place: usize) -> Misfit {
    Misfit::at(place, "the port is missing; write host:port or [::1]:port, where port 0 is any")
}

fn port(text: &str) -> Parsed<u16> {
    if text.is_empty() {
        return Err(no_port(0));
    }
    let mut port = 0_u16;
    for (place, byte) in text.bytes().enumerate() {
        // Digits alone: the standard library would accept a sign.
        let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
        let longer = digit.and_then(|digit| port.checked_mul(10)?.checked_add(digit));
        port = longer.ok_or_else(|| {
            Misfit::at(place, "a port is a number from 0 to 65535, in digits alone")
        })?;
    }
    Ok(port)
}

fn target(host: HostText<'_>, port: u16) -> Parsed<Target> {
    match host {
        HostText::Bracketed(text, at) => {
            ipv6(text, port).map(Target::Literal).map_err(|misfit| misfit.behind(at))
        }
        HostText::Plain("") => Err(Misfit::at(
            0,
            "the host is empty; 0.0.0.0 or [::] listens everywhere, localhost is this machine",
        )),
        HostText::Plain(text) => match text.parse::<Ipv4Addr>() {
            Ok(ip) => Ok(Target::Literal((ip, port).into())),
            Err(_) => check_name(text).map(|()| Target::Name(text.into(), port)),
        },
    }
}

/// Parses an IPv6 address with its zone (RFC 4007 section 11).
fn ipv6(text: &str, port: u16) -> Parsed<SocketAddr> {
    let (number, zone) = match text.split_once('%') {
        Some((number, zone)) => (number, Some(zone)),
        None => (text, None),
    };
    let ip = number.parse().map_err(|_| {
        let place = v6_fault(number).unwrap_or(0);
        Misfit::at(place, "no IPv6 address; only those have colons and brackets, as in [::1]:80")
    })?;
    let zone = zone.map_or(Ok(0), scope);
    let zone = zone.map_err(|misfit| misfit.behind(number.len() + 1))?;
    Ok(SocketAddrV6::new(ip, port, 0, zone).into())
}

fn scope(zone: &str) -> Parsed<u32> {
    if zone.is_empty() {
        let expected = "the zone after '%' is empty; write an interface, as in [fe80::1%lo]:80";
        return Err(Misfit::at(0, expected));
    }
    if zone.bytes().all(|b| b.is_ascii_digit()) {
        let above = || Misfit::at(0, "the zone's number after '%' is above 4294967295");
        return zone.parse().map_err(|_| above());
    }
    interface(zone).map_err(Misfit::Other)
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

fn check_name(text: &str) -> Parsed<()> {
    let Some(fault) = host_name_fault(text) else { return Ok(()) };
    let expected: Cow<'static, str> = match fault {
        HostNameFault::NotAscii => {
            "a name is ASCII; pass the punycode form of others (xn--...)".into()
        }
        HostNameFault::Character(_) => "a name holds letters, digits, '-', '_' and '.'".into(),
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
    let is_numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let place = match fault {
        HostNameFault::EndsInNumber if is_numeric => v4_fault(text),
        _ => None,
    };
    Err(Misfit::at(place.unwrap_or_else(|| fault.position(text)), expected))
}

fn shown(text: &str) -> String {
    printable(text, SHOWN_MAX)
}
