use std::os::unix::ffi::OsStrExt;

use forebay_io::ErrorKind;
use proptest::collection::vec;
use proptest::prelude::*;

use super::system::NAME_BYTES_MAX;
use super::*;

fn path(bytes: &[u8]) -> UnixAddress {
    UnixAddress::Path(OsStr::from_bytes(bytes).into())
}

fn parsed(text: &str) -> Result<SocketAddress> {
    text.parse()
}

#[track_caller]
fn refused(address: &UnixAddress) -> Error {
    let error = address.to_system().expect_err("the system's address cannot hold it");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    error
}

#[test]
fn the_text_of_each_kind() {
    let cases = [
        (path(b"/run/greeter.sock"), "unix:/run/greeter.sock"),
        (path(b"relative"), "unix:relative"),
        (path(b"@home"), r"unix:\x40home"),
        (path(b"a@b"), "unix:a@b"),
        (path(br"a\b"), r"unix:a\x5cb"),
        (path(b"line\nbreak"), r"unix:line\x0abreak"),
        (path(b"unix:twice"), "unix:unix:twice"),
        (path("café".as_bytes()), "unix:café"),
        (path(b"\xe9t\xe9"), r"unix:\xe9t\xe9"),
        (path(b"127.0.0.1:80"), "unix:127.0.0.1:80"),
        (UnixAddress::Abstract(b"name".to_vec()), "unix:@name"),
        (UnixAddress::Abstract(b"@name".to_vec()), "unix:@@name"),
        (UnixAddress::Abstract(b"a\0b".to_vec()), r"unix:@a\x00b"),
        (UnixAddress::Abstract(Vec::new()), "unix:@"),
        (UnixAddress::Unnamed, "unix:"),
    ];
    for (address, text) in cases {
        assert_eq!(address.to_string(), text);
        assert_eq!(parsed(text).unwrap(), SocketAddress::Unix(address), "{text}");
    }
}

#[test]
fn texts_that_are_refused() {
    for text in
        [r"unix:\", r"unix:a\b", r"unix:\x", r"unix:\x4", r"unix:\xg0", r"unix:\x+1", "unix:\\xé0"]
    {
        let error = parsed(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.to_string().contains("two hexadecimal digits"), "{error}");
    }
    for text in ["/run/greeter.sock", "@name", "UNIX:/run/greeter.sock", "uni:x"] {
        assert_eq!(parsed(text).expect_err(text).kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_path_has_one_to_107_bytes_and_no_nul() {
    let longest = vec![b'p'; NAME_BYTES_MAX];
    path(&longest).to_system().expect("what the system holds");
    let error = refused(&path(&[longest.as_slice(), b"p"].concat()));
    let expected =
        format!("{} bytes; the system's address holds {NAME_BYTES_MAX}", NAME_BYTES_MAX + 1);
    assert!(error.to_string().contains(&expected), "{error}");
    for bytes in [&b"\0"[..], b"\0name", b"na\0me", b"name\0"] {
        assert!(refused(&path(bytes)).to_string().contains("a path holds no NUL"));
    }
    for address in [path(b""), UnixAddress::Unnamed] {
        assert!(refused(&address).to_string().contains("needs a path or a name"));
    }
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_abstract_name_has_one_to_107_bytes_of_any_value() {
    for name in [vec![0; NAME_BYTES_MAX], b"a\0b".to_vec(), vec![b'n'; NAME_BYTES_MAX]] {
        let address = UnixAddress::Abstract(name);
        let system = address.to_system().expect("what the system holds");
        assert_eq!(UnixAddress::from_system(&system), Some(address));
    }
    let long = UnixAddress::Abstract(vec![b'n'; NAME_BYTES_MAX + 1]);
    assert!(refused(&long).to_string().contains("108 bytes; the system's address holds 107"));
    assert!(refused(&UnixAddress::Abstract(Vec::new())).to_string().contains("this is empty"));
}

#[test]
fn an_address_of_another_kind_is_refused() {
    let inet = SocketAddress::from(([127, 0, 0, 1], 80));
    let error = inet.to_unix_address().expect_err("it has no path");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("127.0.0.1:80"), "{error}");
}

#[test]
fn a_text_is_a_path_whatever_it_begins_with() {
    for text in ["@name", "unix:name", "\\x40"] {
        assert_eq!(text.to_unix_address().unwrap(), path(text.as_bytes()));
    }
}

proptest! {
    #[test]
    fn every_address_parses_back(bytes in vec(any::<u8>(), 1..200)) {
        for address in [path(&bytes), UnixAddress::Abstract(bytes.clone())] {
            let text = address.to_string();
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            prop_assert_eq!(parsed(&text).unwrap(), SocketAddress::Unix(address));
        }
    }

    #[test]
    fn what_the_system_holds_comes_back_from_it(bytes in vec(1..=u8::MAX, 1..=NAME_BYTES_MAX)) {
        let address = path(&bytes);
        let system = address.to_system().unwrap();
        prop_assert_eq!(UnixAddress::from_system(&system), Some(address));
    }

    /// Each text is either refused or says one address, whose own text says the same.
    #[test]
    fn no_text_is_read_in_two_ways(text in r"unix:@?([\\x0-9a-f@/é]|\\x[0-9a-f]{2}){0,12}") {
        if let Ok(address) = parsed(&text) {
            prop_assert_eq!(parsed(&address.to_string()).unwrap(), address);
        }
    }
}
