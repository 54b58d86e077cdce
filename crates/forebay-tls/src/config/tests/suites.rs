use rcgen::KeyPair;

use super::handshake::shake;
use crate::config::Store;
use crate::info;
use crate::samples::Authority;
use crate::{Identity, TlsConfig};

const ECDSA: [&str; 3] = [
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];
const RSA: [&str; 3] = [
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];
const OF_1_3: [&str; 3] =
    ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"];

/// Returns what both sides negotiate when the client has only this suite and this group.
fn agreed(server: &TlsConfig, root: &Authority, suite: &str, group: &str) -> (String, String) {
    let client = TlsConfig::client()
        .trust(root.trust())
        .cipher_suites([suite])
        .key_exchange_groups([group])
        .build()
        .unwrap();
    let mut ours = client.client_connection(&Store::default(), Some("localhost")).unwrap();
    shake(&mut ours, &mut server.server_connection().unwrap()).unwrap();
    let suite = ours.negotiated_cipher_suite().unwrap().suite();
    let group = ours.negotiated_key_exchange_group().unwrap().name();
    (info::suite_name(suite.as_str().unwrap()), format!("{group:?}").to_lowercase())
}

#[test]
fn every_suite_and_group_that_is_listed_works() {
    let root = Authority::new("root");
    let ecdsa = Identity::from_pem(root.issue(&["localhost"]).both()).unwrap();
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let rsa = Identity::from_pem(root.issue_with(&key, &["localhost"], |_| {}).both()).unwrap();
    let [ecdsa, rsa] = [ecdsa, rsa].map(|identity| TlsConfig::server(identity).build().unwrap());
    for (server, suites) in [(&ecdsa, ECDSA), (&rsa, RSA), (&ecdsa, OF_1_3), (&rsa, OF_1_3)] {
        for suite in suites {
            for group in ["x25519", "secp256r1", "secp384r1"] {
                let expected = (suite.to_owned(), group.to_owned());
                assert_eq!(agreed(server, &root, suite, group), expected);
            }
        }
    }
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn what_withstands_quantum_computers_works_too() {
    let root = Authority::new("root");
    let identity = Identity::from_pem(root.issue(&["localhost"]).both()).unwrap();
    let suite = OF_1_3[0];
    let server = TlsConfig::server(identity)
        .key_exchange_groups(["X25519MLKEM768", "secp256r1MLKEM768", "MLKEM768", "MLKEM1024"])
        .build()
        .unwrap();
    for group in ["X25519MLKEM768", "secp256r1MLKEM768", "MLKEM768", "MLKEM1024"] {
        let expected = (suite.to_owned(), group.to_lowercase());
        assert_eq!(agreed(&server, &root, suite, group), expected);
    }
}
