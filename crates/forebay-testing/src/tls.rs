//! Certificates of an authority of the test's own, configurations, and secure connections.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use forebay::{
    Connection, Identity, JoinHandle, Result, SelectorManager, ServerSocket, Socket,
    TlsClientBuilder, TlsConfig, TlsServerBuilder, Trust,
};
use futures_lite::future::zip;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::unix::Directory;

/// The names that a test's server has.
pub const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

// ---- certificates -------------------------------------------------------------------------------

/// An issuer of certificates that is unknown outside of the test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        // Each has its own name: with equal names, one would seem to have forged the other's certificates.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {} of a test", MADE.fetch_add(1, Relaxed));
        let mut params = dated();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns the authority's own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Trusts this authority, and no other.
    pub fn trust(&self) -> Trust {
        Trust::roots_pem(self.pem()).unwrap()
    }

    /// Issues a server's certificate for these names and addresses, with a key on P-256.
    pub fn server<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Issued {
        self.issue(&KeyPair::generate().unwrap(), &server_params(names))
    }

    /// Issues a client's certificate, with this as its common name.
    pub fn client(&self, name: &str) -> Issued {
        self.issue(&KeyPair::generate().unwrap(), &client_params(name))
    }

    /// Issues a certificate of any kind: begin with [`server_params`] or [`client_params`].
    pub fn issue(&self, key: &KeyPair, params: &CertificateParams) -> Issued {
        let certificate = params.signed_by(key, &self.0).unwrap();
        Issued { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

pub fn server_params<'a>(names: impl IntoIterator<Item = &'a str>) -> CertificateParams {
    let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
    let mut params = dated();
    params.distinguished_name.push(DnType::CommonName, "server of a test");
    params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

pub fn client_params(name: &str) -> CertificateParams {
    let mut params = dated();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// The parameters that all of them have. Some peers cannot represent years as late as the default ones.
fn dated() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub chain: String,
    pub key: String,
}

impl Issued {
    /// Returns both in one text.
    pub fn pem(&self) -> String {
        format!("{}{}", self.chain, self.key)
    }

    pub fn identity(&self) -> Identity {
        Identity::from_pem(self.pem()).unwrap()
    }

    /// Writes the chain and the key to `name.crt` and `name.key`.
    pub fn write(&self, directory: &Directory, name: &str) -> (PathBuf, PathBuf) {
        let chain = write(directory, &format!("{name}.crt"), &self.chain);
        (chain, write(directory, &format!("{name}.key"), &self.key))
    }
}

/// Writes a text into a file of a directory.
pub fn write(directory: &Directory, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

// ---- configurations -----------------------------------------------------------------------------

/// A server at [`LOCAL`], and a client that trusts the authority of its certificate.
#[derive(Debug, Clone)]
pub struct Configs {
    pub client: TlsConfig,
    pub server: TlsConfig,
}

impl Configs {
    pub fn new() -> Self {
        Self::with(|client| client, |server| server)
    }

    /// Makes configurations with other options.
    pub fn with(
        client: impl FnOnce(TlsClientBuilder) -> TlsClientBuilder,
        server: impl FnOnce(TlsServerBuilder) -> TlsServerBuilder,
    ) -> Self {
        Self::by(&Authority::new(), client, server)
    }

    /// Makes configurations with a given authority.
    pub fn by(
        authority: &Authority,
        client: impl FnOnce(TlsClientBuilder) -> TlsClientBuilder,
        server: impl FnOnce(TlsServerBuilder) -> TlsServerBuilder,
    ) -> Self {
        let identity = authority.server(LOCAL).identity();
        Self {
            client: client(TlsConfig::client().trust(authority.trust())).build().unwrap(),
            server: server(TlsConfig::server(identity)).build().unwrap(),
        }
    }
}

// ---- connections --------------------------------------------------------------------------------

/// Makes both ends of a secure connection over TCP, the client first. Their handshakes are complete, and
/// the listener is closed.
pub async fn secure_pair(
    selector: &SelectorManager,
    configs: &Configs,
) -> Result<(Connection, Connection)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    let connecting = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        plain.tls(&configs.client).await
    };
    let accepting = async {
        let accepted = server.accept().await?;
        accepted.handshake().await?;
        Ok(accepted)
    };
    let (client, accepted) = zip(connecting, accepting).await;
    // The side that found the fault has a better message than the one that was told.
    match (client, accepted) {
        (Ok(client), Ok(accepted)) => Ok((client.connection()?, accepted.connection()?)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(near), Err(far)) => Err(if near.tls_fault() == Some(REFUSED) { far } else { near }),
    }
}

/// Makes a listener at a free port, with TLS for the connections that it accepts.
pub fn listen(selector: &SelectorManager, config: &TlsConfig) -> ServerSocket {
    listen_plainly(selector).tls(config).unwrap()
}

/// Makes a listener at a free port.
pub fn listen_plainly(selector: &SelectorManager) -> ServerSocket {
    selector.block_on(selector.tcp().bind("127.0.0.1:0")).unwrap()
}

/// Handles the next connection in the background.
pub fn handle_next<T: Send + 'static, F: Future<Output = Result<T>> + Send>(
    selector: &SelectorManager,
    listener: &ServerSocket,
    handler: impl FnOnce(Socket) -> F + Send + 'static,
) -> JoinHandle<Result<T>> {
    let listener = listener.clone();
    selector.spawn_value(async move { handler(listener.accept().await?).await })
}

/// Returns the first message of a client.
pub async fn client_hello(selector: &SelectorManager, client: &TlsConfig) -> Result<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = selector.tcp().connect(listener.local_addr().unwrap()).await?;
    let listening = selector.spawn_blocking(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut hello = vec![0; 5];
        peer.read_exact(&mut hello).unwrap();
        hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
        peer.read_exact(&mut hello[5..]).unwrap();
        hello
    });
    // It ends with the connection, which is gone when the hello has been read.
    let (hello, _) = zip(listening, socket.tls(client)).await;
    hello
}

const REFUSED: forebay::TlsFault = forebay::TlsFault::RefusedByPeer;
