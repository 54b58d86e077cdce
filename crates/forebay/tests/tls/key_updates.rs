//! A peer that changes its keys in the middle of what it says (`KeyUpdate`, RFC 8446, section 4.6.3),
//! with and without asking for the same: nothing in front of it or behind it is lost, in either
//! direction. `openssl` does so at a line `k`, and asks for ours at a line `K`; `gnutls-cli` at
//! `^rekey^`.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{Connection, EndWithoutNotify, Result, SelectorManager, TlsConfig};
use forebay_testing::{
    MIB,
    foreign::{Foreign, Given, Place, Tool},
    report,
    tls::{handle_next, listen},
    watched,
};
use futures_lite::future::zip;

/// Changes of keys, each between two lines.
const CHANGES: [&str; 6] = ["k\n", "K\n", "k\n", "k\n", "K\n", "K\n"];
const LINE: &str = "nothing is lost of it\n";

/// Types lines and changes of keys alternately, and waits for the echo of each line.
fn type_in(peer: &mut Foreign, changes: &[&str]) {
    for change in changes {
        peer.say_apart(LINE);
        peer.hear(LINE);
        // It is a command only at the beginning of what is read at once.
        peer.say_apart(change);
    }
    peer.say(LINE);
    peer.hear(LINE);
}

/// Echoes lines until the end.
async fn echo(connection: &mut Connection) -> Result<usize> {
    let mut count = 0;
    while let Some(line) = connection.input.read_line().await? {
        assert_eq!(line, LINE.trim_end());
        connection.output.write_str(LINE).await?;
        connection.output.flush().await?;
        count += 1;
    }
    Ok(count)
}

/// A client that changes its keys so often says so, in these words.
fn changes_its_keys_as_our_client(
    test: &'static str,
    (tool, more): (Tool, &'static [&str]),
    changes: &'static [&str],
    told: &'static str,
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        let listener = listen(&selector, &config);
        let handled = handle_next(&selector, &listener, |socket| async move {
            let count = echo(&mut socket.connection()?).await?;
            socket.close().await?;
            Ok(count)
        });
        let given = Given { more, ..Given::default() };
        let client = tool.client(test, &place, listener.port(), &given);
        let Some(mut client) = client else { return };
        type_in(&mut client, changes);
        let said = client.end_well();
        assert_eq!(said.matches(told).count(), changes.len(), "{said}");
        let count = selector.block_on(handled).unwrap().unwrap();
        assert_eq!(count, changes.len() + 1);
        report(&format!("{test}: {} changes, {count} lines there and back", changes.len()));
    });
}

#[test]
fn openssl_changes_its_keys_as_our_client() {
    let test = "openssl_changes_its_keys_as_our_client";
    changes_its_keys_as_our_client(test, (Tool::OpenSsl, &[]), &CHANGES, "KEYUPDATE");
}

#[test]
fn gnutls_changes_its_keys_as_our_client() {
    let test = "gnutls_changes_its_keys_as_our_client";
    let tool: (Tool, &[&str]) = (Tool::GnuTls, &["--inline-commands"]);
    let changes = &["^rekey^\n", "^rekey1^\n", "^rekey^\n"];
    changes_its_keys_as_our_client(test, tool, changes, "- Rekey was completed");
}

#[test]
fn openssl_changes_its_keys_as_our_server() {
    let test = "openssl_changes_its_keys_as_our_server";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let server = Tool::OpenSsl.server(test, &place, &Given::default());
        let Some((mut server, port)) = server else { return };
        // At `Q` it ends without a close_notify.
        let config = TlsConfig::client().trust(place.authority.trust());
        let config = config.end_without_notify(EndWithoutNotify::AsEnd).build().unwrap();
        let talking = selector.clone().spawn_value({
            let selector = selector.clone();
            async move {
                let plain = selector.tcp().connect(("localhost", port)).await?;
                let mut connection = plain.tls(&config).await?.connection()?;
                let count = echo(&mut connection).await?;
                connection.socket.close().await?;
                Result::Ok(count)
            }
        });
        server.hear("CIPHER is");
        type_in(&mut server, &CHANGES);
        server.say("Q\n");
        let count = selector.block_on(talking).unwrap().unwrap();
        assert_eq!(count, CHANGES.len() + 1);
        let said = server.end_well();
        assert_eq!(said.matches("SSL_do_handshake -> 1").count(), CHANGES.len(), "{said}");
        report(&format!("{test}: {} changes, {count} lines there and back", CHANGES.len()));
    });
}

/// The peer asks for new keys while we send it a megabyte that it does not ask for, so that the answer
/// falls among our records.
#[test]
fn keys_change_under_a_stream_of_ours() {
    let test = "keys_change_under_a_stream_of_ours";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        let listener = listen(&selector, &config);
        let handled = handle_next(&selector, &listener, |socket| async move {
            let Connection { mut input, mut output, .. } = socket.connection()?;
            let stream = async {
                let line = format!("{}\n", "x".repeat(1023));
                for _ in 0..MIB / 1024 {
                    output.write_str(&line).await?;
                    output.flush().await?;
                }
                output.write_str("that was all\n").await
            };
            let hear = async {
                let mut lines = 0;
                while input.read_line().await?.is_some() {
                    lines += 1;
                }
                Ok(lines)
            };
            let (streamed, heard) = zip(stream, hear).await;
            streamed?;
            socket.close().await?;
            heard
        });
        let client = Tool::OpenSsl.client(test, &place, listener.port(), &Given::default());
        let Some(mut client) = client else { return };
        client.hear("xxx");
        for change in CHANGES {
            client.say_apart(change);
        }
        client.must_say("that was all\n");
        let said = client.end_well();
        assert_eq!(said.matches('x').count() / 1000, MIB / 1024 * 1023 / 1000);
        assert_eq!(selector.block_on(handled).unwrap().unwrap(), 0);
    });
}
