//! A server that asks for a certificate as the original's test of a request does: with authorities
//! of five names, and with signature algorithms of which some are out of use (scenario
//! `ClientCertificateRequestTest`, "request with specific authorities").

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{SelectorManager, TlsConfig, TlsVersion};
use forebay_testing::{
    foreign::{Given, Insists, Place, Tool},
    report,
    tls::write,
    watched,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, DnValue, IsCa, KeyPair};

/// The names of the authorities.
const AUTHORITIES: [&str; 5] =
    ["VW-CA-OTHR-09", "VW-CA-OTHR-10", "VW-CA-PROC-07", "VW-CA-PROC-08", "VW-CA-ROOT-05"];

/// Those of the original's request that OpenSSL can still send; the last four are unknown to us.
const ALGORITHMS: &str = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:rsa_pss_pss_sha256:\
                          rsa_pss_rsae_sha256:rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512:\
                          ECDSA+SHA224:ECDSA+SHA1:RSA+SHA224:RSA+SHA1";

#[test]
fn a_request_with_five_authorities_and_unknown_algorithms_is_answered() {
    watched(|| {
        let test = "a_request_with_five_authorities_and_unknown_algorithms_is_answered";
        let (selector, place) = (SelectorManager::new(), Place::new());
        let known = AUTHORITIES.map(authority).concat() + &place.authority.pem();
        let authorities = write(&place.directory, "five.crt", &known);
        let authorities = authorities.display().to_string();
        let more = ["-CAfile", &authorities, "-client_sigalgs", ALGORITHMS];
        let given = Given {
            version: Some(TlsVersion::Tls12),
            client_auth: Some(Insists::Yes),
            more: &more,
            ..Given::default()
        };
        let Some((server, port)) = Tool::OpenSsl.server(test, &place, &given) else { return };

        let config = TlsConfig::client()
            .server_name("localhost")
            .trust(place.authority.trust())
            .identity(place.client.identity())
            .build()
            .unwrap();
        selector
            .block_on(async {
                let plain = selector.tcp().connect(("127.0.0.1", port)).await?;
                let mut connection = plain.tls(&config).await?.connection()?;
                connection.output.write_str("it is me\n").await?;
                connection.output.flush().await?;
                server.must_say("it is me");
                connection.socket.close().await
            })
            .unwrap();
        server.must_say("Ada\nverify return:1");
        report(&format!("{test}: answered"));
    });
}

/// An authority's certificate, with the components of its name that the original's has.
fn authority(name: &str) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Domain components (RFC 4519, section 2.4).
    let component = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    params.distinguished_name.push(component, DnValue::Utf8String("VWPKI".into()));
    params.distinguished_name.push(DnType::CommonName, name);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}
