//! A peer marks bytes as urgent (`MSG_OOB`), with data before and behind the mark. The
//! urgent byte is left out of the stream, everything else arrives, and the process does not spin,
//! whatever waits and whatever has not been received.
//!
//! How receives go on behind the mark is seen in `faults/readiness.rs`; here the time is measured that a
//! process of its own spends.

#![cfg(target_os = "linux")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use forebay::{Connection, Result, SelectorManager, Socket};
use forebay_testing::{
    Child, connection, dial, listener, pattern, processor_time_of, read_to_end, report, role, run,
    say, sleeps, wait_for, watched,
};
use socket2::SockRef;

const NAME: &str = "urgent_bytes_are_left_out_and_nobody_spins";
/// The time for which the process is observed.
const LOOK: Duration = Duration::from_millis(300);
/// The part of that time that it may spend on a processor: one that spins spends all of it.
const PART_MAX: u32 = 20;

/// A peer's way of sending.
type Send = fn(&mut TcpStream);

#[test]
fn urgent_bytes_are_left_out_and_nobody_spins() {
    if let Some(role) = role() {
        return serve(role);
    }
    watched(|| {
        lines_around_the_mark();
        let cases: [(_, _, Send); 4] = [
            ("lines", "a reader waits, the urgent byte alone", |peer| urgent(peer, 1)),
            ("lines", "a reader waits, half a line around the mark", |peer| {
                peer.write_all(b"before").unwrap();
                urgent(peer, 1);
                peer.write_all(b"behind").unwrap();
            }),
            ("lines", "a hundred marks, one after the other", |peer| urgent(peer, 100)),
            ("nobody reads", "nobody reads", |peer| {
                peer.write_all(&pattern(1000)).unwrap();
                urgent(peer, 3);
                peer.write_all(&pattern(1000)).unwrap();
            }),
        ];
        for (role, name, send) in cases {
            sees_no_spinning(role, name, send);
        }
    });
}

fn urgent(peer: &mut TcpStream, count: usize) {
    for _ in 0..count {
        assert_eq!(SockRef::from(&*peer).send_out_of_band(b"!").unwrap(), 1);
    }
}

/// Lines with marks before, inside and behind them, each of them answered.
fn lines_around_the_mark() {
    let mut server = Child::start(NAME, "lines");
    let mut peer = dial(server.hear_number());
    let mut answers = BufReader::new(peer.try_clone().unwrap()).lines();
    let mut said = 0;
    for round in 0..200 {
        let line = format!("line {round}\n");
        let (before, behind) = line.split_at(round % line.len());
        peer.write_all(before.as_bytes()).unwrap();
        urgent(&mut peer, 1);
        peer.write_all(behind.as_bytes()).unwrap();
        assert_eq!(answers.next().unwrap().unwrap() + "\n", line);
        said += 1;
    }
    peer.write_all(b"last").unwrap();
    urgent(&mut peer, 1);
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "last");
    assert!(answers.next().is_none());
    report(&format!("{NAME}: {said} lines around a mark, none with a `!`"));
    server.end();
}

/// Once everything was sent and has arrived, the process sleeps, and goes on sleeping.
fn sees_no_spinning(role: &str, name: &str, send: Send) {
    let mut server = Child::start(NAME, role);
    let mut peer = dial(server.hear_number());
    assert_eq!(server.hear().as_deref(), Some("accepted"));
    send(&mut peer);
    wait_for(|| connection(&peer).is_some_and(|it| it.unacknowledged == 0));
    wait_for(|| sleeps(server.id()));
    let (began, before) = (Instant::now(), processor_time_of(server.id()));
    // How long it goes on sleeping is what is looked at.
    thread::sleep(LOOK);
    let (looked, after) = (began.elapsed(), processor_time_of(server.id()));
    assert!(before > Duration::ZERO, "this kernel does not tell");
    let spent = after.saturating_sub(before);
    report(&format!("{NAME}: {name}: {spent:?} of {looked:?}"));
    assert!(spent < looked / PART_MAX, "it spins");

    // And it still answers.
    if role == "lines" {
        peer.write_all(b"\n").unwrap();
        let mut answer = [0; 1];
        peer.read_exact(&mut answer).unwrap();
    }
    peer.shutdown(Shutdown::Write).unwrap();
    server.end();
    // A clean end, also where nothing was read.
    assert!(read_to_end(&mut peer).1.is_none());
}

// ---- the child ----------------------------------------------------------------------------------

fn serve(role: String) {
    run(async move |selector: SelectorManager| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let socket = server.accept().await?;
        say("accepted");
        if role == "lines" {
            return answer(socket).await;
        }
        // Until the test lets it: then it closes with all that unread.
        selector.blocking_reader(io::stdin()).discard(u64::MAX).await?;
        socket.close().await
    });
}

async fn answer(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    while let Some(line) = input.read_line().await? {
        forebay::write_line!(output, "{line}").await?;
    }
    socket.close().await
}
