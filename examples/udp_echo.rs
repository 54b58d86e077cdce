//! Shows a UDP server that sends every datagram back to its sender, from the address that was asked.
//!
//! Run it with `cargo run -p forebay-examples --example udp_echo [HOST:PORT]` (default 127.0.0.1:9005; port 0 takes
//! any free one) and talk to it with `nc -u 127.0.0.1 9005`.

use std::io::{Write, stdout};

use forebay::SelectorManager;

fn main() -> forebay::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9005".to_owned());
    forebay::run(async |selector: SelectorManager| {
        let server = selector.udp().bind(&address).await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        loop {
            let datagram = server.receive().await?;
            // One that cannot be answered, because its sender has gone to another network, is not the server's
            // end.
            if let Err(error) = server.reply(&datagram, &datagram.payload).await {
                eprintln!("{error}");
            }
        }
    })
}
