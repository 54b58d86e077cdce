//! Shows a server that serves only clients with a certificate, and two clients: one has a
//! certificate and is served, the other has none and is refused. It prints what each of them sees.
//!
//! Run it with `cargo run -p forebay-examples --example mutual_tls`.

use std::io::{Write, stdout};

use forebay::certificates::Authority;
use forebay::{
    ClientAuth, Result, SelectorManager, ServerSocket, Socket, SocketAddress, TlsConfig, Trust,
};

fn main() -> Result<()> {
    let authority = Authority::new("the authority of this example")?;
    let trust = Trust::roots_pem(authority.pem())?;

    let server = TlsConfig::server(authority.server(["127.0.0.1"])?.identity()?)
        .client_auth(ClientAuth::Required(trust.clone()))
        .build()?;
    let known =
        TlsConfig::client().trust(trust.clone()).identity(authority.client("Ada")?.identity()?);
    let (known, unknown) = (known.build()?, TlsConfig::client().trust(trust).build()?);

    // Both sides print. On one worker they take turns, so that their lines come in the same order every time.
    SelectorManager::builder().workers(1).run(async |selector: SelectorManager| {
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&server)?;
        let address = server.local_address();
        writeln!(stdout(), "Server asks for certificates at {address}")?;
        let serving = selector.spawn(serve(server));
        visit(&selector, &address, &known, "with a certificate").await?;
        visit(&selector, &address, &unknown, "without one").await?;
        serving.await
    })
}

/// Serves two clients, one after the other.
async fn serve(server: ServerSocket) -> Result<()> {
    for _ in 0..2 {
        let socket = server.accept().await?;
        if let Err(error) = greet(&socket).await {
            writeln!(stdout(), "server: {error}")?;
        }
    }
    Ok(())
}

/// Greets a client by the name in its certificate.
async fn greet(socket: &Socket) -> Result<()> {
    let info = socket.handshake().await?;
    let name = info.peer_certificates().first().map_or("unknown", |shown| shown.subject());
    writeln!(stdout(), "server: this is {name}")?;
    let mut output = socket.open_write_channel()?;
    output.write_str(&format!("Hello, {name}!\n")).await?;
    socket.close().await
}

/// Visits the server and prints its greeting, or the error.
async fn visit(
    selector: &SelectorManager,
    address: &SocketAddress,
    config: &TlsConfig,
    who: &str,
) -> Result<()> {
    match greeting(selector, address, config).await {
        Ok(line) => writeln!(stdout(), "client {who}: {}", line.unwrap_or_default())?,
        Err(error) => writeln!(stdout(), "client {who}: {error}")?,
    }
    Ok(())
}

async fn greeting(
    selector: &SelectorManager,
    address: &SocketAddress,
    config: &TlsConfig,
) -> Result<Option<String>> {
    let socket = selector.tcp().connect(address.clone()).await?.tls(config).await?;
    // With TLS 1.3 the server verifies the certificate after the client has completed its part of the
    // handshake (RFC 8446, section 4.4.2), so a refusal takes the place of the answer.
    socket.open_read_channel()?.read_line().await
}
