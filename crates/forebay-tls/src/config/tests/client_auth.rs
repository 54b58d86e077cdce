use forebay_io::ErrorKind;
use rustls::server::UnbufferedServerConnection;

use super::handshake::shake;
use super::sides;
use crate::config::Store;
use crate::samples::Authority;
use crate::{ClientAuth, Identity, TlsConfig, Trust};

fn shaken(
    client: &TlsConfig,
    server: &TlsConfig,
) -> Result<UnbufferedServerConnection, rustls::Error> {
    let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
    let mut theirs = server.server_connection().unwrap();
    shake(&mut ours, &mut theirs).map(|()| theirs)
}

#[test]
fn a_client_is_asked_for_as_much_as_was_set() {
    let (root, client, server) = sides();
    let trust = root.trust();
    let stranger = Authority::new("stranger").issue(&["client.example"]);
    let stranger = Identity::from_pem(stranger.both()).unwrap();
    let known = root.issue(&["client.example"]);
    let anonymous = client.clone().build().unwrap();
    let unknown = client.clone().identity(stranger).build().unwrap();
    let identity = Identity::from_pem(known.both()).unwrap();
    let welcome = client.identity(identity).build().unwrap();

    let off = server.clone().build().unwrap();
    let optional = server.clone().client_auth(ClientAuth::Optional(trust.clone())).build().unwrap();
    let required = server.client_auth(ClientAuth::Required(trust)).build().unwrap();

    for server in [&optional, &required] {
        let theirs = shaken(&welcome, server).unwrap();
        assert_eq!(theirs.peer_certificates().unwrap()[0].as_ref(), known.der);
        assert!(shaken(&unknown, server).is_err());
    }
    assert!(shaken(&anonymous, &optional).unwrap().peer_certificates().is_none());
    assert!(shaken(&anonymous, &required).is_err());
    for client in [&anonymous, &unknown, &welcome] {
        assert!(shaken(client, &off).unwrap().peer_certificates().is_none());
    }
}

#[test]
fn roots_that_vouch_for_servers_are_refused_for_clients() {
    let (_root, _client, server) = sides();
    let error = server.client_auth(ClientAuth::Required(Trust::system())).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("Trust::roots_pem"), "{error}");
}

/// A request for a certificate names the authorities in 64 KiB at most (RFC 8446, section 4.2.4), and
/// rustls writes that length unchecked.
#[test]
fn authorities_that_do_not_fit_in_a_message_are_not_named() {
    let (root, client, server) = sides();
    let name = "an authority with a long name ".repeat(4);
    let others: String =
        (0..600).map(|number| Authority::new(&format!("{name}{number}")).pem()).collect();
    let trust = Trust::roots_pem(format!("{others}{}", root.pem())).unwrap();
    let known = Identity::from_pem(root.issue(&["client.example"]).both()).unwrap();
    for version in ["1.2", "1.3"] {
        let client = client.clone().versions([version]).identity(known.clone()).build().unwrap();
        let auth = ClientAuth::Required(trust.clone());
        let server = server.clone().client_auth(auth).build().unwrap();
        let theirs = shaken(&client, &server).unwrap();
        assert!(theirs.peer_certificates().is_some());
    }
}
