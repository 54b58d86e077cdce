//! Tests that must be alone in their process, because they count descriptors, threads or memory, or change
//! a limit, a mask or a directory. They run again in a process of their own.

use std::env;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{full_name, role};
use crate::output::{is_verbose, print};
use crate::{PATIENCE, skip};

/// The longest time for a process; its own watchdogs are quicker to tell what hangs.
const CHILD_PATIENCE: Duration = Duration::from_secs(5 * PATIENCE.as_secs());

/// The result of a child process.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The variable that names the case for a child process.
const CHILD: &str = "FOREBAY_TEST_CHILD";

/// Runs `body` alone in a process of its own: nothing else has threads or descriptors there. `test`
/// is the name of the test that calls this. `None` in the child, which is to return at once.
pub fn child(test: &str, body: impl FnOnce()) -> Option<Ended> {
    if env::var(CHILD).is_ok_and(|case| case == test) {
        body();
        return None;
    }
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", &full_name(test), "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (done, is_done) = mpsc::channel();
    let read = |mut stream: Box<dyn Read + Send>, done: mpsc::Sender<()>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            done.send(()).ok();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(Box::new(process.stdout.take().unwrap()), done.clone());
    let stderr = read(Box::new(process.stderr.take().unwrap()), done);
    let deadline = Instant::now() + CHILD_PATIENCE;
    for _ in 0..2 {
        let left = deadline.saturating_duration_since(Instant::now());
        if is_done.recv_timeout(left).is_err() {
            process.kill().unwrap();
            process.wait().unwrap();
            panic!("the child of {test} still runs after {CHILD_PATIENCE:?}");
        }
    }
    Some(Ended {
        status: process.wait().unwrap(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    })
}

/// Runs `body` in a process of its own, which must succeed; its figures are printed as this test's. In a
/// process that has a role already, `body` is alone as it is.
pub fn alone(test: &str, body: impl FnOnce()) {
    if role().is_some() {
        return body();
    }
    let Some(child) = child(test, body) else { return };
    let Ended { status, stdout, stderr } = child;
    assert!(status.success(), "{test} failed in its own process: {status}\n{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "no test is called {test}");
    for line in stderr.lines().filter(|line| is_verbose() || line.starts_with("SKIP ")) {
        print(line);
    }
}

/// Runs `body` like [`alone`], for tests that count threads and descriptors where Linux lists them.
pub fn counted_alone(test: &str, body: impl FnOnce()) {
    if Path::new("/proc/self/task").exists() {
        alone(test, body);
    } else {
        skip(test, "there is no /proc/self here");
    }
}
