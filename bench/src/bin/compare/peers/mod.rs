//! The servers of other libraries, each written as its users would write it.

mod epoll;
mod monoio;
mod smol;
mod tokio;

use std::io;
use std::process::ExitCode;

/// The space into which a server receives.
const SPACE: usize = 4096;
/// The connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// The work of a server on each connection.
#[derive(Clone, Copy)]
enum Mode {
    Echo,
    Line,
    Discard,
    Udp,
}

/// Serves, in a process of its own, until it is killed: `NAME --mode MODE --workers N`.
pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    let [name, _, mode, _, workers] = arguments else { return ExitCode::from(2) };
    if let Some((mode, host)) = of_forebay(name, mode) {
        let arguments = ["--port", "0", "--mode", mode, "--workers", workers, "--host", host];
        return forebay_bench::server::run(arguments.map(str::to_owned).into_iter());
    }
    let served = Mode::parse(mode).and_then(|mode| match name.as_str() {
        "tokio" => tokio::serve(mode),
        "epoll" => epoll::serve(mode),
        "smol" => smol::serve(mode),
        "monoio" => monoio::serve(mode),
        _ => Err(io::Error::other("it does not do this")),
    });
    // To the process that waits for the port.
    if let Err(error) = served {
        println!("{error}");
    }
    ExitCode::FAILURE
}

/// The mode and the host of the measured server under one of its names; the last three are its best code for one
/// workload.
fn of_forebay<'a>(name: &str, mode: &'a str) -> Option<(&'a str, &'static str)> {
    match (name, mode) {
        ("forebay", _) => Some((mode, "own")),
        ("forebay-in-tokio", _) => Some((mode, "tokio")),
        ("forebay-lines", "line") => Some(("lines", "own")),
        ("forebay-lines-in-tokio", "line") => Some(("lines", "tokio")),
        ("forebay-batched", "udp") => Some(("udp-batched", "own")),
        _ => None,
    }
}

impl Mode {
    fn parse(name: &str) -> io::Result<Self> {
        Ok(match name {
            "echo" => Self::Echo,
            "line" => Self::Line,
            "discard" => Self::Discard,
            "udp" => Self::Udp,
            _ => return Err(io::Error::other(format!("it has no mode {name}"))),
        })
    }
}

/// Tells the process that waits for it.
fn say(address: std::net::SocketAddr) {
    println!("Server is listening at {address}");
}

/// Greets all whole lines, and leaves what is behind the last one.
fn greet(lines: &mut Vec<u8>, answers: &mut Vec<u8>) {
    let mut rest = &lines[..];
    while let Some(end) = memchr::memchr(b'\n', rest) {
        answers.extend_from_slice(b"Hello, ");
        answers.extend_from_slice(&rest[..end]);
        answers.extend_from_slice(b"!\n");
        rest = &rest[end + 1..];
    }
    let done = lines.len() - rest.len();
    lines.drain(..done);
}
