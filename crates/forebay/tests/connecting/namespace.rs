//! A network namespace with files of its own in `/etc`. It needs root.

use std::fs;
use std::process::{self, Command, Stdio};

use forebay_testing::{Child, report, role, skip, watched};

/// A namespace in which `/etc/hosts` and `/etc/resolv.conf` are the test's own (`ip-netns(8)`).
pub(crate) struct Namespace(String);

impl Namespace {
    fn make(test: &str) -> Option<Self> {
        let namespace = Self(format!("forebay-{}-{test}", process::id()));
        let etc = namespace.etc();
        // Another test may remove the directory above when it is done.
        let made = (0..10).any(|_| fs::create_dir_all(&etc).is_ok())
            && succeeds(&["netns", "add", &namespace.0]);
        if !made {
            return None;
        }
        namespace.ip(&["link", "set", "lo", "up"]);
        Some(namespace)
    }

    /// Returns the directory of the files that stand for those of `/etc`.
    pub(crate) fn etc(&self) -> String {
        format!("/etc/netns/{}", self.0)
    }

    /// Runs `ip` inside; returns `true` if it succeeds.
    pub(crate) fn ip(&self, command: &[&str]) -> bool {
        let inside = ["netns", "exec", &self.0, "ip"];
        succeeds(&[&inside, command].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        succeeds(&["netns", "delete", &self.0]);
        fs::remove_dir_all(self.etc()).ok();
        // Not while another test has a namespace.
        fs::remove_dir("/etc/netns").ok();
    }
}

fn succeeds(command: &[&str]) -> bool {
    let mut ip = Command::new("ip");
    ip.args(command).stdout(Stdio::null()).stderr(Stdio::null());
    ip.status().is_ok_and(|status| status.success())
}

/// Runs a test in a namespace that was prepared for it, in a process of its own.
pub(crate) fn in_a_namespace(
    name: &'static str,
    prepare: impl FnOnce(&Namespace),
    test: impl FnOnce(),
) {
    if role().is_some() {
        return test();
    }
    let Some(namespace) = Namespace::make(name) else {
        return skip(name, "no network namespaces to be had: not root, or no `ip`");
    };
    prepare(&namespace);
    let inside = namespace.0.clone();
    watched(move || {
        let mut child = Child::start_under(&["ip", "netns", "exec", &inside], name, "inside");
        while let Some(line) = child.hear() {
            report(&format!("{name}: {line}"));
        }
        child.end();
    });
}
