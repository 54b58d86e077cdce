//! Each datagram takes one system call to be received and one to be sent: counted from outside, by `strace`, and
//! compared with what the selector says.

#![cfg(target_os = "linux")]

use std::io;
use std::net::UdpSocket;

use forebay::{BoundDatagramSocket, Error, Result};
use forebay_testing::{Child, Log, PATIENCE, report, role, say, skip, watched};

const NAME: &str = "a_datagram_takes_one_receive_and_its_answer_one_send";
/// As many as fit into a socket's buffer on any machine.
const BURST: u8 = 32;
const BURSTS: usize = 10;
const ECHOES: usize = BURST as usize * BURSTS;

#[test]
fn a_datagram_takes_one_receive_and_its_answer_one_send() {
    if role().is_some() {
        return echo_until_told().unwrap();
    }
    let log = Log::new(NAME);
    if !Child::can_trace(&strace_to(&log)) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    watched(move || {
        let mut server = Child::start_under(&strace_to(&log), NAME, "server");
        exchange(server.hear_number());
        server.tell("that was all");
        let counted: [usize; 2] = [server.hear_number(), server.hear_number()];
        server.end();
        assert_eq!(counted, [ECHOES; 2]);

        // Behind the last call that prepares the socket.
        let lines = log.lines();
        let calls = lines.iter().rev().take_while(|line| !line.contains("getsockname("));
        let calls: Vec<_> = calls.filter(|line| line.contains("<UDP:")).collect();
        let count = |call: &str| calls.iter().filter(|line| line.contains(call)).count();
        let (receives, sends) = (count("recvfrom("), count("sendto("));
        let vain = calls.iter().filter(|line| line.contains("EAGAIN")).count();
        report(&format!(
            "{ECHOES} echoes: {sends} sends, {receives} receives, {vain} of them in vain"
        ));
        assert_eq!((sends, receives - vain), (ECHOES, ECHOES));
        assert_eq!(calls.len(), sends + receives, "{calls:#?}");
        // One before each wait: at most one wait for each datagram, and the first and the last.
        assert!(vain <= ECHOES + 2, "{vain} receives in vain");
    });
}

fn strace_to(log: &Log) -> [&str; 7] {
    ["strace", "-f", "-yy", "-e", "trace=network", "-o", log.path()]
}

fn exchange(port: u16) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.connect(("127.0.0.1", port)).unwrap();
    for _ in 0..BURSTS {
        for number in 0..BURST {
            peer.send(&[number; 64]).unwrap();
        }
        for number in 0..BURST {
            let mut answer = [0; 100];
            assert_eq!(peer.recv(&mut answer).unwrap(), 64);
            assert_eq!(answer[..64], [number; 64]);
        }
    }
}

fn echo_until_told() -> Result<()> {
    forebay::run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        say(&socket.local_address().port().to_string());
        let echo = selector.spawn(echo(socket));
        selector.blocking_reader(io::stdin()).read_line().await?;
        echo.abort();
        let stats = selector.stats();
        say(&stats.receives.to_string());
        say(&stats.sends.to_string());
        Ok::<_, Error>(())
    })
}

async fn echo(socket: BoundDatagramSocket) -> Result<()> {
    loop {
        let datagram = socket.receive().await?;
        socket.reply(&datagram, &datagram.payload).await?;
    }
}
