use rustls::HandshakeKind;

use super::handshake::shake;
use crate::config::Store;
use crate::samples::Authority;
use crate::{Identity, TlsConfig, Trust};

#[test]
fn a_client_and_a_server_agree() {
    let root = Authority::new("root");
    let identity = Identity::from_pem(root.leaf("localhost").both()).unwrap();
    let server = TlsConfig::server(identity).alpn(["h2"]).build().unwrap();
    let trust = Trust::roots_pem(&root.pem).unwrap();
    let client = TlsConfig::client().trust(trust).alpn(["h2"]).build().unwrap();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
        let mut theirs = server.server_connection().unwrap();
        shake(&mut ours, &mut theirs).unwrap();
        assert_eq!(ours.handshake_kind(), Some(expected));
        assert_eq!(ours.alpn_protocol(), Some(&b"h2"[..]));
    }
    assert_eq!(crate::notes::take().server_name.as_deref(), Some("localhost"));
}
