//! Shows a server and a client in one process: the client sends three names, the server greets
//! each, and the dialogue is printed. Then both repeat it over TLS.
//!
//! Run it with `cargo run -p forebay-examples --example quickstart`.

use std::io::{Write, stdout};

use forebay::certificates::Authority;
use forebay::{SelectorManager, ServerSocket, Socket, TlsConfig, Trust};

const NAMES: [&str; 3] = ["Ada", "Grace", "Barbara"];

fn main() -> forebay::Result<()> {
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        let address = server.local_address();
        let greeter = selector.spawn(greet_one(server));

        let client = selector.tcp().connect(address).await?;
        talk(&client).await?;
        client.close().await?;
        greeter.await?;
        over_tls(&selector).await
    })
}

/// Repeats the dialogue over TLS, with a certificate made for this run.
async fn over_tls(selector: &SelectorManager) -> forebay::Result<()> {
    let authority = Authority::new("quickstart")?;
    let config = TlsConfig::server(authority.server(["127.0.0.1"])?.identity()?).build()?;
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&config)?;
    let address = server.local_address();
    let greeter = selector.spawn(greet_one(server));

    let config = TlsConfig::client().trust(Trust::roots_pem(authority.pem())?).build()?;
    let client = selector.tcp().connect(address).await?.tls(&config).await?;
    if let Some(info) = client.tls_info() {
        writeln!(stdout(), "Now over {}", info.version())?;
    }
    talk(&client).await?;
    client.close().await?;
    greeter.await
}

/// Accepts one client and greets every name it sends.
async fn greet_one(server: ServerSocket) -> forebay::Result<()> {
    let socket = server.accept().await?;
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    output.write_str("Please enter your name\n").await?;
    while let Some(name) = input.read_line().await? {
        output.write_str(&format!("Hello, {name}!\n")).await?;
    }
    socket.close().await
}

/// Sends the names, and prints the dialogue.
async fn talk(client: &Socket) -> forebay::Result<()> {
    let mut input = client.open_read_channel()?;
    let mut output = client.open_write_channel()?;
    print_line("server", input.read_line().await?)?;
    for name in NAMES {
        writeln!(stdout(), "client: {name}")?;
        forebay::write_line!(output, "{name}").await?;
        print_line("server", input.read_line().await?)?;
    }
    output.finish().await
}

fn print_line(who: &str, line: Option<String>) -> std::io::Result<()> {
    match line {
        Some(line) => writeln!(stdout(), "{who}: {line}"),
        None => writeln!(stdout(), "{who} has ended"),
    }
}
