//! All system calls of a worker's thread, counted from outside, by `strace`: the one that waits for events, a receive
//! and a send for each request, and no other.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use forebay::{Result, SelectorManager};
use forebay_testing::{Child, Log, PATIENCE, dial, listener, report, role, say, skip, watched};

use super::Session;

const NAME: &str = "a_request_takes_two_system_calls";
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 20;
/// The bytes that the worker sends before it is held.
const HELD: &[u8] = b"held";

#[test]
fn a_request_takes_two_system_calls() {
    if let Some(role) = role() {
        let (session, gate) = role.split_once(' ').unwrap();
        let session = Session::ALL.into_iter().find(|it| format!("{it:?}") == session);
        return serve(session.unwrap(), gate.parse().unwrap()).unwrap();
    }
    let log = Log::new(NAME);
    if !Child::can_trace(&strace_to(&log)) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    watched(move || {
        for (session, lines) in
            [(Session::Echo, 2), (Session::Lines, 1), (Session::LinesTogether, 16)]
        {
            // Besides the requests: the order to be held is received, and answered, and the release is received.
            let expected = BTreeMap::from([
                ("epoll_wait".to_owned(), 2 * ROUNDS),
                ("recvfrom".to_owned(), (CONNECTIONS + 2) * ROUNDS),
                ("sendto".to_owned(), (CONNECTIONS + 1) * ROUNDS),
            ]);
            // The kernel of a busy machine may bring a request behind the release. It is not so busy each time.
            let mut calls = BTreeMap::new();
            for _ in 0..5 {
                trace(session, lines, &log);
                calls = calls_between_holds(&log.lines());
                report(&format!(
                    "{session:?}: {calls:?} for {ROUNDS} rounds of {CONNECTIONS} requests"
                ));
                if calls == expected {
                    break;
                }
            }
            assert_eq!(calls, expected, "{session:?}");
        }
    });
}

fn strace_to(log: &Log) -> [&str; 4] {
    ["strace", "-f", "-o", log.path()]
}

/// Runs the server, and holds its worker while a round of requests is sent, so that it finds them together.
fn trace(session: Session, lines: usize, log: &Log) {
    let gates = TcpListener::bind("127.0.0.1:0").unwrap();
    let role = format!("{session:?} {}", gates.local_addr().unwrap().port());
    let mut server = Child::start_under(&strace_to(log), NAME, &role);
    let port = server.hear_number();
    let (mut orders, mut gate) = (dial(port), gates.accept().unwrap().0);
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| dial(port)).collect();
    for stream in clients.iter().chain([&gate]) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let mut request = session.request(lines);
    // In the first round memory is allocated that is kept from then on. The last hold only ends the counting.
    for round in 0..=ROUNDS + 1 {
        let clients = if round <= ROUNDS { &clients[..] } else { &[] };
        orders.write_all(b"hold\n").unwrap();
        gate.read_exact(&mut [0; HELD.len()]).unwrap();
        for client in clients {
            request.send(client).unwrap();
        }
        gate.write_all(b".").unwrap();
        for client in clients {
            request.receive_answer(client).unwrap();
        }
    }
    drop((orders, clients));
    server.end();
}

/// Counts the calls of the thread that is held, from its second hold to its last one. A line of the trace begins with
/// the thread, and a call that another thread has interrupted has a second line, `<... recvfrom resumed>`.
fn calls_between_holds(lines: &[String]) -> BTreeMap<String, usize> {
    let is_hold = |line: &str| line.contains("sendto(") && line.contains("\"held\"");
    let thread = lines.iter().find(|line| is_hold(line)).unwrap().split_once(' ').unwrap().0;
    let own = lines
        .iter()
        .filter_map(|line| Some(line.strip_prefix(thread)?.strip_prefix(' ')?.trim_start()));
    let own: Vec<_> = own.skip_while(|line| !is_hold(line)).skip(1).collect();
    let second = own.iter().position(|line| is_hold(line)).unwrap();
    let last = own.iter().rposition(|line| is_hold(line)).unwrap();
    let mut calls = BTreeMap::new();
    for (call, _) in own[second..last].iter().filter_map(|line| line.split_once('(')) {
        // glibc has `epoll_wait` call this on aarch64.
        let call = if call == "epoll_pwait" { "epoll_wait" } else { call };
        if !call.starts_with('<') {
            *calls.entry(call.to_owned()).or_default() += 1;
        }
    }
    calls
}

fn serve(session: Session, gate: u16) -> Result<()> {
    // Neither what it looks for before it sleeps nor the thread that watches its polls is what a request takes.
    let builder = SelectorManager::builder().workers(1).spin(false).blocked_after(None);
    builder.run(async |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let mut gate = TcpStream::connect(("127.0.0.1", gate))?;
        let mut orders = server.accept().await?.connection()?;
        for _ in 0..CONNECTIONS {
            selector.spawn(session.serve(server.accept().await?)).detach();
        }
        while orders.input.read_line_ref().await?.is_some() {
            gate.write_all(HELD)?;
            // On the worker's own thread, which is the point.
            gate.read_exact(&mut [0])?;
        }
        Ok(())
    })
}
