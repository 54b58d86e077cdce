//! The name that a server's certificate must be for.

use std::net::IpAddr;

use forebay_io::seam::printable;
use forebay_io::{Error, ErrorKind, Result};
use rustls_pki_types::ServerName;

/// The longest name (RFC 1035, section 2.3.4, without the bytes of its encoding).
const NAME_MAX: usize = 253;

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
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    if text.is_empty() {
        return "it is empty".into();
    }
    if !text.is_ascii() {
        return "it is not ASCII; write an international name in its form that begins with `xn--` \
                (RFC 5890)"
            .into();
    }
    if text.len() > NAME_MAX {
        return format!("it has {} bytes, and a name has at most {NAME_MAX}", text.len());
    }
    if text.contains("//") {
        return "it is a URL; take the host out of it".into();
    }
    if text.contains(':') {
        return "it holds a colon; leave the port out".into();
    }
    if text.contains('*') {
        return "it is a pattern; name the server itself".into();
    }
    if let Some(label) = labels.clone().find(|label| label.len() > 63) {
        return format!("a label has {} bytes, and each has at most 63", label.len());
    }
    if labels.clone().any(str::is_empty) {
        return "a label is empty".into();
    }
    if labels.clone().any(|label| label.starts_with('-') || label.ends_with('-')) {
        return "a label begins or ends with a hyphen".into();
    }
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if !text.chars().all(is_allowed) {
        return "labels have letters, digits, hyphens and underscores".into();
    }
    match labels.next_back() {
        Some(label) if label.starts_with(|char: char| char.is_ascii_digit()) => {
            "its last label is a number, so that it could be read as an address".into()
        }
        _ => "it cannot be read".into(),
    }
}
