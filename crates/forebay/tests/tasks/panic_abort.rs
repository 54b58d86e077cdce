//! The library in a program that was built with `panic = "abort"`. It works there, and a
//! panic ends the process at once; by no mistake of ours does a peer take what was sent for a whole
//! answer.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forebay_testing::{dial, pattern, read_to_end, watched_for};
use rustix::process::Signal;

/// The first time everything is compiled once more.
const PATIENCE: Duration = Duration::from_secs(300);

const MANIFEST: &str = r#"
[package]
name = "forebay-panic-abort"
edition = "2024"

[dependencies]
# Without cryptography, which would take most of the time and is not what is tried here.
forebay = { path = "PATH", default-features = false }

[profile.dev]
panic = "abort"
debug = false

[workspace]
"#;

/// Builds the program in the folder that cargo keeps for tests, without asking any registry: all it
/// needs was there to build this test.
fn build() -> PathBuf {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    fs::create_dir_all(folder.join("src")).unwrap();
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    write("Cargo.toml", &MANIFEST.replace("PATH", library.to_str().unwrap()));
    write("src/main.rs", include_str!("panic_abort.program.rs"));
    fs::copy(library.join("../../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    folder.join("target/debug/forebay-panic-abort")
}

fn start(program: &Path) -> (Child, u16) {
    let mut process = Command::new(program)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
    (process, port.trim().parse().unwrap())
}

fn ask(mut peer: &TcpStream, line: &str) {
    let line = format!("{line}\n");
    peer.write_all(line.as_bytes()).unwrap();
    let mut answer = vec![0; line.len()];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(answer, line.as_bytes());
}

#[test]
fn a_program_that_aborts_on_panic_serves_and_dies_at_once() {
    watched_for(PATIENCE, || {
        let (mut server, port) = start(&build());
        let (well, victim) = (dial(port), dial(port));
        let text: String =
            pattern(60_000).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        for peer in [&well, &victim] {
            ask(peer, "before");
            ask(peer, &text);
        }
        let mut leaving = dial(port);
        ask(&leaving, "goodbye");
        leaving.shutdown(Shutdown::Write).unwrap();
        assert!(read_to_end(&mut leaving).1.is_none());

        (&victim).write_all(b"panic\n").unwrap();
        for mut peer in [victim, well] {
            assert_eq!(read_to_end(&mut peer).0, b"");
        }
        let status = server.wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
        let mut said = String::new();
        server.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("the handler panics"), "{said}");
    });
}
