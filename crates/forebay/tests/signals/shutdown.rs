//! The example `shutdown`: Ctrl-C ends a server in order.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use forebay_testing::{
    KIB, MIB, Server, await_that, report, size, unacknowledged_from, watched, watched_for,
};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

/// A minute for the sessions: the machine may be slow.
const LONG: &str = "60";

fn dial(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // The system takes little for a client that does not read.
    socket.set_recv_buffer_size(16 * KIB).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Starts a transfer of so many bytes.
fn request(server: &Server, bytes: usize) -> TcpStream {
    let mut client = dial(&server.address);
    writeln!(client, "{}", bytes / KIB).unwrap();
    client.read_exact(&mut [0]).unwrap();
    client
}

/// Interrupts a server while so many clients wait for the rest of as many bytes each, and has them read it
/// after that.
fn every_transfer_ends(count: usize, bytes: usize) {
    let mut server = Server::start("shutdown", &[LONG]);
    let port = server.address.parse::<SocketAddr>().unwrap().port();
    let mut idle = dial(&server.address);
    let clients: Vec<_> = (0..count).map(|_| request(&server, bytes)).collect();
    await_that("all are in transfer", || unacknowledged_from(port).len() == count);
    let in_kernel = unacknowledged_from(port).into_iter().sum::<usize>() / count;

    let since = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(server.line(), format!("Waiting for {} sessions", count + 1));
    let refused = TcpStream::connect(&server.address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "an idle session ends at once");
    let mut buffer = Vec::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        buffer.clear();
        client.read_to_end(&mut buffer).unwrap();
        assert_eq!(buffer.len(), bytes - 1, "client {number}");
    }
    drop(idle);
    assert_eq!(server.line(), "Ended 0 of them");
    assert_eq!(server.ended().code(), Some(0));
    report(&format!(
        "{count} transfers of {} KiB, of which {} were on their way at Ctrl-C: ended {:?} later",
        bytes / KIB,
        in_kernel / KIB,
        since.elapsed()
    ));
}

#[test]
fn ctrl_c_waits_for_a_thousand_transfers() {
    let bytes = size("FOREBAY_SHUTDOWN_KIB", 256, 1024) * KIB;
    watched_for(Duration::from_secs(120), move || every_transfer_ends(1000, bytes));
}

/// More than the system takes: the handlers are in the middle of writing.
#[test]
fn ctrl_c_waits_for_handlers_that_write() {
    watched(|| every_transfer_ends(8, 32 * MIB));
}

#[test]
fn a_handler_that_does_not_end_is_ended_and_its_client_sees_that() {
    watched(|| {
        let mut server = Server::start("shutdown", &["1"]);
        let mut stuck = request(&server, 1024 * MIB);
        let mut polite = request(&server, 64 * KIB);
        let since = Instant::now();
        server.signal(Signal::INT);
        assert_eq!(server.line(), "Waiting for 2 sessions");
        let mut rest = Vec::new();
        polite.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), 64 * KIB - 1);
        drop(polite);
        assert_eq!(server.line(), "Ended 1 of them");
        assert!(since.elapsed() >= Duration::from_secs(1));
        assert_eq!(server.ended().code(), Some(0));
        let error = stuck.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        report(&format!("ended {:?} after Ctrl-C", since.elapsed()));
    });
}
