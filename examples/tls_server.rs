//! Shows the server of `sockets_server` over TLS.
//!
//! Run it with
//! `cargo run -p forebay-examples --example tls_server [HOST:PORT] [--cert FILE --key FILE] [--ca-out FILE]`
//! (default 127.0.0.1:9443; port 0 takes any free one). Without a certificate and a key in PEM files
//! it makes an authority for development, and a certificate for `localhost`, 127.0.0.1, `::1` and the
//! given host; the authority's own certificate, which clients have to trust, is printed, or written
//! to the file behind `--ca-out`:
//!
//! ```text
//! cargo run -p forebay-examples --example tls_server -- --ca-out ca.pem
//! openssl s_client -connect 127.0.0.1:9443 -CAfile ca.pem -verify_return_error -quiet
//! ```

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use forebay::certificates::Authority;
use forebay::{Identity, SelectorManager, TlsConfig};

const USAGE: &str = "usage: tls_server [HOST:PORT] [--cert FILE --key FILE] [--ca-out FILE]";

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the error cannot be shown.
            writeln!(stderr(), "tls_server: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn serve() -> forebay::Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let (identity, authority) = arguments.identity()?;
    let config = TlsConfig::server(identity).build()?;
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind(&arguments.address).await?.tls(&config)?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        write!(stdout(), "{authority}")?;
        loop {
            let socket = server.accept().await?;
            writeln!(stdout(), "Accepted {}", socket.remote_address())?;
            selector.spawn(async move {
                let mut input = socket.open_read_channel()?;
                let mut output = socket.open_write_channel()?;
                output.write_str("Please enter your name\n").await?;
                while let Some(name) = input.read_line().await? {
                    forebay::write_line!(output, "Hello, {name}!").await?;
                }
                socket.close().await
            });
        }
    })
}

struct Arguments {
    address: String,
    files: Option<(String, String)>,
    ca_out: Option<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> forebay::Result<Self> {
        let (mut address, mut cert, mut key, mut ca_out) = (None, None, None, None);
        while let Some(word) = words.next() {
            let (slot, value) = match word.as_str() {
                "--cert" => (&mut cert, words.next()),
                "--key" => (&mut key, words.next()),
                "--ca-out" => (&mut ca_out, words.next()),
                _ if word.starts_with('-') => return Err(usage()),
                _ => (&mut address, Some(word)),
            };
            if slot.is_some() || value.is_none() {
                return Err(usage());
            }
            *slot = value;
        }
        let files = match (cert, key) {
            (Some(cert), Some(key)) if ca_out.is_none() => Some((cert, key)),
            (None, None) => None,
            _ => return Err(usage()),
        };
        let address = address.unwrap_or_else(|| "127.0.0.1:9443".to_owned());
        Ok(Self { address, files, ca_out })
    }

    /// Returns the identity from the files; or one that is made here, with the text to print about
    /// the authority that clients must trust.
    fn identity(&self) -> forebay::Result<(Identity, String)> {
        if let Some((cert, key)) = &self.files {
            return Ok((Identity::from_pem_files(cert, key)?, String::new()));
        }
        let authority = Authority::new("forebay development authority")?;
        let identity = authority.server(self.names())?.identity()?;
        let Some(path) = &self.ca_out else { return Ok((identity, authority.pem().to_owned())) };
        let written = std::fs::write(path, authority.pem());
        written.map_err(|error| forebay::Error::other(format!("{path}: {error}")))?;
        Ok((identity, String::new()))
    }

    /// Returns the names by which clients on this machine may reach the server, and the given host.
    fn names(&self) -> Vec<&str> {
        let mut names = vec!["localhost", "127.0.0.1", "::1"];
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']).split('%').next().unwrap_or("");
        if !host.is_empty() && !names.contains(&host) {
            names.push(host);
        }
        names
    }
}

fn usage() -> forebay::Error {
    forebay::Error::other(USAGE)
}
