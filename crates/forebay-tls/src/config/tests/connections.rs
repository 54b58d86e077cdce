use super::handshake::shake;
use super::{connect, sides};
use crate::config::{ConfigSide, Store};
use crate::samples::Authority;
use crate::{
    ClientAuth, EndWithoutNotify, Identity, TlsClientBuilder, TlsConfig, TlsServerBuilder,
    callback_facts,
};

#[test]
fn everything_may_go_to_another_thread() {
    fn assert_free<T: Send + Sync + 'static>() {}
    assert_free::<TlsConfig>();
    assert_free::<TlsClientBuilder>();
    assert_free::<TlsServerBuilder>();
    assert_free::<Identity>();
    assert_free::<ClientAuth>();
    assert_free::<EndWithoutNotify>();
    assert_free::<Store>();
}

#[test]
fn the_name_that_a_client_asked_for_is_noted() {
    let (_root, client, server) = sides();
    connect(&client.build().unwrap(), &server.build().unwrap());
    assert_eq!(callback_facts::take().server_name.as_deref(), Some("localhost"));
}

#[test]
fn an_address_is_checked_and_not_asked_for() {
    let root = Authority::new("root");
    let identity = Identity::from_pem(root.issue(&["127.0.0.1"]).both()).unwrap();
    let server = TlsConfig::server(identity).build().unwrap();
    let trust = root.trust();
    let client = TlsConfig::client().trust(trust).build().unwrap();
    let mut ours = client.client_connection(&Store::default(), Some("127.0.0.1")).unwrap();
    let mut theirs = server.server_connection().unwrap();
    shake(&mut ours, &mut theirs).unwrap();
    assert_eq!(callback_facts::take().server_name, None);
}

#[test]
fn an_unknown_name_is_shown_the_one_identity() {
    let (_root, client, server) = sides();
    let client = client.build().unwrap();
    let server = server.build().unwrap();
    let mut ours = client.client_connection(&Store::default(), Some("elsewhere.example")).unwrap();
    let mut theirs = server.server_connection().unwrap();
    // It is the client that refuses.
    assert!(shake(&mut ours, &mut theirs).is_err());
    let notes = callback_facts::take();
    assert_eq!(notes.server_name.as_deref(), Some("elsewhere.example"));
    assert!(notes.refusal.is_some());
}

#[test]
fn the_name_that_was_set_goes_before_the_host() {
    let (_root, client, server) = sides();
    let client = client.server_name("LocalHost.").build().unwrap();
    let server = server.build().unwrap();
    for host in [None, Some("192.0.2.1"), Some("elsewhere.example")] {
        let mut ours = client.client_connection(&Store::default(), host).unwrap();
        shake(&mut ours, &mut server.server_connection().unwrap()).unwrap();
        assert_eq!(callback_facts::take().server_name.as_deref(), Some("localhost"));
    }
}

#[test]
fn a_new_certificate_is_shown_from_the_next_handshake_on() {
    let root = Authority::new("root");
    let (old, new) = (root.issue(&["localhost"]), root.issue(&["localhost"]));
    let path = std::env::temp_dir().join(format!("forebay-tls-next-{}.pem", std::process::id()));
    std::fs::write(&path, old.both()).unwrap();
    let identity = Identity::from_pem_files(&path, &path).unwrap();
    let trust = root.trust();
    let server = TlsConfig::server(identity.clone())
        .client_auth(ClientAuth::Required(trust.clone()))
        .session_cache(0)
        .build()
        .unwrap();
    let client = TlsConfig::client().trust(trust).identity(identity.clone()).build().unwrap();
    let shown = || {
        let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
        let mut theirs = server.server_connection().unwrap();
        shake(&mut ours, &mut theirs).unwrap();
        let seen = [&ours.peer_certificates(), &theirs.peer_certificates()];
        seen.map(|chain| chain.unwrap()[0].to_vec())
    };
    assert_eq!(shown(), [old.der.clone(), old.der.clone()]);
    std::fs::write(&path, new.both()).unwrap();
    assert_eq!(shown(), [old.der.clone(), old.der.clone()]);
    identity.reload().unwrap();
    assert_eq!(shown(), [new.der.clone(), new.der.clone()]);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_should_be_off_is_off() {
    let (_root, client, server) = sides();
    let (client, server) = (client.build().unwrap(), server.build().unwrap());
    let (ConfigSide::Client(client), ConfigSide::Server(server)) = (&client.0, &server.0) else {
        panic!("a client's and a server's");
    };
    let ours = client.prepared().unwrap();
    assert!(!ours.enable_early_data);
    assert!(!ours.enable_secret_extraction);
    assert!(ours.enable_sni);
    let theirs = server.rustls();
    assert_eq!(theirs.max_early_data_size, 0);
    assert!(!theirs.enable_secret_extraction);
    assert!(!theirs.send_half_rtt_data);
}

#[test]
fn what_was_set_is_what_a_session_is_told() {
    use std::time::Duration;
    let default = TlsConfig::default();
    assert!(default.is_client());
    assert_eq!(default.handshake_timeout(), Duration::from_secs(10));
    assert_eq!(default.ends_without_notify(), EndWithoutNotify::Error);
    assert!(!default.replays_buffered());
    assert!(default.check_alpn(None).is_ok());
    let (_root, client, server) = sides();
    let client = client
        .handshake_timeout(Duration::from_secs(3))
        .end_without_notify(EndWithoutNotify::AsEnd)
        .replay_buffered()
        .build()
        .unwrap();
    assert!(client.is_client());
    assert_eq!(client.handshake_timeout(), Duration::from_secs(3));
    assert_eq!(client.ends_without_notify(), EndWithoutNotify::AsEnd);
    assert!(client.replays_buffered());
    let server = server.build().unwrap();
    assert!(!server.is_client());
    assert_eq!(server.handshake_timeout(), Duration::from_secs(10));
}
