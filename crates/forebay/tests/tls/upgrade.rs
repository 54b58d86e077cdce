//! TLS in the middle of a conversation, as STARTTLS has it.

use std::io::{Read, Write};

use forebay::{
    Connection, ErrorKind, LineEnding, LineOptions, Result, SelectorManager, TlsServerBuilder,
};
use forebay_testing::{Transport, in_host, on_transports, settle, tls::Configs, watched};
use futures_lite::future::zip;

fn run(test: impl AsyncFnOnce(SelectorManager, Configs) -> Result<()> + Send + 'static) {
    watched(move || in_host(async |selector| test(selector, named()).await)).unwrap();
}

/// With the name to check: Unix sockets and memory have none of their own.
fn named() -> Configs {
    Configs::with(|client| client.server_name("localhost"), |server| server)
}

async fn ask(client: &mut Connection) -> Result<()> {
    client.output.write_str("STARTTLS\n").await?;
    let answer = client.input.read_line().await?;
    assert_eq!(answer.as_deref(), Some("go ahead"));
    Ok(())
}

async fn agree(server: &mut Connection) -> Result<()> {
    let asked = server.input.read_line().await?;
    assert_eq!(asked.as_deref(), Some("STARTTLS"));
    server.output.write_str("go ahead\n").await
}

/// The LF of the line in front of the handshake comes after the line was answered, alone or with the handshake.
#[test]
fn a_late_lf_of_the_last_plain_line_is_no_part_of_the_handshake() {
    for comes_alone in [true, false] {
        run(async move |selector, configs| {
            let (mut client, mut server) = Transport::Tcp.pair(&selector).await?;
            server.input.set_line_options(LineOptions::new().ending(LineEnding::Lenient));
            let upgrading = async {
                client.output.write_str("STARTTLS\r").await?;
                assert_eq!(client.input.read_line().await?.as_deref(), Some("go ahead"));
                client.output.write_str("\n").await?;
                if comes_alone {
                    client.output.flush().await?;
                    settle().await;
                }
                client.tls(&configs.client).await
            };
            let answering = async {
                agree(&mut server).await?;
                server.accept_tls(&configs.server).await
            };
            let (upgraded, answered) = zip(upgrading, answering).await;
            upgraded.and(answered)?;
            client.output.write_str("a secret\n").await?;
            assert_eq!(server.input.read_line().await?.as_deref(), Some("a secret"));
            Ok(())
        });
    }
}

#[test]
fn both_roles_upgrade_over_every_plain_transport() {
    on_transports(
        |transport| transport != Transport::Tls,
        async |selector, transport| {
            let configs = named();
            let (mut client, mut server) = transport.pair(&selector).await?;
            let upgrading = async {
                ask(&mut client).await?;
                client.tls(&configs.client).await
            };
            let answering = async {
                agree(&mut server).await?;
                server.accept_tls(&configs.server).await
            };
            let (upgraded, answered) = zip(upgrading, answering).await;
            upgraded.and(answered)?;
            assert!(client.socket.tls_info().is_some());
            let info = server.socket.handshake().await?;
            assert_eq!(info.server_name(), Some("localhost"), "over {transport}");
            client.output.write_str("a secret\n").await?;
            assert_eq!(server.input.read_line().await?.as_deref(), Some("a secret"));
            client.output.finish().await?;
            assert_eq!(server.input.read_line().await?, None);
            server.output.write_str("and the answer\n").await?;
            server.output.finish().await?;
            assert_eq!(client.input.read_line().await?.as_deref(), Some("and the answer"));
            assert_eq!(client.input.read_line().await?, None);
            Ok(())
        },
    );
}

#[test]
fn without_a_name_to_check_it_is_refused_over_unix_sockets_and_in_memory() {
    on_transports(
        |transport| matches!(transport, Transport::Unix | Transport::Memory),
        async |selector, transport| {
            let configs = Configs::new();
            let (mut client, _server) = transport.pair(&selector).await?;
            let error = client.tls(&configs.client).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "over {transport}: {error}");
            assert!(error.to_string().contains("server_name"), "{error}");
            Ok(())
        },
    );
}

/// Row S: CVE-2011-0411 and its kin. An attacker between the two has added a command to the client's.
#[test]
fn what_was_injected_behind_starttls_is_refused() {
    run(async |selector, configs| {
        let (socket, mut peer) = forebay_testing::pair(&selector).await?;
        let mut server = socket.connection()?;
        peer.write_all(b"STARTTLS\nRCPT TO:<evil@example.com>\n").unwrap();
        agree(&mut server).await?;
        // It has arrived with the command, in one segment.
        assert_eq!(server.input.buffered(), 27);
        let error = server.accept_tls(&configs.server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("27 bytes"), "{error}");
        // No reader is ever told that it was said over TLS, or at all.
        assert!(server.input.read_line().await.is_err());
        assert!(server.output.write_str("250 OK\n").await.is_err());
        assert!(server.socket.is_closed());
        let (received, end) = forebay_testing::read_to_end(&mut peer);
        assert_eq!(received, b"go ahead\n");
        assert_eq!(end.map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionReset));
        Ok(())
    });
}

/// A client that does not wait for the answer: what it has sent is its `ClientHello`.
#[test]
fn a_pipelined_client_hello_is_taken_where_that_was_asked_for() {
    let taking = || {
        Configs::with(|client| client.server_name("localhost"), TlsServerBuilder::replay_buffered)
    };
    watched(move || {
        in_host(async |selector| {
            let configs = taking();
            let (mut client, mut server) = Transport::Tcp.pair(&selector).await?;
            let upgrading = async {
                client.output.write_str("STARTTLS\n").await?;
                // Its answer is left for behind the handshake, which is how this client has it.
                client.tls(&configs.client).await
            };
            let answering = async {
                // By now the ClientHello has come, too, and is read together with the line.
                forebay_testing::settle().await;
                let asked = server.input.read_line().await?;
                assert_eq!(asked.as_deref(), Some("STARTTLS"));
                assert!(server.input.buffered() >= 200);
                server.accept_tls(&configs.server).await
            };
            let (upgraded, answered) = zip(upgrading, answering).await;
            upgraded.and(answered)?;
            client.output.write_str("a secret\n").await?;
            assert_eq!(server.input.read_line().await?.as_deref(), Some("a secret"));
            Result::Ok(())
        })
    })
    .unwrap();
}

#[test]
fn options_of_the_channels_survive() {
    run(async |selector, configs| {
        let (mut client, mut server) = Transport::Tcp.pair(&selector).await?;
        server.input.set_line_options(LineOptions::new().limit(10));
        client.output.manual_flush();
        let (upgraded, answered) =
            zip(client.tls(&configs.client), server.accept_tls(&configs.server)).await;
        upgraded.and(answered)?;
        client.output.write_str("longer than ten bytes\nshort\n").await?;
        forebay_testing::settle().await;
        assert!(client.output.queued() > 0, "it is flushed by hand");
        client.output.flush().await?;
        assert!(server.input.read_line().await.unwrap_err().is_line_too_long());
        server.input.skip_line().await?;
        assert_eq!(server.input.read_line().await?.as_deref(), Some("short"));
        Ok(())
    });
}

#[test]
fn an_upgrade_that_fails_resets_the_connection() {
    run(async |selector, configs| {
        let (socket, mut peer) = forebay_testing::pair(&selector).await?;
        let mut server = socket.connection()?;
        peer.write_all(b"STARTTLS\n").unwrap();
        agree(&mut server).await?;
        peer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let error = server.accept_tls(&configs.server).await.unwrap_err();
        assert!(error.tls_fault().is_some(), "{error}");
        assert_eq!(server.input.read_u8().await.unwrap_err().tls_fault(), error.tls_fault());
        let mut received = Vec::new();
        peer.read_to_end(&mut received).ok();
        assert!(received.starts_with(b"go ahead\n"));
        let said = String::from_utf8_lossy(&received[9..]).into_owned();
        assert!(received.len() <= 9 + 7, "an alert at most, in the clear: {said:?}");
        Ok(())
    });
}
