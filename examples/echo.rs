//! Shows a server that sends everything back, in bounded memory whatever its clients do.
//!
//! Run it with `cargo run -p forebay-examples --example echo [HOST:PORT]` (default 127.0.0.1:9003; port 0 takes any
//! free one) and talk to it with `nc 127.0.0.1 9003`.

use std::io::{Write, stdout};

use forebay::{SelectorManager, Socket};

fn main() -> forebay::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9003".to_owned());
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind(&address).await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        loop {
            let socket = server.accept().await?;
            selector.spawn(echo(socket));
        }
    })
}

async fn echo(socket: Socket) -> forebay::Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}
