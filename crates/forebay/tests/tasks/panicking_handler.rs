//! One of a hundred handlers panics.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use forebay::{Connection, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{dial, listener, read_to_end, report, until_at_rest, watched};

const CLIENTS: usize = 100;
const VICTIM: usize = 37;

/// Sends lines back through a second connection, to an upstream server, and panics when told to.
async fn relay(socket: Socket, selector: SelectorManager, upstream: u16) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    let mut behind = selector.tcp().connect(("127.0.0.1", upstream)).await?.connection()?;
    behind.output.write_str("begun\n").await?;
    while let Some(line) = input.read_line().await? {
        output.write_strs(&[&line, "\n"]).await?;
        behind.output.write_strs(&[&line, "\n"]).await?;
        assert_ne!(line, "panic", "the handler panics");
    }
    behind.socket.close().await?;
    socket.close().await
}

async fn serve(server: ServerSocket, selector: SelectorManager, upstream: u16) -> Result<()> {
    while let Some(socket) = server.incoming().next().await {
        selector.spawn(relay(socket?, selector.clone(), upstream)).detach();
    }
    Ok(())
}

fn ask(mut peer: &TcpStream, line: &str) {
    let line = format!("{line}\n");
    peer.write_all(line.as_bytes()).unwrap();
    let mut answer = vec![0; line.len()];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(answer, line.as_bytes());
}

#[test]
fn a_panic_in_one_of_a_hundred_handlers_resets_its_sockets_alone() {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let notes = Arc::clone(&told);
    watched(move || {
        let builder = SelectorManager::builder()
            .on_task_error(move |error| notes.lock().unwrap().push(error.to_string()));
        let checked = builder.run(async |selector| {
            let server = listener(&selector).await?;
            let port = server.port();
            let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
            let behind = upstream.local_addr().unwrap().port();
            let serving = selector.spawn(serve(server.clone(), selector.clone(), behind));
            let peers = selector.spawn_blocking(move || peers(port, &upstream));
            peers.await?;
            server.close();
            serving.await?;
            until_at_rest(&selector, 0).await;
            assert_eq!(selector.spawn_value(async { "usable" }).await?, "usable");
            Result::Ok(())
        });
        checked.unwrap();
    });
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the handler panics"), "{told:?}");
    report(&format!("{} of {CLIENTS} connections outlived the panic", CLIENTS - 1));
}

fn peers(port: u16, upstream: &TcpListener) {
    let mut pairs: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let peer = dial(port);
            (peer, upstream.accept().unwrap().0)
        })
        .collect();
    for (peer, _) in &pairs {
        ask(peer, "before");
    }

    let (mut victim, mut behind) = pairs.remove(VICTIM);
    victim.write_all(b"panic\nand more\n").unwrap();
    for (peer, _) in &pairs {
        ask(peer, "after");
    }
    // What was on its way to either may have come or not; a clean end must not.
    for (peer, whole) in [(&mut victim, "panic\n"), (&mut behind, "begun\nbefore\npanic\n")] {
        let (bytes, error) = read_to_end(peer);
        assert_eq!(error.expect("a clean end").kind(), IoKind::ConnectionReset);
        assert!(whole.as_bytes().starts_with(&bytes), "{bytes:?}");
    }

    // A new client is served, and those that were there can end as they like.
    let newcomer = dial(port);
    ask(&newcomer, "hello");
    drop(newcomer);
    for (peer, _) in &pairs {
        peer.shutdown(Shutdown::Write).unwrap();
    }
    for (mut peer, mut behind) in pairs {
        assert!(read_to_end(&mut peer).1.is_none());
        assert_eq!(read_to_end(&mut behind).0, b"begun\nbefore\nafter\n");
    }
}
