//! Child processes: this test binary again, with one of its tests in another role.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Where a child finds its role.
const ROLE: &str = "FOREBAY_TEST_ROLE";
/// Stands before what a child says, because the test runner writes to the same pipe.
const MARK: &str = "@@ ";

/// A file for what `strace` writes down, removed when dropped.
#[derive(Debug)]
pub(crate) struct Log(PathBuf);

impl Log {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("forebay-{}-{test}.strace", process::id());
        Self(env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// The role of this process, if it is a child.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{MARK}{line}").unwrap();
    output.flush().unwrap();
}

/// A child process. It is told to go by closing its standard input, and killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts the test of this name again, in a role.
    pub(crate) fn start(test: &str, role: &str) -> Self {
        Self::start_under(&[], test, role)
    }

    /// As [`start`](Self::start), under a command that runs the command behind its arguments.
    pub(crate) fn start_under(wrapper: &[&str], test: &str, role: &str) -> Self {
        let this = env::current_exe().unwrap();
        let mut command = match wrapper {
            [] => Command::new(this),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(this);
                command
            }
        };
        let mut process = command
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// True when this `strace`, with these arguments, can run something here.
    pub(crate) fn can_trace(strace: &[&str]) -> bool {
        Command::new(strace[0])
            .args(&strace[1..])
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// The next line that the child says; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// The next line that the child says, as a number.
    pub(crate) fn hear_number<T: std::str::FromStr>(&mut self) -> T {
        let line = self.hear().expect("the child has ended");
        line.parse()
            .unwrap_or_else(|_| panic!("the child said {line:?} where a number was expected"))
    }

    /// Tells the child a line.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// Stops the child, and waits until it stands still.
    pub(crate) fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "the child ended: {status:?}");
    }

    /// Lets a stopped child go on.
    pub(crate) fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// The signal that has killed the child, if it was one.
    pub(crate) fn killed_by(mut self) -> Option<i32> {
        self.process.wait().unwrap().signal()
    }

    /// Closes the child's standard input, and waits until it has ended without a complaint.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        while self.hear().is_some() {}
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the child failed: {status}");
    }
}

impl Drop for Child {
    /// The test has failed, or is done with a child that does not end by itself.
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
