//! The examples, as programs.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// An example that `cargo test` has built.
pub fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join(name);
    assert!(path.exists(), "cargo test builds the examples; {} is missing", path.display());
    Command::new(path)
}

/// A server example, and the address that its first line names.
pub struct Server {
    child: Child,
    pub output: BufReader<ChildStdout>,
    pub address: String,
}

impl Server {
    /// Starts it at any free port.
    pub fn start(name: &str, options: &[&str]) -> Self {
        let mut child =
            example(name).arg("127.0.0.1:0").args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, output, address }
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
