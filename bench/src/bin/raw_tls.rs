//! The minimum of a TLS echo server: rustls in a loop over readiness, without tasks, time limits, or
//! anything that a user would miss. The cost of a handshake here is the lower bound for any server on the
//! same cryptography and the same kernel.
//!
//! ```text
//! raw_tls --port P --cert FILE --key FILE
//! ```
//!
//! Like `forebay-bench --mode tls` it keeps no sessions, sends no tickets and ends with `close_notify`. If
//! something cannot be sent at once, the connection ends: this server is made for handshakes and short
//! echoes, not for bulk.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_COUNT: usize = 64;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raw_tls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut port, mut cert, mut key) = (7000, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--port" => port = value.parse()?,
            "--cert" => cert = Some(value),
            "--key" => key = Some(value),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    let config = config(&cert.ok_or("--cert is missing")?, &key.ok_or("--key is missing")?)?;
    serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &config)
}

fn config(cert: &str, key: &str) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

fn serve(address: SocketAddr, config: &Arc<ServerConfig>) -> Result<(), Box<dyn Error>> {
    let mut listener = TcpListener::bind(address)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("Server is listening at {}", listener.local_addr()?);
    let mut events = Events::with_capacity(EVENTS_COUNT);
    let mut connections = Slab::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept_all(&listener, poll.registry(), config, &mut connections)?;
            } else if let Some(connection) = connections.get_mut(event.token().0)
                && connection.is_over()
            {
                connections.remove(event.token().0);
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    registry: &Registry,
    config: &Arc<ServerConfig>,
    connections: &mut Slab<Connection>,
) -> Result<(), Box<dyn Error>> {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        let entry = connections.vacant_entry();
        registry.register(&mut stream, Token(entry.key()), Interest::READABLE)?;
        entry.insert(Connection { stream, tls: ServerConnection::new(Arc::clone(config))? });
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    tls: ServerConnection,
}

impl Connection {
    /// Echoes the received bytes; true if nothing more is to be done.
    fn is_over(&mut self) -> bool {
        let mut is_over = match self.tls.read_tls(&mut self.stream) {
            Ok(0) => true,
            Ok(_) => self.echo().is_none_or(|peer_has_closed| peer_has_closed),
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        while self.tls.wants_write() {
            if self.tls.write_tls(&mut self.stream).is_err() {
                is_over = true;
                break;
            }
        }
        is_over
    }

    fn echo(&mut self) -> Option<bool> {
        let state = self.tls.process_new_packets().ok()?;
        let mut plaintext = [0; 16 * 1024];
        let mut left = state.plaintext_bytes_to_read();
        while left > 0 {
            let count = self.tls.reader().read(&mut plaintext).ok()?;
            self.tls.writer().write_all(&plaintext[..count]).ok()?;
            left -= count;
        }
        if state.peer_has_closed() {
            self.tls.send_close_notify();
        }
        Some(state.peer_has_closed())
    }
}
