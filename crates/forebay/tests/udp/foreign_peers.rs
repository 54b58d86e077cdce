//! Programs of other projects at the other end: `socat` and Python.

#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::process::Command;

use forebay::{ErrorKind, MulticastInterface, Result, SelectorManager};
use forebay_testing::foreign::{Foreign, piped};
use forebay_testing::{End, PATIENCE, in_host, on_a_cable, role, run};

#[test]
fn socat_is_answered() {
    run(async |selector| {
        let server = selector.udp().bind("127.0.0.1:0").await?;
        let to = format!("UDP:{}", server.local_address());
        let mut command = Command::new("socat");
        let Some(mut socat) =
            Foreign::start("socat_is_answered", piped(command.args(["-t", "5", "-", &to])))
        else {
            return Ok(());
        };
        socat.say("hello");
        let question = server.receive().await?;
        assert_eq!(question.payload, "hello");
        server.reply(&question, "good day").await?;
        socat.hear("good day");
        Ok(())
    });
}

/// It sends back each datagram, an empty one too, and says how long it was.
const PYTHON_ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print('at port', s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(70000)
    s.sendto(data, peer)
    print('heard', len(data), flush=True)
    if data == b'end': break
";

fn python(test: &str, program: &str, argument: &str) -> Option<Foreign> {
    Foreign::start(test, piped(Command::new("python3").args(["-c", program, argument])))
}

#[test]
fn python_sends_back_what_it_was_sent() {
    run(async |selector| {
        let Some(mut python) = python("python_sends_back_what_it_was_sent", PYTHON_ECHO, "") else {
            return Ok(());
        };
        let port: u16 = python.hear_line("at port ").parse().unwrap();
        let socket = selector.udp().connect(("127.0.0.1", port)).await?;
        for payload in [&b"one"[..], b"", &[7; 9_000], b"end"] {
            socket.send(payload).await?;
            assert_eq!(python.hear_line("heard "), payload.len().to_string());
            assert!(socket.receive().await?.payload == payload);
        }
        python.end_well();
        // Nothing listens there any more.
        socket.send("late").await?;
        assert_eq!(socket.receive().await.unwrap_err().kind(), ErrorKind::Refused);
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

async fn with_python(selector: SelectorManager) -> Result<()> {
    let own = End::Left.address();
    let Some(mut python) = python("a_group_is_shared_with_python", PYTHON_MEMBER, own) else {
        return Ok(());
    };
    python.hear("joined");
    let group: SocketAddr = "239.1.2.3:5000".parse().unwrap();
    let interface = MulticastInterface::Address(own.parse().unwrap());
    let member = selector.udp().reuse_address(true).bind("0.0.0.0:5000").await?;
    member.join(group.ip(), interface)?;
    let sender = selector.udp().multicast_interface(interface).bind("0.0.0.0:0").await?;
    sender.send("hello", group).await?;
    assert_eq!(sender.receive().await?.payload, "heard hello");
    assert_eq!(member.receive().await?.payload, "hello");
    assert_eq!(member.receive().await?.payload, "from python");
    python.end_well();
    Ok(())
}
