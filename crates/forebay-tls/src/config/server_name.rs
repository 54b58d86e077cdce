//! The name that a server's certificate must be for.

use std::net::IpAddr;

use forebay_io::seam::{HOST_NAME_MAX, HostNameFault, LABEL_MAX, host_name_fault, printable};
use forebay_io::{Error, ErrorKind, Result};
use rustls_pki_types::ServerName;

/// An error repeats at most this many characters of a refused text, enough to recognise it.
const SHOWN_MAX: usize = 80;

/// Parses a DNS name or an IP address. The brackets around an IPv6 address, its zone, and the dot at the
/// end of a name are not part of it: certificates contain none of them.
pub(super) fn parse(text: &str, operation: &'static str) -> Result<ServerName<'static>> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.split_once('%').map_or(bare, |(address, _)| address);
    match address.parse::<IpAddr>() {
        // An IPv4 address has neither brackets nor a zone.
        Ok(IpAddr::V4(_)) if address != text => {}
        Ok(address) => return Ok(ServerName::IpAddress(address.into())),
        Err(_) => {}
    }
    ServerName::try_from(text).map(|name| name.to_owned()).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, operation).with_detail(format!(
            "the server name \"{}\" is neither a DNS name nor an IP address: {}",
            printable(text, SHOWN_MAX),
            trouble(text),
        ))
    })
}

/// The error if neither a host nor a setting tells which server is expected.
pub(super) fn missing(operation: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_detail(
        "there is no host whose name the server's certificate could be for; name the server with \
         `TlsConfig::client().server_name(..)`",
    )
}

/// Describes what is wrong with the text, and what to write instead.
fn trouble(text: &str) -> String {
    if text.is_empty() {
        return "it is empty".into();
    }
    match host_name_fault(text) {
        Some(HostNameFault::NotAscii) => {
            "it is not ASCII; write an international name in its form that begins with `xn--` \
             (RFC 5890)"
                .into()
        }
        Some(HostNameFault::TooLong(bytes)) => {
            format!("it has {bytes} bytes, and a name has at most {HOST_NAME_MAX}")
        }
        Some(HostNameFault::Character(_)) => other_character(text).into(),
        Some(HostNameFault::LongLabel(bytes)) => {
            format!("a label has {bytes} bytes, and each has at most {LABEL_MAX}")
        }
        Some(HostNameFault::EmptyLabel) => "a label is empty".into(),
        Some(HostNameFault::EndsInNumber) => NUMBER.into(),
        None => not_for_rustls(text).into(),
    }
}

const NUMBER: &str = "its last label is a number, so that it could be read as an address";

fn other_character(text: &str) -> &'static str {
    if text.contains("//") {
        "it is a URL; take the host out of it"
    } else if text.contains(':') {
        "it holds a colon; leave the port out"
    } else if text.contains('*') {
        "it is a pattern; name the server itself"
    } else {
        "labels have letters, digits, hyphens and underscores"
    }
}

/// Describes a name that rustls refuses although a resolver may know it.
fn not_for_rustls(text: &str) -> &'static str {
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    if labels.clone().any(|label| label.starts_with('-') || label.ends_with('-')) {
        return "a label begins or ends with a hyphen";
    }
    match labels.next_back() {
        Some(label) if label.starts_with(|char: char| char.is_ascii_digit()) => NUMBER,
        _ => "it cannot be read",
    }
}
