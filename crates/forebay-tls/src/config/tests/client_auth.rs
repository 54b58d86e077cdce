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
fn s9_a_client_is_asked_for_as_much_as_was_set() {
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
