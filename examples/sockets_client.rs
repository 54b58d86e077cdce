//! Shows a client that copies standard input to a server, and the server's answers to standard
//! output. It ends when either side ends.
//!
//! Run it with `cargo run -p forebay-examples --example sockets_client [HOST:PORT]` (default 127.0.0.1:9002), with
//! `sockets_server` running.

use forebay::{ErrorKind, SelectorManager};

fn main() -> forebay::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    forebay::run(async |selector: SelectorManager| {
        let socket = selector.tcp().connect(&address).await?;
        let mut from_server = socket.open_read_channel()?;
        let mut to_server = socket.open_write_channel()?;
        let mut input = selector.blocking_reader(std::io::stdin());
        let mut output = selector.blocking_writer(std::io::stdout());

        // Detached: standard input may never end, and must not keep the program alive.
        let sending = selector.spawn(async move {
            input.copy_to(&mut to_server).await?;
            to_server.finish().await
        });
        let received = from_server.copy_to(&mut output).await;
        sending.detach();
        output.finish().await?;
        socket.close().await.or_else(ended_by_server)?;
        received.map(drop)
    })
}

/// Treats a server that is gone already as an end like any other.
fn ended_by_server(error: forebay::Error) -> forebay::Result<()> {
    if error.kind() == ErrorKind::Reset { Ok(()) } else { Err(error) }
}
