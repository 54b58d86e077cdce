//! Shows a server that greets its clients by name, any number of them at a time.
//!
//! Run it with `cargo run -p forebay-examples --example sockets_server [HOST:PORT]` (default 127.0.0.1:9002; port 0
//! takes any free one) and talk to it with `nc 127.0.0.1 9002`.

use forebay::SelectorManager;

fn main() -> forebay::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".to_owned());
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind(&address).await?;
        println!("Server is listening at {}", server.local_address());
        loop {
            let socket = server.accept().await?;
            println!("Accepted {}", socket.remote_address());
            selector.spawn(async move {
                let mut input = socket.open_read_channel()?;
                let mut output = socket.open_write_channel()?;
                output.write_str("Please enter your name\n").await?;
                while let Some(name) = input.read_line().await? {
                    forebay::write_line!(output, "Hello, {name}!").await?;
                }
                socket.close().await
            });
        }
    })
}
