//! A handshake, and a line each way, with independent implementations of TLS: as their
//! server and as their client, over each version.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{Result, SelectorManager, TlsConfig, TlsInfo, TlsVersion};
use forebay_testing::{
    foreign::{Given, Place, Tool},
    report,
    tls::{handle_next, listen},
    watched,
};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// An independent client is greeted by our server, over each version.
fn greets(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        for version in VERSIONS {
            let config = TlsConfig::server(place.server.identity()).build().unwrap();
            let listener = listen(&selector, &config);
            let handled = handle_next(&selector, &listener, |socket| async move {
                let mut connection = socket.connection()?;
                let line = connection.input.read_line().await?;
                connection.output.write_str("good evening\n").await?;
                let info = socket.tls_info().unwrap();
                let rest = connection.input.read_line().await;
                socket.close().await?;
                Ok((line, rest, info))
            });
            let given = Given { version: Some(version), ..Given::default() };
            let Some(mut client) = tool.client(test, &place, listener.port(), &given) else {
                return;
            };
            client.say("hello\n");
            client.hear("good evening\n");
            let said = client.end_well();
            let (line, rest, info) = selector.block_on(handled).unwrap().unwrap();
            assert_eq!(line.as_deref(), Some("hello"));
            assert_eq!(rest.unwrap(), None, "{tool:?} ends with a close_notify");
            assert_eq!(info.version(), version);
            assert_eq!(info.server_name(), Some("localhost"));
            assert!(said.contains(&tool.says_version(version)), "{said}");
            tell(test, &info);
        }
    });
}

/// An independent server hears a line of our client, and answers, over each version.
fn is_greeted(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        for version in VERSIONS {
            let given = Given { version: Some(version), ..Given::default() };
            let Some((mut server, port)) = tool.server(test, &place, &given) else { return };
            let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
            let result: Result<TlsInfo> = selector.block_on(async {
                let plain = selector.tcp().connect(("localhost", port)).await?;
                let socket = plain.tls(&config).await?;
                let mut connection = socket.connection()?;
                connection.output.write_str("hello\n").await?;
                connection.output.flush().await?;
                // The one of GnuTLS sends back what it hears, and cannot be told what to say.
                let answer = if tool == Tool::GnuTls {
                    "hello"
                } else {
                    server.hear("hello\n");
                    server.say("good evening\n");
                    "good evening"
                };
                assert_eq!(connection.input.read_line().await?.as_deref(), Some(answer));
                let info = socket.tls_info().unwrap();
                socket.close().await?;
                Ok(info)
            });
            let info = result.unwrap();
            assert_eq!(info.version(), version);
            assert_eq!(info.peer_certificates()[0].names()[0], "localhost");
            assert_eq!(info.server_name(), Some("localhost"));
            server.must_say(&tool.says_name("localhost"));
            tell(test, &info);
        }
    });
}

fn tell(test: &str, info: &TlsInfo) {
    let group = info.key_exchange_group().unwrap_or("none");
    report(&format!("{test}: {}, {}, {group}", info.version(), info.cipher_suite()));
}

#[test]
fn the_client_of_openssl_is_greeted() {
    greets("the_client_of_openssl_is_greeted", Tool::OpenSsl);
}

#[test]
fn the_client_of_gnutls_is_greeted() {
    greets("the_client_of_gnutls_is_greeted", Tool::GnuTls);
}

#[test]
fn the_client_of_python_is_greeted() {
    greets("the_client_of_python_is_greeted", Tool::Python);
}

#[test]
fn the_client_of_node_is_greeted() {
    greets("the_client_of_node_is_greeted", Tool::Node);
}

#[test]
fn the_server_of_openssl_answers() {
    is_greeted("the_server_of_openssl_answers", Tool::OpenSsl);
}

#[test]
fn the_server_of_gnutls_answers() {
    is_greeted("the_server_of_gnutls_answers", Tool::GnuTls);
}

#[test]
fn the_server_of_python_answers() {
    is_greeted("the_server_of_python_answers", Tool::Python);
}

#[test]
fn the_server_of_node_answers() {
    is_greeted("the_server_of_node_answers", Tool::Node);
}
