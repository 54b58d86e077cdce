//! Application protocols (ALPN, RFC 7301) with independent implementations: the one that
//! both sides have, and connections where they have none in common.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{Result, SelectorManager, Socket, TlsConfig, TlsFault};
use forebay_testing::{
    foreign::{Given, Place, Tool},
    report,
    tls::{handle_next, listen},
    watched,
};

/// A client offers two, and our server takes the one that it has.
fn chosen_by_us(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).alpn(["imap", "http/1.1"]);
        let listener = listen(&selector, &config.build().unwrap());
        let handled = handle_next(&selector, &listener, |socket| async move {
            let info = socket.handshake().await?;
            let mut connection = socket.connection()?;
            let line = connection.input.read_line().await?;
            connection.output.write_str("good evening\n").await?;
            socket.close().await?;
            Ok((line, info))
        });
        let given = Given { alpn: &["h2", "http/1.1"], ..Given::default() };
        let Some(mut client) = tool.client(test, &place, listener.port(), &given) else { return };
        client.say("hello\n");
        client.must_say("good evening\n");
        client.must_say(&tool.says_alpn("http/1.1"));
        let (line, info) = selector.block_on(handled).unwrap().unwrap();
        assert_eq!(line.as_deref(), Some("hello"));
        assert_eq!(info.alpn(), Some(b"http/1.1".as_slice()));
    });
}

/// A client offers what our server does not have.
fn refused_by_us(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).alpn(["imap"]).build().unwrap();
        let listener = listen(&selector, &config);
        let handled = handle_next(&selector, &listener, read_one);
        let given = Given { alpn: &["h2", "http/1.1"], ..Given::default() };
        let Some(client) = tool.client(test, &place, listener.port(), &given) else { return };
        let error = selector.block_on(handled).unwrap().unwrap_err();
        assert_eq!(error.tls_fault(), Some(TlsFault::NoCommonProtocol), "{error}");
        // no_application_protocol is alert 120.
        let told = match tool {
            Tool::GnuTls => "No supported application protocol could be negotiated",
            _ => "no application protocol",
        };
        let said = client.end().1.to_lowercase();
        assert!(said.contains(&told.to_lowercase()), "{said}");
        report(&format!("{test}: {error}"));
    });
}

/// Reads what a handler would see of a peer: nothing, or it is a fault.
async fn read_one(socket: Socket) -> Result<u8> {
    socket.open_read_channel()?.read_u8().await
}

/// A server has one of the two that our client offers, and then none of them.
fn chosen_by_them(test: &'static str, tool: Tool) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let more: &[&str] = match tool {
            Tool::Python | Tool::Node => &["--connections", "3", "--do", "echo"],
            Tool::OpenSsl => &["-rev"],
            Tool::GnuTls => &["--alpn-fatal"],
        };
        let given = Given { alpn: &["imap", "http/1.1"], more, ..Given::default() };
        let Some((_server, port)) = tool.server(test, &place, &given) else { return };
        let client = || TlsConfig::client().trust(place.authority.trust());
        let offers = client().alpn(["h2", "http/1.1"]).build().unwrap();
        assert_eq!(talk(&selector, port, &offers).unwrap().as_deref(), Some(&b"http/1.1"[..]));
        let others = client().alpn(["h2"]).build().unwrap();
        match (tool, talk(&selector, port, &others)) {
            // Python's goes on without one, and leaves it to the client whether it takes that.
            (Tool::Python, agreed) => {
                assert_eq!(agreed.unwrap(), None);
                let insists = client().alpn(["h2"]).require_alpn().build().unwrap();
                let error = talk(&selector, port, &insists).unwrap_err();
                assert_eq!(error.tls_fault(), Some(TlsFault::NoCommonProtocol), "{error}");
                report(&format!("{test}: {error}"));
            }
            (_, refused) => {
                let error = refused.unwrap_err();
                assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{error}");
                assert!(error.to_string().contains("no_application_protocol"), "{error}");
                report(&format!("{test}: {error}"));
            }
        }
    });
}

/// Says a line, hears one, and returns the protocol.
fn talk(selector: &SelectorManager, port: u16, config: &TlsConfig) -> Result<Option<Vec<u8>>> {
    selector.block_on(async {
        let socket = selector.tcp().connect(("localhost", port)).await?.tls(config).await?;
        let mut connection = socket.connection()?;
        connection.output.write_str("level\n").await?;
        assert_eq!(connection.input.read_line().await?.as_deref(), Some("level"));
        let agreed = socket.tls_info().unwrap().alpn().map(<[u8]>::to_vec);
        socket.close().await?;
        Ok(agreed)
    })
}

#[test]
fn openssl_takes_the_protocol_that_we_chose() {
    chosen_by_us("openssl_takes_the_protocol_that_we_chose", Tool::OpenSsl);
}

#[test]
fn gnutls_takes_the_protocol_that_we_chose() {
    chosen_by_us("gnutls_takes_the_protocol_that_we_chose", Tool::GnuTls);
}

#[test]
fn python_takes_the_protocol_that_we_chose() {
    chosen_by_us("python_takes_the_protocol_that_we_chose", Tool::Python);
}

#[test]
fn node_takes_the_protocol_that_we_chose() {
    chosen_by_us("node_takes_the_protocol_that_we_chose", Tool::Node);
}

#[test]
fn openssl_is_told_that_no_protocol_is_spoken_by_both() {
    refused_by_us("openssl_is_told_that_no_protocol_is_spoken_by_both", Tool::OpenSsl);
}

#[test]
fn gnutls_is_told_that_no_protocol_is_spoken_by_both() {
    refused_by_us("gnutls_is_told_that_no_protocol_is_spoken_by_both", Tool::GnuTls);
}

#[test]
fn python_is_told_that_no_protocol_is_spoken_by_both() {
    refused_by_us("python_is_told_that_no_protocol_is_spoken_by_both", Tool::Python);
}

#[test]
fn node_is_told_that_no_protocol_is_spoken_by_both() {
    refused_by_us("node_is_told_that_no_protocol_is_spoken_by_both", Tool::Node);
}

#[test]
fn we_take_the_protocol_that_openssl_chose() {
    chosen_by_them("we_take_the_protocol_that_openssl_chose", Tool::OpenSsl);
}

#[test]
fn we_take_the_protocol_that_gnutls_chose() {
    chosen_by_them("we_take_the_protocol_that_gnutls_chose", Tool::GnuTls);
}

#[test]
fn we_take_the_protocol_that_python_chose() {
    chosen_by_them("we_take_the_protocol_that_python_chose", Tool::Python);
}

#[test]
fn we_take_the_protocol_that_node_chose() {
    chosen_by_them("we_take_the_protocol_that_node_chose", Tool::Node);
}
