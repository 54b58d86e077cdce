//! HTTPS through a proxy: CONNECT in plain on a connection (RFC 9110, section 9.3.6), and then TLS over
//! that same connection, to a server that the proxy knows nothing of. The server is OpenSSL's.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::process::Command;

use forebay::{Connection, ErrorKind, Result, SelectorManager, ServerSocket, TlsConfig};
use forebay_testing::{
    foreign::{Foreign, Place, piped},
    report,
    tls::{listen_plainly, write},
    watched,
};
use futures_lite::future::zip;

const ANSWER: &str = "HTTP/1.0 200 OK\r\nX-Comment: TLS test server\r\n\r\nHello, TLS!";

/// Serves one connection as a proxy does: it reads where to connect to, says that it has, and carries
/// bytes. Returns what it was asked, and how many bytes it carried to the server.
async fn proxy(selector: SelectorManager, listener: ServerSocket) -> Result<(String, u64)> {
    let mut client = listener.accept().await?.connection()?;
    let request = client.input.read_line().await?.unwrap();
    while client.input.read_line().await?.is_some_and(|line| !line.is_empty()) {}
    let target = request.split(' ').nth(1).unwrap().to_owned();
    let mut server = selector.tcp().connect(target).await?.connection()?;
    client.output.write_str("HTTP/1.1 200 Connection established\r\n\r\n").await?;
    client.output.flush().await?;
    let there = async {
        let count = client.input.copy_to(&mut server.output).await?;
        server.output.finish().await?;
        Result::Ok(count)
    };
    let back = async {
        server.input.copy_to(&mut client.output).await?;
        client.output.finish().await
    };
    let (there, back) = zip(there, back).await;
    back?;
    Ok((request, there?))
}

/// Asks the proxy for a tunnel.
async fn tunnel(connection: &mut Connection, target: &str) -> Result<()> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    connection.output.write_str(&request).await?;
    let status = connection.input.read_line().await?;
    assert_eq!(status.as_deref(), Some("HTTP/1.1 200 Connection established"));
    assert_eq!(connection.input.read_line().await?.as_deref(), Some(""));
    Ok(())
}

fn server(test: &str, place: &Place) -> Option<(Foreign, u16)> {
    write(&place.directory, "index", ANSWER);
    let mut command = Command::new("openssl");
    command.current_dir(place.directory.path()).args(["s_server", "-HTTP"]);
    command.args(["-accept", "127.0.0.1:0", "-cert", "server.crt", "-key", "server.key"]);
    let mut server = Foreign::start(test, piped(&mut command))?;
    let port = server.hear_line("ACCEPT 127.0.0.1:").parse().unwrap();
    Some((server, port))
}

#[test]
fn a_page_comes_through_a_proxy() {
    let test = "a_page_comes_through_a_proxy";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let Some((_server, port)) = server(test, &place) else { return };
        let listener = listen_plainly(&selector);
        let proxied = selector.spawn_value(proxy(selector.clone(), listener.clone()));
        // The name is the server's, not the proxy's that was connected to.
        let config = TlsConfig::client().trust(place.authority.trust()).server_name("localhost");
        let config = config.build().unwrap();
        let page: Result<String> = selector.block_on(async {
            let socket = selector.tcp().connect(listener.local_address()).await?;
            let mut connection = socket.connection()?;
            tunnel(&mut connection, &format!("localhost:{port}")).await?;
            connection.tls(&config).await?;
            connection.output.write_str("GET /index HTTP/1.0\r\n\r\n").await?;
            let page = connection.input.read_remaining(1024).await?;
            connection.socket.close().await?;
            Ok(String::from_utf8(page.into_bytes().to_vec()).unwrap())
        });
        let page = page.unwrap();
        assert_eq!(page, ANSWER);
        let (request, count) = selector.block_on(proxied).unwrap().unwrap();
        assert_eq!(request, format!("CONNECT localhost:{port} HTTP/1.1"));
        report(&format!("{test}: {request:?}, {count} bytes there, {page:?}"));
    });
}

/// The proxy's own name would not do: it is the server that has to prove its name.
#[test]
fn the_name_of_the_proxy_is_not_the_name_of_the_server() {
    let test = "the_name_of_the_proxy_is_not_the_name_of_the_server";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let Some((_server, port)) = server(test, &place) else { return };
        let listener = listen_plainly(&selector);
        let proxied = selector.spawn_value(proxy(selector.clone(), listener.clone()));
        let config = TlsConfig::client().trust(place.authority.trust());
        let config = config.server_name("proxy.example").build().unwrap();
        let refused: Result<()> = selector.block_on(async {
            let socket = selector.tcp().connect(listener.local_address()).await?;
            let mut connection = socket.connection()?;
            tunnel(&mut connection, &format!("localhost:{port}")).await?;
            connection.tls(&config).await
        });
        let error = refused.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Tls(forebay::TlsFault::WrongName)), "{error}");
        report(&format!("{test}: {error}"));
        drop(proxied);
    });
}
