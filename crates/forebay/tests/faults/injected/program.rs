//! An example under `strace`, its output and its end.

use std::fs;
use std::io::{self, BufRead, BufReader, PipeWriter, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A program that takes longer hangs. A close waits two seconds for a peer at most.
pub(crate) const HANGS_AFTER: Duration = Duration::from_secs(5);

/// One failure: of this call (on any descriptor, or `@stdin` or `@stdout` alone), with this error, the so-manieth time that a thread makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) call: &'static str,
    pub(crate) error: &'static str,
    pub(crate) when: usize,
}

/// A running example.
pub(crate) struct Program {
    process: Child,
    /// Readable once the process has ended (`pidfd_open(2)`).
    ended: OwnedFd,
    input: Option<PipeWriter>,
    trace: PathBuf,
    lines: Receiver<String>,
    said: Vec<String>,
    stderr: Option<JoinHandle<String>>,
}

/// The status and the output of a program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it had to be stopped.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) trace: String,
}

/// Returns `strace`'s name for a pipe.
fn name_of(pipe: &impl AsRawFd) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", pipe.as_raw_fd())).unwrap()
}

fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path.join("examples").join(name);
    assert!(path.exists(), "`cargo build --examples` makes {}, which is missing", path.display());
    path
}

impl Program {
    /// Starts an example, with a failure; or with every call traced.
    pub(crate) fn start(name: &str, arguments: &[&str], injection: Option<Injection>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        let file = format!("forebay-inject-{}-{count}", std::process::id());
        let trace = std::env::temp_dir().join(file);
        let (input, output) = (io::pipe().unwrap(), io::pipe().unwrap());
        // The tracer is the grandchild, so that the child is the example.
        let mut strace = Command::new("strace");
        strace.args(["-D", "-f", "-o"]).arg(&trace);
        if let Some(Injection { call, error, when }) = injection {
            let (call, on) = call.split_once('@').unwrap_or((call, ""));
            strace.args(["-e", &format!("trace={call}"), "-e"]);
            strace.arg(format!("inject={call}:error={error}:when={when}"));
            match on {
                "stdin" => strace.arg("-P").arg(name_of(&input.0)),
                "stdout" => strace.arg("-P").arg(name_of(&output.1)),
                _ => strace.arg("--seccomp-bpf"),
            };
        }
        strace
            .arg(example(name))
            .args(arguments)
            .env("RUST_BACKTRACE", "0")
            // `strace` counts the calls of each thread by itself, so that several would fail.
            .env("FOREBAY_WORKERS", "1")
            .stdin(input.0)
            .stdout(output.1)
            .stderr(Stdio::piped());
        let mut process = strace.spawn().unwrap();
        let ended = pidfd_open(Pid::from_child(&process), PidfdFlags::empty()).unwrap();
        // It holds this process's copies of the child's ends.
        drop(strace);
        let stdout = BufReader::new(output.0);
        let (sender, lines) = channel();
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        let mut stderr = process.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).ok();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            process,
            ended,
            input: Some(input.1),
            trace,
            lines,
            said: Vec::new(),
            stderr: Some(stderr),
        }
    }

    /// The next line it says; `None` when there is none any more, or not soon.
    pub(crate) fn line(&mut self) -> Option<String> {
        let line = self.lines.recv_timeout(HANGS_AFTER).ok()?;
        self.said.push(line.clone());
        Some(line)
    }

    /// The port in the line that says where it listens.
    pub(crate) fn port(&mut self) -> Option<u16> {
        self.line()?.rsplit(':').next()?.parse().ok()
    }

    pub(crate) fn input(&mut self) -> PipeWriter {
        self.input.take().unwrap()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for its end; what does not end is stopped.
    pub(crate) fn end(self) -> Ended {
        self.end_within(HANGS_AFTER)
    }

    /// Stops it if it has not ended by itself.
    pub(crate) fn stop(self) -> Ended {
        self.end_within(Duration::ZERO)
    }

    fn end_within(mut self, patience: Duration) -> Ended {
        drop(self.input.take());
        let patience = Timespec::try_from(patience).unwrap();
        let ended = [PollFd::new(&self.ended, PollFlags::IN)];
        let by_itself = poll(&mut { ended }, Some(&patience)).unwrap() == 1;
        if !by_itself {
            self.process.kill().unwrap();
        }
        // Its tracer sees its end first.
        let status = self.process.wait().unwrap();
        let status = by_itself.then_some(status);
        // The tracer holds the pipe of errors as well, and ends after the program.
        let stderr = self.stderr.take().unwrap().join().unwrap();
        self.said.extend(self.lines.iter());
        let trace = fs::read_to_string(&self.trace).unwrap_or_default();
        fs::remove_file(&self.trace).ok();
        let stdout = self.said.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        Ended { status, stdout, stderr, trace }
    }
}
