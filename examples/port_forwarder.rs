//! Shows a server that passes each connection on to another address, both ways, and tells what went through.
//!
//! Run it with `cargo run -p forebay-examples --example port_forwarder 127.0.0.1:9010 127.0.0.1:9002` (the address
//! where it listens, and the one that it passes connections on to), and end it with Ctrl-C.

use std::io::{Write, stdout};
use std::time::Duration;

use forebay::{Either, Error, Result, SelectorManager, Socket, race, relay};

/// A connection on which no byte has passed for this long, either way, is reset.
const IDLE: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: port_forwarder ADDRESS TO"));
    };
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().idle_timeout(IDLE).bind(&address).await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        let forwarded = selector.group().limit(1000);
        while let Either::Left(socket) = race(server.accept(), forebay::ctrl_c()).await {
            let (socket, to) = (socket?, to.clone());
            forwarded.spawn(async move { forward(socket, &to).await });
        }
        Ok(())
    })
}

async fn forward(socket: Socket, to: &str) -> Result<()> {
    let mut client = socket.connection()?;
    let builder = socket.selector().tcp().idle_timeout(IDLE);
    // The client sees a reset if nothing answers there, and not an empty answer.
    client.output.abort_on_drop();
    let mut server = builder.connect(to).await?.connection()?;
    let (sent, received) = relay(&mut client, &mut server).await?;
    writeln!(stdout(), "{}: {sent} bytes there, {received} back", socket.remote_address())?;
    Ok(())
}
