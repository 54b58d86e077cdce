//! What the tests share: pairs of connections on each transport, servers of other projects, limits in time.

#![forbid(unsafe_code)]

use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use forebay::certificates::Authority;
use forebay::{Connection, SelectorManager, TlsConfig, Trust};

/// The time after which a test counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Awaits a test's body, at most for [`PATIENCE`].
pub async fn bounded<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(PATIENCE, test).await.expect("hangs: not done after a minute")
}

/// The ways to connect two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Memory,
    Tcp,
    Tls,
}

pub const TRANSPORTS: [Transport; 3] = [Transport::Memory, Transport::Tcp, Transport::Tls];

/// Returns both ends of a connection.
pub async fn pair(selector: &SelectorManager, transport: Transport) -> (Connection, Connection) {
    if transport == Transport::Memory {
        return selector.duplex(4096);
    }
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let client = selector.tcp().connect(server.local_address()).await.unwrap();
    let accepted = server.accept().await.unwrap();
    if transport == Transport::Tcp {
        return (client.connection().unwrap(), accepted.connection().unwrap());
    }
    let authority = Authority::new("test").unwrap();
    let identity = authority.server(["127.0.0.1"]).unwrap();
    let theirs = TlsConfig::server(identity.identity().unwrap()).build().unwrap();
    let ours =
        TlsConfig::client().trust(Trust::roots_pem(authority.pem()).unwrap()).build().unwrap();
    let (client, accepted) =
        tokio::try_join!(client.tls(&ours), accepted.accept_tls(&theirs)).unwrap();
    (client.connection().unwrap(), accepted.connection().unwrap())
}

/// A server of another project, which is ended when it is dropped.
#[derive(Debug)]
pub struct Foreign(Child);

impl Foreign {
    /// Starts a program that is quiet.
    pub fn start(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().unwrap())
    }
}

impl Drop for Foreign {
    /// Ends it as Ctrl-C does, so that it ends its own processes, and by force after ten seconds.
    fn drop(&mut self) {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().ok();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(10) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Returns a port that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits, on a thread that may wait, until a server listens.
pub fn until_listening(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "nothing listens at port {port}");
        std::thread::yield_now();
    }
}

/// Returns `true` if the program can be run.
pub fn has(program: &str) -> bool {
    let mut asked = Command::new(program);
    let quiet = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Says why a test does nothing, in the form that CI looks for.
pub fn skip(name: &str, reason: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "SKIP {name}: {reason}").ok();
}
