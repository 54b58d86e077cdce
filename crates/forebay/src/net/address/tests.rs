use forebay_io::ErrorKind;
use proptest::prelude::*;

use super::*;

#[track_caller]
fn text(address: &impl ToAddress) -> String {
    address.to_address().expect("a well-formed address").to_string()
}

#[test]
fn accepted_texts() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    let cases = [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("255.255.255.255:65535", "255.255.255.255:65535"),
        ("localhost:8080", "localhost:8080"),
        ("Example.COM:080", "Example.COM:80"),
        ("example.com.:443", "example.com.:443"),
        ("xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
        ("_service._tcp.example-1.org:1", "_service._tcp.example-1.org:1"),
        ("1.2.3.4.example:1", "1.2.3.4.example:1"),
        ("0x7f.example:1", "0x7f.example:1"),
        ("4u:1", "4u:1"),
        ("0xyz:1", "0xyz:1"),
        ("[::]:0", "[::]:0"),
        ("[::1]:80", "[::1]:80"),
        ("[2001:DB8:0::1]:80", "[2001:db8::1]:80"),
        ("[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.1]:80"),
        ("[fe80::1%7]:80", "[fe80::1%7]:80"),
        ("[fe80::1%0]:80", "[fe80::1]:80"),
        ("[fe80::1%4294967295]:80", "[fe80::1%4294967295]:80"),
    ];
    for (given, expected) in cases {
        assert_eq!(text(&given), expected, "{given}");
    }
    assert_eq!(longest.len(), 253);
    for name in [longest.clone(), longest + "."] {
        assert_eq!(text(&(&name, 1)), format!("{name}:1"));
    }
}

#[test]
fn refused_texts_say_what_would_be_right() {
    let cases = [
        ("", "write host:port", 0),
        ("example.com", "write host:port", 11),
        ("example.com:", "write host:port", 12),
        ("[::1]", "write host:port", 5),
        ("[::1]:", "write host:port", 6),
        ("[::1]80", "write host:port", 5),
        (":80", "0.0.0.0 or [::]", 0),
        (":", "port is missing", 1),
        ("host:65536", "0 to 65535", 9),
        ("host:99999999999999999999", "0 to 65535", 9),
        ("host:+80", "0 to 65535", 5),
        ("host:-1", "0 to 65535", 5),
        ("host: 80", "0 to 65535", 5),
        ("host:80 ", "0 to 65535", 7),
        ("host:80\n", "0 to 65535", 7),
        ("host:http", "0 to 65535", 5),
        ("host:\u{0663}", "0 to 65535", 5),
        ("::1:80", "[::1]:80", 0),
        ("::1", "[::1]:80", 0),
        ("fe80::1%lo:80", "[::1]:80", 0),
        ("http://host:80", "one ':' stands", 5),
        ("host:80:80", "one ':' stands", 7),
        ("host/path:80", "letters, digits", 4),
        ("user@host:80", "letters, digits", 4),
        ("[::1:80", "not closed", 7),
        ("[]:80", "no IPv6 address", 1),
        ("[127.0.0.1]:80", "no IPv6 address", 4),
        ("[localhost]:80", "no IPv6 address", 1),
        ("[[::1]]:80", "port is missing", 6),
        ("[::1 ]:80", "no IPv6 address", 4),
        ("[:::1]:80", "no IPv6 address", 3),
        ("[fe80::1%]:80", "zone after '%' is empty", 9),
        ("[fe80::1%4294967296]:80", "above 4294967295", 9),
        ("127.0.0.1%1:80", "letters, digits", 9),
        ("ho st:80", "letters, digits", 2),
        (" host:80", "letters, digits", 0),
        ("host\0:80", "letters, digits", 4),
        ("host\t:80", "letters, digits", 4),
        ("*.example.com:80", "letters, digits", 0),
        ("bücher.example:80", "punycode", 1),
        ("例え.テスト:80", "punycode", 0),
        ("１２７.0.0.1:80", "punycode", 0),
        (".:80", "is empty", 0),
        ("..:80", "is empty", 0),
        (".host:80", "is empty", 0),
        ("a..b:80", "is empty", 2),
        ("host..:80", "is empty", 5),
        ("1:80", "as in 127.0.0.1", 1),
        ("2130706433:80", "as in 127.0.0.1", 3),
        ("127.1:80", "as in 127.0.0.1", 5),
        ("127.0.0.1.:80", "as in 127.0.0.1", 9),
        ("127.0.0.256:80", "as in 127.0.0.1", 10),
        ("127.0.0.0.1:80", "as in 127.0.0.1", 9),
        ("0x7f.1:80", "as in 127.0.0.1", 5),
        ("0x7f000001:80", "as in 127.0.0.1", 0),
        ("0x7F.0X1:80", "as in 127.0.0.1", 5),
        ("127.0.0.0x:80", "as in 127.0.0.1", 8),
        ("0177.0.0.1:80", "as in 127.0.0.1", 1),
        ("127.0.0.01:80", "as in 127.0.0.1", 9),
        ("example.com.1:80", "as in 127.0.0.1", 12),
    ];
    for (given, hint, position) in cases {
        let error = given.to_address().expect_err(given);
        assert_eq!(error.position(), Some(position), "{given}: {error}");
        assert!(error.expected().is_some_and(|expected| expected.contains(hint)), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{given}: {error}");
        assert_eq!(error.address(), Some(shown(given).as_str()));
        assert!(error.to_string().contains(hint), "{given}: {error}");
    }
}

/// The text as an error repeats it: control characters are escaped.
fn shown(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_unicode().collect() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[test]
fn too_long_names_are_refused_with_the_number() {
    let label = "a".repeat(64);
    let error = (label.as_str(), 1).to_address().expect_err("64 bytes");
    assert!(error.to_string().ends_with("64 bytes; 63 at most"), "{error}");
    let name = "a.".repeat(126) + "bc";
    let error = (name.as_str(), 1).to_address().expect_err("254 bytes");
    assert!(error.to_string().ends_with("254 bytes; 253 at most"), "{error}");
    let huge = "ä".repeat(1 << 20);
    let error = huge.to_address().expect_err("a megabyte");
    assert!(error.to_string().len() < 1000, "the error does not repeat it");
}

#[test]
fn a_host_on_its_own_needs_no_brackets() {
    let loopback = text(&"[::1]:80");
    assert_eq!(text(&("::1", 80)), loopback);
    assert_eq!(text(&("[::1]", 80)), loopback);
    for host in ["", "[", "[]", "[::1", "::1]", "host:80", "127.1", "[::1]:80", "a b", "\0"] {
        let error = (host, 7).to_address().expect_err(host);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{host}: {error}");
        assert!(error.address().is_some_and(|shown| shown.ends_with(":7")), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_zone_may_be_the_name_of_an_interface() {
    let interfaces = nix::net::if_::if_nameindex().expect("the system lists its interfaces");
    for interface in &interfaces {
        let name = interface.name().to_str().expect("a name in ASCII");
        let address = format!("[fe80::1%{name}]:80");
        assert_eq!(text(&address), format!("[fe80::1%{}]:80", interface.index()));
    }
    for name in ["no-such-interface", "\u{0}", "a b", "ü", &"x".repeat(1 << 16)] {
        let error = format!("[fe80::1%{name}]:80").to_address().expect_err(name);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[test]
fn everything_that_says_host_and_port_is_an_address() {
    let (host, both) = (String::from("host"), String::from("host:80"));
    assert_eq!(text(&"host:80"), "host:80");
    assert_eq!(text(&both), "host:80");
    assert_eq!(text(&&both), "host:80");
    assert_eq!(text(&("host", 80)), "host:80");
    assert_eq!(text(&(&host, 80)), "host:80");
    assert_eq!(text(&(host, 80)), "host:80");
    assert_eq!(text(&(IpAddr::from([127, 0, 0, 1]), 80)), "127.0.0.1:80");
    assert_eq!(text(&(Ipv4Addr::LOCALHOST, 80)), "127.0.0.1:80");
    assert_eq!(text(&(Ipv6Addr::LOCALHOST, 80)), "[::1]:80");
    let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 5, 3);
    assert_eq!(text(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80)), "127.0.0.1:80");
    assert_eq!(text(&v6), "[::1%3]:80");
    assert_eq!(text(&SocketAddr::from(v6)), "[::1%3]:80");
    let address = SocketAddress::from(v6);
    assert_eq!(text(&&address), "[::1%3]:80");
    let address = address.to_address().expect("it is concrete");
    assert_eq!(address.host(), HostPart::Inet(v6.into()), "the flow information is kept");
    assert_eq!(address.to_address().as_ref().ok(), Some(&address));
    let name = "Host.:80".to_address().expect("a name");
    assert_eq!((name.host(), name.port()), (HostPart::Name("Host."), 80));
}

#[test]
fn an_ipv6_address_has_its_shortest_form() {
    for (given, expected) in [
        ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("1:0:0:0:0:0:0:1", "1::1"),
        ("1:0:1:0:1:0:1:0", "1:0:1:0:1:0:1:0"),
        ("fe80:0:0:0:0:0:0:1%7", "fe80::1%7"),
    ] {
        let address = (given, 80).to_address().expect("an address");
        assert_eq!(address.host().to_string(), expected);
        assert_eq!(address.to_string(), format!("[{expected}]:80"));
    }
}

#[test]
fn a_mapped_address_has_a_canonical_form() {
    let mapped: SocketAddress = "[::ffff:192.0.2.1]:80".parse().expect("an address");
    assert_eq!(mapped.to_canonical(), SocketAddress::from(([192, 0, 2, 1], 80)));
    for text in ["192.0.2.1:80", "[::192.0.2.1]:80", "[fe80::1%7]:80", "unix:@name", "unix:"] {
        let address: SocketAddress = text.parse().expect("an address");
        assert_eq!(address.to_canonical(), address);
    }
}

#[test]
fn an_escape_that_is_none_is_pointed_at() {
    for (text, place) in [("unix:a\\n", 6), ("unix:@\\x4", 6), ("unix:\\x40\\xü", 9)] {
        let error = text.parse::<SocketAddress>().expect_err(text);
        assert_eq!(error.position(), Some(place), "{error}");
        assert!(error.to_string().contains("two hexadecimal digits"), "{error}");
    }
}

#[test]
fn a_socket_address_is_no_name() {
    let error = "localhost:80".parse::<SocketAddress>().expect_err("a name");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.address(), Some("localhost:80"));
    assert!("127.1:80".parse::<SocketAddress>().is_err());
}

/// The bytes of an address, as Ktor's `resolveAddress` gives them.
fn bytes(address: &SocketAddress) -> Vec<u8> {
    match address.ip().expect("an inet address") {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

#[test]
fn inet_socket_address_test_resolve_address() {
    for (host, expected) in [("127.0.0.1", &[127, 0, 0, 1][..]), ("::1", &LOOPBACK_V6)] {
        let address = (host, 8080).to_address().expect("a literal");
        let HostPart::Inet(inet) = address.host() else { panic!("nothing is left to look up") };
        assert_eq!(bytes(&SocketAddress::from(inet)), expected);
    }
}

#[test]
fn inet_socket_address_construct_from_ipv4_byte_array() {
    let address = SocketAddress::from(([127, 0, 0, 1], 8080));
    assert_eq!(address.port(), Some(8080));
    assert_eq!(bytes(&address), [127, 0, 0, 1]);
}

#[test]
fn inet_socket_address_construct_from_ipv6_byte_array() {
    let address = SocketAddress::from((LOOPBACK_V6, 8080));
    assert_eq!(address.port(), Some(8080));
    assert_eq!(bytes(&address), LOOPBACK_V6);
}

/// Any address whose whole state has a textual form.
fn inet() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<(Ipv4Addr, u16)>().prop_map(SocketAddr::from),
        any::<(Ipv6Addr, u16, u32)>()
            .prop_map(|(ip, port, scope)| SocketAddrV6::new(ip, port, 0, scope).into()),
    ]
}

/// Any accepted name of a few labels.
fn name() -> impl Strategy<Value = String> {
    "([a-zA-Z0-9_-]{1,63}\\.){0,3}[a-zA-Z_-][a-zA-Z0-9_-]{0,62}\\.?"
        .prop_filter("253 bytes at most", |name| name.trim_end_matches('.').len() <= 253)
}

/// Text made of what addresses are made of, where the near misses are.
fn nearly() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("["),
        Just("]"),
        Just(":"),
        Just("::"),
        Just("%"),
        Just("."),
        Just("1"),
        Just("80"),
        Just("127.0.0.1"),
        Just("0x7f"),
        Just("host"),
        Just("lo"),
        Just("fe80"),
        Just(" "),
        Just("\0"),
        Just("ü"),
        Just("65536"),
        Just("-"),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_a_socket_address_displays_parses_back(inet in inet()) {
        let address = SocketAddress::from(inet);
        prop_assert_eq!(address.to_string().parse().ok(), Some(address.clone()));
        prop_assert_eq!(address.to_string().to_address().ok(), Some(Address::from(inet)));
    }

    #[test]
    fn what_an_address_displays_parses_back(name in name(), port: u16) {
        let address = (name.as_str(), port).to_address().expect("an accepted name");
        prop_assert_eq!(address.to_string().parse().ok(), Some(address));
    }

    #[test]
    fn no_text_panics_and_what_is_accepted_round_trips(
        text in prop_oneof![any::<String>(), nearly()],
        port: u16,
    ) {
        for read in [text.to_address(), (&text, port).to_address()] {
            match read {
                Ok(address) => {
                    let again = (address.host().to_string(), address.port()).to_address();
                    prop_assert_eq!(again.ok(), Some(address.clone()));
                    prop_assert_eq!(address.to_string().parse().ok(), Some(address));
                }
                Err(error) => {
                    prop_assert!(error.address().is_some());
                    if error.kind() == ErrorKind::InvalidInput {
                        let place = error.position().expect("a place");
                        prop_assert!(text.is_char_boundary(place), "{}", error);
                    }
                }
            }
        }
    }
}
