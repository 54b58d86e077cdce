//! Network namespaces: two of them, joined by a cable that a test can unplug. They need root.

use std::io::Write;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::{Child, skip, watched_for};

/// The name of the cable's end, in each of the namespaces.
pub const PLUG: &str = "cable";

/// One of the two namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Left,
    Right,
}

impl End {
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// Returns its address on the cable.
    pub fn address(self) -> &'static str {
        match self {
            Self::Left => "10.77.0.1",
            Self::Right => "10.77.0.2",
        }
    }
}

/// Runs a test on two namespaces of its own, watched. They are deleted in any case.
///
/// # Panics
///
/// If the test fails or hangs.
pub fn on_a_cable(name: &str, patience: Duration, test: impl FnOnce(&Cable) + Send + 'static) {
    // Stays on this thread: a test that hangs keeps everything on its own thread.
    let Some(laid) = Cable::lay() else {
        return skip(name, "no network namespaces to be had: not root, or no `ip`");
    };
    let cable = laid.0.clone();
    watched_for(patience, move || test(&cable));
}

/// Two namespaces and the veth pair between them.
#[derive(Debug, Clone)]
pub struct Cable {
    names: [String; 2],
}

impl Cable {
    fn lay() -> Option<Laid> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, SeqCst);
        let name = |end| format!("forebay-{}-{number}{end}", process::id());
        let laid = Laid(Self { names: [name('l'), name('r')] });
        let cable = &laid.0;
        let [left, right] = &cable.names;
        let is_laid = succeeds(&["ip", "netns", "add", left])
            && succeeds(&["ip", "netns", "add", right])
            && succeeds(&[
                "ip", "link", "add", PLUG, "netns", left, "type", "veth", "peer", "name", PLUG,
                "netns", right,
            ]);
        if !is_laid {
            return None;
        }
        for end in End::BOTH {
            let address = format!("{}/24", end.address());
            cable.run(end, &["ip", "link", "set", "lo", "up"]);
            cable.run(end, &["ip", "address", "add", &address, "dev", PLUG]);
            cable.run(end, &["ip", "link", "set", PLUG, "up"]);
        }
        Some(laid)
    }

    pub fn name(&self, end: End) -> &str {
        &self.names[end as usize]
    }

    /// Starts a child in a namespace.
    pub fn start(&self, end: End, test: &str, role: &str) -> Child {
        Child::start_under(&["ip", "netns", "exec", self.name(end)], test, role)
    }

    /// Runs a command in a namespace, which must succeed.
    pub fn run(&self, end: End, command: &[&str]) -> String {
        let done = Command::new("ip")
            .args(["netns", "exec", self.name(end)])
            .args(command)
            .output()
            .unwrap();
        let [out, err] = [&done.stdout, &done.stderr].map(|it| String::from_utf8_lossy(it));
        assert!(done.status.success(), "{command:?} failed: {}: {out}{err}", done.status);
        out.into_owned()
    }

    /// Sets a parameter of the kernel in a namespace, by its path below `/proc/sys`.
    pub fn set(&self, end: End, knob: &str, value: &str) {
        let path = format!("/proc/sys/{knob}");
        // A redirection, because `sysctl` need not be installed.
        self.run(end, &["sh", "-c", "echo \"$1\" > \"$0\"", &path, value]);
    }

    /// Makes the kernels try again every second at least, if they can be told so (since Linux 6.15): by
    /// default they double the pause with every loss, and a test would take very long.
    pub fn hurry(&self) {
        for end in End::BOTH {
            let knob = "/proc/sys/net/ipv4/tcp_rto_max_ms";
            self.run(end, &["sh", "-c", "test ! -e \"$0\" || echo 1000 > \"$0\"", knob]);
            // A connection that a program has closed is given up at that pause, unless a number is given
            // here.
            self.set(end, "net/ipv4/tcp_orphan_retries", "100");
        }
    }

    /// Limits the packets on the cable to this size, and forbids whole blocks at once, which two
    /// neighbouring namespaces otherwise use.
    pub fn set_packet_bytes(&self, bytes: usize) {
        for end in End::BOTH {
            let bytes = bytes.to_string();
            self.run(end, &["ip", "link", "set", PLUG, "mtu", &bytes, "gso_max_segs", "1"]);
        }
    }

    /// Unplugs the cable.
    pub fn pull(&self) {
        self.run(End::Left, &["ip", "link", "set", PLUG, "down"]);
    }

    /// Plugs the cable in again.
    pub fn plug_in(&self) {
        self.run(End::Left, &["ip", "link", "set", PLUG, "up"]);
    }

    /// Loads rules for packets in a namespace; returns `false` without `nft`.
    pub fn filter(&self, end: End, rules: &str) -> bool {
        if !succeeds(&["nft", "--version"]) {
            return false;
        }
        let mut nft = Command::new("ip")
            .args(["netns", "exec", self.name(end), "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "nft refused {rules}");
        true
    }

    /// Returns the number of TCP segments that a namespace has sent again.
    pub fn retransmitted(&self, end: End) -> usize {
        let table = self.run(end, &["cat", "/proc/net/snmp"]);
        let mut rows = table.lines().filter(|line| line.starts_with("Tcp:"));
        let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
        let mut fields = names.split_whitespace().zip(values.split_whitespace());
        fields.find(|(name, _)| *name == "RetransSegs").unwrap().1.parse().unwrap()
    }
}

/// Deletes the namespaces, and with them everything in them.
struct Laid(Cable);

impl Drop for Laid {
    fn drop(&mut self) {
        for name in &self.0.names {
            succeeds(&["ip", "netns", "delete", name]);
        }
    }
}

fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
