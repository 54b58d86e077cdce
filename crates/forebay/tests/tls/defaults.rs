//! `TlsConfig::default()` written at every call: the system's roots are read once for each selector,
//! beside its loop, and sessions are resumed as with one configuration that is kept. What the system
//! trusts is named by `SSL_CERT_FILE`, which a process can only set for another: so each of these
//! tests runs again in a process of its own.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use forebay::{ErrorKind, Identity, Result, SelectorManager, ServerSocket, TlsConfig};
use forebay_testing::{
    Child, report, role, say,
    tls::{Authority, LOCAL, listen, write},
    unix::Directory,
    watched, worker_threads,
};
use futures_lite::future::zip;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors that a process may have which is to run out of them.
const DESCRIPTORS_MAX: u64 = 64;

/// The number of times that a timer fires while the roots are read.
const TICKS: usize = 10;

/// The files with a child's server's certificate and key, and with the roots to be read late.
const SERVER: &str = "server.pem";
const ROOTS: &str = "roots.pem";

/// Runs the test of this name in a process for which the system's roots are this file and those in
/// this directory. What it has to say besides is the report.
fn with_roots(test: &'static str, at: &Directory, file: &Path, directory: &str) {
    let file = format!("SSL_CERT_FILE={}", file.display());
    let directory = format!("SSL_CERT_DIR={directory}");
    let role = at.path().to_str().unwrap().to_owned();
    watched(move || {
        let mut child = Child::start_under(&["env", &file, &directory], test, &role);
        report(&format!("{test}: {}", child.hear().expect("the child has failed")));
        child.end();
    });
}

/// A directory with a server's identity, and its authority.
fn place() -> (Directory, Authority) {
    let (directory, authority) = (Directory::new(), Authority::new());
    write(&directory, SERVER, &authority.server(LOCAL).pem());
    (directory, authority)
}

fn server(selector: &SelectorManager, role: &str) -> ServerSocket {
    let identity = Identity::from_pem(fs::read(PathBuf::from(role).join(SERVER)).unwrap()).unwrap();
    listen(selector, &TlsConfig::server(identity).build().unwrap())
}

/// Connects with the default, reads something, so that tickets come, and says whether the session
/// was resumed.
async fn is_resumed(selector: &SelectorManager, server: &ServerSocket) -> Result<bool> {
    let serving = async {
        let socket = server.accept().await?;
        socket.open_write_channel()?.write_str("hello\n").await?;
        socket.close().await
    };
    let connecting = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        let socket = plain.tls(&TlsConfig::default()).await?;
        let mut input = socket.open_read_channel()?;
        assert_eq!(input.read_line().await?.as_deref(), Some("hello"));
        let is_resumed = socket.tls_info().unwrap().is_resumed();
        socket.close().await.ok();
        Ok(is_resumed)
    };
    let (done, resumed) = zip(serving, connecting).await;
    resumed.and_then(|resumed| done.map(|()| resumed))
}

#[test]
fn the_default_at_every_call_resumes_and_each_selector_starts_anew() {
    const NAME: &str = "the_default_at_every_call_resumes_and_each_selector_starts_anew";
    if let Some(role) = role() {
        let (selector, other) = (SelectorManager::new(), SelectorManager::new());
        let server = server(&selector, &role);
        let resumed = |by: &SelectorManager| by.block_on(is_resumed(by, &server)).unwrap();
        let told = [&selector, &selector, &selector, &other, &other].map(resumed);
        assert_eq!(told, [false, true, true, false, true]);
        return say(&format!(
            "resumed, three times from one selector, twice from another: {told:?}"
        ));
    }
    let (directory, authority) = place();
    let roots = write(&directory, ROOTS, &authority.pem());
    with_roots(NAME, &directory, &roots, "");
}

/// The roots are a pipe without data: the thread that reads them waits.
#[test]
fn a_timer_ticks_while_the_roots_are_read() {
    const NAME: &str = "a_timer_ticks_while_the_roots_are_read";
    if let Some(role) = role() {
        let selector = SelectorManager::new();
        let server = server(&selector, &role);
        let late = PathBuf::from(&role).join(ROOTS);
        let ticks = selector.block_on(read_late(&selector, &server, late)).unwrap();
        return say(&format!("{ticks} ticks while the roots were read, then it is secure"));
    }
    let (directory, authority) = place();
    write(&directory, ROOTS, &authority.pem());
    let pipe = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    with_roots(NAME, &directory, &pipe, "");
}

async fn read_late(
    selector: &SelectorManager,
    server: &ServerSocket,
    roots: PathBuf,
) -> Result<usize> {
    let ticking = async {
        let mut ticks = selector.interval(Duration::from_millis(5));
        for _ in 0..TICKS {
            ticks.tick().await;
        }
        let pipe = roots.with_file_name("pipe");
        // Waits until the pipe has a reader, so that it cannot have been read before.
        selector
            .spawn_blocking(move || fs::write(pipe, fs::read(roots).unwrap()).unwrap())
            .await
            .map(|()| TICKS)
    };
    let (ticks, resumed) = zip(ticking, is_resumed(selector, server)).await;
    assert!(!resumed?);
    ticks
}

#[test]
fn a_system_without_roots_is_an_error_that_says_what_to_do() {
    const NAME: &str = "a_system_without_roots_is_an_error_that_says_what_to_do";
    if let Some(role) = role() {
        let selector = SelectorManager::new();
        let server = server(&selector, &role);
        let connect = || async {
            let plain = selector.tcp().connect(server.local_address()).await?;
            plain.tls(&TlsConfig::default()).await
        };
        // Once, and again: each connection looks for roots, and says the same.
        let errors = [(); 2].map(|()| selector.block_on(connect()).unwrap_err());
        for error in &errors {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            for what in ["ca-certificates", "SSL_CERT_FILE", "Trust::roots_pem_file"] {
                assert!(error.to_string().contains(what), "{error}");
            }
        }
        return say(&errors[1].to_string());
    }
    let (directory, _) = place();
    let (file, empty) = (write(&directory, ROOTS, ""), directory.join("empty"));
    fs::create_dir(&empty).unwrap();
    with_roots(NAME, &directory, &file, "");
    with_roots(NAME, &directory, &file, empty.to_str().unwrap());
    with_roots(NAME, &directory, &directory.join("none"), "");
}

/// Connects, leaves the process only `left` descriptors, and returns what securing the connection
/// met. They are free again afterwards.
async fn secured_with_descriptors(
    left: usize,
    selector: &SelectorManager,
    server: &ServerSocket,
) -> Result<()> {
    let connecting = selector.tcp().connect(server.local_address());
    let (accepted, plain) = zip(server.accept(), connecting).await;
    let (_accepted, plain) = (accepted?, plain?);
    let limit = Rlimit { current: Some(DESCRIPTORS_MAX), maximum: Some(DESCRIPTORS_MAX) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - left);
    let outcome = plain.tls(&TlsConfig::default()).await;
    drop(taken);
    outcome.map(drop)
}

/// With none left the file cannot be opened. With one left the file is read, and of the directory
/// only the list of its files: the root that this server needs stands in one of those.
#[test]
fn a_moment_without_descriptors_is_told_and_passes() {
    const NAME: &str = "a_moment_without_descriptors_is_told_and_passes";
    if let Some(role) = role() {
        let mut told = String::new();
        for left in [0, 1] {
            let selector = SelectorManager::builder().workers(1).build().unwrap();
            let server = server(&selector, &role);
            let met = selector.block_on(secured_with_descriptors(left, &selector, &server));
            let error = met.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Exhausted, "{left} left: {error}");
            for what in [&role, "Too many open files", "next connection"] {
                assert!(error.to_string().contains(what), "{left} left: {error}");
            }
            let resumed = [(); 2].map(|()| selector.block_on(is_resumed(&selector, &server)));
            assert_eq!(resumed.map(Result::unwrap), [false, true], "{left} left");
            told = error.to_string();
            // What the selector still holds would be free in the middle of the next round.
            selector.block_on(selector.close());
            drop((server, selector));
            while worker_threads() > 0 {
                thread::yield_now();
            }
        }
        return say(&told);
    }
    let (directory, authority) = place();
    let roots = directory.join("directory");
    fs::create_dir(&roots).unwrap();
    fs::write(roots.join(ROOTS), authority.pem()).unwrap();
    let file = write(&directory, ROOTS, &Authority::new().pem());
    with_roots(NAME, &directory, &file, roots.to_str().unwrap());
}

#[test]
fn roots_that_come_late_are_found_by_the_selector_that_missed_them() {
    const NAME: &str = "roots_that_come_late_are_found_by_the_selector_that_missed_them";
    if let Some(role) = role() {
        let selector = SelectorManager::new();
        let server = server(&selector, &role);
        let missed = selector.block_on(is_resumed(&selector, &server)).unwrap_err();
        // As while a directory is replaced by another.
        let place = PathBuf::from(&role);
        fs::rename(place.join("new"), place.join("directory")).unwrap();
        let resumed = [(); 2].map(|()| selector.block_on(is_resumed(&selector, &server)));
        assert_eq!(resumed.map(Result::unwrap), [false, true], "{missed}");
        return say(&format!("first {missed}; then it is secure"));
    }
    let (directory, authority) = place();
    let new = directory.join("new");
    fs::create_dir(&new).unwrap();
    fs::write(new.join(ROOTS), authority.pem()).unwrap();
    let roots = directory.join("directory");
    with_roots(NAME, &directory, &roots.join(ROOTS), roots.to_str().unwrap());
}
