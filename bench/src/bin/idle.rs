//! Measures the memory of an idle connection, on both sides.
//!
//! ```text
//! idle [--connections N] [--mode plain|tls|both]
//! ```
//!
//! The server is a process of its own. Every connection is greeted once, so that its handshake is over and
//! its buffers have been used; then its task waits in `read_line`. The memory of a process is its anonymous
//! resident memory (`RssAnon` in `/proc/PID/status`), before the first connection, with all of them, and
//! after they were closed.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use forebay::certificates::Authority;
use forebay::{Connection, Error, Result, SelectorManager, Socket, TlsConfig, Trust};
use forebay_bench::process::allow_descriptors;

/// Connections that are made at the same time.
const AT_ONCE: usize = 64;
/// The line after which only connections follow.
const LISTENING: &str = "listening ";

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| options.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    connections: usize,
    modes: Vec<Mode>,
    serves: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Tls,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let both = vec![Mode::Plain, Mode::Tls];
        let mut options = Self { connections: 10_000, modes: both, serves: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| Error::other("an option needs a value"));
            match word.as_str() {
                "--connections" => options.connections = value()?.parse().map_err(Error::other)?,
                "--mode" => options.modes = Mode::parse(&value()?)?,
                "--serve" => options.serves = true,
                _ => return Err(Error::other(format!("unknown option {word}"))),
            }
        }
        Ok(options)
    }

    fn run(self) -> Result<()> {
        allow_descriptors()?;
        for mode in self.modes {
            if self.serves {
                return serve(mode);
            }
            measure(mode, self.connections)?;
        }
        Ok(())
    }
}

impl Mode {
    fn parse(name: &str) -> Result<Vec<Self>> {
        Ok(match name {
            "plain" => vec![Self::Plain],
            "tls" => vec![Self::Tls],
            "both" => vec![Self::Plain, Self::Tls],
            _ => return Err(Error::other(format!("unknown mode {name}"))),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }
}

// ---- the server ---------------------------------------------------------------------------------

fn serve(mode: Mode) -> Result<()> {
    let authority = Authority::new("idle")?;
    let config = TlsConfig::server(authority.server(["127.0.0.1"])?.identity()?).build()?;
    SelectorManager::builder().workers(1).run(async |selector: SelectorManager| {
        let server = selector.tcp().backlog(4096).bind("127.0.0.1:0").await?;
        let server = if mode == Mode::Tls { server.tls(&config)? } else { server };
        println!("{}{LISTENING}{}", authority.pem(), server.local_address());
        loop {
            let socket = server.accept().await?;
            selector.spawn(greet(socket)).detach();
        }
    })
}

async fn greet(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    while let Some(name) = input.read_line().await? {
        output.write_str(&format!("Hello, {name}!\n")).await?;
    }
    socket.close().await
}

// ---- the clients --------------------------------------------------------------------------------

/// The server, which ends with this value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn measure(mode: Mode, count: usize) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--serve", "--mode", mode.name()])
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().ok_or_else(|| Error::other("the server has no output"))?;
    let server = Server(child);
    let (mut authority, mut address) = (String::new(), String::new());
    for line in BufReader::new(said).lines() {
        let line = line?;
        if let Some(listening) = line.strip_prefix(LISTENING) {
            address = listening.to_owned();
            break;
        }
        authority += &line;
        authority.push('\n');
    }
    let config = TlsConfig::client().trust(Trust::roots_pem(authority)?).build()?;
    let pid = server.0.id();
    SelectorManager::builder().workers(1).run(async |selector: SelectorManager| {
        // Memory that the first connection needs once is not part of the price of one more.
        drop(connect_all(&selector, &address, mode, &config, AT_ONCE).await?);
        let before = (memory(pid)?, memory(std::process::id())?);
        let all = connect_all(&selector, &address, mode, &config, count).await?;
        let with_all = (memory(pid)?, memory(std::process::id())?);
        for connection in &all {
            connection.socket.close().await?;
        }
        drop(all);
        let after = (memory(pid)?, memory(std::process::id())?);
        print("server", mode, count, [before.0, with_all.0, after.0]);
        print("client", mode, count, [before.1, with_all.1, after.1]);
        Ok(())
    })
}

async fn connect_all(
    selector: &SelectorManager,
    address: &str,
    mode: Mode,
    config: &TlsConfig,
    count: usize,
) -> Result<Vec<Connection>> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let batch: Vec<_> = (all.len()..count.min(all.len() + AT_ONCE))
            .map(|_| {
                let (selector, config) = (selector.clone(), config.clone());
                let address = address.to_owned();
                selector.clone().spawn_value(async move {
                    let socket = selector.tcp().connect(&address).await?;
                    let secure = mode == Mode::Tls;
                    let socket = if secure { socket.tls(&config).await? } else { socket };
                    let mut connection = socket.connection()?;
                    connection.output.write_str("Ada\n").await?;
                    match connection.input.read_line().await?.as_deref() {
                        Some("Hello, Ada!") => Ok(connection),
                        other => Err(Error::other(format!("greeted with {other:?}"))),
                    }
                })
            })
            .collect();
        for connecting in batch {
            all.push(connecting.await??);
        }
    }
    Ok(all)
}

/// Anonymous resident memory of a process, in KiB (`proc_pid_status(5)`).
fn memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.ok_or_else(|| Error::other("/proc does not tell the anonymous memory"))
}

fn print(side: &str, mode: Mode, count: usize, [before, with_all, after]: [u64; 3]) {
    let each = with_all.saturating_sub(before) * 1024 / count.max(1) as u64;
    println!(
        "{side} {}: {count} idle connections, {each} bytes each ({before} -> {with_all} KiB; {after} \
         KiB after closing)",
        mode.name()
    );
}
