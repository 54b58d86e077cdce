//! Peers that reset their connection before it is accepted. It is accepted all the same
//! (RFC 9293 knows nothing of `accept`), and its handler ends by the first call that meets the
//! reset, whichever it is.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use forebay::{ByteReadChannel, ByteWriteChannel, ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{are_gone, dial, listener, report, reset, until_at_rest, wait_for, watched};

const CLIENTS: usize = 60;

/// A handler's treatment of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Reads first: `ECONNRESET`.
    Receive,
    /// Writes first: `EPIPE` or `ECONNRESET`.
    Send,
    /// Writes, goes on to read, and finishes.
    Greet,
    /// Nothing but close.
    Close,
}

const ALL: [Does; 4] = [Does::Receive, Does::Send, Does::Greet, Does::Close];

async fn handle(socket: Socket, does: Does) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    match does {
        Does::Receive => echo_line(&mut input, &mut output).await?,
        Does::Send => {
            output.write_str("hello\n").await?;
            output.flush().await?;
            echo_line(&mut input, &mut output).await?;
        }
        Does::Greet => {
            output.write_str("hello\n").await?;
            while let Some(line) = input.read_line().await? {
                output.write_str(&line).await?;
            }
        }
        Does::Close => {}
    }
    socket.close().await
}

async fn echo_line(input: &mut ByteReadChannel, output: &mut ByteWriteChannel) -> Result<()> {
    let line = input.read_line().await?.unwrap_or_default();
    output.write_str(&line).await
}

/// Connects and resets; gives the two addresses as the server's side sees them.
fn come_and_go(port: u16) -> (SocketAddr, SocketAddr) {
    let peer = dial(port);
    let ends = (peer.peer_addr().unwrap(), peer.local_addr().unwrap());
    reset(peer);
    ends
}

#[test]
fn each_handler_ends_by_the_reset_and_the_honest_are_served() {
    let told = Arc::<Mutex<Vec<ErrorKind>>>::default();
    let notes = Arc::clone(&told);
    watched(move || {
        let builder = SelectorManager::builder()
            .on_task_error(move |error| notes.lock().unwrap().push(error.kind()));
        builder.run(serve).unwrap();
    });
    let told = told.lock().unwrap();
    report(&format!("{} handlers ended by a reset", told.len()));
    assert_eq!(*told, vec![ErrorKind::Reset; CLIENTS]);
}

async fn serve(selector: SelectorManager) -> Result<()> {
    let server = listener(&selector).await?;
    let (mut honest, mut gone) = (Vec::new(), Vec::new());
    for count in 0..CLIENTS {
        gone.push(come_and_go(server.port()));
        if count % 10 == 0 {
            honest.push(dial(server.port()));
        }
    }
    // Before the first is accepted, this side's kernel knows of every reset.
    wait_for(|| are_gone(&gone));
    let mut peers = honest.iter().map(|peer| peer.local_addr().unwrap().into()).collect::<Vec<_>>();
    for count in 0..CLIENTS + honest.len() {
        let socket = server.accept().await?;
        let is_honest = peers.contains(&socket.remote_address());
        peers.retain(|peer| *peer != socket.remote_address());
        let does = if is_honest { Does::Send } else { ALL[count % ALL.len()] };
        selector.spawn(handle(socket, does)).detach();
    }
    assert!(peers.is_empty(), "not accepted: {peers:?}");
    let clients = selector.spawn_blocking(move || {
        for mut peer in honest {
            peer.write_all(b"ping\n").unwrap();
            let mut answer = [0; 10];
            peer.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"hello\nping");
        }
    });
    clients.await?;
    server.close();
    until_at_rest(&selector, 0).await;
    assert_eq!(selector.stats().accepted, (CLIENTS + CLIENTS / 10) as u64);
    assert_eq!(selector.stats().task_errors, CLIENTS as u64);
    Ok(())
}
