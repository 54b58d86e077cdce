//! Shows a client that asks a web server for its front page over TLS, and prints the answer.
//!
//! Run it with `cargo run -p forebay-examples --example sockets_client_tls HOST:PORT`
//! (or `HOST PORT`), for instance with
//! `example.com:443`. The server's certificate must be for that host, and from an authority that
//! this system trusts. `--ca FILE` trusts the authorities in a PEM file as well. `--accept-any` shows
//! the dangerous way: no certificate is checked, so that an attacker on the way can read and change
//! everything.

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use forebay::{ErrorKind, SelectorManager, TlsConfig, Trust};

const USAGE: &str = "usage: sockets_client_tls HOST:PORT | HOST PORT [--ca FILE] [--accept-any]";

fn main() -> ExitCode {
    match get() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the error cannot be shown.
            writeln!(stderr(), "sockets_client_tls: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn get() -> forebay::Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let config = TlsConfig::client().trust(arguments.trust).build()?;
    let address = arguments.address;
    forebay::run(async |selector: SelectorManager| {
        let socket = selector.tcp().connect(&address).await?.tls(&config).await?;
        let mut request = socket.open_write_channel()?;
        let mut answer = socket.open_read_channel()?;
        request.write_str(&format!("GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")).await?;

        let mut output = selector.blocking_writer(stdout());
        let received = answer.copy_to(&mut output).await;
        // First the received data, then an error or a warning about it.
        output.finish().await?;
        match received {
            Ok(_) => socket.close().await.or_else(ended_by_server),
            Err(error) if error.kind() == ErrorKind::EndedWithoutNotify => {
                writeln!(stderr(), "warning: {error}").ok();
                Ok(())
            }
            Err(error) => Err(error),
        }
    })
}

/// Treats a server that is gone already as an end like any other.
fn ended_by_server(error: forebay::Error) -> forebay::Result<()> {
    if error.kind() == ErrorKind::Reset { Ok(()) } else { Err(error) }
}

struct Arguments {
    address: String,
    trust: Trust,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> forebay::Result<Self> {
        let (mut place, mut trust) = (Vec::new(), Trust::system());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--accept-any" => trust = Trust::dangerous_accept_any(),
                "--ca" => trust = Trust::system_plus_pem_file(words.next().ok_or_else(usage)?)?,
                _ if word.starts_with('-') => return Err(usage()),
                _ => place.push(word),
            }
        }
        let address = match place.as_slice() {
            [address] => address.clone(),
            [host, port] if host.contains(':') => format!("[{host}]:{port}"),
            [host, port] => format!("{host}:{port}"),
            _ => return Err(usage()),
        };
        Ok(Self { address, trust })
    }
}

fn usage() -> forebay::Error {
    forebay::Error::other(USAGE)
}
