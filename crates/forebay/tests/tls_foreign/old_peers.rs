//! Peers that have nothing but what is broken by now — TLS 1.0 and 1.1, CBC, RC4, keys without
//! forward secrecy — are refused in both roles, and both sides are told why.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{Result, SelectorManager, Socket, TlsConfig, TlsFault};
use forebay_testing::{
    foreign::{Given, Place, Tool},
    report,
    tls::{LOCAL, handle_next, listen, server_params},
    watched,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256};

/// The suites that OpenSSL uses only if it is told that security does not matter.
const OLD: &str = "ALL:@SECLEVEL=0";

/// With an RSA key for the server, as old peers like it.
fn place() -> Place {
    let mut place = Place::new();
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    place.server = place.authority.issue(&key, &server_params(LOCAL));
    place.server.write(&place.directory, "server");
    place
}

/// Reads what a handler would see of a peer: nothing, or it is a fault.
async fn read_one(socket: Socket) -> Result<u8> {
    socket.open_read_channel()?.read_u8().await
}

/// A client with these options is refused for this, and told so.
fn refuses(
    test: &'static str,
    cases: &'static [(Tool, &'static [&str], &'static [TlsFault], &'static str)],
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), place());
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        for (tool, more, faults, told) in cases {
            let listener = listen(&selector, &config);
            let handled = handle_next(&selector, &listener, read_one);
            let given = Given { more, ..Given::default() };
            let Some(client) = tool.client(test, &place, listener.port(), &given) else { return };
            let error = selector.block_on(handled).unwrap().unwrap_err();
            let fault = error.tls_fault();
            assert!(fault.is_some_and(|fault| faults.contains(&fault)), "{more:?}: {error}");
            let said = client.end().1;
            assert!(said.contains(told), "{more:?}: {said}");
            report(&format!("{test}: {more:?}: {error}"));
        }
    });
}

#[test]
fn clients_of_old_versions_are_refused() {
    const OLD_VERSION: &[TlsFault] = &[TlsFault::NoCommonVersion];
    refuses(
        "clients_of_old_versions_are_refused",
        &[
            (Tool::OpenSsl, &["-tls1_1", "-cipher", OLD], OLD_VERSION, "SSL alert number"),
            (Tool::OpenSsl, &["-tls1", "-cipher", OLD], OLD_VERSION, "SSL alert number"),
            (
                Tool::GnuTls,
                &["--priority=NORMAL:-VERS-ALL:+VERS-TLS1.1"],
                OLD_VERSION,
                "fatal alert has been received",
            ),
        ],
    );
}

#[test]
fn clients_of_broken_suites_are_refused() {
    const NO_SUITE: &[TlsFault] = &[TlsFault::NoCommonSuite];
    const CBC: &str = "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA";
    // Neither of these has forward secrecy by elliptic curves.
    const BY_RSA: &str = "AES256-GCM-SHA384";
    const BY_FIELDS: &str = "DHE-RSA-AES256-GCM-SHA384";
    const OF_GNUTLS: [&str; 2] = [
        "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128",
        "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+3DES-CBC",
    ];
    refuses(
        "clients_of_broken_suites_are_refused",
        &[
            (Tool::OpenSsl, &["-tls1_2", "-cipher", CBC], NO_SUITE, "alert number 40"),
            (Tool::OpenSsl, &["-tls1_2", "-cipher", BY_RSA], NO_SUITE, "alert number 40"),
            (Tool::OpenSsl, &["-tls1_2", "-cipher", BY_FIELDS], NO_SUITE, "alert number 40"),
            (Tool::GnuTls, &[OF_GNUTLS[0]], NO_SUITE, "Handshake failed"),
            (Tool::GnuTls, &[OF_GNUTLS[1]], NO_SUITE, "Handshake failed"),
        ],
    );
}

/// A server with these options gets nothing from our client, which says why.
fn is_refused(
    test: &'static str,
    cases: &'static [(Tool, &'static [&str], &'static [TlsFault], &'static str)],
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), place());
        let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
        for (tool, more, faults, told) in cases {
            let given = Given { more, ..Given::default() };
            let Some((_server, port)) = tool.server(test, &place, &given) else { return };
            let connected: Result<Socket> = selector.block_on(async {
                selector.tcp().connect(("localhost", port)).await?.tls(&config).await
            });
            let error = connected.unwrap_err();
            assert!(error.tls_fault().is_some_and(|fault| faults.contains(&fault)), "{error}");
            assert!(error.to_string().contains(told), "{more:?}: {error}");
            report(&format!("{test}: {more:?}: {error}"));
        }
    });
}

#[test]
fn servers_of_old_versions_are_refused() {
    use TlsFault::RefusedByPeer;
    is_refused(
        "servers_of_old_versions_are_refused",
        &[
            (Tool::OpenSsl, &["-tls1_1", "-cipher", OLD], &[RefusedByPeer], "protocol_version"),
            (Tool::OpenSsl, &["-tls1", "-cipher", OLD], &[RefusedByPeer], "protocol_version"),
            (
                Tool::GnuTls,
                &["--priority=NORMAL:-VERS-ALL:+VERS-TLS1.1"],
                &[RefusedByPeer],
                "handshake_failure",
            ),
        ],
    );
}

#[test]
fn servers_of_broken_suites_are_refused() {
    use TlsFault::RefusedByPeer;
    is_refused(
        "servers_of_broken_suites_are_refused",
        &[
            (
                Tool::OpenSsl,
                &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA"],
                &[RefusedByPeer],
                "handshake_failure",
            ),
            (
                Tool::OpenSsl,
                &["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
                &[RefusedByPeer],
                "handshake_failure",
            ),
            (
                Tool::GnuTls,
                &["--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+ARCFOUR-128"],
                &[RefusedByPeer],
                "handshake_failure",
            ),
        ],
    );
}
