//! The ends of connections with other implementations, again and again, because it is a race each time:
//! a peer that has what it wanted, says `close_notify` and resets over ours, is no error of `close`; and
//! one that refuses us and closes is told as what it said.
//!
//! `FOREBAY_CLOSES` sets another number of connections.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::process::Command;

use forebay::{CloseReason, Result, SelectorManager, ServerSocket, Socket, TlsConfig, TlsFault};
use forebay_testing::{
    connection_between,
    foreign::{Foreign, Given, Insists, Place, Tool, piped, script},
    report, size,
    tls::listen,
    until, watched,
};

const REFUSALS: usize = 20;
const PAGE: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\ngood evening";

/// Answers so many requests, one a connection, and closes: how often that was an error.
async fn serve(listener: &ServerSocket, count: usize) -> Result<usize> {
    let mut errors = 0;
    for _ in 0..count {
        let mut connection = listener.accept().await?.connection()?;
        while connection.input.read_line().await?.is_some_and(|line| !line.is_empty()) {}
        connection.output.write_str(PAGE).await?;
        if let Err(error) = connection.socket.close().await {
            report(&format!("tls_foreign_ends: {error}"));
            errors += 1;
        }
    }
    Ok(errors)
}

/// A client that makes so many requests, one a connection.
fn asked_by(test: &'static str, command: impl Fn(&Place, u16, usize) -> Command + Send + 'static) {
    watched(move || {
        let count = size("FOREBAY_CLOSES", 25, 100);
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).alpn(["http/1.1"]).build().unwrap();
        let listener = listen(&selector, &config);
        let mut command = command(&place, listener.port(), count);
        let Some(client) = Foreign::start(test, piped(&mut command)) else { return };
        let errors = selector.block_on(serve(&listener, count)).unwrap();
        let said = client.end_well();
        assert_eq!(said.matches("good evening").count(), count, "{said}");
        report(&format!("{test}: {errors} errors of {count} closes"));
        assert_eq!(errors, 0);
    });
}

#[test]
fn a_close_behind_curl_is_no_error() {
    asked_by("a_close_behind_curl_is_no_error", |place, port, count| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--cacert", &place.path("ca.crt")]);
        for _ in 0..count {
            command.arg(format!("https://localhost:{port}/page"));
        }
        command
    });
}

#[test]
fn a_close_behind_node_is_no_error() {
    const SCRIPT: &str = "
        const tls = require('tls'), fs = require('fs');
        const [port, file, count] = process.argv.slice(1);
        const ca = fs.readFileSync(file);
        function ask(left) {
            if (left == 0) return;
            const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca });
            let page = '';
            socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\\r\\n\\r\\n'));
            socket.on('data', data => {
                page += data;
                if (page.endsWith('good evening')) {
                    console.log(page);
                    socket.end();
                    socket.destroySoon();
                }
            });
            socket.on('close', () => ask(left - 1));
        }
        ask(Number(count));";
    asked_by("a_close_behind_node_is_no_error", |place, port, count| {
        let mut command = Command::new("node");
        command.args(["-e", SCRIPT, &port.to_string(), &place.path("ca.crt"), &count.to_string()]);
        command
    });
}

/// Go's client and server, built; `None`, and a line that says so, where there is no Go.
fn go(test: &str, place: &Place) -> Option<String> {
    let peer = place.path("peer");
    let source = script("peer.go");
    let mut command = Command::new("go");
    command.args(["build", "-o", &peer]).arg(source).env("GOFLAGS", "-mod=mod");
    Foreign::start(test, piped(&mut command))?.end_well();
    Some(peer)
}

#[test]
fn a_close_behind_go_is_no_error() {
    let test = "a_close_behind_go_is_no_error";
    let built = Place::new();
    let Some(peer) = go(test, &built) else { return };
    asked_by(test, move |place, port, count| {
        let mut command = Command::new(&peer);
        command.args(["client", &port.to_string(), &place.path("ca.crt"), &count.to_string()]);
        command
    });
}

/// Java's client and server, compiled into a place; `None`, and a line that says so, where there is no
/// compiler.
fn java(test: &str, place: &Place) -> Option<String> {
    let classes = place.directory.path().display().to_string();
    let source = script("Peer.java");
    let mut command = Command::new("javac");
    Foreign::start(test, piped(command.args(["-d", &classes]).arg(source)))?.end_well();
    Some(classes)
}

#[test]
fn a_close_behind_java_is_no_error() {
    let test = "a_close_behind_java_is_no_error";
    let built = Place::new();
    let Some(classes) = java(test, &built) else { return };
    asked_by(test, move |place, port, count| {
        let mut command = Command::new("java");
        command.args(["-cp", &classes, "Peer", "client", &port.to_string()]);
        command.args([&place.path("ca.crt"), &count.to_string()]);
        command
    });
}

/// Go's `CloseWrite` sends a `close_notify`, and TCP's end mark only with ours.
#[test]
fn go_that_says_close_notify_has_finished() {
    let test = "go_that_says_close_notify_has_finished";
    let place = Place::new();
    let Some(peer) = go(test, &place) else { return };
    watched(move || {
        let selector = SelectorManager::new();
        let files = ["server.crt", "server.key", "ca.crt"].map(|name| place.path(name));
        let mut command = Command::new(&peer);
        let started = Foreign::start(test, piped(command.arg("half").args(files)));
        let Some(mut server) = started else { return };
        let port = server.hear_line("listening ").parse().unwrap();
        let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
        let reason: Result<CloseReason> = selector.block_on(async {
            let socket = server.connect(&selector, port).await?.tls(&config).await?;
            socket.peer_finished().await?;
            let mut output = socket.open_write_channel()?;
            output.write_str("after its end").await?;
            output.finish().await?;
            Ok(socket.closed().await)
        });
        assert_eq!(reason.unwrap(), CloseReason::Ended);
        server.must_say("heard after its end <nil>");
    });
}

// ---- refused ------------------------------------------------------------------------------------

/// The alert has arrived, or the connection is gone with it.
async fn refusal_arrives(socket: &Socket) {
    let ends = (socket.local_address(), socket.remote_address());
    let (local, remote) = (ends.0.as_inet().unwrap(), ends.1.as_inet().unwrap());
    until(|| connection_between(local, remote).is_none_or(|it| it.unread > 0)).await;
}

/// A server that insists on a certificate, which our client does not have: each client writes, and closes
/// when the refusal has arrived.
fn refused_by(
    test: &'static str,
    start: impl Fn(&Place) -> Option<(Foreign, u16)> + Send + 'static,
) {
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let Some((mut server, port)) = start(&place) else { return };
        let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
        selector.block_on(async {
            for round in 0..REFUSALS {
                let plain = server.connect(&selector, port).await.unwrap();
                let secure = plain.tls(&config).await.unwrap();
                refusal_arrives(&secure).await;
                let mut connection = secure.connection().unwrap();
                connection.output.write_str("to nobody").await.ok();
                if round % 2 == 0 {
                    let error = connection.input.read_u8().await.unwrap_err();
                    assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{error}");
                }
                let error = connection.socket.close().await.unwrap_err();
                assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{round}: {error}");
            }
        });
        report(&format!("{test}: {REFUSALS} refusals, each told as one"));
    });
}

fn refused_by_tool(test: &'static str, tool: Tool) {
    refused_by(test, move |place| {
        let given = Given { client_auth: Some(Insists::Yes), ..Given::default() };
        tool.server(test, place, &given)
    });
}

#[test]
fn a_refusal_by_openssl_is_told_by_close() {
    refused_by_tool("a_refusal_by_openssl_is_told_by_close", Tool::OpenSsl);
}

#[test]
fn a_refusal_by_gnutls_is_told_by_close() {
    refused_by_tool("a_refusal_by_gnutls_is_told_by_close", Tool::GnuTls);
}

#[test]
fn a_refusal_by_go_is_told_by_close() {
    let test = "a_refusal_by_go_is_told_by_close";
    let built = Place::new();
    let Some(peer) = go(test, &built) else { return };
    refused_by(test, move |place| {
        let files = ["server.crt", "server.key", "ca.crt"].map(|name| place.path(name));
        let mut server =
            Foreign::start(test, piped(Command::new(&peer).arg("server").args(files)))?;
        let port = server.hear_line("listening ").parse().unwrap();
        Some((server, port))
    });
}

#[test]
fn a_refusal_by_java_is_told_by_close() {
    let test = "a_refusal_by_java_is_told_by_close";
    let built = Place::new();
    let Some(classes) = java(test, &built) else { return };
    refused_by(test, move |place| {
        let files = ["server.crt", "server.key", "ca.crt"].map(|name| place.path(name));
        let mut command = Command::new("java");
        command.args(["-cp", &classes, "Peer", "server"]).args(files);
        let mut server = Foreign::start(test, piped(&mut command))?;
        let port = server.hear_line("listening ").parse().unwrap();
        Some((server, port))
    });
}
