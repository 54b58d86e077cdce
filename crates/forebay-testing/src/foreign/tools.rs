//! The arguments and the messages of each program.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use forebay::TlsVersion;

use super::{Foreign, piped};
use crate::tls::{Authority, Issued, LOCAL, write};
use crate::unix::Directory;

/// Returns the path of a peer that is written here, for a language that has TLS of its own.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/foreign").join(name)
}

/// A foreign implementation of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `openssl s_client` and `openssl s_server`.
    OpenSsl,
    /// `gnutls-cli` and `gnutls-serv`.
    GnuTls,
    /// Python's `ssl`.
    Python,
    /// Node's `tls`.
    Node,
}

/// Files that both sides are given.
pub struct Place {
    pub authority: Authority,
    pub directory: Directory,
    pub server: Issued,
    pub client: Issued,
}

impl Place {
    pub fn new() -> Self {
        let (authority, directory) = (Authority::new(), Directory::new());
        let (server, client) = (authority.server(LOCAL), authority.client("Ada"));
        write(&directory, "ca.crt", &authority.pem());
        server.write(&directory, "server");
        client.write(&directory, "client");
        Self { authority, directory, server, client }
    }

    pub fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

/// The settings of a program. Settings that are not given here have the program's own defaults.
#[derive(Debug, Clone, Default)]
pub struct Given<'a> {
    pub version: Option<TlsVersion>,
    /// Application protocols.
    pub alpn: &'a [&'a str],
    /// For a client: whether it has a certificate.
    pub has_certificate: bool,
    /// For a server: whether it asks for a certificate, and requires it.
    pub client_auth: Option<Insists>,
    /// Further arguments.
    pub more: &'a [&'a str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insists {
    Not,
    Yes,
}

impl Tool {
    /// Starts a client that connects to a port here, with the name `localhost`.
    pub fn client(
        self,
        test: &str,
        place: &Place,
        port: u16,
        given: &Given<'_>,
    ) -> Option<Foreign> {
        Foreign::start(test, piped(&mut self.client_command(place, port, given)))
    }

    pub fn client_command(self, place: &Place, port: u16, given: &Given<'_>) -> Command {
        let mut command = self.program("client");
        let ca = place.path("ca.crt");
        match self {
            Self::OpenSsl => {
                command.args(["-connect", &format!("127.0.0.1:{port}"), "-CAfile", &ca]);
                command.args(["-verify_hostname", "localhost", "-verify_return_error"]);
                if !given.more.iter().any(|more| more.ends_with("servername")) {
                    command.args(["-servername", "localhost"]);
                }
            }
            Self::GnuTls => {
                command.args(["--port", &port.to_string(), "--x509cafile", &ca, "localhost"]);
            }
            Self::Python | Self::Node => {
                command.args(["--port", &port.to_string(), "--ca", &ca]);
            }
        }
        if given.has_certificate {
            self.show(&mut command, place, "client");
        }
        self.tell(&mut command, given);
        command
    }

    /// Starts a server, and returns the port at which it listens.
    pub fn server(self, test: &str, place: &Place, given: &Given<'_>) -> Option<(Foreign, u16)> {
        let wanted = if self == Self::GnuTls { free_port() } else { 0 };
        let mut server =
            Foreign::start(test, piped(&mut self.server_command(place, wanted, given)))?;
        let port = match self {
            Self::OpenSsl => server.hear_line("ACCEPT 127.0.0.1:").parse().unwrap(),
            Self::GnuTls => {
                // Not the "done" of IPv6, which it prints as well.
                server.hear(&format!("listening on IPv4 0.0.0.0 port {wanted}...done"));
                wanted
            }
            Self::Python | Self::Node => server.hear_line("listening ").parse().unwrap(),
        };
        Some((server, port))
    }

    pub fn server_command(self, place: &Place, port: u16, given: &Given<'_>) -> Command {
        let mut command = self.program("server");
        let ca = place.path("ca.crt");
        match self {
            Self::OpenSsl => {
                command.args(["-accept", &format!("127.0.0.1:{port}"), "-CAfile", &ca]);
                // It prints the requested name only if it has another certificate to show for it.
                command.args(["-servername", "nobody", "-cert2", &place.path("server.crt")]);
                command.args(["-key2", &place.path("server.key")]);
            }
            Self::GnuTls => {
                command.args(["--port", &port.to_string(), "--x509cafile", &ca]);
                if !given.more.contains(&"--http") {
                    command.arg("--echo");
                }
            }
            Self::Python | Self::Node => {
                command.args(["--ca", &ca]);
            }
        }
        self.show(&mut command, place, "server");
        self.ask(&mut command, given.client_auth);
        self.tell(&mut command, given);
        command
    }

    fn program(self, role: &str) -> Command {
        let is_client = role == "client";
        let (program, first) = match self {
            Self::OpenSsl => ("openssl", Some(if is_client { "s_client" } else { "s_server" })),
            Self::GnuTls => (if is_client { "gnutls-cli" } else { "gnutls-serv" }, None),
            Self::Python => ("python3", Some("peer.py")),
            Self::Node => ("node", Some("peer.js")),
        };
        let mut command = Command::new(program);
        match self {
            Self::Python | Self::Node => {
                command.arg(script(first.unwrap())).arg(role);
            }
            _ => {
                command.args(first);
            }
        }
        command
    }

    /// Adds a certificate and its key.
    fn show(self, command: &mut Command, place: &Place, whose: &str) {
        let (chain, key) = match self {
            Self::OpenSsl => ("-cert", "-key"),
            Self::GnuTls => ("--x509certfile", "--x509keyfile"),
            Self::Python | Self::Node => ("--cert", "--key"),
        };
        command.args([chain, &place.path(&format!("{whose}.crt"))]);
        command.args([key, &place.path(&format!("{whose}.key"))]);
    }

    /// Makes a server ask for a certificate, or not.
    fn ask(self, command: &mut Command, auth: Option<Insists>) {
        match (self, auth) {
            (Self::OpenSsl | Self::Python | Self::Node, None) => command,
            (Self::OpenSsl, Some(Insists::Not)) => {
                command.args(["-verify", "4", "-verify_return_error"])
            }
            (Self::OpenSsl, Some(Insists::Yes)) => {
                command.args(["-Verify", "4", "-verify_return_error"])
            }
            (Self::GnuTls, None) => command.arg("--disable-client-cert"),
            (Self::GnuTls, Some(Insists::Not)) => command.arg("--verify-client-cert"),
            (Self::GnuTls, Some(Insists::Yes)) => {
                command.args(["--require-client-cert", "--verify-client-cert"])
            }
            (_, Some(Insists::Not)) => command.args(["--verify", "optional"]),
            (_, Some(Insists::Yes)) => command.args(["--verify", "required"]),
        };
    }

    fn tell(self, command: &mut Command, given: &Given<'_>) {
        let number = given.version.map(|version| match version {
            TlsVersion::Tls12 => "1.2",
            _ => "1.3",
        });
        match (self, number) {
            (_, None) => {}
            (Self::OpenSsl, Some(number)) => {
                command.arg(format!("-tls{}", number.replace('.', "_")));
            }
            (Self::GnuTls, Some(number)) => {
                command.arg(format!("--priority=NORMAL:-VERS-ALL:+VERS-TLS{number}"));
            }
            (Self::Python | Self::Node, Some(number)) => {
                command.args(["--version", number]);
            }
        }
        match self {
            _ if given.alpn.is_empty() => {}
            Self::OpenSsl => {
                command.args(["-alpn", &given.alpn.join(",")]);
            }
            Self::GnuTls => {
                command.args(given.alpn.iter().map(|name| format!("--alpn={name}")));
            }
            Self::Python | Self::Node => {
                command.args(["--alpn", &given.alpn.join(",")]);
            }
        }
        command.args(given.more);
    }

    // ---- what it says ---------------------------------------------------------------------------

    /// Returns the program's message for the agreed version.
    pub fn says_version(self, version: TlsVersion) -> String {
        let number = if version == TlsVersion::Tls12 { "1.2" } else { "1.3" };
        match self {
            Self::OpenSsl => format!("TLSv{number}"),
            Self::GnuTls => format!("(TLS{number}"),
            Self::Python | Self::Node => format!("version=TLSv{number} "),
        }
    }

    /// Returns the program's message for the agreed application protocol.
    pub fn says_alpn(self, name: &str) -> String {
        match self {
            Self::OpenSsl => format!("ALPN protocol: {name}"),
            Self::GnuTls => format!("Application protocol: {name}"),
            Self::Python | Self::Node => format!("alpn={name} "),
        }
    }

    /// Returns a server's message for the requested name.
    pub fn says_name(self, name: &str) -> String {
        match self {
            Self::OpenSsl => format!("Hostname in TLS extension: \"{name}\""),
            Self::GnuTls => format!("Given server name[1]: {name}"),
            Self::Python | Self::Node => format!("name={name} "),
        }
    }
}

/// Returns a port at which no process listens, below those that the system gives to connecting sockets.
/// Each call returns another one, and each process begins elsewhere.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 31 + NEXT.fetch_add(1, Relaxed);
        let port = 15_000 + u16::try_from(number % 17_000).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
