//! Clients that show a certificate, to our server and to independent servers; and where
//! what they show is not good enough, nothing that they send reaches a handler.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{ClientAuth, JoinHandle, Result, SelectorManager, TlsConfig, TlsFault, TlsVersion};
use forebay_testing::{
    foreign::{Given, Insists, Place, Tool},
    report,
    tls::{Authority, LOCAL, client_params, handle_next, listen, server_params},
    watched,
};
use rcgen::{KeyPair, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, SignatureAlgorithm, date_time_ymd};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// The line that our server's handler was told, and the subject of the client's certificate.
type Heard = JoinHandle<Result<(Option<String>, Option<String>)>>;

/// Our server, which asks as this says.
fn serve(selector: &SelectorManager, place: &Place, auth: ClientAuth) -> (u16, Heard) {
    let config = TlsConfig::server(place.server.identity()).client_auth(auth).build().unwrap();
    let listener = listen(selector, &config);
    let handled = handle_next(selector, &listener, |socket| async move {
        let mut connection = socket.connection()?;
        let line = connection.input.read_line().await?;
        connection.output.write_str("good evening\n").await?;
        let info = socket.tls_info().unwrap();
        socket.close().await?;
        // Some send their authority's certificate, too.
        let who = info.peer_certificates().first().map(|shown| shown.subject().to_owned());
        Ok((line, who))
    });
    (listener.port(), handled)
}

/// Our server asks; the client shows what it has, over each version.
fn shows(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let trust = place.authority.trust();
        for version in VERSIONS {
            for (auth, has_certificate) in [
                (ClientAuth::Required(trust.clone()), true),
                (ClientAuth::Optional(trust.clone()), true),
                (ClientAuth::Optional(trust.clone()), false),
            ] {
                let (port, handled) = serve(&selector, &place, auth);
                let given = Given { version: Some(version), has_certificate, ..Given::default() };
                let Some(mut client) = tool.client(test, &place, port, &given) else { return };
                client.say("hello\n");
                client.must_say("good evening\n");
                let (line, who) = selector.block_on(handled).unwrap().unwrap();
                assert_eq!(line.as_deref(), Some("hello"));
                assert_eq!(who.as_deref(), has_certificate.then_some("CN=Ada"), "{version}");
            }
            report(&format!("{test}: {version}, required and optional"));
        }
    });
}

/// A server of theirs asks; our client shows what it has, over each version.
fn is_shown(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        for version in VERSIONS {
            for (insists, has_certificate) in
                [(Insists::Yes, true), (Insists::Not, true), (Insists::Not, false)]
            {
                let auth = Some(insists);
                let more: &[&str] = match tool {
                    Tool::OpenSsl => &["-rev"],
                    Tool::GnuTls => &[],
                    Tool::Python | Tool::Node => &["--do", "echo"],
                };
                let given =
                    Given { version: Some(version), client_auth: auth, more, ..Given::default() };
                let Some((server, port)) = tool.server(test, &place, &given) else { return };
                let mut config = TlsConfig::client().trust(place.authority.trust());
                if has_certificate {
                    config = config.identity(place.client.identity());
                }
                talk(&selector, port, &config.build().unwrap()).unwrap();
                if has_certificate {
                    server.must_say(match tool {
                        Tool::OpenSsl => "CN = Ada",
                        Tool::GnuTls => "CN=Ada",
                        Tool::Python | Tool::Node => "peer=Ada.",
                    });
                }
            }
            report(&format!("{test}: {version}, required and optional"));
        }
    });
}

fn talk(selector: &SelectorManager, port: u16, config: &TlsConfig) -> Result<()> {
    selector.block_on(async {
        let socket = selector.tcp().connect(("localhost", port)).await?.tls(config).await?;
        let mut connection = socket.connection()?;
        connection.output.write_str("level\n").await?;
        assert_eq!(connection.input.read_line().await?.as_deref(), Some("level"));
        socket.close().await
    })
}

// ---- not good enough ----------------------------------------------------------------------------

/// A client's certificate that our server must not believe.
#[derive(Debug, Clone, Copy)]
enum Bad {
    Missing,
    OfAnotherAuthority,
    Expired,
    OfAServer,
}

/// Each of them, over each version. With TLS 1.3 the client is done before it is refused: what it
/// sends by then was encrypted, and could be read.
fn is_refused(test: &'static str, tool: Tool) {
    watched(move || {
        let selector = SelectorManager::new();
        for (bad, fault) in [
            (Bad::Missing, TlsFault::NoCertificate),
            (Bad::OfAnotherAuthority, TlsFault::UntrustedRoot),
            (Bad::Expired, TlsFault::Expired),
            (Bad::OfAServer, TlsFault::WrongPurpose),
        ] {
            for version in VERSIONS {
                let place = Place::new();
                give(&place, bad);
                let auth = ClientAuth::Required(place.authority.trust());
                let (port, handled) = serve(&selector, &place, auth);
                let has_certificate = !matches!(bad, Bad::Missing);
                let given = Given { version: Some(version), has_certificate, ..Given::default() };
                let Some(mut client) = tool.client(test, &place, port, &given) else { return };
                client.try_to_say("hello\n");
                let error = selector.block_on(handled).unwrap().expect_err("no line gets through");
                let same = [Some(fault), also(fault)].contains(&error.tls_fault());
                assert!(same, "{bad:?}: {:?} {error}", error.tls_fault());
                report(&format!("{test}: {version}, {bad:?}: {error}"));
            }
        }
    });
}

/// Without the certificate of another authority, a verifier cannot tell whether a root or something in
/// between is missing.
fn also(fault: TlsFault) -> Option<TlsFault> {
    (fault == TlsFault::UntrustedRoot).then_some(TlsFault::IncompleteChain)
}

/// Puts it where the client's certificate is.
fn give(place: &Place, bad: Bad) {
    let key = || KeyPair::generate().unwrap();
    let given = match bad {
        Bad::Missing => return,
        Bad::OfAnotherAuthority => Authority::new().client("Ada"),
        Bad::Expired => {
            let mut params = client_params("Ada");
            params.not_after = date_time_ymd(2021, 1, 1);
            place.authority.issue(&key(), &params)
        }
        Bad::OfAServer => place.authority.issue(&key(), &server_params(["localhost"])),
    };
    given.write(&place.directory, "client");
}

// ---- the other way round ------------------------------------------------------------------------

/// A server of theirs insists, and our client has nothing to show. With TLS 1.2 that ends the
/// handshake; with TLS 1.3 our side of it is complete by then, and the first read tells.
fn refuses_us(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        for version in VERSIONS {
            let (version, client_auth) = (Some(version), Some(Insists::Yes));
            let given = Given { version, client_auth, ..Given::default() };
            let Some((_server, port)) = tool.server(test, &place, &given) else { return };
            let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
            let error = selector.block_on(read_one(&selector, port, &config)).unwrap_err();
            // Node's says nothing in TLS 1.3 but that it ends.
            let is_silent = tool == Tool::Node && error.tls_fault().is_none();
            assert!(is_silent || error.tls_fault() == Some(TlsFault::RefusedByPeer), "{error}");
            // Whatever the alert: the server has asked, and we had nothing.
            let says_why = error.to_string().contains("this client has none: set `identity`");
            assert!(is_silent || says_why, "{error}");
            report(&format!("{test}: {given:?}: {error}", given = given.version));
        }
    });
}

#[test]
fn openssl_refuses_us_without_a_certificate() {
    refuses_us("openssl_refuses_us_without_a_certificate", Tool::OpenSsl);
}

#[test]
fn gnutls_refuses_us_without_a_certificate() {
    refuses_us("gnutls_refuses_us_without_a_certificate", Tool::GnuTls);
}

#[test]
fn python_refuses_us_without_a_certificate() {
    refuses_us("python_refuses_us_without_a_certificate", Tool::Python);
}

#[test]
fn node_refuses_us_without_a_certificate() {
    refuses_us("node_refuses_us_without_a_certificate", Tool::Node);
}

/// As [`refuses_us`] with a server that takes no signatures of the only key that we have, so that
/// nothing is shown.
#[test]
fn openssl_refuses_us_with_a_key_that_it_does_not_take() {
    const NAME: &str = "openssl_refuses_us_with_a_key_that_it_does_not_take";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let identity = place.authority.issue(&key, &client_params("Ada")).identity();
        let config = TlsConfig::client().trust(place.authority.trust()).identity(identity);
        let config = config.build().unwrap();
        for version in VERSIONS {
            let (version, client_auth) = (Some(version), Some(Insists::Yes));
            let more = &["-client_sigalgs", "ECDSA+SHA256"][..];
            let given = Given { version, client_auth, more, ..Given::default() };
            let Some((_server, port)) = Tool::OpenSsl.server(NAME, &place, &given) else { return };
            let error = selector.block_on(read_one(&selector, port, &config)).unwrap_err();
            assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{error}");
            assert!(error.to_string().contains("takes no signatures of the kind"), "{error}");
            report(&format!("{NAME}: {given:?}: {error}", given = given.version));
        }
    });
}

async fn read_one(selector: &SelectorManager, port: u16, config: &TlsConfig) -> Result<u8> {
    let plain = selector.tcp().connect(("localhost", port)).await?;
    plain.tls(config).await?.open_read_channel()?.read_u8().await
}

/// The other way round: of our server's key a client takes no signatures, over each version. Both
/// sides are told so.
fn takes_no_signature_of(test: &'static str, key: &'static SignatureAlgorithm) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let key = KeyPair::generate_for(key).unwrap();
        let identity = place.authority.issue(&key, &server_params(LOCAL)).identity();
        let config = TlsConfig::server(identity).build().unwrap();
        for version in VERSIONS {
            let listener = listen(&selector, &config);
            let handled = handle_next(&selector, &listener, |socket| async move {
                socket.open_read_channel()?.read_u8().await
            });
            let more = &["-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256"][..];
            let given = Given { version: Some(version), more, ..Given::default() };
            let client = Tool::OpenSsl.client(test, &place, listener.port(), &given);
            let Some(client) = client else { return };
            let error = selector.block_on(handled).unwrap().unwrap_err();
            assert_eq!(error.tls_fault(), Some(TlsFault::NoCommonSuite), "{version}: {error}");
            assert!(error.to_string().contains("signature scheme"), "{version}: {error}");
            let said = client.end().1;
            assert!(said.contains("SSL alert number 40"), "{version}: {said}");
            report(&format!("{test}: {version}: {error}"));
        }
    });
}

#[test]
fn a_client_takes_no_ed25519_of_ours() {
    takes_no_signature_of("a_client_takes_no_ed25519_of_ours", &PKCS_ED25519);
}

#[test]
fn a_client_takes_no_p521_of_ours() {
    takes_no_signature_of("a_client_takes_no_p521_of_ours", &PKCS_ECDSA_P521_SHA512);
}

/// `GnuTLS` takes no name with an underscore (RFC 952), and says no more than "illegal parameter".
#[test]
fn gnutls_refuses_a_name_with_an_underscore_and_the_error_names_it() {
    const NAME: &str = "gnutls_refuses_a_name_with_an_underscore_and_the_error_names_it";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::client().trust(place.authority.trust());
        let config = config.server_name("my_host.example").build().unwrap();
        for version in VERSIONS {
            let given = Given { version: Some(version), ..Given::default() };
            let Some((_server, port)) = Tool::GnuTls.server(NAME, &place, &given) else { return };
            let error = selector.block_on(read_one(&selector, port, &config)).unwrap_err();
            assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{error}");
            let text = error.to_string();
            assert!(text.contains("my_host.example, which has an underscore"), "{error}");
            report(&format!("{NAME}: {version}: {error}"));
        }
    });
}

// ---- each of them ---------------------------------------------------------------------------------

#[test]
fn openssl_shows_a_certificate() {
    shows("openssl_shows_a_certificate", Tool::OpenSsl);
}

#[test]
fn gnutls_shows_a_certificate() {
    shows("gnutls_shows_a_certificate", Tool::GnuTls);
}

#[test]
fn python_shows_a_certificate() {
    shows("python_shows_a_certificate", Tool::Python);
}

#[test]
fn node_shows_a_certificate() {
    shows("node_shows_a_certificate", Tool::Node);
}

#[test]
fn openssl_is_shown_a_certificate() {
    is_shown("openssl_is_shown_a_certificate", Tool::OpenSsl);
}

#[test]
fn gnutls_is_shown_a_certificate() {
    is_shown("gnutls_is_shown_a_certificate", Tool::GnuTls);
}

#[test]
fn python_is_shown_a_certificate() {
    is_shown("python_is_shown_a_certificate", Tool::Python);
}

#[test]
fn node_is_shown_a_certificate() {
    is_shown("node_is_shown_a_certificate", Tool::Node);
}

#[test]
fn openssl_without_a_good_certificate_is_refused() {
    is_refused("openssl_without_a_good_certificate_is_refused", Tool::OpenSsl);
}

#[test]
fn gnutls_without_a_good_certificate_is_refused() {
    is_refused("gnutls_without_a_good_certificate_is_refused", Tool::GnuTls);
}

#[test]
fn python_without_a_good_certificate_is_refused() {
    is_refused("python_without_a_good_certificate_is_refused", Tool::Python);
}
