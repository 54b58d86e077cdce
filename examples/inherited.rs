//! Shows a server whose listening socket was opened by another program: a service manager, or the server that this
//! one replaces. Clients that connect before the server runs wait, and a new server takes over without refusing one.
//!
//! Run it with
//!
//! ```sh
//! cargo build --examples
//! systemd-socket-activate -l 127.0.0.1:9006 --fdname=echo target/debug/examples/inherited
//! ```
//!
//! and talk to it with `nc 127.0.0.1 9006`. Any other program can open the socket as well: it hands it on as
//! descriptor 3 and sets `LISTEN_FDS=1`, `LISTEN_FDNAMES=echo`, and `LISTEN_PID` to the number of the new process.

use std::io::{Write, stdout};

use forebay::{SelectorManager, ServerSocket, Socket};

fn main() -> forebay::Result<()> {
    forebay::run(async |selector: SelectorManager| {
        let server = ServerSocket::from_env(selector.tcp(), "echo")?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        loop {
            let socket = server.accept().await?;
            selector.spawn(echo(socket));
        }
    })
}

async fn echo(socket: Socket) -> forebay::Result<()> {
    let mut connection = socket.connection()?;
    while let Some(line) = connection.input.read_line().await? {
        forebay::write_line!(connection.output, "{line}").await?;
    }
    connection.socket.close().await
}
