//! Bytes that travel with the SYN (RFC 7413).

use std::process::Command;

use forebay::{ErrorKind, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{KIB, in_host, pattern, refusing, run_on_one_worker, skip};

use crate::namespace::{in_a_namespace, read_to_end};

const FOR_BOTH: [(&str, &str); 1] = [("ipv4/tcp_fastopen", "3")];

/// A server that answers each line with its length, and a client that has its cookie.
async fn acquainted(selector: &SelectorManager) -> Result<ServerSocket> {
    let server = selector.tcp().fast_open(16).bind("127.0.0.1:0").await?;
    assert_eq!(server.options()?.fast_open(), Some(16));
    let first = connect(selector, &server).await?;
    // This one fetches the cookie.
    assert!(!first.tcp_info()?.is_fast_open());
    drop((first, server.accept().await?));
    Ok(server)
}

async fn connect(selector: &SelectorManager, server: &ServerSocket) -> Result<Socket> {
    let client = selector.tcp().fast_open(1).connect(server.local_address()).await?;
    assert_eq!(client.options()?.fast_open(), Some(1));
    Ok(client)
}

#[test]
fn what_is_written_at_once_travels_with_the_syn() {
    in_a_namespace("what_is_written_at_once_travels_with_the_syn", &FOR_BOTH, || {
        // On a worker, whose turns decide when a write leaves.
        run_on_one_worker(async |selector| {
            let server = acquainted(&selector).await?;
            for _ in 0..3 {
                let mut client = connect(&selector, &server).await?.connection()?;
                client.output.write_str("hello\n").await?;
                let mut accepted = server.accept().await?.connection()?;
                assert_eq!(accepted.input.read_line().await?.as_deref(), Some("hello"));
                accepted.output.write_str("hello yourself\n").await?;
                let answer = client.input.read_line().await?;
                assert_eq!(answer.as_deref(), Some("hello yourself"));
                assert!(client.socket.tcp_info()?.is_fast_open());
            }
            Ok(())
        });
    });
}

#[test]
fn a_client_that_reads_first_is_connected_too() {
    in_a_namespace("a_client_that_reads_first_is_connected_too", &FOR_BOTH, || {
        in_host(async |selector| {
            let server = acquainted(&selector).await?;
            let mut client = connect(&selector, &server).await?.connection()?;
            let greeting = selector.spawn_value(async move { client.input.read_line().await });
            let accepted = server.accept().await?;
            accepted.open_write_channel()?.write_str("220 ready\n").await?;
            assert_eq!(greeting.await??.as_deref(), Some("220 ready"));
            Ok(())
        })
        .unwrap();
    });
}

/// Makes every other answer to a SYN get lost, so that each handshake takes a second.
const LOSING: &str = "
table inet forebay {
    chain input {
        type filter hook input priority 0;
        tcp flags & (syn | ack) == syn | ack numgen inc mod 2 == 0 drop
    }
}";

/// Before the handshake is complete, `shutdown(2)` and `close(2)` make the kernel forget what was written.
#[test]
fn an_end_before_the_handshake_is_complete_loses_nothing() {
    const NAME: &str = "an_end_before_the_handshake_is_complete_loses_nothing";
    in_a_namespace(NAME, &FOR_BOTH, || {
        in_host(async |selector| {
            let server = acquainted(&selector).await?;
            for (length, by_close) in [(5_000, false), (5_000, true), (0, false), (0, true)] {
                // Anew each time: the first answer gets lost.
                let loses = Command::new("nft").arg(format!("flush ruleset; {LOSING}")).status();
                if !loses.is_ok_and(|status| status.success()) {
                    skip(NAME, "no nft");
                    return Ok(());
                }
                let client = connect(&selector, &server).await?;
                let ending = selector.spawn(async move {
                    if length == 0 && by_close {
                        return client.close().await;
                    }
                    let mut output = client.open_write_channel()?;
                    output.write_all(&pattern(length)).await?;
                    if by_close { client.close().await } else { output.finish().await }
                });
                let accepted = server.accept().await?;
                let mut input = accepted.open_read_channel()?;
                assert!(read_to_end(&mut input).await? == pattern(length), "{length}, {by_close}");
                drop((accepted, input));
                ending.await?;
            }
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn an_end_right_behind_the_first_bytes_loses_none() {
    in_a_namespace("an_end_right_behind_the_first_bytes_loses_none", &FOR_BOTH, || {
        in_host(async |selector| {
            let server = acquainted(&selector).await?;
            for length in [1, 5, 1_000, 100 * KIB] {
                for by_close in [false, true] {
                    let client = connect(&selector, &server).await?;
                    let mut output = client.open_write_channel()?;
                    output.write_all(&pattern(length)).await?;
                    let ending = selector.spawn(async move {
                        if by_close { client.close().await } else { output.finish().await }
                    });
                    let accepted = server.accept().await?;
                    let mut input = accepted.open_read_channel()?;
                    let read = read_to_end(&mut input).await?;
                    assert!(read == pattern(length), "{length}, {by_close}");
                    drop((accepted, input));
                    ending.await?;
                }
            }
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_connection_that_nothing_is_written_to_ends() {
    in_a_namespace("a_connection_that_nothing_is_written_to_ends", &FOR_BOTH, || {
        in_host(async |selector| {
            let server = acquainted(&selector).await?;
            drop(connect(&selector, &server).await?);
            connect(&selector, &server).await?.abort();
            connect(&selector, &server).await?.close().await?;
            let mut client = connect(&selector, &server).await?.connection()?;
            client.output.finish().await?;
            client.socket.close().await
        })
        .unwrap();
    });
}

#[test]
fn a_refusal_is_told_by_the_first_call() {
    in_a_namespace("a_refusal_is_told_by_the_first_call", &FOR_BOTH, || {
        in_host(async |selector| {
            // It has this machine's cookie, of another port.
            let _server = acquainted(&selector).await?;
            let (_held, refusing) = refusing();
            for reads in [true, false] {
                let connected = selector.tcp().fast_open(1).connect(refusing).await;
                let error = match connected {
                    Err(error) => error,
                    Ok(client) if reads => client.open_read_channel()?.read_u8().await.unwrap_err(),
                    Ok(client) => {
                        let mut output = client.open_write_channel()?;
                        let written = output.write_str("to a closed port").await;
                        written.and(output.finish().await).unwrap_err()
                    }
                };
                assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            }
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn where_the_machine_does_not_allow_it_the_error_names_it() {
    let settings = [("ipv4/tcp_fastopen", "0")];
    in_a_namespace("where_the_machine_does_not_allow_it_the_error_names_it", &settings, || {
        in_host(async |selector| {
            let builder = selector.tcp().fast_open(5);
            let refused = builder.clone().bind("127.0.0.1:0").await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            let text = refused.to_string();
            assert!(text.contains("fast_open") && text.contains("tcp_fastopen is 0"), "{text}");
            let server = selector.tcp().fast_open(0).bind("127.0.0.1:0").await?;
            let refused = builder.connect(server.local_address()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.to_string().contains("fast_open"), "{refused}");
            Ok(())
        })
        .unwrap();
    });
}
