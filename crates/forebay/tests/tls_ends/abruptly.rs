//! Peers that end without a word: in the middle of the handshake, which is an error at once and not
//! after the handshake's timeout, and behind all that they had to say.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::process::Command;
use std::time::{Duration, Instant};

use forebay::{
    EndWithoutNotify, ErrorKind, Result, SelectorManager, Socket, TlsConfig, TlsFault, Trust,
};
use forebay_testing::{
    MIB,
    foreign::{Foreign, Given, Place, Tool, free_port, piped},
    report, watched,
};

/// Longer than a test may take: an end that is noticed only by it would be one that hangs.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(600);
/// The time within which a handshake ends when its peer is gone.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A program that accepts and closes, each connection of several.
fn closes_at_once(test: &'static str, command: fn(u16) -> Command, connections: usize) {
    watched(move || {
        let (selector, port) = (SelectorManager::new(), free_port());
        let Some(mut peer) = Foreign::start(test, piped(&mut command(port))) else { return };
        // Without roots that had to be read first.
        let trust = Trust::pinned([[7; 32]]).unwrap();
        let config = TlsConfig::client().trust(trust).handshake_timeout(HANDSHAKE_TIMEOUT);
        let config = config.build().unwrap();
        let mut quickest = HANDSHAKE_TIMEOUT;
        for _ in 0..connections {
            let plain = selector.block_on(peer.connect(&selector, port)).unwrap();
            let start = Instant::now();
            let secure: Result<Socket> = selector.block_on(plain.tls(&config));
            let (error, took) = (secure.unwrap_err(), start.elapsed());
            let is_end = error.tls_fault() == Some(TlsFault::EndedInHandshake) || error.is_reset();
            assert!(is_end, "{error}");
            quickest = quickest.min(took);
            report(&format!("{test}: after {took:.2?} of {HANDSHAKE_TIMEOUT:?}: {error}"));
        }
        // Any of them may have had to wait for the processor.
        assert!(quickest < AT_ONCE, "{quickest:?}");
    });
}

#[test]
fn socat_that_closes_at_once_is_an_error_at_once() {
    let socat = |port| {
        let mut command = Command::new("socat");
        command.args([&format!("TCP-LISTEN:{port},fork,reuseaddr,bind=127.0.0.1"), "/dev/null"]);
        command
    };
    closes_at_once("socat_that_closes_at_once_is_an_error_at_once", socat, 5);
}

/// `nc` takes one connection; what it is told to send is nothing, so it ends at once.
#[test]
fn nc_that_closes_at_once_is_an_error_at_once() {
    let nc = |port: u16| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec nc -N -l 127.0.0.1 {port} < /dev/null")]);
        command
    };
    closes_at_once("nc_that_closes_at_once_is_an_error_at_once", nc, 1);
}

/// A server of Python's answers with so much, and then closes the descriptor without a `close_notify`.
fn cut(
    test: &'static str,
    end: EndWithoutNotify,
    check: fn(&'static str, Result<Vec<u8>>, Vec<u8>),
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let bytes = MIB.to_string();
        let given = Given { more: &["--do", "cut", "--bytes", &bytes], ..Given::default() };
        let Some((mut server, port)) = Tool::Python.server(test, &place, &given) else { return };
        let config = TlsConfig::client().trust(place.authority.trust()).end_without_notify(end);
        let config = config.build().unwrap();
        let mut page = Vec::new();
        let asked: Result<Vec<u8>> = selector.block_on(async {
            let socket = server.connect(&selector, port).await?.tls(&config).await?;
            let mut connection = socket.connection()?;
            let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            connection.output.write_str(request).await?;
            // All that comes is read, and then it is seen how it ends.
            while connection.input.read_line().await?.is_some_and(|line| !line.is_empty()) {}
            page = connection.input.read_packet(MIB).await?.into_bytes().to_vec();
            let rest = connection.input.read_remaining(1024).await;
            socket.close().await.ok();
            Ok(rest?.into_bytes().to_vec())
        });
        assert!(server.end_well().contains("cut"));
        check(test, asked, page);
    });
}

#[test]
fn an_end_without_notify_is_told_behind_everything_that_came() {
    let test = "an_end_without_notify_is_told_behind_everything_that_came";
    cut(test, EndWithoutNotify::Error, |test, rest, page| {
        let error = rest.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::EndedWithoutNotify), "{error}");
        assert!(page == vec![b'a'; MIB]);
        report(&format!("{test}: {} bytes, then: {error}", page.len()));
    });
}

/// A client of HTTP/1.0 needs this with servers that never send `close_notify`.
#[test]
fn an_end_without_notify_may_be_an_end() {
    cut("an_end_without_notify_may_be_an_end", EndWithoutNotify::AsEnd, |_, rest, page| {
        assert!(rest.unwrap().is_empty());
        assert!(page == vec![b'a'; MIB]);
    });
}
