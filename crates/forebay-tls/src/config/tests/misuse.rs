use forebay_io::ErrorKind;

use super::sides;
use crate::config::Store;
use crate::samples::Authority;
use crate::{Identity, TlsConfig};

#[test]
fn a_configuration_of_the_other_side_says_which_one_is_wanted() {
    let (_root, client, server) = sides();
    let (client, server) = (client.build().unwrap(), server.build().unwrap());
    let error = server.client_connection(&Store::default(), Some("localhost")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("TlsConfig::client()"), "{error}");
    for config in [client, TlsConfig::default()] {
        let error = config.server_connection().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("TlsConfig::server(identity)"), "{error}");
    }
}

#[test]
fn a_key_that_no_suite_goes_with_is_refused_when_it_is_built() {
    let root = Authority::new("root");
    let identity = Identity::from_pem(root.issue(&["localhost"]).both()).unwrap();
    let server = TlsConfig::server(identity);
    let suite = "ECDHE-RSA-AES128-GCM-SHA256";
    let error = server.clone().cipher_suites([suite]).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("the identity's key is ECDSA"), "{error}");
    server.cipher_suites([suite, "TLS_AES_128_GCM_SHA256"]).build().unwrap();
}

#[test]
fn both_builders_refuse_names_that_are_not_known() {
    let (_root, client, server) = sides();
    for result in [
        client.clone().cipher_suites(["RC4-MD5"]).build(),
        client.clone().versions(["1.1"]).build(),
        client.key_exchange_groups(["x448"]).build(),
        server.clone().cipher_suites(["RC4-MD5"]).build(),
        server.clone().versions(["1.1"]).build(),
        server.key_exchange_groups(["x448"]).build(),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("known are"), "{error}");
    }
}
