//! A server that writes and returns, in `block_on` and in `run`: the bytes arrive, although nothing
//! is awaited any more; even where the process ends right behind it, as far as that is promised.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::exit;
use std::sync::mpsc;
use std::thread;

use forebay::{ByteWriteChannel, Result, SelectorManager, Socket};
use forebay_testing::{
    Child, KIB, MIB, alone, listener, pattern, read_to_end, report, role, say, wait_for, watched,
    witness::{Witness, on_a_thread},
};
use socket2::{Domain, Type};

/// A word; what one send takes; what the kernel does not take before the peer reads.
const LENGTHS: [usize; 3] = [5, 5 * KIB, MIB];

/// The function that the server runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    Run,
    BlockOn,
}

const HOSTS: [Host; 2] = [Host::Run, Host::BlockOn];

/// Says where it listens, serves one peer, and returns.
fn serve(host: Host, closes: bool, length: usize, listening: impl FnOnce(u16)) {
    let main = async |selector: SelectorManager| {
        let server = listener(&selector).await?;
        listening(server.port());
        let (socket, _output) = accept_and_write(&server, length).await?;
        if closes { socket.close().await } else { Ok(()) }
    };
    match host {
        Host::Run => forebay::run(main).unwrap(),
        Host::BlockOn => {
            let selector = SelectorManager::new();
            selector.block_on(main(selector.clone())).unwrap();
        }
    }
}

async fn accept_and_write(
    server: &forebay::ServerSocket,
    length: usize,
) -> Result<(Socket, ByteWriteChannel)> {
    let socket = server.accept().await?;
    let mut output = socket.open_write_channel()?;
    output.write_all(&pattern(length)).await?;
    Ok((socket, output))
}

/// Connects with small segments and a small window, as over a wire: with loopback's own the kernel
/// would take a megabyte at once.
fn dial(port: u16) -> TcpStream {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(1400).unwrap();
    socket.set_recv_buffer_size(16 * KIB).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.into()
}

/// Asserts that the peer is given exactly this, and a clean end.
fn receive(mut peer: TcpStream, length: usize) {
    let (bytes, error) = read_to_end(&mut peer);
    assert!(error.is_none(), "{error:?} behind {} of {length} bytes", bytes.len());
    assert!(bytes == pattern(length), "{} of {length} bytes", bytes.len());
}

#[test]
fn to_a_peer_in_another_thread() {
    alone("to_a_peer_in_another_thread", || {
        watched(|| {
            let mut witness = Witness::look();
            // The first round is the warm-up.
            for _ in 0..5 {
                witness = witness.again();
                for (host, length) in every_host_and_length() {
                    let (port, listening) = mpsc::channel();
                    let peer =
                        thread::spawn(move || receive(dial(listening.recv().unwrap()), length));
                    on_a_thread(|| serve(host, false, length, |at| port.send(at).unwrap()));
                    peer.join().unwrap();
                }
            }
            witness.all_as_before();
        });
    });
}

#[test]
fn to_a_peer_in_another_process() {
    alone("to_a_peer_in_another_process", || {
        const NAME: &str = "to_a_peer_in_another_process";
        if let Some(role) = role() {
            let (port, length) = role.split_once(' ').unwrap();
            receive(dial(port.parse().unwrap()), length.parse().unwrap());
            return say("received");
        }
        watched(|| {
            let witness = Witness::look();
            for (host, length) in every_host_and_length() {
                let mut peer = None;
                on_a_thread(|| {
                    serve(host, false, length, |port| {
                        peer = Some(Child::start(NAME, &format!("{port} {length}")));
                    });
                });
                let mut peer = peer.unwrap();
                assert_eq!(peer.hear().as_deref(), Some("received"));
                peer.end();
            }
            witness.all_as_before();
        });
    });
}

/// Nothing is dropped, and nothing awaited: what was written is sent all the same.
#[test]
fn with_its_handles_kept() {
    alone("with_its_handles_kept", || {
        watched(|| {
            let mut witness = Witness::look();
            for _ in 0..5 {
                witness = witness.again();
                for length in LENGTHS {
                    on_a_thread(|| keep_handles(length, &witness));
                }
            }
            witness.all_as_before();
        });
    });
}

fn keep_handles(length: usize, witness: &Witness) {
    let selector = SelectorManager::new();
    let server = selector.block_on(listener(&selector)).unwrap();
    let mut peer = dial(server.port());
    let handles = selector.block_on(accept_and_write(&server, length)).unwrap();
    let mut bytes = vec![0; length];
    peer.read_exact(&mut bytes).unwrap();
    assert!(bytes == pattern(length));
    drop((handles, server));
    assert_eq!(read_to_end(&mut peer).0, b"");
    drop(peer);
    witness.at_rest(&selector);
}

/// `run` waits until everything has arrived. `block_on` has sent, before it returns, what the kernel
/// takes; for more than that the program must await the close.
#[test]
fn from_a_process_that_ends_at_once() {
    alone("from_a_process_that_ends_at_once", || {
        const NAME: &str = "from_a_process_that_ends_at_once";
        if let Some(role) = role() {
            let words: Vec<_> = role.split(' ').collect();
            let host = if words[0] == "run" { Host::Run } else { Host::BlockOn };
            serve(host, words[1] == "close", words[2].parse().unwrap(), |at| say(&at.to_string()));
            exit(0);
        }
        watched(|| {
            let witness = Witness::look();
            for (host, closes, lengths) in [
                ("run", "drop", &LENGTHS[..]),
                ("block_on", "drop", &LENGTHS[..2]),
                ("block_on", "close", &LENGTHS[..]),
            ] {
                for length in lengths {
                    let mut server = Child::start(NAME, &format!("{host} {closes} {length}"));
                    let peer = dial(server.hear_number());
                    if host == "block_on" && closes == "drop" {
                        // It does not wait for the peer, which is as late as it can be.
                        wait_for(|| has_ended(&server));
                    }
                    receive(peer, *length);
                    server.end();
                }
            }
            witness.all_as_before();
            report(&format!("{NAME}: nothing was lost behind it"));
        });
    });
}

/// True when the process has ended, and only its parent has not asked for its status yet.
fn has_ended(process: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z'))
}

fn every_host_and_length() -> impl Iterator<Item = (Host, usize)> {
    HOSTS.into_iter().flat_map(|host| LENGTHS.map(|length| (host, length)))
}
