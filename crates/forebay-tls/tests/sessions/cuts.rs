//! A connection that ends without the peer having said so is not a clean end, wherever it is cut: what
//! came before is whole, and then comes an error.

use forebay_io::{ByteReadChannel, ErrorKind, Result, TlsFault};
use forebay_testing::{
    from_environment, report,
    sessions::{
        BOTH, Version, client_of, fault, handshake, opened_with_middle, records, server, server_of,
        side_and_raw, with_middle,
    },
    watched_future,
};
use forebay_tls::EndWithoutNotify;
use futures_lite::future::zip;

/// A suite of each version, and the bytes of its records besides their plaintext: header, tag, and
/// the type (1.3) or the nonce (1.2).
const SUITES: [(Version, &str, usize); 2] = [
    ("1.3", "TLS13_AES_128_GCM_SHA256", 5 + 16 + 1),
    ("1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 5 + 16 + 8),
];
/// The lengths of the lines that make up the stream, each a record of its own.
const LINES: [usize; 12] = [1, 2, 17, 100, 5, 400, 1000, 3, 64, 900, 2000, 200];

/// Reads until there is no more, in one of three ways.
async fn read_all(input: &mut ByteReadChannel, how: usize, into: &mut Vec<u8>) -> Result<()> {
    match how % 3 {
        0 => {
            while let Some(chunk) = input.read_chunk().await? {
                into.extend_from_slice(&chunk);
            }
            Ok(())
        }
        1 => {
            while let Some(line) = input.read_line().await? {
                into.extend_from_slice(line.as_bytes());
                into.push(b'\n');
            }
            Ok(())
        }
        _ => loop {
            let mut byte = [0];
            match input.read_exact(&mut byte).await {
                Ok(()) => into.extend_from_slice(&byte),
                Err(error) if error.is_end() => return Ok(()),
                Err(error) => return Err(error),
            }
        },
    }
}

/// Cuts the server's stream at every so many offsets, from each of which `judge` is told how it was
/// read, how it ended, and whether that was all.
async fn cut(version: Version, end: EndWithoutNotify, cuts: usize, name: &str) {
    let (_, suite, overhead) = SUITES.iter().find(|known| known.0 == version).expect("known");
    let client = client_of(version).end_without_notify(end).build().expect("a client");
    let server = server_of(version).cipher_suites([suite]).build().expect("a server");
    let (mut done, mut errors, mut at) = (0, 0, 0);
    while done < cuts {
        let (mut left, mut middle, mut right) = opened_with_middle(&client, &server).await;
        let mut plain = Vec::new();
        let rounds = cuts.min(10_000).div_ceil(5000);
        for length in LINES.iter().cycle().take(rounds * LINES.len()) {
            let line = format!("{}\n", "x".repeat(length - 1));
            right.output.write_str(&line).await.expect("room");
            plain.extend_from_slice(line.as_bytes());
        }
        right.output.finish().await.expect("room");
        let stream = middle.sent_by_server().await;
        // Every offset once where there are as many cuts as bytes, else spread over all of them; and
        // last of all none.
        let offset = if done + 1 < cuts { at % stream.len() } else { stream.len() };
        at += stream.len().div_ceil(cuts).max(1);
        let (mut whole, mut expected) = (0, 0);
        for record in records(&stream) {
            whole += record.len();
            if whole <= offset && expected < plain.len() {
                expected += record.len() - overhead;
            }
        }
        middle.give_client(&stream[..offset]).await;
        middle.client.output.finish().await.expect("room");
        let mut read = Vec::new();
        let outcome = read_all(&mut left.input, done, &mut read).await;
        assert!(read == plain[..expected], "{name}: cut at {offset} of {}", stream.len());
        let is_clean = offset == stream.len() || end == EndWithoutNotify::AsEnd;
        match outcome {
            Ok(()) => assert!(is_clean, "{name}: a cut at {offset} looks like an end"),
            Err(error) => {
                errors += 1;
                assert!(!is_clean, "{name}: {error}");
                assert_eq!(error.kind(), ErrorKind::EndedWithoutNotify, "{name}: {offset}");
                let again = read_all(&mut left.input, done, &mut read).await;
                assert_eq!(again.expect_err("it stays so").kind(), error.kind());
            }
        }
        done += 1;
    }
    report(&format!("{name}: {done} cuts of TLS {version}, {errors} of them told as errors"));
}

#[test]
fn an_end_without_notify_is_an_error_at_every_offset() {
    watched_future(|| async {
        for version in BOTH {
            cut(
                version,
                EndWithoutNotify::Error,
                from_environment("FOREBAY_TLS_CUTS", 150),
                "cuts",
            )
            .await;
        }
    });
}

#[test]
fn an_end_without_notify_is_an_end_where_that_was_asked_for() {
    watched_future(|| async {
        for version in BOTH {
            cut(
                version,
                EndWithoutNotify::AsEnd,
                from_environment("FOREBAY_TLS_CUTS", 150) / 3,
                "as end",
            )
            .await;
        }
    });
}

#[test]
fn a_line_that_was_cut_is_no_line() {
    watched_future(|| async {
        for version in BOTH {
            let client = client_of(version).build().expect("a client");
            let (mut left, mut middle, mut right) =
                opened_with_middle(&client, &server(version)).await;
            right.output.write_str("whole\nhalf a li").await.expect("room");
            right.output.write_str("ne\n").await.expect("room");
            let stream = middle.sent_by_server().await;
            let first = records(&stream)[0].len();
            middle.give_client(&stream[..first]).await;
            middle.client.output.finish().await.expect("room");
            assert_eq!(left.input.read_line().await.expect("a line").as_deref(), Some("whole"));
            let error = left.input.read_line().await.expect_err("not a line");
            assert_eq!(error.kind(), ErrorKind::EndedWithoutNotify);
            // The bytes that arrived are whole, and can still be read.
            let mut half = [0; 9];
            left.input.read_exact(&mut half).await.expect("it has arrived");
            assert_eq!(&half, b"half a li");
        }
    });
}

#[test]
fn an_end_in_the_handshake_is_told_as_one_at_every_offset() {
    watched_future(|| async {
        for version in BOTH {
            for from_server in [true, false] {
                let told = cut_handshakes(version, from_server).await;
                report(&format!("TLS {version}, from the server {from_server}: {told} cuts"));
            }
        }
    });
}

/// Cuts one direction of a handshake at offsets that are spread over it; the other side hears of
/// nothing but the end.
async fn cut_handshakes(version: Version, from_server: bool) -> usize {
    let (client, server) = (client_of(version).build().expect("a client"), server(version));
    let mut offset = 0;
    let mut told = 0;
    loop {
        let (left, mut middle, right) = with_middle();
        let victim = async {
            let mut left_to_pass = offset;
            let forebay_testing::sessions::Middle { client, server } = &mut middle;
            let (from, to, back_from, back_to) = if from_server {
                (&mut server.input, &mut client.output, &mut client.input, &mut server.output)
            } else {
                (&mut client.input, &mut server.output, &mut server.input, &mut client.output)
            };
            let cutting = async {
                while left_to_pass > 0 {
                    let Ok(Some(chunk)) = from.read_chunk().await else { break };
                    let count = chunk.len().min(left_to_pass);
                    to.write_all(&chunk[..count]).await.ok();
                    left_to_pass -= count;
                }
                to.finish().await.ok();
            };
            let back = async {
                back_from.copy_to(back_to).await.ok();
                back_to.finish().await.ok();
            };
            zip(cutting, back).await;
            left_to_pass
        };
        let ours = async {
            let outcome = handshake(&left, &client).await;
            drop(left);
            outcome
        };
        let theirs = async {
            let outcome = handshake(&right, &server).await;
            drop(right);
            outcome
        };
        let ((ours, theirs), uncut) = zip(zip(ours, theirs), victim).await;
        let outcome = if from_server { ours } else { theirs };
        let Err(error) = outcome else { return told };
        assert_eq!(fault(&error), TlsFault::EndedInHandshake, "at {offset}, {uncut}: {error}");
        told += 1;
        offset += if told < 12 { 1 } else { 97 };
    }
}

#[test]
fn a_peer_that_ends_at_once_is_told_as_the_end_of_a_handshake() {
    watched_future(|| async {
        let (side, raw) = side_and_raw();
        drop(raw.output);
        let client = client_of("1.3").build().expect("a client");
        let error = handshake(&side, &client).await.expect_err("no handshake");
        assert_eq!(fault(&error), TlsFault::EndedInHandshake);
        drop(raw.input);
    });
}
