//! The server that is measured: one mode per workload, written as a user would write it.
//!
//! ```text
//! forebay-bench --port P --mode echo|discard|line|line-ref|line-strs|tls|tls-discard [--buf N]
//!               [--cert FILE --key FILE] [--workers N]
//! ```
//!
//! `tls` and `tls-discard` are `echo` and `discard` over TLS, with the certificate and the key in
//! these files. They keep no sessions and send no tickets, so that every handshake is a whole one.
//! `--buf` is accepted and ignored: the channel owns its memory.

#![forbid(unsafe_code)]

mod modes;

use std::path::PathBuf;
use std::process::ExitCode;

use forebay::{Identity, SelectorManager, ServerSocket, TlsConfig};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("forebay-bench: {message}");
            return ExitCode::from(2);
        }
    };
    let mut builder = SelectorManager::builder();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    match builder.run(async |selector| serve(selector, options).await) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forebay-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(selector: SelectorManager, options: Options) -> forebay::Result<()> {
    let server = selector.tcp().backlog(4096).bind(("127.0.0.1", options.port)).await?;
    let server = if options.mode.is_secure() { secure(&server, &options)? } else { server };
    println!("Server is listening at {}", server.local_address());
    loop {
        let socket = server.accept().await?;
        match options.mode {
            Mode::Echo | Mode::Tls => spawn(&selector, modes::echo(socket)),
            Mode::Discard | Mode::TlsDiscard => spawn(&selector, modes::discard(socket)),
            Mode::Line => spawn(&selector, modes::line(socket)),
            Mode::LineRef => spawn(&selector, modes::line_ref(socket)),
            Mode::LineStrs => spawn(&selector, modes::line_strs(socket)),
        }
    }
}

fn secure(server: &ServerSocket, options: &Options) -> forebay::Result<ServerSocket> {
    let identity = Identity::from_pem_files(&options.cert, &options.key)?;
    server.tls(&TlsConfig::server(identity).session_cache(0).ticket_count(0).build()?)
}

fn spawn(
    selector: &SelectorManager,
    session: impl Future<Output = forebay::Result<()>> + Send + 'static,
) {
    selector.spawn(session).detach();
}

#[derive(Clone, Copy)]
enum Mode {
    Echo,
    Discard,
    Line,
    LineRef,
    LineStrs,
    Tls,
    TlsDiscard,
}

struct Options {
    port: u16,
    mode: Mode,
    cert: PathBuf,
    key: PathBuf,
    workers: Option<u16>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            port: 7000,
            mode: Mode::Echo,
            cert: "tls/cert.pem".into(),
            key: "tls/key.pem".into(),
            workers: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--port" => {
                    options.port = value.parse().map_err(|_| format!("no port: {value}"))?
                }
                "--mode" => options.mode = Mode::parse(&value)?,
                "--cert" => options.cert = value.into(),
                "--key" => options.key = value.into(),
                "--workers" => {
                    options.workers =
                        Some(value.parse().map_err(|_| format!("no number of workers: {value}"))?);
                }
                "--buf" => {}
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }
}

impl Mode {
    fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::TlsDiscard)
    }

    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "echo" => Self::Echo,
            "discard" => Self::Discard,
            "line" => Self::Line,
            "line-ref" => Self::LineRef,
            "line-strs" => Self::LineStrs,
            "tls" => Self::Tls,
            "tls-discard" => Self::TlsDiscard,
            _ => return Err(format!("unknown mode {name}")),
        })
    }
}
