//! A peer that is refused hears nothing and is not heard: each side says all it has to say as soon as
//! it is let, and of a peer that is not believed not one byte reaches a handler. Which certificates are
//! refused, and in which words, is shown beside the verifier; here are one of each kind, in whole
//! connections, over each version.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{
    ClientAuth, Error, Identity, Result, SelectorManager, Socket, TlsClientBuilder, TlsConfig,
    TlsFault, TlsVersion, Trust,
};
use forebay_testing::{
    in_host, report,
    tls::{Authority, LOCAL, client_params, server_params},
    watched,
};
use futures_lite::future::zip;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

fn issued(authority: &Authority, params: &CertificateParams) -> Identity {
    authority.issue(&KeyPair::generate().unwrap(), params).identity()
}

/// A server's certificate that is good but for this.
fn server_but(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let mut params = server_params(LOCAL);
    change(&mut params);
    issued(authority, &params)
}

fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = server_params(LOCAL);
    // Without an identifier of its own key beside it, this would point at another's.
    params.use_authority_key_identifier_extension = false;
    let certificate = params.self_signed(&key).unwrap();
    Identity::from_pem(certificate.pem() + &key.serialize_pem()).unwrap()
}

/// Says a line as soon as it may, and then reads: why nothing comes.
async fn says_and_hears_nothing(socket: &Socket) -> Result<Error> {
    let mut connection = socket.connection()?;
    let said = connection.output.write_str("a secret\n").await;
    let error = connection.input.read_u8().await.expect_err("nothing gets through");
    assert!(said.is_ok() || said.unwrap_err().tls_fault() == error.tls_fault());
    Ok(error)
}

/// Returns the errors of both sides, the client's first.
async fn meet(
    selector: &SelectorManager,
    client: &TlsConfig,
    server: &TlsConfig,
) -> Result<(Error, Error)> {
    let listener = selector.tcp().bind("127.0.0.1:0").await?.tls(server)?;
    let connecting = async {
        let plain = selector.tcp().connect(listener.local_address()).await?;
        let secure = plain.tls(client).await;
        let told = says_and_hears_nothing(&plain).await?;
        assert!(secure.is_ok() || secure.unwrap_err().tls_fault() == told.tls_fault());
        Result::Ok(told)
    };
    let accepting = async { says_and_hears_nothing(&listener.accept().await?).await };
    let (client, server) = zip(connecting, accepting).await;
    Ok((client?, server?))
}

#[test]
fn of_a_server_that_is_refused_nothing_is_heard_and_it_hears_nothing() {
    use TlsFault as Fault;
    let authority = Authority::new();
    let trusts = || TlsConfig::client().trust(authority.trust());
    let good = || authority.server(LOCAL).identity();
    let cases: [(&str, Fault, TlsClientBuilder, Identity); 11] = [
        (
            "expired",
            Fault::Expired,
            trusts(),
            server_but(&authority, |params| params.not_after = date_time_ymd(2021, 1, 1)),
        ),
        (
            "not yet valid",
            Fault::NotYetValid,
            trusts(),
            server_but(&authority, |params| params.not_before = date_time_ymd(2048, 1, 1)),
        ),
        ("wrong host", Fault::WrongName, trusts().server_name("www.example.com"), good()),
        ("wrong address", Fault::WrongName, trusts().server_name("192.0.2.1"), good()),
        (
            "no name",
            Fault::NoName,
            trusts(),
            server_but(&authority, |params| params.subject_alt_names.clear()),
        ),
        (
            "unknown authority",
            Fault::IncompleteChain,
            trusts(),
            Authority::new().server(LOCAL).identity(),
        ),
        ("self-signed", Fault::SelfSigned, trusts(), self_signed()),
        (
            "of a client",
            Fault::WrongPurpose,
            trusts(),
            server_but(&authority, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
        (
            "another key",
            Fault::PinMismatch,
            TlsConfig::client().trust(Trust::pinned([[7; 32]]).unwrap()),
            good(),
        ),
        (
            "not believed by the program",
            Fault::RefusedByVerifier,
            TlsConfig::client().trust(Trust::verifier(|_| Err(Error::other("a stranger")))),
            good(),
        ),
        (
            "no protocol",
            Fault::NoCommonProtocol,
            trusts().alpn(["greeting"]).require_alpn(),
            good(),
        ),
    ];
    watched(move || {
        in_host(async |selector| {
            for (what, fault, client, identity) in cases {
                let server = TlsConfig::server(identity).build()?;
                for version in VERSIONS {
                    let client = client.clone().versions([version]).build()?;
                    let (near, far) = meet(&selector, &client, &server).await?;
                    assert_eq!(near.tls_fault(), Some(fault), "{what}: {near}");
                    report(&format!("tls_refused_peers: {version}, {what}: {near} / {far}"));
                }
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    });
}

#[test]
fn of_a_client_that_is_refused_nothing_is_heard_and_it_hears_nothing() {
    use TlsFault as Fault;
    let authority = Authority::new();
    let mut expired = client_params("Ada");
    expired.not_after = date_time_ymd(2021, 1, 1);
    let cases: [(&str, Fault, Option<Identity>); 4] = [
        ("none", Fault::NoCertificate, None),
        ("expired", Fault::Expired, Some(issued(&authority, &expired))),
        (
            "of another authority",
            Fault::IncompleteChain,
            Some(Authority::new().client("Ada").identity()),
        ),
        ("of a server", Fault::WrongPurpose, Some(authority.server(LOCAL).identity())),
    ];
    watched(move || {
        in_host(async |selector| {
            let auth = ClientAuth::Required(authority.trust());
            let server = TlsConfig::server(authority.server(LOCAL).identity()).client_auth(auth);
            let server = server.build()?;
            for (what, fault, identity) in cases {
                for version in VERSIONS {
                    let client = TlsConfig::client().trust(authority.trust()).versions([version]);
                    let client = match &identity {
                        Some(identity) => client.identity(identity.clone()),
                        None => client,
                    };
                    let (near, far) = meet(&selector, &client.build()?, &server).await?;
                    assert_eq!(far.tls_fault(), Some(fault), "{what}: {far}");
                    assert_eq!(near.tls_fault(), Some(Fault::RefusedByPeer), "{what}: {near}");
                    report(&format!("tls_refused_peers: {version}, {what}: {far} / {near}"));
                }
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    });
}
