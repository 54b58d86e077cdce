//! The examples of TLS do what their headers say, with independent implementations as peers:
//! `openssl`, and the `ssl` of Python.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use forebay_testing::{
    Server, example, lines_of, skip,
    tls::{Authority, LOCAL},
    unix::Directory,
};

const GREETINGS: [&str; 3] = ["Please enter your name", "Hello, Ada!", "Hello, Grace!"];

// ---- tls_server, and openssl s_client -----------------------------------------------------------

/// Says two names to a server, whose certificate has to be for 127.0.0.1 and of this authority.
fn greeted_by(server: &Server, authority: &str) -> Output {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1"])
        .args(["-connect", &server.address, "-CAfile", authority])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut names = client.stdin.take().unwrap();
    let mut said = BufReader::new(client.stdout.take().unwrap());
    let mut stdout = Vec::new();
    said.read_until(b'\n', &mut stdout).unwrap();
    // It stays although its input ends, so it is read as far as the answers go. A refused one has
    // gone, and takes nothing.
    names.write_all(b"Ada\nGrace\n").ok();
    for _ in 0..2 {
        said.read_until(b'\n', &mut stdout).unwrap();
    }
    client.kill().ok();
    Output { stdout, ..client.wait_with_output().unwrap() }
}

fn has(program: &str, argument: &str) -> bool {
    let tried = Command::new(program).arg(argument).stdout(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn the_server_makes_a_certificate_and_writes_whom_to_trust() {
    const NAME: &str = "the_server_makes_a_certificate_and_writes_whom_to_trust";
    if !has("openssl", "version") {
        return skip(NAME, "openssl is missing");
    }
    let directory = Directory::new();
    let authority = directory.join("ca.pem");
    let authority = authority.to_str().unwrap();
    let mut server = Server::start("tls_server", &["--ca-out", authority]);
    let greeted = greeted_by(&server, authority);
    assert_eq!(lines_of(&greeted.stdout), GREETINGS, "{greeted:?}");
    let mut accepted = String::new();
    server.output.read_line(&mut accepted).unwrap();
    assert!(accepted.starts_with("Accepted 127.0.0.1:"), "{accepted}");
}

#[test]
fn the_server_prints_whom_to_trust_where_no_file_is_given() {
    const NAME: &str = "the_server_prints_whom_to_trust_where_no_file_is_given";
    if !has("openssl", "version") {
        return skip(NAME, "openssl is missing");
    }
    let directory = Directory::new();
    let mut server = Server::start("tls_server", &[]);
    let mut pem = String::new();
    while !pem.ends_with("-----END CERTIFICATE-----\n") {
        assert!(server.output.read_line(&mut pem).unwrap() > 0, "{pem}");
    }
    let authority = forebay_testing::tls::write(&directory, "ca.pem", &pem);
    let greeted = greeted_by(&server, authority.to_str().unwrap());
    assert_eq!(lines_of(&greeted.stdout), GREETINGS, "{greeted:?}");
    // Another run's authority has the same name, and vouches for nothing here.
    let other = directory.join("other.pem");
    let other = other.to_str().unwrap();
    drop(Server::start("tls_server", &["--ca-out", other]));
    let refused = greeted_by(&server, other);
    assert!(refused.stdout.is_empty(), "{refused:?}");
}

#[test]
fn the_server_takes_a_certificate_from_files() {
    const NAME: &str = "the_server_takes_a_certificate_from_files";
    if !has("openssl", "version") {
        return skip(NAME, "openssl is missing");
    }
    let files = Files::new();
    let options = ["--cert", files.chain(), "--key", files.key()];
    let server = Server::start("tls_server", &options);
    let greeted = greeted_by(&server, files.authority());
    assert_eq!(lines_of(&greeted.stdout), GREETINGS, "{greeted:?}");
}

/// A certificate for this machine, its key, and its issuer's certificate.
struct Files {
    _directory: Directory,
    paths: [PathBuf; 3],
}

impl Files {
    fn new() -> Self {
        let directory = Directory::new();
        let authority = Authority::new();
        let (chain, key) = authority.server(LOCAL).write(&directory, "server");
        let root = forebay_testing::tls::write(&directory, "ca.pem", &authority.pem());
        Self { _directory: directory, paths: [chain, key, root] }
    }

    fn chain(&self) -> &str {
        self.paths[0].to_str().unwrap()
    }

    fn key(&self) -> &str {
        self.paths[1].to_str().unwrap()
    }

    fn authority(&self) -> &str {
        self.paths[2].to_str().unwrap()
    }
}

// ---- sockets_client_tls, and Python's ssl -------------------------------------------------------

/// Answers every request with the same body, and ends with `close_notify` or without.
const WEB_SERVER: &str = r#"
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    plain, _ = listener.accept()
    try:
        peer = context.wrap_socket(plain, server_side=True)
        print(peer.recv(4096).decode().splitlines()[0], flush=True)
        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"the front page\n" * 10000)
        if sys.argv[3] == "notify":
            peer.unwrap()
        peer.close()
    except OSError as error:
        print(error, flush=True)
        plain.close()
"#;

struct WebServer {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    address: String,
}

impl WebServer {
    fn start(files: &Files, end: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", WEB_SERVER, files.chain(), files.key(), end])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        said.read_line(&mut port).unwrap();
        Self { child, said, address: format!("127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn ask(arguments: &[&str]) -> Output {
    example("sockets_client_tls").args(arguments).output().unwrap()
}

fn body_of(done: &Output) -> String {
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

fn front_page() -> String {
    "the front page\n".repeat(10_000)
}

#[test]
fn the_client_prints_what_it_is_answered() {
    let files = Files::new();
    let mut server = WebServer::start(&files, "notify");
    let done = ask(&[&server.address, "--ca", files.authority()]);
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    assert!(body_of(&done) == front_page(), "{} bytes", done.stdout.len());
    let mut asked = String::new();
    server.said.read_line(&mut asked).unwrap();
    assert_eq!(asked, "GET / HTTP/1.0\n");
}

#[test]
fn the_client_takes_host_and_port_as_two_words() {
    let files = Files::new();
    let server = WebServer::start(&files, "notify");
    let port = server.address.rsplit(':').next().unwrap();
    let done = ask(&["localhost", port, "--ca", files.authority()]);
    assert!(done.status.success() && body_of(&done) == front_page(), "{done:?}");
}

#[test]
fn the_client_prints_what_came_without_close_notify_and_then_warns() {
    let files = Files::new();
    let server = WebServer::start(&files, "no notify");
    let done = ask(&[&server.address, "--ca", files.authority()]);
    assert!(done.status.success(), "{done:?}");
    assert!(body_of(&done) == front_page(), "{} bytes", done.stdout.len());
    let warned = lines_of(&done.stderr);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].starts_with("warning: ") && warned[0].contains("close_notify"), "{warned:?}");
}

#[test]
fn the_client_believes_no_stranger_unless_it_is_told_to_believe_any() {
    let files = Files::new();
    let server = WebServer::start(&files, "notify");
    let done = ask(&[&server.address]);
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stdout.is_empty(), "{done:?}");
    let said = lines_of(&done.stderr);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("sockets_client_tls: tls handshake"), "{said:?}");

    let done = ask(&[&server.address, "--accept-any"]);
    assert!(done.status.success() && body_of(&done) == front_page(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stderr).contains("dangerous_accept_any"), "{done:?}");
}

// ---- mutual_tls ---------------------------------------------------------------------------------

#[test]
fn who_has_a_certificate_is_served_and_who_has_none_is_refused() {
    let done = example("mutual_tls").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let lines = lines_of(&done.stdout);
    let of = |who: &str| -> Vec<&str> {
        lines.iter().filter_map(|line| line.strip_prefix(who)).collect()
    };
    assert_eq!(of("client with a certificate: "), ["Hello, CN=Ada!"]);
    let refused = of("client without one: ");
    assert!(refused.len() == 1 && refused[0].contains("certificate_required"), "{lines:?}");
    let server = of("server: ");
    assert_eq!(server.len(), 2, "{lines:?}");
    assert_eq!(server[0], "this is CN=Ada");
    assert!(server[1].contains("sent no certificate"), "{lines:?}");
}

// ---- how they end -------------------------------------------------------------------------------

#[test]
fn wrong_arguments_are_one_line_and_an_exit_code() {
    let cases: [(&str, &[&str], &str); 7] = [
        ("sockets_client_tls", &[], "usage: "),
        ("sockets_client_tls", &["127.0.0.1:1", "--insecure"], "usage: "),
        ("sockets_client_tls", &["127.0.0.1:1", "--ca", "/no/such.pem"], "/no/such.pem"),
        ("tls_server", &["127.0.0.1:0", "--cert", "server.crt"], "usage: "),
        ("tls_server", &["--cert", "/no/such.crt", "--key", "/no/such.key"], "/no/such.crt"),
        ("tls_server", &["127.0.0.1:0", "--ca-out", "/no/such/ca.pem"], "/no/such/ca.pem"),
        ("tls_server", &["no-port"], "no-port"),
    ];
    for (name, arguments, expected) in cases {
        let done = example(name).args(arguments).output().unwrap();
        let said = lines_of(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{name} {arguments:?}: {said:?}");
        assert!(said.len() == 1 && said[0].contains(expected), "{name} {arguments:?}: {said:?}");
    }
}

/// The reader of an example's output has gone before the example says anything.
#[test]
fn nobody_panics_when_nobody_listens() {
    let files = Files::new();
    let server = WebServer::start(&files, "notify");
    let get = [&*server.address, "--ca", files.authority()];
    let cases: [(&str, &[&str]); 4] = [
        ("quickstart", &[]),
        ("mutual_tls", &[]),
        ("tls_server", &["127.0.0.1:0"]),
        ("sockets_client_tls", &get),
    ];
    for (name, arguments) in cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let done = example(name).args(arguments).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut done = example("quickstart").stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    done.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!done.wait().unwrap().success() && !said.contains("panicked"), "{said}");
}
