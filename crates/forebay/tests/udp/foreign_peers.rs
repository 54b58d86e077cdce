//! Programs that are none of ours at the other end: `socat` and Python.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use forebay::{MulticastInterface, Result};
use forebay_testing::{End, PATIENCE, in_host, on_a_cable, role, run, skip};

/// Starts a program; `None`, and a line that says so, where it is not installed.
fn start(test: &str, command: &[&str]) -> Option<Program> {
    let started = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    match started {
        Ok(process) => Some(Program(process)),
        Err(error) => {
            skip(test, &format!("{}: {error}", command[0]));
            None
        }
    }
}

/// A program that is killed when the test is done with it, or has failed.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn socat_is_answered() {
    run(async |selector| {
        let server = selector.udp().bind("127.0.0.1:0").await?;
        let to = format!("UDP:{}", server.local_address());
        let Some(mut socat) = start("socat_is_answered", &["socat", "-t", "5", "-", &to]) else {
            return Ok(());
        };
        socat.0.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
        let question = server.receive().await?;
        assert_eq!(question.payload, "hello");
        server.reply(&question, "good day").await?;
        let mut answer = [0; 8];
        socat.0.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"good day");
        Ok(())
    });
}

/// It sends back each datagram, an empty one too, and says how long it was.
const PYTHON_ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(70000)
    s.sendto(data, peer)
    print(len(data), flush=True)
    if data == b'end': break
";

#[test]
fn python_sends_back_what_it_was_sent() {
    run(async |selector| {
        let command = ["python3", "-c", PYTHON_ECHO];
        let Some(mut python) = start("python_sends_back_what_it_was_sent", &command) else {
            return Ok(());
        };
        let mut lines = BufReader::new(python.0.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let port: u16 = line().parse().unwrap();
        let socket = selector.udp().connect(("127.0.0.1", port)).await?;
        for payload in [&b"one"[..], b"", &[7; 9_000], b"end"] {
            socket.send(payload).await?;
            assert_eq!(line(), payload.len().to_string());
            assert!(socket.receive().await?.payload == payload);
        }
        assert!(python.0.wait().unwrap().success());
        // Nothing listens there any more.
        socket.send("late").await?;
        assert_eq!(socket.receive().await.unwrap_err().kind(), forebay::ErrorKind::Refused);
        Ok(())
    });
}

/// A member of a group, which answers what it hears.
const PYTHON_MEMBER: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', 5000))
own = socket.inet_aton(sys.argv[1])
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.1.2.3') + own)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
print('joined', flush=True)
data, peer = s.recvfrom(100)
s.sendto(b'heard ' + data, peer)
s.sendto(b'from python', ('239.1.2.3', 5000))
";

#[test]
fn a_group_is_shared_with_python() {
    const NAME: &str = "a_group_is_shared_with_python";
    if role().is_some() {
        return in_host(with_python).unwrap();
    }
    on_a_cable(NAME, PATIENCE, |cable| cable.start(End::Left, NAME, "joins").end());
}

async fn with_python(selector: forebay::SelectorManager) -> Result<()> {
    let own = End::Left.address();
    let command = ["python3", "-c", PYTHON_MEMBER, own];
    let Some(mut python) = start("a_group_is_shared_with_python", &command) else { return Ok(()) };
    let mut line = String::new();
    BufReader::new(python.0.stdout.as_mut().unwrap()).read_line(&mut line)?;
    assert_eq!(line, "joined\n");

    let group: SocketAddr = "239.1.2.3:5000".parse().unwrap();
    let interface = MulticastInterface::Address(own.parse().unwrap());
    let member = selector.udp().reuse_address(true).bind("0.0.0.0:5000").await?;
    member.join(group.ip(), interface)?;
    let sender = selector.udp().multicast_interface(interface).bind("0.0.0.0:0").await?;
    sender.send("hello", group).await?;
    assert_eq!(sender.receive().await?.payload, "heard hello");
    assert_eq!(member.receive().await?.payload, "hello");
    assert_eq!(member.receive().await?.payload, "from python");
    assert!(python.0.wait().unwrap().success());
    Ok(())
}
