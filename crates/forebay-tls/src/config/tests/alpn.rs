use forebay_io::{ErrorKind, TlsFault};

use super::handshake::shake;
use super::sides;
use crate::config::Store;

#[test]
fn a_server_takes_the_first_of_its_own() {
    let (_root, client, server) = sides();
    let client = client.alpn(["http/1.1", "h2"]).build().unwrap();
    let server = server.alpn(["h2", "http/1.1"]).build().unwrap();
    let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
    let mut theirs = server.server_connection().unwrap();
    shake(&mut ours, &mut theirs).unwrap();
    assert_eq!(ours.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(theirs.alpn_protocol(), Some(&b"h2"[..]));
}

#[test]
fn protocols_without_one_in_common_fail_the_handshake() {
    let (_root, client, server) = sides();
    let client = client.alpn(["h2"]).build().unwrap();
    let server = server.alpn(["http/1.1"]).build().unwrap();
    let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
    let error = shake(&mut ours, &mut server.server_connection().unwrap()).unwrap_err();
    assert_eq!(error, rustls::Error::NoApplicationProtocol);
}

#[test]
fn a_peer_without_protocols_is_refused_only_on_request() {
    let (_root, client, server) = sides();
    let easy = client.clone().alpn(["h2"]).build().unwrap();
    assert!(easy.check_alpn(None).is_ok());
    let strict = client.alpn(["h2", "\u{1}x"]).require_alpn().build().unwrap();
    assert!(strict.check_alpn(Some(b"h2")).is_ok());
    let error = strict.check_alpn(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls(TlsFault::NoCommonProtocol));
    assert!(error.to_string().contains(r#"["h2", "\\x01x"]"#), "{error}");
    assert!(error.to_string().contains(", but the peer agreed on none; have it"), "{error}");
    let server = server.alpn(["h2"]).require_alpn().build().unwrap();
    assert!(server.check_alpn(None).is_err());
}

#[test]
fn names_and_lists_have_the_lengths_of_their_rfc() {
    let long = [b'a'; 256];
    let many = vec![vec![b'a'; 255]; 129];
    let (_root, client, server) = sides();
    for (result, words) in [
        (client.clone().alpn([""]).build(), "has 0 bytes; each has 1 to 255"),
        (client.clone().alpn([long]).build(), "has 256 bytes; each has 1 to 255"),
        (client.clone().alpn(&many).build(), "take 33024 bytes; together they may take 32768"),
        (client.require_alpn().build(), "name them with `alpn`"),
        (server.alpn([long]).build(), "RFC 7301, section 3.1"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(words), "{error}\nlacks {words}");
    }
}

/// As many as there may be fit in a `ClientHello` with all that stands there besides.
#[test]
fn the_longest_list_is_sent() {
    let (_root, client, server) = sides();
    let mut many = vec![vec![b'a'; 255]; 127];
    many.push(b"h2".to_vec());
    many.push(vec![b'b'; 252]);
    let client = client.alpn(many).build().unwrap();
    let server = server.alpn(["h2"]).build().unwrap();
    let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
    shake(&mut ours, &mut server.server_connection().unwrap()).unwrap();
    assert_eq!(ours.alpn_protocol(), Some(&b"h2"[..]));
}
