//! A handler that blocks its thread holds up its own selector and no other, and nothing of
//! what came meanwhile is lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};

use forebay::{Result, SelectorManager, Socket};
use forebay_testing::{dial, listener, watched};
use futures_lite::future::pending;

/// Sends lines back; blocks at one of them until it is let go.
async fn echo(socket: Socket, gate: Option<Receiver<()>>) -> Result<()> {
    let mut it = socket.connection()?;
    while let Some(line) = it.input.read_line().await? {
        it.output.write_strs(&[&line, "\n"]).await?;
        if let Some(gate) = gate.as_ref().filter(|_| line == "block") {
            gate.recv().unwrap();
        }
    }
    it.socket.close().await
}

/// A selector with a worker of its own that echoes, whose first handler knows the gate.
fn server(gate: Option<Receiver<()>>) -> (SelectorManager, u16) {
    let selector = SelectorManager::new();
    let server = selector.block_on(listener(&selector)).unwrap();
    let port = server.port();
    let accepting = selector.clone();
    let mut gate = gate;
    selector
        .spawn(async move {
            loop {
                accepting.spawn(echo(server.accept().await?, gate.take())).detach();
            }
        })
        .detach();
    // Something to do at all times, so that the worker's thread stays.
    selector.spawn(pending()).detach();
    (selector, port)
}

fn ask(mut peer: &TcpStream, line: &str) {
    peer.write_all(line.as_bytes()).unwrap();
    let mut answer = vec![0; line.len()];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(answer, line.as_bytes());
}

#[test]
fn a_handler_that_blocks_holds_up_its_own_selector_alone() {
    watched(|| {
        let (let_go, gate) = channel();
        let (one, blocked) = server(Some(gate));
        let (other, free) = server(None);
        let mut blocking = dial(blocked);
        ask(&blocking, "hello\n");
        let beside = dial(blocked);
        ask(&beside, "hello\n");

        blocking.write_all(b"block\nand more\n").unwrap();
        // The answer to the line is sent when the turn ends, and the turn does not end.
        for count in 0..100 {
            ask(&dial(free), &format!("round {count}\n"));
        }
        (&beside).write_all(b"patience\n").unwrap();
        let newcomer = dial(blocked);
        (&newcomer).write_all(b"patience\n").unwrap();
        blocking.set_nonblocking(true).unwrap();
        let early = blocking.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(early, Err(std::io::ErrorKind::WouldBlock));
        blocking.set_nonblocking(false).unwrap();

        let_go.send(()).unwrap();
        let mut answer = [0; 15];
        blocking.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"block\nand more\n");
        for mut peer in [beside, newcomer] {
            let mut answer = [0; 9];
            peer.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"patience\n");
        }
        drop((one, other));
    });
}
