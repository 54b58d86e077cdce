use forebay::{Result, SelectorManager, TlsConfig, Trust};
use forebay_testing::{alone, tls::Configs, until_that};
use futures_lite::future::zip;
use tracing::Instrument;

use super::recorder::{Fields, SeenSpan, record_all, spans};

fn span_of(role: &str) -> SeenSpan {
    let mut found = spans().into_iter().filter(|span| span.fields["role"] == role);
    let span = found.next().unwrap_or_else(|| panic!("no span of a socket that was {role}"));
    assert!(found.next().is_none());
    span
}

/// The events of a span, each as its level and its message.
fn messages(span: &SeenSpan) -> Vec<String> {
    let message = |event: &Fields| format!("{} {}", event["level"], event["message"]);
    span.events.iter().map(message).collect()
}

#[test]
fn a_connection_is_a_span_from_its_beginning_to_its_last_handle() {
    alone("a_connection_is_a_span_from_its_beginning_to_its_last_handle", || {
        record_all();
        forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("0.0.0.0:0").await?;
            let at = format!("127.0.0.1:{}", server.port());
            let (client, accepted) = zip(selector.tcp().connect(&at), server.accept()).await;
            let (client, accepted) = (client?, accepted?);
            let peer = client.local_address().to_string();
            let span = accepted.span();
            let session = async move {
                tracing::info!(target: "forebay", "of the handler");
                accepted.peer_finished().await?;
                accepted.close().await
            };
            let session = selector.spawn(session.instrument(span));
            client.close().await?;
            session.await?;
            drop(client);
            until_that("the spans are over", || spans().iter().all(|it| it.handles == 0)).await;

            let accepted = span_of("accepted");
            let fields = &accepted.fields;
            assert_eq!(fields["level"], "INFO");
            assert_eq!((fields["transport"].as_str(), &fields["peer"]), ("tcp", &peer));
            // Not the address of the listener, which is any.
            assert_eq!(fields["local"], at);
            assert!(fields["id"].parse::<u64>().is_ok() && !fields.contains_key("tls"));
            assert_eq!(
                messages(&accepted),
                ["DEBUG opened", "INFO of the handler", "DEBUG closed"]
            );
            assert_eq!(accepted.events[2]["reason"], "Ended");
            assert_eq!(accepted.events[2]["unacknowledged"], "0");
            assert!(!accepted.events[2].contains_key("error"));

            let connected = span_of("connected");
            assert_eq!((&connected.fields["peer"], &connected.fields["local"]), (&at, &peer));
            assert_ne!(connected.fields["id"], accepted.fields["id"]);
            assert_eq!(messages(&connected), ["DEBUG opened", "DEBUG closed"]);
            // It did not wait for its peer's end mark.
            assert!(["Local", "Ended"].contains(&connected.events[1]["reason"].as_str()));
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_reset_is_the_reason_in_its_span() {
    alone("a_reset_is_the_reason_in_its_span", || {
        record_all();
        forebay::run(async |selector: SelectorManager| {
            let (client, mut server) = selector.duplex(1024);
            client.socket.abort();
            assert!(server.input.read_u8().await.is_err());
            drop((client, server));
            until_that("the spans are over", || spans().iter().all(|it| it.handles == 0)).await;
            let mut reasons = Vec::new();
            for span in spans() {
                assert_eq!(span.fields["transport"], "memory");
                let closed = span.events.last().unwrap();
                reasons.push((closed["reason"].clone(), closed.contains_key("error")));
            }
            reasons.sort();
            assert_eq!(reasons, [("Local".to_owned(), true), ("Reset".to_owned(), true)]);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_handshake_is_an_event_and_its_version_a_field() {
    alone("a_handshake_is_an_event_and_its_version_a_field", || {
        record_all();
        forebay::run(async |selector: SelectorManager| {
            let configs = Configs::with(|it| it.alpn(["h2"]), |it| it.alpn(["h2"]));
            let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
            let connecting = selector.tcp().connect(server.local_address()).await?;
            let accepted = server.accept().await?;
            let (client, info) = zip(connecting.tls(&configs.client), accepted.handshake()).await;
            let (_client, info) = (client?, info?);
            let accepted = span_of("accepted");
            assert_eq!(accepted.fields["tls"], info.version().to_string());
            assert_eq!(messages(&accepted), ["DEBUG opened", "DEBUG TLS handshake done"]);
            let done = &accepted.events[1];
            assert_eq!(done["cipher_suite"], info.cipher_suite());
            assert_eq!((done["alpn"].as_str(), done["resumed"].as_str()), ("h2", "false"));
            assert_eq!(span_of("connected").fields["tls"], "TLS 1.3");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_handshake_that_fails_is_an_event_on_both_sides() {
    alone("a_handshake_that_fails_is_an_event_on_both_sides", || {
        record_all();
        forebay::run(async |selector: SelectorManager| {
            let configs = Configs::new();
            let other = forebay::certificates::Authority::new("another one")?;
            let stranger = TlsConfig::client().trust(Trust::roots_pem(other.pem())?).build()?;
            let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
            let connecting = selector.tcp().connect(server.local_address()).await?;
            let accepted = server.accept().await?;
            let (ours, theirs) = zip(accepted.handshake(), connecting.tls(&stranger)).await;
            let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
            for (role, error) in [("connected", theirs), ("accepted", ours)] {
                let span = span_of(role);
                let failed = &span.events[1];
                assert_eq!(failed["message"], "TLS handshake failed", "{span:?}");
                assert_eq!(failed["error"], error.to_string());
                assert_eq!(failed["kind"], format!("{:?}", error.kind()));
                assert!(!span.fields.contains_key("tls"));
            }
            Result::Ok(())
        })
        .unwrap();
    });
}
