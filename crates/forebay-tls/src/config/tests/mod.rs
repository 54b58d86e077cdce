mod alpn;
mod client_auth;
mod connections;
mod exhausted;
mod handshake;
mod key_log;
mod loading;
mod misuse;
mod randomness;
mod resumption;
mod server_names;
mod suites;

use rustls::HandshakeKind;

use self::handshake::shake;
use super::{Store, TlsClientBuilder, TlsServerBuilder};
use crate::samples::Authority;
use crate::{Identity, TlsConfig};

/// An authority, and both sides begun with what it issued to `localhost`.
fn sides() -> (Authority, TlsClientBuilder, TlsServerBuilder) {
    let root = Authority::new("root");
    let identity = Identity::from_pem(root.issue(&["localhost"]).both()).unwrap();
    let trust = root.trust();
    (root, TlsConfig::client().trust(trust), TlsConfig::server(identity))
}

/// One connection between them, as far as its handshake.
#[track_caller]
fn connect(client: &TlsConfig, server: &TlsConfig) -> HandshakeKind {
    let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
    let mut theirs = server.server_connection().unwrap();
    shake(&mut ours, &mut theirs).unwrap();
    assert_eq!(ours.handshake_kind(), theirs.handshake_kind());
    ours.handshake_kind().unwrap()
}
