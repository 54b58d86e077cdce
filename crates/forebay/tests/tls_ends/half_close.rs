//! One direction ends, the other goes on (RFC 8446, section 6.1): we finish and still read, and the
//! peer finishes and still reads, with implementations that can do this at all.
//!
//! Node's can do both, with `allowHalfOpen`. OpenSSL's library lets a side that has seen a
//! `close_notify` write on, so Python can answer to an end; but to read on behind its own is an error of
//! `unwrap`. The programs `openssl`, `gnutls-cli` and `curl` leave at the first `close_notify` they see.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{Result, SelectorManager, Socket, TlsConfig, TlsVersion};
use forebay_testing::{
    MIB,
    foreign::{Given, Place, Tool},
    report,
    tls::{handle_next, listen},
    watched,
};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];
const QUESTION: &str = "that is all that I have to say\n";

/// Says all it has to say, ends, and only then reads a megabyte.
async fn ask(socket: Socket) -> Result<()> {
    let mut connection = socket.connection()?;
    connection.output.write_str(QUESTION).await?;
    connection.output.finish().await?;
    let answer = connection.input.read_remaining(2 * MIB).await?;
    assert_eq!(answer.len(), MIB);
    assert!(answer.as_ref().iter().all(|byte| *byte == b'a'));
    socket.close().await
}

/// The other way round: reads to the end, and only then sends a megabyte.
async fn answer(socket: Socket) -> Result<()> {
    let mut connection = socket.connection()?;
    assert_eq!(connection.input.read_line().await?, None);
    connection.output.write_all(&vec![b'a'; MIB]).await?;
    connection.output.finish().await?;
    socket.close().await
}

/// Runs one of ours against a peer in each role, over each version, and waits for it to say this.
fn with_peer<F: Future<Output = Result<()>> + Send + 'static>(
    test: &'static str,
    tool: Tool,
    deed: &'static str,
    ours: impl Fn(Socket) -> F + Copy + Send + 'static,
    says: fn() -> String,
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let bytes = MIB.to_string();
        let more = ["--do", deed, "--bytes", &bytes];
        for version in VERSIONS {
            let given = Given { version: Some(version), more: &more, ..Given::default() };
            let config = TlsConfig::server(place.server.identity()).build().unwrap();
            let listener = listen(&selector, &config);
            let handled = handle_next(&selector, &listener, ours);
            let Some(client) = tool.client(test, &place, listener.port(), &given) else { return };
            selector.block_on(handled).unwrap().unwrap();
            let said = client.end_well();
            assert!(said.contains(&says()), "{said}");

            let Some((server, port)) = tool.server(test, &place, &given) else { return };
            let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
            let asked: Result<()> = selector.block_on(async {
                ours(selector.tcp().connect(("localhost", port)).await?.tls(&config).await?).await
            });
            asked.unwrap();
            let said = server.end_well();
            assert!(said.contains(&says()), "{said}");
            report(&format!("{test}: {version}, in both roles"));
        }
    });
}

#[test]
fn python_answers_a_megabyte_to_our_end() {
    let says = || format!("ended after {}", QUESTION.len());
    with_peer("python_answers_a_megabyte_to_our_end", Tool::Python, "answer", ask, says);
}

#[test]
fn node_answers_a_megabyte_to_our_end() {
    let says = || format!("ended after {}", QUESTION.len());
    with_peer("node_answers_a_megabyte_to_our_end", Tool::Node, "answer", ask, says);
}

#[test]
fn node_hears_a_megabyte_after_its_end() {
    let says = || format!("ended after {MIB}");
    with_peer("node_hears_a_megabyte_after_its_end", Tool::Node, "hear_out", answer, says);
}
