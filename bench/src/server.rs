//! The server that is measured: one mode per workload, written as a user would write it.
//!
//! ```text
//! forebay-bench --port P --mode echo|discard|line|line-ref|line-strs|lines|tls|tls-discard|udp|udp-batched [--buf N]
//!               [--cert FILE --key FILE] [--workers N] [--host own|tokio] [--rt current|multi]
//! ```
//!
//! `tls` and `tls-discard` are `echo` and `discard` over TLS, with the certificate and the key in
//! these files. They keep no sessions and send no tickets, so that every handshake is a whole one.
//! `--buf` is accepted and ignored: the channel owns its memory. There is one worker unless `--workers` sets another
//! number, so that the figures of two machines can be compared. With `--host tokio` the same code runs in
//! tasks of tokio, on one thread or, with `--rt multi`, on as many as the machine has processors.

use std::path::PathBuf;
use std::process::ExitCode;

use forebay::{Identity, SelectorBuilder, SelectorManager, ServerSocket, TlsConfig};

use crate::modes;

/// Serves as the arguments say, until it is killed.
pub fn run(arguments: impl Iterator<Item = String>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("forebay-bench: {message}");
            return ExitCode::from(2);
        }
    };
    let builder = SelectorManager::builder().workers(options.workers);
    let served = match options.host {
        Host::Own => builder.run(async |selector| serve(selector, options).await),
        Host::Tokio => serve_in_tokio(builder, options),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forebay-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_in_tokio(builder: SelectorBuilder, options: Options) -> forebay::Result<()> {
    let mut runtime = match options.runtime {
        Runtime::Current => tokio::runtime::Builder::new_current_thread(),
        Runtime::Multi => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let selector = builder.build()?;
    runtime.block_on(serve(selector, options))
}

async fn serve(selector: SelectorManager, options: Options) -> forebay::Result<()> {
    if let Mode::Udp | Mode::UdpBatched = options.mode {
        let server =
            selector.udp().receive_buffer_size(4 << 20).bind(("127.0.0.1", options.port)).await?;
        println!("Server is listening at {}", server.local_address());
        return match options.mode {
            Mode::Udp => modes::udp(server).await,
            _ => modes::udp_batched(server).await,
        };
    }
    let server = selector.tcp().backlog(4096).bind(("127.0.0.1", options.port)).await?;
    let server = if options.mode.is_secure() { secure(&server, &options)? } else { server };
    println!("Server is listening at {}", server.local_address());
    loop {
        let socket = server.accept().await?;
        let host = options.host;
        match options.mode {
            Mode::Echo | Mode::Tls => spawn(host, &selector, modes::echo(socket)),
            Mode::Discard | Mode::TlsDiscard => spawn(host, &selector, modes::discard(socket)),
            Mode::Line => spawn(host, &selector, modes::line(socket)),
            Mode::LineRef => spawn(host, &selector, modes::line_ref(socket)),
            Mode::Lines => spawn(host, &selector, modes::lines(socket)),
            Mode::LineStrs => spawn(host, &selector, modes::line_strs(socket)),
            // Served above: there is nothing to accept.
            Mode::Udp | Mode::UdpBatched => return Ok(()),
        }
    }
}

fn secure(server: &ServerSocket, options: &Options) -> forebay::Result<ServerSocket> {
    let identity = Identity::from_pem_files(&options.cert, &options.key)?;
    server.tls(&TlsConfig::server(identity).session_cache(0).ticket_count(0).build()?)
}

fn spawn(
    host: Host,
    selector: &SelectorManager,
    session: impl Future<Output = forebay::Result<()>> + Send + 'static,
) {
    match host {
        Host::Own => selector.spawn(session).detach(),
        Host::Tokio => drop(tokio::spawn(session)),
    }
}

/// The runtime that polls the tasks.
#[derive(Clone, Copy)]
enum Host {
    Own,
    Tokio,
}

/// The threads of tokio.
#[derive(Clone, Copy)]
enum Runtime {
    Current,
    Multi,
}

#[derive(Clone, Copy)]
enum Mode {
    Echo,
    Discard,
    Line,
    LineRef,
    LineStrs,
    Lines,
    Tls,
    TlsDiscard,
    Udp,
    UdpBatched,
}

struct Options {
    port: u16,
    mode: Mode,
    cert: PathBuf,
    key: PathBuf,
    workers: u16,
    host: Host,
    runtime: Runtime,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            port: 7000,
            mode: Mode::Echo,
            cert: "tls/cert.pem".into(),
            key: "tls/key.pem".into(),
            workers: 1,
            host: Host::Own,
            runtime: Runtime::Current,
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
                        value.parse().map_err(|_| format!("no number of workers: {value}"))?;
                }
                "--host" => {
                    options.host = match value.as_str() {
                        "own" => Host::Own,
                        "tokio" => Host::Tokio,
                        _ => return Err(format!("unknown host {value}")),
                    }
                }
                "--rt" => {
                    options.runtime = match value.as_str() {
                        "current" => Runtime::Current,
                        "multi" => Runtime::Multi,
                        _ => return Err(format!("unknown runtime {value}")),
                    }
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
            "lines" => Self::Lines,
            "tls" => Self::Tls,
            "tls-discard" => Self::TlsDiscard,
            "udp" => Self::Udp,
            "udp-batched" => Self::UdpBatched,
            _ => return Err(format!("unknown mode {name}")),
        })
    }
}
