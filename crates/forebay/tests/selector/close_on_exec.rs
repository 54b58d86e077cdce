//! No descriptor of the library's outlives an `exec`. A program that is started by another
//! finds the three it was given, and no socket, whenever it is started.
//!
//! What a process does that was forked and never executed anything cannot be shown here: nothing
//! safe forks. A child that executes is what programs have.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{Child, listener, report, role, run, say, until_at_rest, watched};
use futures_lite::future::zip;

/// `O_CLOEXEC`, as `/proc/PID/fdinfo` writes it.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

/// The descriptors of this process, and what each is.
fn descriptors() -> BTreeMap<u32, String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // The one that reads the directory is gone by now.
            let target = fs::read_link(&path).ok()?.to_string_lossy().into_owned();
            let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            (!target.ends_with("/fd")).then_some((number, target))
        })
        .collect()
}

fn closes_on_exec(number: u32) -> bool {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap() & CLOSE_ON_EXEC != 0
}

/// Returns one line for each descriptor that a program finds that is started now.
fn found_by_a_program() -> Vec<String> {
    // A shell that lists itself; what it listed with is gone by the time it asks.
    let list = "for it in /proc/$$/fd/*; do readlink \"$it\" || true; done";
    let done = Command::new("sh").args(["-c", list]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

// ---- everything there is ------------------------------------------------------------------------

#[test]
fn every_descriptor_closes_on_exec() {
    const NAME: &str = "every_descriptor_closes_on_exec";
    if role().is_some() {
        return list_descriptors();
    }
    watched(|| {
        // Alone in its process, so that all new descriptors are the library's.
        let mut child = Child::start(NAME, "lists");
        let line = child.hear().expect("the child has failed");
        report(&format!("{NAME}: {line}"));
        child.end();
    });
}

fn list_descriptors() {
    let before = descriptors();
    let found_before = found_by_a_program();
    run(async move |selector| {
        let server = listener(&selector).await?;
        let mut open = Vec::new();
        for host in ["127.0.0.1", "localhost"] {
            let connecting = selector.tcp().connect((host, server.port()));
            let (accepted, connected) = zip(server.accept(), connecting).await;
            open.push((accepted?.connection()?, connected?.connection()?));
        }
        for (one, other) in &mut open {
            // So that everything is registered that ever will be.
            let (said, heard) = zip(one.output.write_str("hello\n"), other.input.read_line()).await;
            said?;
            assert_eq!(heard?.as_deref(), Some("hello"));
        }
        // Another selector, with a worker's thread of its own.
        let other = SelectorManager::new();
        other.spawn_value(other.sleep(std::time::Duration::ZERO)).await?;
        selector.spawn_blocking(|| ()).await?;

        let ours: Vec<_> =
            descriptors().into_iter().filter(|(number, _)| !before.contains_key(number)).collect();
        let kinds: Vec<_> =
            ours.iter().map(|(_, target)| target.split(':').next().unwrap()).collect();
        assert!(kinds.iter().filter(|&&kind| kind == "socket").count() >= 5, "{ours:?}");
        for (number, target) in &ours {
            assert!(closes_on_exec(*number), "descriptor {number}, {target}, stays open");
        }
        assert_eq!(found_by_a_program().len(), found_before.len());
        say(&format!("{} descriptors, of {kinds:?}, and a program finds none of them", ours.len()));
        drop(open);
        other.close().await;
        Ok(())
    });
}

// ---- whenever -----------------------------------------------------------------------------------

/// Programs are started all the while that sockets are made, accepted and connected: a descriptor
/// that is marked only after it was made would be found by one of them.
#[test]
fn a_program_started_at_any_moment_finds_no_socket() {
    const NAME: &str = "a_program_started_at_any_moment_finds_no_socket";
    if role().is_some() {
        return connect_while_programs_start();
    }
    watched(|| {
        let mut child = Child::start(NAME, "connects");
        let line = child.hear().expect("the child has failed");
        report(&format!("{NAME}: {line}"));
        child.end();
    });
}

fn connect_while_programs_start() {
    const PROGRAMS: usize = 100;
    let starting = thread::spawn(|| {
        let found = (0..PROGRAMS).flat_map(|_| found_by_a_program());
        found.filter(|target| target.starts_with("socket:")).count()
    });
    let (connections, found) = run(async move |selector| {
        let connections = connect_until(&selector, || starting.is_finished()).await?;
        Ok((connections, starting.join().unwrap()))
    });
    assert_eq!(found, 0, "sockets found by a program");
    say(&format!("{PROGRAMS} programs beside {connections} connections found no socket"));
}

async fn connect_until(selector: &SelectorManager, is_over: impl Fn() -> bool) -> Result<usize> {
    let mut count = 0;
    while !is_over() {
        let server = listener(selector).await?;
        let connecting = selector.tcp().connect(server.local_address());
        let (accepted, connected) = zip(server.accept(), connecting).await;
        let one: Connection = connected?.connection()?;
        accepted?.abort();
        drop(one);
        count += 1;
    }
    until_at_rest(selector, 0).await;
    Ok(count)
}
