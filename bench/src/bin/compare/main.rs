//! Compares the measured server with those of other libraries, all in one run.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml --bin compare -- [--workload echo|lines|connect|bulk|datagrams]
//!     [--servers NAME,..] [--connections N,..] [--workers N] [--rounds N] [--slice MILLISECONDS] [--svg FOLDER]
//! ```
//!
//! Each server is a process of its own on the second processor, the load is this process, on the first one. The
//! servers take turns, and every round begins with another one. A rate or a processor time is the median over the
//! rounds; a ratio is the median of the ratios to the first server of the list *in the same round*, with the
//! quartiles. The first server stands twice: the second ratio of it is the noise.
//!
//! `go` takes part where a Go compiler is installed, `monoio` where the system has `io_uring(7)`. Of this library there
//! are also `forebay-lines`, `forebay-lines-in-tokio` and `forebay-batched`: the code for many lines, and datagrams, at
//! once, where the others are the code that one writes first.

#![forbid(unsafe_code)]

mod load;
mod peers;
mod plot;
mod report;
mod server;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use forebay_bench::process;

use self::load::Load;
use self::report::Table;
use self::server::Server;

/// The servers that are compared unless others are asked for, the one that all are compared with first.
const SERVERS: &str = "tokio,tokio,epoll,smol,monoio,go,forebay,forebay-in-tokio";
/// Those with which some workloads are compared besides.
const MORE_SERVERS: [(&str, &str); 2] =
    [("lines", ",forebay-lines,forebay-lines-in-tokio"), ("datagrams", ",forebay-batched")];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == "--serve" => return peers::serve(rest),
        _ => Options::parse(&arguments).and_then(|options| compare(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> io::Result<()> {
    process::pin(0);
    process::allow_descriptors()?;
    let mut tables = Vec::new();
    for load in &options.loads {
        let mut servers = Server::start_all(&options.servers, load.mode(), options.workers)?;
        for round in 0..options.rounds {
            let count = servers.len();
            servers.rotate_left(round % count);
            for server in &mut servers {
                server.measure(load, options.slice)?;
            }
            servers.rotate_right(round % count);
        }
        let table = Table::of(load, &servers);
        println!("{table}");
        tables.push(table);
    }
    match &options.svg {
        Some(folder) => plot::draw(folder, &tables).map_err(io::Error::other),
        None => Ok(()),
    }
}

struct Options {
    loads: Vec<Load>,
    servers: Vec<String>,
    workers: u16,
    rounds: usize,
    slice: Duration,
    svg: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> io::Result<Self> {
        let (mut workload, mut connections, mut servers) = ("echo".to_owned(), None, None);
        let mut options = Self {
            loads: Vec::new(),
            servers: Vec::new(),
            workers: 1,
            rounds: 15,
            slice: Duration::from_millis(200),
            svg: None,
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(wrong(format!("{} needs a value", pair[0])));
            };
            match name.as_str() {
                "--workload" => workload.clone_from(value),
                "--servers" => servers = Some(value.clone()),
                "--connections" => connections = Some(value.as_str()),
                "--workers" => options.workers = number(name, value)?,
                "--rounds" => options.rounds = number(name, value)?,
                "--slice" => options.slice = Duration::from_millis(number(name, value)?),
                "--svg" => options.svg = Some(value.into()),
                _ => return Err(wrong(format!("unknown option {name}"))),
            }
        }
        let more =
            MORE_SERVERS.iter().find(|(name, _)| *name == workload).map_or("", |(_, more)| more);
        options.servers = list(&servers.unwrap_or_else(|| format!("{SERVERS}{more}")));
        let default = if workload == "echo" { "1,16,64,256,1024,9000" } else { "64" };
        for count in list(connections.unwrap_or(default)) {
            options.loads.extend(Load::of(&workload, number("--connections", &count)?)?);
        }
        Ok(options)
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> io::Result<T> {
    value.parse().map_err(|_| wrong(format!("{name} needs a number, not {value}")))
}

fn wrong(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
