//! The path of a Unix socket has the mode that was asked for, from the first moment on.

#![cfg(target_os = "linux")]

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use forebay::{ErrorKind, UnixAddress};
use forebay_testing::{
    alone, await_that, child, in_host, report, size, skip,
    unix::{Directory, abstract_name, as_nobody, is_root, mode},
    watched,
};
use rustix::fs::Mode;
use rustix::process::umask;

/// Threads of the user who is kept out.
const ATTACKERS: usize = 4;

#[test]
fn the_mode_is_exact_whatever_the_umask() {
    // A process has one umask.
    alone("the_mode_is_exact_whatever_the_umask", || {
        let directory = Directory::new();
        let path = directory.join("server");
        for mask in [0, 0o022, 0o077, 0o777] {
            umask(Mode::from_raw_mode(mask));
            for asked in [0, 0o600, 0o620, 0o660, 0o666, 0o700, 0o777] {
                assert_eq!(mode_of_server(&path, Some(asked)), asked, "umask {mask:o}");
            }
            assert_eq!(mode_of_server(&path, None), 0o777 & !mask, "umask {mask:o}");
        }
    });
}

/// The mode of a path while a server listens at it.
fn mode_of_server(path: &Path, asked: Option<u32>) -> u32 {
    in_host(async |selector| {
        let builder = selector.unix();
        let builder = match asked {
            Some(asked) => builder.mode(asked),
            None => builder,
        };
        let server = builder.bind(path).await?;
        let found = mode(path);
        drop(server);
        assert!(!path.exists());
        forebay::Result::Ok(found)
    })
    .unwrap()
}

#[test]
fn another_user_connects_as_the_mode_says() {
    if !is_root() {
        return skip("another_user_connects_as_the_mode_says", "needs root");
    }
    watched(|| {
        let directory = Directory::new();
        let path = directory.join("server");
        for (mode, lets_in) in
            [(0o666, true), (0o602, true), (0o660, false), (0o600, false), (0o604, false)]
        {
            assert_eq!(is_let_in(&path, mode), lets_in, "mode {mode:o}");
        }
    });
}

/// Returns true if another user's `connect` reaches a server with this mode.
fn is_let_in(path: &Path, mode: u32) -> bool {
    in_host(async |selector| {
        let _server = selector.unix().mode(mode).bind(path).await?;
        let path = path.to_owned();
        let connecting = as_nobody(move || {
            in_host(async |selector| selector.unix().connect(path).await.map(drop))
        });
        match connecting.join().unwrap() {
            Ok(()) => Ok(true),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
                assert!(error.to_string().contains("unix:/"), "{error}");
                forebay::Result::Ok(false)
            }
        }
    })
    .unwrap()
}

/// The results of the attempts of a user who is kept out.
#[derive(Default)]
struct Attack {
    attempts: AtomicUsize,
    denied: AtomicUsize,
    found_nothing: AtomicUsize,
    let_in: AtomicUsize,
    over: AtomicBool,
}

impl Attack {
    /// Waits until one of these counts has grown; the wait ends as well once an attempt got in.
    fn await_more(&self, what: &str, count: &AtomicUsize) {
        let before = count.load(SeqCst);
        await_that(what, || count.load(SeqCst) > before || self.let_in.load(SeqCst) > 0);
    }

    fn run(&self, path: &Path) {
        while !self.over.load(SeqCst) {
            match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    self.denied.fetch_add(1, SeqCst)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.found_nothing.fetch_add(1, SeqCst)
                }
                // A user who is let in by the mode is told "refused" before `listen`.
                Ok(_) | Err(_) => self.let_in.fetch_add(1, SeqCst),
            };
            self.attempts.fetch_add(1, SeqCst);
        }
    }
}

#[test]
fn there_is_no_moment_at_which_another_user_gets_in() {
    if !is_root() {
        return skip("there_is_no_moment_at_which_another_user_gets_in", "needs root");
    }
    let tried = child("there_is_no_moment_at_which_another_user_gets_in", || {
        // The mask that gives away the most.
        umask(Mode::empty());
        let directory = Directory::new();
        let path = directory.join("server");
        let attack = Arc::new(Attack::default());
        let attackers = [(); ATTACKERS].map(|()| {
            let (hammer, target) = (Arc::clone(&attack), path.clone());
            as_nobody(move || hammer.run(&target))
        });
        bind_under(&attack, &path);
        attack.over.store(true, SeqCst);
        for attacker in attackers {
            attacker.join().unwrap();
        }
        report(&format!(
            "unix_mode: {} binds with 0600, {} attempts to connect by another user, {} denied, {} let in",
            binds(),
            attack.attempts.load(SeqCst),
            attack.denied.load(SeqCst),
            attack.let_in.load(SeqCst)
        ));
        assert_eq!(attack.let_in.load(SeqCst), 0);
        assert!(attack.denied.load(SeqCst) >= binds());
    });
    if let Some(tried) = tried {
        assert!(tried.status.success(), "{}{}", tried.stdout, tried.stderr);
        let told = [tried.stdout, tried.stderr].concat();
        report(told.lines().find(|line| line.contains("unix_mode:")).expect("the child counts"));
    }
}

/// Binds under attack.
fn binds() -> usize {
    size("FOREBAY_BINDS", 50, 200)
}

fn bind_under(attack: &Attack, path: &PathBuf) {
    for _ in 0..binds() {
        in_host(async |selector| {
            let server = selector.unix().mode(0o600).bind(path).await?;
            attack.await_more("they are denied", &attack.denied);
            drop(server);
            attack.await_more("they find nothing", &attack.found_nothing);
            forebay::Result::Ok(())
        })
        .unwrap();
    }
}

#[test]
fn an_abstract_name_has_no_mode() {
    in_host(async |selector| {
        let name = abstract_name("no-mode");
        let error = selector.unix().mode(0o600).bind(&name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("check peer_credentials instead"), "{error}");
        assert!(matches!(name, UnixAddress::Abstract(_)));
        forebay::Result::Ok(())
    })
    .unwrap();
}
