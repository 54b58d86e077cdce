//! The server that is measured: one mode per workload, written as a user would write it.
//!
//! ```text
//! forebay-bench --port P --mode echo|discard|line|line-ref|line-strs [--buf N]
//! ```
//!
//! `--buf` is accepted and ignored: the channel owns its memory.

#![forbid(unsafe_code)]

mod modes;

use std::process::ExitCode;

use forebay::SelectorManager;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("forebay-bench: {message}");
            return ExitCode::from(2);
        }
    };
    match forebay::run(async |selector| serve(selector, options).await) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("forebay-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(selector: SelectorManager, options: Options) -> forebay::Result<()> {
    let server = selector.tcp().backlog(4096).bind(("127.0.0.1", options.port)).await?;
    println!("Server is listening at {}", server.local_address());
    loop {
        let socket = server.accept().await?;
        match options.mode {
            Mode::Echo => spawn(&selector, modes::echo(socket)),
            Mode::Discard => spawn(&selector, modes::discard(socket)),
            Mode::Line => spawn(&selector, modes::line(socket)),
            Mode::LineRef => spawn(&selector, modes::line_ref(socket)),
            Mode::LineStrs => spawn(&selector, modes::line_strs(socket)),
        }
    }
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
}

struct Options {
    port: u16,
    mode: Mode,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { port: 7000, mode: Mode::Echo };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--port" => {
                    options.port = value.parse().map_err(|_| format!("no port: {value}"))?
                }
                "--mode" => options.mode = Mode::parse(&value)?,
                "--buf" => {}
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }
}

impl Mode {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "echo" => Self::Echo,
            "discard" => Self::Discard,
            "line" => Self::Line,
            "line-ref" => Self::LineRef,
            "line-strs" => Self::LineStrs,
            _ => return Err(format!("unknown mode {name}")),
        })
    }
}
