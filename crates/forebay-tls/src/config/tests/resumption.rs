use forebay_io::ErrorKind;
use rustls::HandshakeKind::{Full, Resumed};

use super::handshake::shake;
use super::{connect, sides};
use crate::config::Store;
use crate::{TlsConfig, TlsVersion};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

#[test]
fn sessions_are_resumed_from_memory() {
    for version in VERSIONS {
        let (_root, client, server) = sides();
        let client = client.versions([version]).build().unwrap();
        let server = server.build().unwrap();
        assert_eq!(connect(&client, &server), Full, "{version}");
        assert_eq!(connect(&client, &server), Resumed, "{version}");
        assert_eq!(connect(&client.clone(), &server.clone()), Resumed, "{version}");
    }
}

/// A server that is not the one which gave the ticket has it in no memory.
#[test]
fn tickets_hold_the_session_themselves() {
    for version in VERSIONS {
        let (_root, client, server) = sides();
        let client = client.versions([version]).build().unwrap();
        let server = server.tickets(true).session_cache(0).build().unwrap();
        assert_eq!(connect(&client, &server), Full, "{version}");
        assert_eq!(connect(&client, &server), Resumed, "{version}");
    }
}

#[test]
fn either_side_can_do_without() {
    for version in VERSIONS {
        let (_root, client, server) = sides();
        let (forgetful, keen) =
            (client.clone().session_cache(0).build().unwrap(), client.build().unwrap());
        let none = server.clone().versions([version]).session_cache(0).build().unwrap();
        let server = server.versions([version]).build().unwrap();
        for _ in 0..2 {
            assert_eq!(connect(&forgetful, &server), Full, "{version}");
            assert_eq!(connect(&keen, &none), Full, "{version}");
        }
    }
}

#[test]
fn configurations_share_no_sessions() {
    let (_root, client, server) = sides();
    let server = server.build().unwrap();
    let (one, other) = (client.clone().build().unwrap(), client.build().unwrap());
    assert_eq!(connect(&one, &server), Full);
    assert_eq!(connect(&other, &server), Full);
}

#[test]
fn as_many_tickets_are_given_as_were_set() {
    let tickets = |server: &TlsConfig, client: &TlsConfig| {
        let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
        shake(&mut ours, &mut server.server_connection().unwrap()).unwrap();
        ours.tls13_tickets_received()
    };
    let (_root, client, server) = sides();
    let client = client.build().unwrap();
    let given = |builder: crate::TlsServerBuilder| tickets(&builder.build().unwrap(), &client);
    assert_eq!(given(server.clone()), 2);
    assert_eq!(given(server.clone().ticket_count(5)), 5);
    assert_eq!(given(server.clone().ticket_count(0)), 0);
    assert_eq!(given(server.clone().tickets(true).ticket_count(3)), 3);
    assert_eq!(given(server.session_cache(0)), 0);
}

/// rustls would take the room at once, and give as many tickets as it is told to.
#[test]
fn numbers_without_bounds_are_refused() {
    let (_root, client, server) = sides();
    for (result, words) in [
        (client.clone().session_cache(usize::MAX).build(), "at most 65536 sessions"),
        (server.clone().session_cache(65_537).build(), "`session_cache` is 65537"),
        (server.clone().ticket_count(usize::MAX).build(), "given at most 64"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(client.session_cache(65_536).build().is_ok());
    assert!(server.session_cache(65_536).ticket_count(64).build().is_ok());
}
