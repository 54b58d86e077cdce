//! Texts as addresses: any text parses or is refused, what is parsed displays as a text that parses back to the same,
//! and a refusal points at a character.
//!
//! The input is the text; its first byte chooses what it is parsed as.
//! `cargo +nightly fuzz run addresses --sanitizer none`.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use forebay::{Address, Error, ErrorKind, HostPart, SocketAddress, ToAddress};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match kind % 3 {
        0 => both_parts(text),
        1 => host_alone(text, u16::from(*kind)),
        _ => of_a_socket(text),
    }
});

fn both_parts(text: &str) {
    match text.to_address() {
        Ok(address) => {
            assert_eq!(text.parse::<Address>().as_ref().ok(), Some(&address));
            same_again(&address);
            // What the standard library reads as an address is the same one here.
            if let Ok(inet) = text.parse::<SocketAddr>() {
                assert_eq!(address, Address::from(inet));
            }
        }
        Err(error) => {
            points_at_a_character(&error, text);
            assert!(text.parse::<SocketAddr>().is_err() || is_of_a_zone(&error), "{text}");
        }
    }
}

fn host_alone(text: &str, port: u16) {
    match (text, port).to_address() {
        Ok(address) => {
            assert_eq!(address.port(), port);
            same_again(&address);
            if let (HostPart::Inet(inet), Ok(ip)) = (address.host(), text.parse::<IpAddr>()) {
                assert_eq!(inet.ip(), ip);
            }
        }
        Err(error) => {
            points_at_a_character(&error, text);
            assert!(text.parse::<IpAddr>().is_err(), "{text}");
        }
    }
}

fn of_a_socket(text: &str) {
    match text.parse::<SocketAddress>() {
        Ok(address) => {
            let again = address.to_string().parse::<SocketAddress>();
            assert_eq!(again.as_ref().ok(), Some(&address));
            let canonical = address.to_canonical();
            assert_eq!(canonical.to_canonical(), canonical);
            assert_eq!(canonical.port(), address.port());
        }
        // The detail of a Unix path that is no text on this system has no place.
        Err(error) => assert!(error.position().is_none_or(|place| place <= text.len())),
    }
}

/// The text of an address is read as the same one, whole and in parts.
fn same_again(address: &Address) {
    assert_eq!(address.to_string().parse::<Address>().as_ref().ok(), Some(address));
    let parts = (address.host().to_string(), address.port());
    assert_eq!(parts.to_address().as_ref().ok(), Some(address));
    if let HostPart::Name(name) = address.host() {
        assert!(name.is_ascii() && name.len() <= 254);
        assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
    }
}

fn points_at_a_character(error: &Error, text: &str) {
    assert!(error.address().is_some());
    if error.kind() == ErrorKind::InvalidInput {
        assert!(error.position().is_some_and(|place| text.is_char_boundary(place)), "{error}");
        assert!(error.expected().is_some_and(|expected| error.to_string().ends_with(expected)));
    }
    assert!(error.to_string().chars().all(|c| !c.is_control()), "{error:?}");
}

/// The name of an interface after `%` is looked for on this machine.
fn is_of_a_zone(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
