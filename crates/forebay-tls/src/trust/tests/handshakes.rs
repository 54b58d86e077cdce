//! Whole handshakes in memory: the alert that the other side gets, and the errors of both.

use std::io::{Read, Write};
use std::sync::Arc;

use forebay_io::{Error, TlsFault};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection};

use super::{Authority, accept_any, for_clients, named, provider};
use crate::fault::{Known, explained};
use crate::{TlsInfo, TlsVersion, Trust, callback_facts};

const HOST: &str = "www.example.com";

/// A chain and the key of its first certificate.
type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A server's certificate for these names; a client's certificate if there are none.
fn pair(root: &Authority, names: &[&str]) -> Pair {
    pair_with(root, names, |params| {
        if names.is_empty() {
            for_clients(params);
        }
    })
}

fn pair_with(
    root: &Authority,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Pair {
    let issued = root.issue_with(&KeyPair::generate().unwrap(), names, change);
    (vec![issued.der.into()], PrivateKeyDer::try_from(issued.key_der).unwrap())
}

fn client(trust: &Trust, identity: Option<Pair>) -> ClientConnection {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(trust.server_verifier(&provider(), None).unwrap());
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"greeting".to_vec()];
    ClientConnection::new(Arc::new(config), ServerName::try_from(HOST).unwrap()).unwrap()
}

fn server((chain, key): Pair, clients: Option<&Trust>, alpn: &[u8]) -> ServerConnection {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        Some(trust) => {
            builder.with_client_cert_verifier(trust.client_verifier(&provider(), true).unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// Passes everything from one side to the other, and returns the other's result.
fn pass<A, B>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
    operation: &'static str,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut bytes = &bytes[..];
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        callback_facts::take();
        if let Err(error) = to.process_new_packets() {
            return Err(explained(operation, error, callback_facts::take(), Known::default()));
        }
    }
    Ok(())
}

/// Drives both sides until neither has anything to send, and returns their results.
fn shake(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> (Result<(), Error>, Result<(), Error>) {
    let (mut of_client, mut of_server) = (Ok(()), Ok(()));
    while client.wants_write() || server.wants_write() {
        of_server = of_server.and(pass(client, server, "accept_tls"));
        of_client = of_client.and(pass(server, client, "tls"));
    }
    (of_client, of_server)
}

#[test]
fn what_was_agreed_on_is_told_on_both_sides() {
    let root = Authority::new("the root");
    let trust = root.trust();
    let mut client = client(&trust, Some(pair(&root, &[])));
    let mut server = server(pair(&root, &[HOST]), Some(&trust), b"greeting");
    let (of_client, of_server) = shake(&mut client, &mut server);
    of_client.unwrap();
    of_server.unwrap();

    let of_client = TlsInfo::new(&client, Some(HOST));
    let of_server = TlsInfo::new(&server, server.server_name());
    for info in [&of_client, &of_server] {
        assert_eq!(info.version(), TlsVersion::Tls13);
        assert_eq!(info.version().to_string(), "TLS 1.3");
        assert!(info.cipher_suite().starts_with("TLS_AES_"), "{info:?}");
        assert_eq!(info.alpn(), Some(&b"greeting"[..]));
        assert_eq!(info.server_name(), Some(HOST));
        assert!(info.key_exchange_group().is_some());
        assert!(!info.is_resumed());
        assert_eq!(info.peer_certificates()[0].subject(), "CN=the leaf");
        assert_eq!(info.peer_certificates()[0].issuer(), "CN=the root");
    }
    assert_eq!(of_client.peer_certificates()[0].names(), [HOST]);
    assert!(of_server.peer_certificates()[0].names().is_empty());

    let mut byte = [0];
    client.writer().write_all(b"x").unwrap();
    pass(&mut client, &mut server, "read").unwrap();
    server.reader().read_exact(&mut byte).unwrap();
}

/// A refusal is an error at this side and an alert at the other.
#[track_caller]
fn refused_by_the_client(trust: &Trust, chain: Pair, fault: TlsFault, alert: &str) {
    let mut client = client(trust, None);
    let mut server = server(chain, None, b"greeting");
    let (of_client, of_server) = shake(&mut client, &mut server);
    let (of_client, of_server) = (of_client.unwrap_err(), of_server.unwrap_err());
    assert_eq!(of_client.tls_fault(), Some(fault), "{of_client}");
    assert!(of_client.to_string().starts_with("tls: "), "{of_client}");
    assert_eq!(of_server.tls_fault(), Some(TlsFault::RefusedByPeer), "{of_server}");
    let alert = format!("received its alert {alert}; ");
    assert!(of_server.to_string().contains(&alert), "{of_server}");
}

#[test]
fn the_server_gets_the_alert_that_belongs_to_the_refusal() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    let trust = root.trust();
    refused_by_the_client(
        &trust,
        pair(&root, &["a.example"]),
        TlsFault::WrongName,
        "bad_certificate",
    );
    refused_by_the_client(
        &trust,
        pair(&stranger, &[HOST]),
        TlsFault::IncompleteChain,
        "unknown_ca",
    );
    refused_by_the_client(
        &trust,
        pair(&root, &[]),
        TlsFault::WrongPurpose,
        "unsupported_certificate",
    );
    let expired = pair_with(&root, &[HOST], |params| params.not_after = date_time_ymd(2001, 1, 1));
    refused_by_the_client(&trust, expired, TlsFault::Expired, "certificate_expired");
    let pinned = Trust::pinned([[7; 32]]).unwrap();
    refused_by_the_client(&pinned, pair(&root, &[HOST]), TlsFault::PinMismatch, "access_denied");
    let program = Trust::verifier(|_| Err(Error::other("no")));
    refused_by_the_client(
        &program,
        pair(&root, &[HOST]),
        TlsFault::RefusedByVerifier,
        "access_denied",
    );
}

#[test]
fn a_client_gets_the_alert_that_belongs_to_the_refusal() {
    let (root, stranger) = (Authority::new("the root"), Authority::new("a stranger"));
    let trust = root.trust();
    let itself = {
        let key = KeyPair::generate().unwrap();
        let leaf = named("somebody", &[]).self_signed(&key).unwrap().der().clone();
        (vec![leaf], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    };
    let cases = [
        (None, TlsFault::NoCertificate, "certificate_required"),
        (Some(pair(&stranger, &[])), TlsFault::IncompleteChain, "unknown_ca"),
        (Some(itself), TlsFault::SelfSigned, "unknown_ca"),
    ];
    for (identity, fault, alert) in cases {
        let mut client = client(&trust, identity);
        let mut server = server(pair(&root, &[HOST]), Some(&trust), b"greeting");
        let (of_client, of_server) = shake(&mut client, &mut server);
        let (of_client, of_server) = (of_client.unwrap_err(), of_server.unwrap_err());
        assert_eq!(of_server.tls_fault(), Some(fault), "{of_server}");
        assert!(of_server.to_string().starts_with("accept_tls: "), "{of_server}");
        assert_eq!(of_client.tls_fault(), Some(TlsFault::RefusedByPeer));
        assert!(of_client.to_string().contains(&format!("alert {alert}; ")), "{of_client}");
    }
}

#[test]
fn no_protocol_in_common_is_told_on_both_sides() {
    let root = Authority::new("the root");
    let mut client = client(&root.trust(), None);
    let mut server = server(pair(&root, &[HOST]), None, b"other");
    let (of_client, of_server) = shake(&mut client, &mut server);
    assert_eq!(of_server.unwrap_err().tls_fault(), Some(TlsFault::NoCommonProtocol));
    let of_client = of_client.unwrap_err().to_string();
    assert!(of_client.contains("no_application_protocol; "), "{of_client}");
}

#[test]
fn plain_text_is_not_tls() {
    let root = Authority::new("the root");
    for text in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"220 ready\r\n", &[0; 64]] {
        let mut server = server(pair(&root, &[HOST]), None, b"greeting");
        server.read_tls(&mut &*text).unwrap();
        let error = server.process_new_packets().unwrap_err();
        let error = explained("accept_tls", error, callback_facts::take(), Known::default());
        assert_eq!(error.tls_fault(), Some(TlsFault::NotTls), "{error}");
    }
}

/// A server that shows another server's certificate does not have its key.
#[test]
fn a_stolen_certificate_without_its_key_is_refused() {
    let root = Authority::new("the root");
    let ((stolen, _), (_, other)) = (pair(&root, &[HOST]), pair(&root, &[HOST]));
    let signer = provider().key_provider.load_private_key(other).unwrap();
    let stolen = Arc::new(rustls::sign::CertifiedKey::new(stolen, signer));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
    for trust in [root.trust(), accept_any()] {
        let mut client = client(&trust, None);
        let mut server = ServerConnection::new(Arc::new(config.clone())).unwrap();
        let (of_client, of_server) = shake(&mut client, &mut server);
        let of_client = of_client.unwrap_err();
        assert_eq!(of_client.tls_fault(), Some(TlsFault::InvalidCertificate), "{of_client}");
        assert!(of_client.to_string().contains("the signature does not fit"), "{of_client}");
        assert!(of_server.unwrap_err().to_string().contains("decrypt_error; "));
    }
}
