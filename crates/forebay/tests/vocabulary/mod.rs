//! What these tests say often: watchdogs, children, waiting without sleeping.

#![allow(dead_code, reason = "every test binary takes the words it needs")]

pub(crate) mod ends;
#[cfg(feature = "tls")]
pub(crate) mod foreign;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod unix;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use forebay::{Connection, Result, SelectorManager, ServerSocket, Socket};
use futures_lite::future::{yield_now, zip};

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a thread of its own and fails if it hangs.
pub(crate) fn watched<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    let watched = thread::spawn(move || {
        let value = test();
        done.send(()).ok();
        value
    });
    if let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(PATIENCE) {
        panic!("still not done after {PATIENCE:?}");
    }
    match watched.join() {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// What a child left behind.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Names the case that a child process is to run.
const CHILD: &str = "FOREBAY_TEST_CHILD";

/// Runs `body` alone in a process of its own: nothing else has threads or descriptors there. `test`
/// is the name of the test that calls this. `None` in the child, which is to return at once.
pub(crate) fn child(test: &str, body: impl FnOnce()) -> Option<Child> {
    if std::env::var(CHILD).is_ok_and(|case| case == test) {
        body();
        return None;
    }
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
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
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..2 {
        let left = deadline.saturating_duration_since(Instant::now());
        if is_done.recv_timeout(left).is_err() {
            process.kill().unwrap();
            process.wait().unwrap();
            panic!("the child of {test} still runs after {PATIENCE:?}");
        }
    }
    Some(Child {
        status: process.wait().unwrap(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    })
}

/// Runs `body` in a process of its own, which must succeed.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if let Some(child) = child(test, body) {
        assert!(
            child.status.success(),
            "{test} failed in its own process: {}\n{}{}",
            child.status,
            child.stdout,
            child.stderr
        );
        assert!(child.stdout.contains("1 passed"), "no test is called {test}");
    }
}

/// As [`alone`], for what counts threads and descriptors where Linux lists them.
pub(crate) fn counted_alone(test: &str, body: impl FnOnce()) {
    if Path::new("/proc/self/task").exists() {
        alone(test, body);
    } else {
        println!("SKIP {test}: there is no /proc/self here");
    }
}

/// Waits for what another thread is about to do.
pub(crate) fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        thread::yield_now();
    }
}

/// Waits for what another task is about to do.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        yield_now().await;
    }
}

/// The descriptors of this process.
pub(crate) fn descriptors() -> Vec<(String, String)> {
    let mut found: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // The one that reads the directory is gone by now.
            let target = std::fs::read_link(&path).ok()?;
            let number = path.file_name()?.to_string_lossy().into_owned();
            Some((number, target.to_string_lossy().into_owned()))
        })
        .filter(|(_, target)| !target.contains("/fd"))
        .collect();
    found.sort();
    found
}

/// The sockets among them.
pub(crate) fn socket_descriptors() -> Vec<(String, String)> {
    let mut found = descriptors();
    found.retain(|(_, target)| target.starts_with("socket:"));
    found
}

/// The names of this process's threads.
pub(crate) fn threads() -> Vec<String> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// How many of them are workers'.
pub(crate) fn worker_threads() -> usize {
    threads().iter().filter(|name| name.starts_with("forebay-worker")).count()
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A flag that tasks wait for, in any executor and from any thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signal(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Signal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&self) {
        let wakers = {
            let mut state = lock(&self.0);
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_set(&self) -> bool {
        lock(&self.0).0
    }
}

impl Future for Signal {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.0);
        if state.0 {
            return Poll::Ready(());
        }
        state.1.push(waker);
        Poll::Pending
    }
}

/// The text of the panic that this ends in.
pub(crate) fn panic_text(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it must panic");
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap()
}

/// Runs a function when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A connected pair, client first, and the listener it came from.
pub(crate) async fn connected(
    selector: &SelectorManager,
) -> Result<(Connection, Connection, ServerSocket)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let (accepted, client) =
        zip(server.accept(), selector.tcp().connect(server.local_address())).await;
    Ok((client?.connection()?, accepted?.connection()?, server))
}

/// Connects to a std listener, so that the other side is driven by nobody but the test.
pub(crate) fn connect_to_std(selector: &SelectorManager) -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = selector.block_on(selector.tcp().connect(address)).unwrap();
    (socket, listener.accept().unwrap().0)
}
