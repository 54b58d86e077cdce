//! hyper's client and server, HTTP/1 and HTTP/2, over our sockets inside tokio; curl and ab as clients.

use std::convert::Infallible;
use std::process::Command;

use bytes::Bytes;
use forebay::{Connection, SelectorManager};
use forebay_interop::{TRANSPORTS, Transport, bounded, has, pair, skip};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Answers with what it was sent, or with `/size` bytes.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let size = request.uri().path().trim_start_matches('/').parse::<usize>().ok();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(size.map_or(body, |size| Bytes::from(vec![b'x'; size])))))
}

async fn serve_http1(connection: Connection) -> hyper::Result<()> {
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(connection), service_fn(answer))
        .await
}

/// A client that is gone may meet the server's last bytes with a reset: hyper's server writes after the end of
/// its input. Or it sees that end before it learns that its last answer, which the client has read, was sent: in
/// memory the reader's thread takes the bytes.
fn assert_ended(transport: Transport, served: &hyper::Result<()>) {
    let Err(error) = served else { return };
    if transport == Transport::Memory && error.is_incomplete_message() {
        return;
    }
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    let kind = source.map(std::io::Error::kind);
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{transport:?}: {error:?}");
}

fn post(body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post("/echo").header("host", "localhost").body(Full::from(body)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_keeps_a_connection_and_carries_large_bodies() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, server) = bounded(pair(&selector, transport)).await;
        let serving = tokio::spawn(serve_http1(server));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
        let driving = tokio::spawn(connection);
        for size in [0, 1, 10_000, 3_000_000] {
            let body = vec![b'a'; size];
            // hyper refuses a request before its connection has finished the one before.
            bounded(sender.ready()).await.unwrap();
            let response = bounded(sender.send_request(post(body.clone()))).await.unwrap();
            let received = bounded(response.into_body().collect()).await.unwrap().to_bytes();
            assert!(received == body, "{transport:?}: {size}");
        }
        drop(sender);
        bounded(driving).await.unwrap().unwrap();
        let served = bounded(serving).await.unwrap();
        assert_ended(transport, &served);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_carries_many_requests_at_once() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, server) = bounded(pair(&selector, transport)).await;
        let serving = tokio::spawn(
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(server), service_fn(answer)),
        );
        let executor = TokioExecutor::new();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(executor, TokioIo::new(client)).await.unwrap();
        let driving = tokio::spawn(connection);
        let requests = (0..100_usize).map(|number| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let body = vec![b'b'; number * 1000];
                let response = sender.send_request(post(body.clone())).await.unwrap();
                let received = response.into_body().collect().await.unwrap().to_bytes();
                assert!(received == body, "{number}");
            })
        });
        for request in requests.collect::<Vec<_>>() {
            bounded(request).await.unwrap();
        }
        drop(sender);
        bounded(driving).await.unwrap().unwrap();
        assert_ended(transport, &bounded(serving).await.unwrap());
    }
}

/// Serves on a port, in the background, until the selector is dropped.
async fn listen(selector: &SelectorManager) -> u16 {
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let port = server.port();
    tokio::spawn(async move {
        while let Ok(socket) = server.accept().await {
            tokio::spawn(async move { serve_http1(socket.connection().unwrap()).await });
        }
    });
    port
}

/// Runs a client of another project, on a thread that may wait.
async fn output_of(mut client: Command) -> String {
    let ran = tokio::task::spawn_blocking(move || client.output().unwrap());
    let output = bounded(ran).await.unwrap();
    let (said, complained) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{complained}");
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_answered() {
    if !has("curl") {
        return skip("curl_is_answered", "curl is not installed");
    }
    let selector = SelectorManager::new();
    let port = listen(&selector).await;
    let mut curl = Command::new("curl");
    let url = format!("http://127.0.0.1:{port}");
    curl.args(["-sS", "--max-time", "30", "-d", "posted", &format!("{url}/echo")]);
    curl.args(["--next", "-sS", "-o", "/dev/null", "-w", " %{size_download}"]);
    curl.arg(format!("{url}/5000000"));
    assert_eq!(output_of(curl).await, "posted 5000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn ab_is_answered_with_and_without_keep_alive() {
    // It prints its version with `-V`, and refuses `--version`.
    if !Command::new("ab").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return skip("ab_is_answered_with_and_without_keep_alive", "ab is not installed");
    }
    let selector = SelectorManager::new();
    let port = listen(&selector).await;
    for keep_alive in [&[][..], &["-k"]] {
        let mut ab = Command::new("ab");
        ab.args(keep_alive).args(["-q", "-n", "2000", "-c", "20"]);
        ab.arg(format!("http://127.0.0.1:{port}/1000"));
        let report = output_of(ab).await;
        assert!(report.contains("Complete requests:      2000"), "{report}");
        assert!(report.contains("Failed requests:        0"), "{report}");
    }
}
