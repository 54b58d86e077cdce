//! The system calls, and how each may fail.

use std::collections::{BTreeMap, BTreeSet};

use super::program::Injection;
use super::scenes::Scene;

/// Each call, and the errors that `strace` can put in its place without telling a lie about the world.
///
/// Left out is `EAGAIN` where readiness is edge-triggered: without data it is no failure, and with
/// data the kernel never says it. So is `EINTR` of `connect`, behind which the kernel would go on
/// connecting. `close` fails only by `EINTR` and `EIO`, which close all the same (`close(2)`);
/// `strace` cannot do both, so in these cases the descriptor stays open, and no peer is asked to see
/// its end. That a connection is gone, the kernel tells the receiver as well as the sender, and
/// `strace` cannot: see [`Injection::is_a_lie`].
pub(crate) const ERRORS: &[(&str, &str)] = &[
    ("accept4", "EINTR ECONNABORTED EPROTO ENETDOWN EMFILE ENFILE ENOBUFS ENOMEM EPERM"),
    ("bind", "EADDRINUSE EADDRNOTAVAIL EACCES ENOMEM"),
    ("clone3", "EAGAIN ENOMEM"),
    ("close", "EINTR EIO"),
    ("connect", "ECONNREFUSED ETIMEDOUT ENETUNREACH EHOSTUNREACH EADDRNOTAVAIL EACCES ENOBUFS"),
    ("epoll_create1", "EMFILE ENFILE ENOMEM"),
    ("epoll_ctl", "ENOMEM ENOSPC"),
    ("epoll_wait", "EINTR"),
    ("eventfd2", "EMFILE ENFILE ENOMEM"),
    ("fcntl", "EMFILE"),
    ("getpeername", "ENOTCONN ENOBUFS"),
    ("getsockname", "ENOBUFS"),
    ("getsockopt", "ENOBUFS ENOPROTOOPT EINVAL"),
    ("listen", "EADDRINUSE"),
    ("openat", "EMFILE ENFILE EACCES ENOENT EINTR"),
    ("read", "EINTR"),
    ("read@stdin", "EINTR EIO EISDIR ENOMEM"),
    ("recvfrom", "EINTR ECONNRESET ECONNREFUSED ETIMEDOUT EHOSTUNREACH ENETDOWN ENOMEM EIO"),
    ("sendmsg", SENDING),
    ("sendto", SENDING),
    ("setsockopt", "ENOBUFS ENOMEM ENOPROTOOPT EINVAL"),
    ("shutdown", "ENOTCONN ENOBUFS"),
    ("socket", "EMFILE ENFILE ENOBUFS ENOMEM EACCES EAFNOSUPPORT"),
    ("write", "EINTR"),
    ("write@stdout", "EINTR EIO EPIPE ENOSPC"),
];

const SENDING: &str = "EINTR ENOBUFS ENOMEM EACCES EPERM EPIPE ECONNRESET";

/// Begins what the library does; before it the program is loaded and started.
const BEGIN: &str = "epoll_create1";

/// The calls that a scene makes when nothing fails: which times of each, on any thread. `strace`
/// counts for each thread by itself.
#[derive(Debug)]
pub(crate) struct Calls(BTreeMap<String, BTreeSet<usize>>);

/// Traces an undisturbed run.
pub(crate) fn made_by(scene: Scene) -> Calls {
    let run = scene.traced();
    let mut counts = BTreeMap::new();
    let mut times: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut main = None;
    let mut begun = false;
    for line in run.lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(call)) = (words.next(), words.next()) else { continue };
        let Some((call, first)) = call.split_once('(') else { continue };
        let main = main.get_or_insert_with(|| thread.to_owned());
        begun |= call == BEGIN;
        let standard = match (call, first) {
            ("read", "0,") => Some("read@stdin"),
            ("write", "1,") => Some("write@stdout"),
            _ => None,
        };
        for call in [call].into_iter().chain(standard) {
            let count = counts.entry((thread.to_owned(), call.to_owned())).or_insert(0);
            *count += 1;
            // Where two threads make the call, the main one's early ones are not spared: a program
            // that cannot be loaded is told from one that fails.
            if begun || thread != main {
                times.entry(call.to_owned()).or_default().insert(*count);
            }
        }
    }
    assert!(begun, "{scene}: nothing was traced:\n{run}");
    Calls(times)
}

impl Calls {
    pub(crate) fn times_of(&self, call: &str) -> Vec<usize> {
        self.0.get(call).into_iter().flatten().copied().collect()
    }
}

impl Injection {
    /// The call was not made, although it closes in any case.
    pub(crate) fn leaves_open(self) -> bool {
        self.call == "close"
    }

    /// A connection that is gone, the kernel tells the receiving side as well. Here it does not, so
    /// the peer that waits for an answer makes it true after a moment, and resets.
    pub(crate) fn is_a_lie(self) -> bool {
        match self.call {
            "sendto" | "sendmsg" => ["EPIPE", "ECONNRESET"].contains(&self.error),
            "shutdown" => self.error == "ENOTCONN",
            _ => false,
        }
    }

    /// Bytes that were accepted could not be sent: the peer may not take the rest for the whole.
    pub(crate) fn loses_output(self) -> bool {
        self.call.starts_with("send") && self.error != "EINTR" && !self.is_a_lie()
    }
}
