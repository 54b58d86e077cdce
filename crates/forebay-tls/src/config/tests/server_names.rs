use forebay_io::ErrorKind;

use super::sides;
use crate::TlsConfig;
use crate::config::{Store, server_name};
use forebay_testing::property;

#[test]
fn names_and_addresses_are_read_as_they_are_written() {
    let long = format!("{}.example", "a".repeat(63));
    for (text, name) in [
        ("example.com", "example.com"),
        ("EXAMPLE.com", "EXAMPLE.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("_service.example.com", "_service.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("3com.example", "3com.example"),
        (&long, &long),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1"),
    ] {
        assert_eq!(server_name::parse(text, "tls").unwrap().to_str(), name);
    }
}

#[test]
fn what_is_no_name_says_why() {
    let long_label = format!("{}.example", "a".repeat(64));
    let long = format!("{}example", "a.".repeat(124));
    for (text, words) in [
        ("", "it is empty"),
        ("bücher.example", "xn--"),
        (&long, "it has 255 bytes, and a name has at most 253"),
        ("https://example.com", "it is a URL"),
        ("example.com:443", "leave the port out"),
        ("*.example.com", "it is a pattern"),
        (&long_label, "a label has 64 bytes"),
        ("example..com", "a label is empty"),
        (".", "a label is empty"),
        ("-example.com", "hyphen"),
        ("example-.com", "hyphen"),
        ("exa mple.com", "letters, digits"),
        ("192.0.2.300", "could be read as an address"),
        ("192.0.2", "could be read as an address"),
        ("0x7f.1", "could be read as an address"),
        ("[192.0.2.1]", "letters, digits"),
        ("192.0.2.1%eth0", "letters, digits"),
        ("[example.com]", "letters, digits"),
    ] {
        let error = server_name::parse(text, "tls").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let message = error.to_string();
        assert!(message.contains(words), "{message}\nlacks {words}");
        assert!(message.contains(&text[..text.len().min(80)]), "{message}\nlacks {text}");
        assert!(message.len() < 300, "{message}");
    }
}

#[test]
fn a_host_is_needed_unless_a_name_was_set() {
    let (_root, client, _server) = sides();
    let unnamed = client.clone().build().unwrap();
    for config in [unnamed, TlsConfig::default()] {
        let error = config.client_connection(&Store::default(), None).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("TlsConfig::client().server_name(..)"), "{error}");
    }
    let named = client.server_name("localhost").build().unwrap();
    assert!(named.client_connection(&Store::default(), None).is_ok());
}

#[test]
fn a_name_that_was_set_is_read_when_it_is_built() {
    let (_root, client, _server) = sides();
    let error = client.server_name("not a name").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("\"not a name\""), "{error}");
}

/// Our words for what is wrong are found for everything that is refused.
#[test]
fn any_text_is_a_name_or_told_why_not() {
    let texts = "[a-c0-2.:%*/_\\[\\] -]{0,12}|.{0,300}";
    property("server_name", 500, &texts, |text| match server_name::parse(&text, "tls") {
        Ok(name) => assert!(name.to_str().is_ascii()),
        Err(error) => assert!(!error.to_string().contains("it cannot be read"), "{error}"),
    });
}
