//! The examples, as programs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Returns an example as built by `cargo test --workspace` or `cargo build --examples`: they are a package
/// of their own.
pub fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join(name);
    if let Some(why) = outdated(&path) {
        panic!("`cargo build --examples` builds what is tested here: {} {why}", path.display());
    }
    Command::new(path)
}

/// Compares the program with its sources, which cargo has listed beside it.
fn outdated(program: &Path) -> Option<String> {
    let changed = |path: &Path| path.metadata()?.modified();
    let (Ok(built), Ok(list)) = (changed(program), fs::read_to_string(program.with_extension("d")))
    else {
        return Some("is missing".to_owned());
    };
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources).split_whitespace();
    let newer = sources.map(Path::new).find(|path| changed(path).is_ok_and(|time| time > built));
    newer.map(|path| format!("is older than {}", path.display()))
}

/// A server example, and the address that its first line names.
pub struct Server {
    child: Child,
    pub output: BufReader<ChildStdout>,
    pub address: String,
}

impl Server {
    /// Starts the server at any free port.
    pub fn start(name: &str, options: &[&str]) -> Self {
        let mut server = example(name);
        server.arg("127.0.0.1:0").args(options).stdout(Stdio::piped());
        // What it reports of its clients would be printed by tests that pass.
        if std::env::var_os("FOREBAY_VERBOSE").is_none() {
            server.stderr(Stdio::null());
        }
        let mut child = server.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, output, address }
    }

    /// Returns the next line of its output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn lines_of(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().map(str::to_owned).collect()
}
