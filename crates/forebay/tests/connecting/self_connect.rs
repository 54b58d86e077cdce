//! Connecting to an ephemeral port without a listener may connect the socket to itself (RFC 9293,
//! section 3.5): that is refused, and not an echo of oneself.
//!
//! The kernel is made to do so in a network namespace of its own, where it has two ports to choose
//! from.

#![cfg(target_os = "linux")]

use std::io::ErrorKind as IoKind;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use forebay::ErrorKind;
use forebay_testing::{Child, report, role, run, say, skip, until_at_rest, watched};

const NAME: &str = "a_socket_is_never_connected_to_itself";
const PORTS: [u16; 2] = [50_000, 50_001];
const ATTEMPTS: usize = 500;
/// Gives the namespace its loopback and its two ports, and goes on as the command behind it.
const PREPARE: &str = "ip link set lo up \
    && echo 50000 50001 > /proc/sys/net/ipv4/ip_local_port_range && exec \"$0\" \"$@\"";
/// With the rights of root, or with those that a user has in a namespace of users.
const NAMESPACES: [&[&str]; 2] =
    [&["unshare", "-n", "sh", "-c", PREPARE], &["unshare", "-rn", "sh", "-c", PREPARE]];

#[test]
fn a_socket_is_never_connected_to_itself() {
    match role().as_deref() {
        Some("std") => return say(&itself_by_std().to_string()),
        Some("ours") => return say(&refused_as_itself("127.0.0.1").to_string()),
        // It stands for this machine, and is not the address that the system connects to.
        Some(_) => return say(&refused_as_itself("0.0.0.0").to_string()),
        None => {}
    }
    let Some(namespace) = NAMESPACES.into_iter().find(|namespace| works(namespace)) else {
        return skip(
            "self_connect",
            "no network namespace to be had: neither root nor unshare -rn",
        );
    };
    watched(move || {
        let [by_std, refused, unspecified]: [usize; 3] =
            ["std", "ours", "to 0.0.0.0"].map(|role| {
                // Each in its own namespace: the ports of a connection that was closed rest a while.
                let mut child = Child::start_under(namespace, NAME, role);
                let count = child.hear_number();
                child.end();
                count
            });
        report(&format!(
            "{NAME}: of {ATTEMPTS} attempts std was connected to itself in {by_std}; ours were all \
             refused, {refused} of them because of that, and {unspecified} at 0.0.0.0"
        ));
        // The kernel does it here, so the test shows something.
        assert!(by_std > 0 && refused > 0 && unspecified > 0);
    });
}

fn works(namespace: &[&str]) -> bool {
    Command::new(namespace[0])
        .args(&namespace[1..])
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Counts how often the standard library is connected to itself.
fn itself_by_std() -> usize {
    let connected = (0..ATTEMPTS).filter_map(|attempt| {
        TcpStream::connect(("127.0.0.1", PORTS[attempt % 2]))
            .inspect_err(|error| assert_eq!(error.kind(), IoKind::ConnectionRefused))
            .ok()
    });
    connected.filter(|it| it.local_addr().unwrap() == it.peer_addr().unwrap()).count()
}

/// Counts how often our attempt is refused because it was connected to itself; it is always refused.
fn refused_as_itself(host: &'static str) -> usize {
    run(async move |selector| {
        let mut count = 0;
        for attempt in 0..ATTEMPTS {
            let port = PORTS[attempt % 2];
            let error = selector.tcp().connect((host, port)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            assert!(error.to_string().contains(&format!("{host}:{port}")), "{error}");
            count += usize::from(error.to_string().contains("connected to itself"));
        }
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().connected, 0);
        Ok(count)
    })
}
