use crate::identity::{ClientKey, ServerKey};
use crate::samples::{Authority, Directory, assert_hides};
use crate::{ClientAuth, Identity, TlsConfig};

#[test]
fn debug_shows_whose_it_is_and_nothing_of_the_key() {
    let root = Authority::new("root");
    let leaf = root.issue(&["localhost"]);
    let directory = Directory::new();
    let path = directory.write("both.pem", leaf.both());
    let identity = Identity::from_pem_files(&path, &path).unwrap();
    let shown = format!("{identity:?}");
    assert!(shown.contains("CN=the leaf"), "{shown}");
    assert!(shown.contains("\"localhost\""), "{shown}");
    assert!(shown.contains("both.pem"), "{shown}");

    let trust = root.trust();
    let client = TlsConfig::client().trust(trust.clone()).identity(identity.clone());
    let server = TlsConfig::server(identity.clone()).client_auth(ClientAuth::Required(trust));
    let all = [
        shown,
        format!("{identity:#?}"),
        format!("{:?}", ServerKey(identity.clone())),
        format!("{:?}", ClientKey(Some(identity.clone()))),
        format!("{client:?}{client:#?}"),
        format!("{server:?}{server:#?}"),
        format!("{:?}", client.build().unwrap()),
        format!("{:?}", server.build().unwrap()),
    ];
    for text in all {
        assert_hides(&text, &leaf.key_pem);
    }
}

/// The search itself finds what it looks for.
#[test]
fn a_key_that_is_shown_is_found() {
    let leaf = Authority::new("root").issue(&["localhost"]);
    for text in [
        leaf.key_pem.clone(),
        format!("{:?}", leaf.key_der),
        format!("{:02x?}", leaf.key_der).replace(", ", ""),
    ] {
        let found = std::panic::catch_unwind(|| assert_hides(&text, &leaf.key_pem));
        assert!(found.is_err());
    }
}
