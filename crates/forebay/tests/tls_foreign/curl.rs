//! `curl` as the client of a server of ours: pages, uploads, certificates, sessions, and its refusal of
//! a server that it does not know.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use forebay::{
    ByteReadChannel, ClientAuth, JoinHandle, Result, SelectorManager, ServerSocket, TlsConfig,
    TlsFault, TlsInfo,
};
use forebay_testing::{
    MIB, Random,
    foreign::{Foreign, Place, piped},
    report, seed, size,
    tls::{handle_next, listen},
    watched,
};

/// The request that our server saw, and its connection's TLS.
struct Asked {
    line: String,
    info: TlsInfo,
}

/// Serves one request, and closes.
fn serve(
    selector: &SelectorManager,
    listener: &ServerSocket,
    page: Arc<Vec<u8>>,
) -> JoinHandle<Result<Asked>> {
    handle_next(selector, listener, move |socket| async move {
        let mut connection = socket.connection()?;
        let (line, _) = head(&mut connection.input).await?;
        let info = socket.tls_info().unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            page.len()
        );
        connection.output.write_str(&head).await?;
        connection.output.write_all(&page).await?;
        socket.close().await?;
        Ok(Asked { line, info })
    })
}

/// Reads a request up to its body: its first line, and how long the body is.
async fn head(input: &mut ByteReadChannel) -> Result<(String, usize)> {
    let first = input.read_line().await?.unwrap_or_default();
    let mut length = 0;
    while let Some(line) = input.read_line().await?
        && !line.is_empty()
    {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    Ok((first, length))
}

/// `curl`, which says all that it does, and uploads without waiting for permission.
fn curl(test: &str, place: &Place, more: &[&str]) -> Option<Foreign> {
    let mut command = Command::new("curl");
    command.current_dir(place.directory.path());
    command.args(["--silent", "--show-error", "--verbose", "--header", "Expect:"]).args(more);
    Foreign::start(test, piped(&mut command))
}

fn url(listener: &ServerSocket) -> String {
    format!("https://localhost:{}/page", listener.port())
}

#[test]
fn curl_gets_a_page_over_each_version() {
    let test = "curl_gets_a_page_over_each_version";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).alpn(["http/1.1"]).build().unwrap();
        let listener = listen(&selector, &config);
        for (version, named) in [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")] {
            let served = serve(&selector, &listener, Arc::new(b"good evening".to_vec()));
            let (lowest, url) = (format!("--tlsv{version}"), url(&listener));
            let more = [&lowest, "--tls-max", version, "--cacert", "ca.crt", &url];
            let Some(curl) = curl(test, &place, &more) else { return };
            let asked = selector.block_on(served).unwrap().unwrap();
            let said = curl.end_well();
            assert!(said.contains("good evening"), "{said}");
            assert!(said.contains(&format!("SSL connection using {named}")), "{said}");
            assert!(said.contains("ALPN: server accepted http/1.1"), "{said}");
            assert_eq!(asked.line, "GET /page HTTP/1.1");
            assert_eq!(asked.info.alpn(), Some(&b"http/1.1"[..]));
            assert_eq!(asked.info.server_name(), Some("localhost"));
            report(&format!("{test}: {named}, {}", asked.info.cipher_suite()));
        }
    });
}

#[test]
fn curl_uploads_and_downloads_much() {
    let test = "curl_uploads_and_downloads_much";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let mut random = Random::new(seed(test), 0);
        let numbers = size("FOREBAY_TLS_BYTES", 2 * MIB, 8 * MIB) / 8;
        let data: Vec<_> = (0..numbers).flat_map(|_| random.next().to_le_bytes()).collect();
        fs::write(place.directory.join("data"), &data).unwrap();
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        let listener = listen(&selector, &config);
        let served = serve_much(&selector, &listener, Arc::new(data.clone()));
        let url = url(&listener);
        let more = ["--cacert", "ca.crt", "--data-binary", "@data", "--output", "received", &url];
        let start = Instant::now();
        let Some(curl) = curl(test, &place, &more) else { return };
        selector.block_on(served).unwrap().unwrap();
        let took = start.elapsed();
        curl.end_well();
        assert!(fs::read(place.directory.join("received")).unwrap() == data);
        report(&format!("{test}: {} bytes each way in {took:.2?}", data.len()));
    });
}

/// Serves one request whose body is what the answer is, too.
fn serve_much(
    selector: &SelectorManager,
    listener: &ServerSocket,
    data: Arc<Vec<u8>>,
) -> JoinHandle<Result<()>> {
    handle_next(selector, listener, move |socket| async move {
        let mut connection = socket.connection()?;
        let (_, length) = head(&mut connection.input).await?;
        assert_eq!(length, data.len());
        for expected in data.chunks(64 * 1024) {
            let part = connection.input.read_packet(expected.len()).await?.into_bytes();
            assert!(part == expected, "what came is not what was sent");
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        connection.output.write_str(&head).await?;
        connection.output.write_all(&data).await?;
        socket.close().await
    })
}

#[test]
fn curl_shows_a_certificate() {
    let test = "curl_shows_a_certificate";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let auth = ClientAuth::Required(place.authority.trust());
        let config = TlsConfig::server(place.server.identity()).client_auth(auth).build().unwrap();
        let listener = listen(&selector, &config);
        let served = serve(&selector, &listener, Arc::new(b"good evening".to_vec()));
        let url = url(&listener);
        let shown = ["--cacert", "ca.crt", "--cert", "client.crt", "--key", "client.key", &url];
        let Some(with) = curl(test, &place, &shown) else { return };
        let asked = selector.block_on(served).unwrap().unwrap();
        assert!(with.end_well().contains("good evening"));
        assert_eq!(asked.info.peer_certificates()[0].subject(), "CN=Ada");

        let served = serve(&selector, &listener, Arc::new(b"not for everybody".to_vec()));
        let Some(without) = curl(test, &place, &["--cacert", "ca.crt", &url]) else { return };
        let error = selector.block_on(served).unwrap().err().unwrap();
        assert_eq!(error.tls_fault(), Some(TlsFault::NoCertificate), "{error}");
        let (status, said) = without.end();
        assert!(!status.success() && !said.contains("not for everybody"), "{said}");
        assert!(said.contains("certificate required"), "{said}");
        report(&format!("{test}: {error}"));
    });
}

#[test]
fn curl_resumes_its_session() {
    let test = "curl_resumes_its_session";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        for tickets in [false, true] {
            let config = TlsConfig::server(place.server.identity()).tickets(tickets);
            let listener = listen(&selector, &config.build().unwrap());
            let page = || Arc::new(b"good evening".to_vec());
            let first = serve(&selector, &listener, page());
            let url = url(&listener);
            let more = ["--cacert", "ca.crt", &url, &url];
            let Some(curl) = curl(test, &place, &more) else { return };
            let first = selector.block_on(first).unwrap().unwrap();
            let second = selector.block_on(serve(&selector, &listener, page())).unwrap().unwrap();
            let said = curl.end_well();
            assert!(said.contains("SSL re-using session ID"), "{said}");
            assert_eq!([&first, &second].map(|asked| asked.info.is_resumed()), [false, true]);
            report(&format!("{test}: {}, tickets: {tickets}", second.info.version()));
        }
    });
}

#[test]
fn curl_refuses_a_server_that_it_does_not_know() {
    let test = "curl_refuses_a_server_that_it_does_not_know";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        let listener = listen(&selector, &config);
        let served = serve(&selector, &listener, Arc::default());
        let Some(curl) = curl(test, &place, &[&url(&listener)]) else { return };
        let error = selector.block_on(served).unwrap().err().unwrap();
        assert_eq!(error.tls_fault(), Some(TlsFault::RefusedByPeer), "{error}");
        assert!(error.to_string().contains("unknown_ca"), "{error}");
        assert!(!curl.end().0.success());
        report(&format!("{test}: {error}"));
    });
}
