//! Much, both ways, with independent implementations: what arrives is what was sent, byte
//! for byte, and their hashes say the same. `FOREBAY_TLS_BYTES` sets how much.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay::{Connection, Result, SelectorManager, Socket, TlsConfig};
use forebay_testing::{
    MIB, Random,
    foreign::{Foreign, Given, Place, Tool, free_port, piped},
    report, seed, size,
    tls::{handle_next, listen},
    watched_for,
};
use futures_lite::future::zip;

/// For all the bytes that `FOREBAY_TLS_BYTES` may ask for.
const PATIENCE: Duration = Duration::from_secs(300);

/// Both sides' certificates, and a file that both sides send.
struct Load {
    place: Place,
    data: Arc<Vec<u8>>,
}

impl Load {
    fn new(test: &str) -> Self {
        let place = Place::new();
        let bytes = size("FOREBAY_TLS_BYTES", MIB, 4 * MIB);
        let mut random = Random::new(seed(test), 0);
        let mut data = Vec::with_capacity(bytes + 8);
        while data.len() < bytes {
            data.extend_from_slice(&random.next().to_le_bytes());
        }
        data.truncate(bytes);
        fs::write(place.directory.join("data"), &data).unwrap();
        Self { place, data: Arc::new(data) }
    }

    fn path(&self) -> String {
        self.place.path("data")
    }

    /// Starts a program that sends the data, and leaves in a file what it receives.
    fn start_with_file(&self, test: &str, mut command: Command) -> Option<Foreign> {
        piped(&mut command);
        command.stdout(File::create(self.place.directory.join("received")).unwrap());
        let mut program = Foreign::start(test, &mut command)?;
        // Its input must not end: `openssl s_server` would leave at that, and throw away whatever it
        // has not read by then.
        program.feed(Arc::clone(&self.data));
        Some(program)
    }

    fn check_received(&self) {
        let received = fs::read(self.place.directory.join("received")).unwrap();
        assert!(received == *self.data, "{} bytes of {}", received.len(), self.data.len());
    }
}

/// Sends everything, and receives as much, at the same time.
async fn exchange(socket: Socket, data: Arc<Vec<u8>>) -> Result<()> {
    let Connection { mut input, mut output, .. } = socket.connection()?;
    let write = async {
        output.write_all(&data).await?;
        output.flush().await
    };
    let read = async {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let part = input.read_packet(rest.len().min(64 * 1024)).await?;
            let part = part.into_bytes();
            assert!(rest.starts_with(&part), "wrong at {}", data.len() - rest.len());
            rest = &rest[part.len()..];
        }
        Ok(())
    };
    let (written, read) = zip(write, read).await;
    written.and(read)?;
    socket.close().await
}

/// Our server, to a client that does the same.
fn as_server(test: &'static str, tool: Tool) {
    watched_for(PATIENCE, move || {
        let (selector, load) = (SelectorManager::new(), Load::new(test));
        let config = TlsConfig::server(load.place.server.identity()).build().unwrap();
        let listener = listen(&selector, &config);
        let data = Arc::clone(&load.data);
        let handled = handle_next(&selector, &listener, |socket| exchange(socket, data));
        let path = load.path();
        let has_file = matches!(tool, Tool::OpenSsl | Tool::GnuTls);
        let more: &[&str] = match tool {
            Tool::OpenSsl => &["-quiet"],
            Tool::GnuTls => &["--logfile=/dev/null"],
            Tool::Python | Tool::Node => &["--do", "bulk", "--file", &path],
        };
        let given = Given { more, ..Given::default() };
        let start = Instant::now();
        let command = tool.client_command(&load.place, listener.port(), &given);
        let client = if has_file {
            load.start_with_file(test, command)
        } else {
            tool.client(test, &load.place, listener.port(), &given)
        };
        let Some(client) = client else { return };
        selector.block_on(handled).unwrap().unwrap();
        tell(test, &load, start);
        let said = client.end_well();
        if has_file {
            load.check_received();
        } else {
            check_hashes(test, &said);
        }
    });
}

/// Our client, to a server that does the same.
fn as_client(test: &'static str, tool: Tool) {
    watched_for(PATIENCE, move || {
        let (selector, load) = (SelectorManager::new(), Load::new(test));
        let path = load.path();
        let has_file = tool == Tool::OpenSsl;
        let more: &[&str] = match tool {
            Tool::OpenSsl => &["-quiet", "-naccept", "1"],
            Tool::Python | Tool::Node | Tool::GnuTls => &["--do", "bulk", "--file", &path],
        };
        let given = Given { more, ..Given::default() };
        let started = if has_file {
            let port = free_port();
            let command = tool.server_command(&load.place, port, &given);
            load.start_with_file(test, command).map(|server| (server, port))
        } else {
            tool.server(test, &load.place, &given)
        };
        let Some((mut server, port)) = started else { return };
        let config = TlsConfig::client().trust(load.place.authority.trust()).build().unwrap();
        let start = Instant::now();
        let data = Arc::clone(&load.data);
        let exchanged: Result<()> = selector.block_on(async {
            exchange(server.connect(&selector, port).await?.tls(&config).await?, data).await
        });
        exchanged.unwrap();
        tell(test, &load, start);
        let said = server.end_well();
        if has_file {
            load.check_received();
        } else {
            check_hashes(test, &said);
        }
    });
}

/// The peer has hashed what it received, and what it sent, which is the same.
fn check_hashes(test: &str, said: &str) {
    let hash = |what| said.lines().find_map(|line: &str| line.strip_prefix(what)).expect(said);
    assert_eq!(hash("received "), hash("sent "));
    report(&format!("{test}: SHA-256 {}", hash("received ")));
}

fn tell(test: &str, load: &Load, start: Instant) {
    let (bytes, took) = (load.data.len(), start.elapsed());
    report(&format!("{test}: {bytes} bytes each way in {took:.2?}"));
}

#[test]
fn much_goes_to_and_fro_as_server_of_openssl() {
    as_server("much_goes_to_and_fro_as_server_of_openssl", Tool::OpenSsl);
}

#[test]
fn much_goes_to_and_fro_as_server_of_gnutls() {
    as_server("much_goes_to_and_fro_as_server_of_gnutls", Tool::GnuTls);
}

#[test]
fn much_goes_to_and_fro_as_server_of_python() {
    as_server("much_goes_to_and_fro_as_server_of_python", Tool::Python);
}

#[test]
fn much_goes_to_and_fro_as_server_of_node() {
    as_server("much_goes_to_and_fro_as_server_of_node", Tool::Node);
}

#[test]
fn much_goes_to_and_fro_as_client_of_openssl() {
    as_client("much_goes_to_and_fro_as_client_of_openssl", Tool::OpenSsl);
}

/// `gnutls-serv` cannot be told what to send, but for a file to a client that asks for a page.
#[test]
fn much_comes_from_a_server_of_gnutls() {
    let test = "much_comes_from_a_server_of_gnutls";
    watched_for(PATIENCE, move || {
        let (selector, load) = (SelectorManager::new(), Load::new(test));
        let file = format!("--httpdata={}", load.path());
        let given = Given { more: &["--http", &file], ..Given::default() };
        let Some((mut server, port)) = Tool::GnuTls.server(test, &load.place, &given) else {
            return;
        };
        let config = TlsConfig::client().trust(load.place.authority.trust()).build().unwrap();
        let start = Instant::now();
        let page: Result<Vec<u8>> = selector.block_on(async {
            let socket = server.connect(&selector, port).await?.tls(&config).await?;
            let mut connection = socket.connection()?;
            connection.output.write_str("GET / HTTP/1.0\r\n\r\n").await?;
            while connection.input.read_line().await?.is_some_and(|line| !line.is_empty()) {}
            let page = connection.input.read_remaining(load.data.len() + 1).await?;
            socket.close().await?;
            Ok(page.into_bytes().to_vec())
        });
        assert!(page.unwrap() == *load.data);
        report(&format!("{test}: {} bytes in {:.2?}", load.data.len(), start.elapsed()));
    });
}

#[test]
fn much_goes_to_and_fro_as_client_of_python() {
    as_client("much_goes_to_and_fro_as_client_of_python", Tool::Python);
}

#[test]
fn much_goes_to_and_fro_as_client_of_node() {
    as_client("much_goes_to_and_fro_as_client_of_node", Tool::Node);
}
