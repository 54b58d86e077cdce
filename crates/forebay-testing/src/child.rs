//! Child processes: this test binary again, with one of its tests in another role.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// The variable that holds a child's role.
const ROLE: &str = "FOREBAY_TEST_ROLE";
/// The prefix of a child's lines, because the test runner writes to the same pipe.
const MARK: &str = "@@ ";

/// A file for the output of `strace`, removed when dropped.
#[derive(Debug)]
pub struct Log(PathBuf);

impl Log {
    pub fn new(test: &str) -> Self {
        let name = format!("forebay-{}-{test}.strace", process::id());
        Self(env::temp_dir().join(name))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// Returns the role of this process, if it is a child.
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Sends a line to the parent.
pub fn say(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{MARK}{line}").unwrap();
    output.flush().unwrap();
}

/// A child process. Closing its standard input tells it to end; it is killed when dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts the test of this name again, in a role.
    pub fn start(test: &str, role: &str) -> Self {
        Self::start_under(&[], test, role)
    }

    /// Returns the command of such a child, for another program to start it.
    pub fn command(test: &str, role: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &full_name(test), "--nocapture"]).env(ROLE, role);
        command
    }

    /// Starts a child like [`start`](Self::start), under a command that runs the command after its
    /// arguments.
    pub fn start_under(wrapper: &[&str], test: &str, role: &str) -> Self {
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
            .args(["--exact", &full_name(test), "--nocapture"])
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

    /// Returns `true` if this `strace`, with these arguments, can run something here.
    pub fn can_trace(strace: &[&str]) -> bool {
        Command::new(strace[0])
            .args(&strace[1..])
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Returns the next line of the child; `None` if it has ended.
    pub fn hear(&mut self) -> Option<String> {
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

    /// Returns the next line of the child as a number.
    pub fn hear_number<T: std::str::FromStr>(&mut self) -> T {
        let line = self.hear().expect("the child has ended");
        line.parse()
            .unwrap_or_else(|_| panic!("the child said {line:?} where a number was expected"))
    }

    /// Sends the child a line.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    /// Stops the child, and waits until it is stopped.
    pub fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "the child ended: {status:?}");
    }

    /// Continues a stopped child.
    pub fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Returns the process ID.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Returns the signal that has killed the child, if any.
    pub fn killed_by(mut self) -> Option<i32> {
        self.process.wait().unwrap().signal()
    }

    /// Closes the child's standard input, and waits until it has ended successfully.
    pub fn end(mut self) {
        drop(self.input.take());
        while self.hear().is_some() {}
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the child failed: {status}");
    }
}

impl Drop for Child {
    /// The test has failed, or needs no more of a child that does not end by itself.
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Returns the name by which the test runner knows the test function `test`, with its modules in front.
///
/// # Panics
///
/// If this program has no such test, or more than one.
pub(crate) fn full_name(test: &str) -> String {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let this = env::current_exe().unwrap();
        let listed = Command::new(this).args(["--list", "--format", "terse"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
    });
    let is_it = |name: &&String| name.rsplit("::").next() == Some(test);
    let mut found = NAMES.iter().filter(is_it);
    let name = found.next().unwrap_or_else(|| panic!("no test is called {test}"));
    assert!(found.next().is_none(), "more than one test is called {test}");
    name.clone()
}
