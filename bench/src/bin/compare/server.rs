//! The processes that are measured.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use forebay_bench::process;

use crate::load::Load;

/// A server, in a process of its own.
pub(crate) struct Server {
    pub(crate) name: String,
    process: Child,
    port: u16,
    pub(crate) rounds: Vec<Round>,
}

/// The measurements of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Units per second.
    pub(crate) rate: f64,
    /// Nanoseconds of the server's processor for each unit.
    pub(crate) cost: f64,
    /// The time to an answer, where each request has one.
    pub(crate) latency: Option<Latency>,
}

/// The time to an answer, to within one look at the connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) median: Duration,
    /// Of 99 in a hundred, at most.
    pub(crate) high: Duration,
}

impl Server {
    /// Starts the servers of these names for a mode. One that this machine cannot run is left out, with a line that
    /// says why.
    pub(crate) fn start_all(names: &[String], mode: &str, workers: u16) -> io::Result<Vec<Self>> {
        let mut servers = Vec::new();
        for name in names {
            match Self::start(name, mode, workers) {
                Ok(server) => servers.push(server),
                Err(error) => eprintln!("without {name}: {error}"),
            }
        }
        if servers.is_empty() {
            return Err(io::Error::other("no server could be started"));
        }
        Ok(servers)
    }

    fn start(name: &str, mode: &str, workers: u16) -> io::Result<Self> {
        let mut command = match name {
            "go" => Command::new(build_go()?),
            _ => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--serve", name]);
                command
            }
        };
        command.args(["--mode", mode, "--workers", &workers.to_string()]);
        // A server that cannot take part says so in a line of its own; what it prints later is of no interest.
        process::pin(1);
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        process::pin(0);
        let mut process = spawned?;
        let output = process.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let mut server = Self { name: name.to_owned(), process, port: 0, rounds: Vec::new() };
        server.port = port.ok_or_else(|| io::Error::other(line.trim().to_owned()))?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Measures one round, once the server is at rest.
    pub(crate) fn measure(&mut self, load: &Load, slice: Duration) -> io::Result<()> {
        let round = load.run(self, slice)?;
        self.rounds.push(round);
        self.rest()
    }

    /// Waits until the server has nothing more to do with what the round has left, so that the next one has the
    /// processor to itself.
    fn rest(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(2);
        let mut before = self.processor_time()?;
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
            let now = self.processor_time()?;
            if now.saturating_sub(before) < Duration::from_micros(50) {
                break;
            }
            before = now;
        }
        Ok(())
    }

    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        process::processor_time(&self.process)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Builds the server in Go, beside this program.
fn build_go() -> io::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/compare/peers/server.go");
    let program = std::env::current_exe()?.with_file_name("compare-go");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(&source).output()?;
    if !built.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&built.stderr).into_owned()));
    }
    Ok(program)
}
