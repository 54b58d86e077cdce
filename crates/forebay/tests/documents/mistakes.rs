//! The mistakes of a first hour: what each of them shows on both sides. `docs/errors.md` has the same table.

#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;
use std::{fmt, fs};

use forebay::certificates::Authority;
use forebay::{
    Connection, Error, ErrorKind, Interest, LineOptions, Result, SelectorManager, ServerSocket,
    Socket, SocketAddress, TlsConfig, Trust,
};
use forebay_testing::{MIB, panic_text, refusing, report, skip, watched};
use futures_lite::future::{pending, zip};
use socket2::{Domain, Type};

/// The limits of the rows about time.
const SHORT: Duration = Duration::from_millis(50);

/// A row of the table.
struct Row {
    mistake: &'static str,
    written: &'static str,
    /// Printed by a `main` that returns the error.
    shown: String,
    /// Returned to the peer's call.
    peer: String,
    /// Parts of the message: what was tried, with what, what happened, and what to do.
    says: [&'static str; 4],
    /// The message is the peer's.
    at_the_peer: bool,
}

impl Row {
    fn new(
        mistake: &'static str,
        written: &'static str,
        met: Met,
        says: [&'static str; 4],
    ) -> Self {
        let Met { shown, peer } = met;
        Self { mistake, written, shown, peer, says, at_the_peer: false }
    }

    /// Checks that the message says everything.
    fn check(&self) {
        let text = if self.at_the_peer { &self.peer } else { &self.shown };
        for part in self.says {
            assert!(text.contains(part), "{}: {part:?} is missing: {text}", self.mistake);
        }
    }

    fn line(&self) -> String {
        let Self { mistake, written, shown, peer, .. } = self;
        let [shown, peer] = [shown, peer].map(|text| code(&without_ports(text)));
        format!("| {mistake} | {} | {shown} | {peer} |", code(written))
    }
}

/// The outcomes on both sides.
struct Met {
    shown: String,
    peer: String,
}

impl Met {
    /// An error, as a `main` prints it that returns it, and what a call of the peer has returned.
    fn new<T: fmt::Debug, U: fmt::Debug>(here: Result<T>, peer: Result<U>) -> Self {
        let error = here.expect_err("a mistake");
        Self { shown: format!("Error: {error:?}"), peer: returned(peer) }
    }

    /// An error without a peer.
    fn alone<T: fmt::Debug>(here: Result<T>) -> Self {
        let Self { shown, .. } = Self::new(here, Ok(()));
        Self { shown, peer: String::new() }
    }
}

fn returned<T: fmt::Debug>(outcome: Result<T>) -> String {
    match outcome {
        Ok(value) => format!("Ok({value:?})"),
        Err(error) => format!("{error:?}"),
    }
}

/// A cell of the table; `–` where there is nothing.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ");
    match text.contains('`') {
        _ if text.is_empty() => "–".to_owned(),
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

/// The text with `N` for the number of a byte.
fn without_offset(text: &str) -> String {
    let (before, number) = text.split_once(" byte ").unwrap();
    format!("{before} byte N{}", number.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

/// The text with `PORT` for the port of each address.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut stripped = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        stripped += "127.0.0.1:";
        stripped += if rest.len() < part.len() { "PORT" } else { "" };
        stripped += rest;
    }
    stripped
}

/// A listener, and a connection to it.
async fn connected(selector: &SelectorManager) -> Result<(Socket, Socket)> {
    let server = listener(selector).await?;
    let client = selector.tcp().connect(server.local_address()).await?;
    Ok((client, server.accept().await?))
}

async fn listener(selector: &SelectorManager) -> Result<ServerSocket> {
    selector.tcp().bind("127.0.0.1:0").await
}

/// Reads a line at the peer of a connection whose owner has left with an error.
async fn then_read_line<T>(here: Result<T>, peer: Socket) -> Met
where
    T: fmt::Debug,
{
    let line = async { peer.open_read_channel()?.read_line().await };
    Met::new(here, line.await)
}

async fn port_in_use(selector: &SelectorManager) -> Result<Row> {
    let server = listener(selector).await?;
    let met = Met::alone(selector.tcp().bind(server.local_address()).await);
    let says = ["bind ", "127.0.0.1:", "the address is in use", "port 0"];
    Ok(Row::new("port in use", "selector.tcp().bind(\"127.0.0.1:PORT\")", met, says))
}

async fn bad_address(selector: &SelectorManager) -> Result<Row> {
    let met = Met::alone(selector.tcp().bind("localhost").await);
    let says = ["address ", "localhost", "the port is missing", "write host:port"];
    Ok(Row::new("bad address", "selector.tcp().bind(\"localhost\")", met, says))
}

/// `None` where no name server answers, not even that the name is unknown.
async fn no_such_host(selector: &SelectorManager) -> Option<Row> {
    let outcome = selector.tcp().connect("no-such-host.invalid:80").await;
    if outcome.as_ref().is_err_and(|error| error.kind() != ErrorKind::NotFound) {
        skip("no_such_host", "no name server answers here");
        return None;
    }
    let says = ["resolve ", "no-such-host.invalid:80", "not found", "check its spelling"];
    let written = "selector.tcp().connect(\"no-such-host.invalid:80\")";
    Some(Row::new("no such host", written, Met::alone(outcome), says))
}

async fn refused(selector: &SelectorManager) -> Result<Row> {
    let (_socket, address) = refusing();
    let met = Met::alone(selector.tcp().connect(address).await);
    let says = ["connect ", "127.0.0.1:", "refused the connection", "check the port"];
    Ok(Row::new("connection refused", "selector.tcp().connect(\"127.0.0.1:PORT\")", met, says))
}

/// The handshake of a client that trusts one authority with a server that has a certificate of another.
async fn handshake(
    selector: &SelectorManager,
    trusted: &Authority,
    issuer: &Authority,
    name: &str,
) -> Result<Met> {
    let client = TlsConfig::client().trust(Trust::roots_pem(trusted.pem())?).build()?;
    let server = TlsConfig::server(issuer.server([name])?.identity()?).build()?;
    let (near, far) = connected(selector).await?;
    let (here, there) = zip(near.tls(&client), far.accept_tls(&server)).await;
    Ok(Met::new(here, there))
}

async fn wrong_authority(selector: &SelectorManager) -> Result<Row> {
    let (trusted, issuer) = (Authority::new("our authority")?, Authority::new("their authority")?);
    let met = handshake(selector, &trusted, &issuer, "127.0.0.1").await?;
    let says = ["tls handshake ", "127.0.0.1:", "not trusted", "; "];
    let written = "socket.tls(&client), which trusts another authority";
    Ok(Row::new("wrong CA", written, met, says))
}

async fn wrong_name(selector: &SelectorManager) -> Result<Row> {
    let authority = Authority::new("our authority")?;
    let met = handshake(selector, &authority, &authority, "other.example").await?;
    let says = ["tls handshake ", "127.0.0.1", "another name", "other.example"];
    let written = "connect(\"127.0.0.1:PORT\"), then tls(&client)";
    Ok(Row::new("wrong name in the certificate", written, met, says))
}

/// A greeting server without TLS.
async fn tls_to_a_plain_port(selector: &SelectorManager) -> Result<Row> {
    let client = TlsConfig::client().build()?;
    let greet = async |far: Socket| {
        let Connection { mut input, mut output, .. } = far.connection()?;
        output.write_str("Who are you?\n").await?;
        input.read_line().await
    };
    // The greeting of TLS has a line feed nearly always; without one, the peer meets the end first.
    for _ in 0..20 {
        let (near, far) = connected(selector).await?;
        let (here, there) = zip(near.tls(&client), greet(far)).await;
        if there.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::InvalidUtf8 { .. }))
        {
            let mut met = Met::new(here, there);
            assert!(met.peer.contains("begins like a TLS handshake"), "{}", met.peer);
            met.peer = without_offset(&met.peer);
            let says = ["tls handshake ", "127.0.0.1:", "does not speak TLS", "; "];
            return Ok(Row::new("TLS to a plain port", "socket.tls(&client)", met, says));
        }
    }
    Err(Error::other("no line feed in twenty greetings"))
}

async fn plain_to_a_tls_port(selector: &SelectorManager) -> Result<Row> {
    let issued = Authority::new("our authority")?.server(["127.0.0.1"])?;
    let server = TlsConfig::server(issued.identity()?).build()?;
    let greet = async |near: Socket| {
        let Connection { mut input, mut output, .. } = near.connection()?;
        output.write_str("Ada\n").await?;
        input.read_line().await
    };
    let (near, far) = connected(selector).await?;
    let (here, there) = zip(greet(near), async { far.accept_tls(&server).await.map(drop) }).await;
    let met = Met { shown: returned(here), peer: returned(there) };
    let says = ["tls handshake ", "127.0.0.1:", "does not speak TLS", "; "];
    let row = Row::new("plain to a TLS port", "output.write_str(\"Ada\\n\")", met, says);
    Ok(Row { at_the_peer: true, ..row })
}

async fn opened_twice(selector: &SelectorManager) -> Result<Row> {
    let (near, far) = connected(selector).await?;
    let first = near.open_read_channel()?;
    let here = near.open_read_channel();
    drop((first, near));
    let met = then_read_line(here, far).await;
    let says = ["open_read_channel ", "127.0.0.1:", "already opened", "keep the channel"];
    let written = "socket.open_read_channel(), a second time";
    Ok(Row::new("channel opened twice", written, met, says))
}

async fn closed_selector(selector: &SelectorManager) -> Result<Row> {
    let server = listener(selector).await?;
    let other = SelectorManager::new();
    other.close().await;
    let met = Met::alone(other.tcp().connect(server.local_address()).await);
    let says = ["connect ", "127.0.0.1:", "the selector was closed", "another one"];
    let written = "selector.close().await, then connect(\"127.0.0.1:PORT\")";
    Ok(Row::new("closed selector", written, met, says))
}

/// Standard input is a file where the shell makes it one.
async fn awaited_file(selector: &SelectorManager) -> Result<Row> {
    let file = fs::File::open(std::env::current_exe()?)?;
    let met = Met::alone(selector.ready(&file, Interest::READABLE).await);
    let says = ["ready: ", "a regular file", "blocking_reader", "blocking_writer"];
    let written = "selector.ready(&file, Interest::READABLE)";
    Ok(Row::new("waiting for a file", written, met, says))
}

fn spawned_outside() -> Row {
    let text = panic_text(|| drop(forebay::spawn(async { Ok(()) })));
    let met = Met { shown: format!("panicked: {text}"), peer: String::new() };
    let says = ["forebay::spawn()", "thread", "works on a thread of a selector", "elsewhere call"];
    Row::new("spawn outside a worker", "forebay::spawn(task), in main", met, says)
}

/// Connects to a listener whose queue is full.
async fn connect_timeout(selector: &SelectorManager) -> Result<Row> {
    let full = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    full.listen(0)?;
    let address = full.local_addr()?.as_socket().map(SocketAddress::from);
    let address = address.ok_or_else(|| Error::other("it is bound"))?;
    // One is taken into the queue, and the next ones wait for room.
    let tcp = || selector.tcp().connect_timeout(SHORT);
    let waiting = [(); 4].map(|()| tcp().connect(address.clone()));
    let mut held = Vec::new();
    for connect in waiting {
        held.push(connect.await);
    }
    let met = Met::alone(tcp().connect(address).await);
    let says = ["connect ", "127.0.0.1:", "not connected after 50ms", "connect_timeout"];
    let written = "tcp().connect_timeout(SHORT).connect(\"127.0.0.1:PORT\")";
    Ok(Row::new("connect timeout", written, met, says))
}

async fn read_timeout(selector: &SelectorManager) -> Result<Row> {
    let server = listener(selector).await?;
    let near = selector.tcp().read_timeout(SHORT).connect(server.local_address()).await?;
    let far = server.accept().await?;
    let here = async { near.connection()?.input.read_line().await }.await;
    let met = then_read_line(here, far).await;
    let says = ["read ", "127.0.0.1:", "no byte came for 50ms", "read_timeout"];
    let written = "tcp().read_timeout(SHORT), then input.read_line()";
    Ok(Row::new("read timeout", written, met, says))
}

async fn write_timeout(selector: &SelectorManager) -> Result<Row> {
    let server = listener(selector).await?;
    let near = selector.tcp().write_timeout(SHORT).connect(server.local_address()).await?;
    let far = server.accept().await?;
    let here = fill(near).await;
    let there = async { far.open_read_channel()?.discard(u64::MAX).await }.await;
    let met = Met::new(here, there);
    let says = ["write ", "127.0.0.1:", "the peer took no byte for 50ms", "write_timeout"];
    let written = "tcp().write_timeout(SHORT), then output.write_all(..)";
    Ok(Row::new("write timeout", written, met, says))
}

/// Writes until that fails; the peer does not read.
async fn fill(near: Socket) -> Result<()> {
    let mut output = near.open_write_channel()?;
    let piece = vec![0; MIB];
    loop {
        output.write_all(&piece).await?;
    }
}

async fn idle_timeout(selector: &SelectorManager) -> Result<Row> {
    let server = listener(selector).await?;
    let near = selector.tcp().idle_timeout(SHORT).connect(server.local_address()).await?;
    let far = server.accept().await?;
    let here = async { near.connection()?.input.read_line().await }.await;
    let met = then_read_line(here, far).await;
    let says = ["wait ", "127.0.0.1:", "no byte went either way for 50ms", "idle_timeout"];
    let written = "tcp().idle_timeout(SHORT), then input.read_line()";
    Ok(Row::new("idle timeout", written, met, says))
}

async fn timeout(selector: &SelectorManager) -> Result<Row> {
    let met = Met::alone(selector.timeout(SHORT, pending::<Result<()>>()).await);
    let says = ["timeout", "50ms", "timed out", "the duration given"];
    Ok(Row::new("`timeout`", "selector.timeout(SHORT, work).await", met, says))
}

async fn handshake_timeout(selector: &SelectorManager) -> Result<Row> {
    let client = TlsConfig::client().handshake_timeout(SHORT).build()?;
    let (near, far) = connected(selector).await?;
    let here = near.tls(&client).await;
    let there = async { far.open_read_channel()?.discard(u64::MAX).await.map(drop) }.await;
    let met = Met::new(here, there);
    let says = ["tls handshake ", "127.0.0.1:", "not complete after 50ms", "handshake_timeout"];
    let written = "TlsConfig::client().handshake_timeout(SHORT)";
    Ok(Row::new("handshake timeout", written, met, says))
}

async fn drain_timeout(selector: &SelectorManager) -> Result<Row> {
    let server = listener(selector).await?;
    let near = selector.tcp().drain_timeout(SHORT).connect(server.local_address()).await?;
    let far = server.accept().await?;
    let mut output = near.open_write_channel()?;
    // More than the system takes, so that the rest waits here.
    output.write_bytes(vec![0; 32 * MIB].into()).await?;
    let here = near.close().await;
    let there = async { far.open_read_channel()?.discard(u64::MAX).await }.await;
    let met = Met::new(here, there);
    let says = ["close ", "127.0.0.1:", "acknowledged nothing for 50ms", "drain_timeout"];
    let written = "tcp().drain_timeout(SHORT), then socket.close()";
    Ok(Row::new("drain timeout", written, met, says))
}

/// A server that reads one line of this, and its client.
async fn bad_line(selector: &SelectorManager, line: &[u8]) -> Result<Met> {
    let (client, server) = connected(selector).await?;
    client.open_write_channel()?.write_all(line).await?;
    let here = async {
        let mut input = server.open_read_channel()?;
        drop(server);
        input.set_line_options(LineOptions::new().limit(80));
        input.read_line().await
    };
    let here = here.await;
    Ok(then_read_line(here, client).await)
}

async fn line_too_long(selector: &SelectorManager) -> Result<Row> {
    let met = bad_line(selector, &[b'x'; 100]).await?;
    let says = ["read_line ", "127.0.0.1:", "longer than 80 bytes", "LineOptions::limit"];
    let written = "LineOptions::new().limit(80), then input.read_line()";
    Ok(Row::new("line too long", written, met, says))
}

async fn invalid_utf8(selector: &SelectorManager) -> Result<Row> {
    let met = bad_line(selector, b"Andr\xe9\n").await?;
    let says = ["read_line ", "127.0.0.1:", "not UTF-8 from byte 4", "skip_line"];
    Ok(Row::new("invalid UTF-8", "input.read_line()", met, says))
}

/// The text with `PLACE` for the line and column of this file.
fn without_place(text: &str) -> String {
    let (before, behind) = text.split_once(file!()).unwrap();
    let rest = behind.trim_start_matches(|sign: char| sign == ':' || sign.is_ascii_digit());
    format!("{before}src/main.rs:PLACE{rest}")
}

/// The task blocks until it is reported, so for as long as that takes.
fn blocking_task() -> Row {
    let (tell, told) = mpsc::channel();
    let builder = SelectorManager::builder().blocked_after(Some(2 * SHORT));
    let builder = builder.on_task_error(move |error| drop(tell.send(error.to_string())));
    let reported = builder.run(async |selector| {
        let blocking = selector.spawn_value(async move { told.recv() });
        Result::Ok(blocking.await?.expect("the handler lives as long as the selector"))
    });
    let shown = format!("forebay: a task blocks its worker: {}", without_place(&reported.unwrap()));
    let says = ["blocks", "spawned at src/main.rs", "has not returned for 100ms", "spawn_blocking"];
    let met = Met { shown, peer: String::new() };
    Row::new(
        "`thread::sleep` in a task",
        "thread::sleep(..), after blocked_after(2 * SHORT)",
        met,
        says,
    )
}

/// Makes every mistake. A row for one more is added here, and on the page.
async fn make_all(selector: &SelectorManager) -> Result<Vec<Row>> {
    let mut rows = vec![port_in_use(selector).await?, bad_address(selector).await?];
    rows.extend(no_such_host(selector).await);
    rows.extend([
        refused(selector).await?,
        wrong_authority(selector).await?,
        wrong_name(selector).await?,
        tls_to_a_plain_port(selector).await?,
        plain_to_a_tls_port(selector).await?,
        opened_twice(selector).await?,
        closed_selector(selector).await?,
        connect_timeout(selector).await?,
        read_timeout(selector).await?,
        write_timeout(selector).await?,
        idle_timeout(selector).await?,
        timeout(selector).await?,
        handshake_timeout(selector).await?,
        drain_timeout(selector).await?,
        line_too_long(selector).await?,
        invalid_utf8(selector).await?,
        awaited_file(selector).await?,
    ]);
    Ok(rows)
}

#[test]
fn every_mistake_is_told_as_the_page_says() {
    watched(|| {
        let mut rows = forebay::run(async |selector| make_all(&selector).await).unwrap();
        rows.extend([spawned_outside(), blocking_task()]);
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
        let page = fs::read_to_string(page).unwrap_or_default();
        let lines: Vec<_> = rows.iter().map(Row::line).collect();
        for (row, line) in rows.iter().zip(&lines) {
            report(line);
            row.check();
        }
        for line in lines {
            assert!(page.lines().any(|row| row == line), "docs/errors.md lacks this row: {line}");
        }
    });
}
