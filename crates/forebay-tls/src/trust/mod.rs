//! Authentication of peers: by roots, by pins, by a function of the program, or not at all.

mod anchors;
mod anybody;
mod chain;
mod checks;
mod explain;
mod judge;
mod pins;
mod program;
mod roots;
mod system;
#[cfg(test)]
mod tests;
mod verifier;
mod words;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;

#[cfg(feature = "certificates")]
pub(crate) use chain::AUTHORITIES_MAX;
pub(crate) use explain::fault_of;
pub use pins::ToPin;
pub use program::PeerChain;
pub(crate) use system::SystemRoots;

use anybody::Anybody;
use judge::Judge;
use pins::{Pin, Pins};
use program::Program;
use roots::Roots;
use system::System;
use verifier::Verifier;

use crate::pem::Pem;

/// The rule by which peers are authenticated.
///
/// It is cheap to clone. A client uses it to authenticate servers, a server to authenticate clients
/// ([`ClientAuth`](crate::ClientAuth)). With every rule, a peer must prove in the handshake that it holds
/// the key of its certificate (RFC 8446, section 4.4.3), and an RSA key must have at least 2048 bits.
///
/// With roots of any origin, a certificate must be within its validity period, issued through an unbroken
/// chain by a trusted root (RFC 5280, section 6), made for its use, and signed without SHA-1 and with no
/// RSA key below 2048 bits. A server's certificate must also be for the very name that was connected to, by
/// its subject alternative names (RFC 9525). At most six authorities may stand between a certificate and a
/// root. Chains with more than 100 possible paths are refused, because they are built to make the search
/// take long. Revocation is not checked, except by the verifiers of macOS, iOS, Android and Windows behind
/// [`system`](Trust::system).
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::Trust;
///
/// let pinned = Trust::pinned(["sha256//ypSF3dAcNlt3mFHlcxDsrCAYZnrTF5MmCGsF6gP8WVs="])?;
/// assert!(Trust::pinned(["not a pin"]).is_err());
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "trustManager")]
#[doc(alias = "addTrustManager")]
pub struct Trust(TrustKind);

#[derive(Clone)]
enum TrustKind {
    System,
    SystemPlus(Arc<RootCertStore>),
    Roots(Arc<RootCertStore>),
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    Pinned(Arc<[Pin]>),
    Program(Program),
    Anybody(Anybody),
}

impl Trust {
    /// Trusts what the operating system trusts.
    ///
    /// The first connection of a selector that needs the roots reads them, outside the worker's loop; then
    /// they are kept until the selector is dropped. If reading fails, only that connection fails, and the
    /// next one reads again.
    ///
    /// # Platform
    ///
    /// On Linux and the BSDs the roots are files, found by `SSL_CERT_FILE` and `SSL_CERT_DIR` if these are
    /// set. A file that is missing, damaged or not readable costs only its own roots, as long as there are
    /// others. On macOS, iOS, Android and Windows the system's own verifier is used.
    pub fn system() -> Self {
        Self(TrustKind::System)
    }

    /// Trusts the roots in a PEM text, and no others.
    ///
    /// A server's own certificate may be among them: it is then trusted by itself, unless it is marked as
    /// an authority's.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput): no certificate, a malformed one, a text in another
    /// format, or of more than 16 MiB. The message says what was found, but never quotes it.
    pub fn roots_pem(pem: impl AsRef<[u8]>) -> Result<Self> {
        roots::from_pem(&Pem::given("Trust::roots_pem", pem.as_ref())?)
            .map(|roots| Self(TrustKind::Roots(roots)))
    }

    /// Trusts the roots in a PEM file, and no others. The file is read by this call, which may block.
    ///
    /// # Errors
    ///
    /// - Those of [`roots_pem`](Trust::roots_pem).
    /// - [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied) and other
    ///   errors of the system: the file cannot be read.
    ///
    /// Each error names the path.
    pub fn roots_pem_file(path: impl AsRef<Path>) -> Result<Self> {
        let roots = roots::from_pem(&Pem::of_file("Trust::roots_pem_file", path.as_ref())?)?;
        Ok(Self(TrustKind::Roots(roots)))
    }

    /// Trusts the roots in a PEM text in addition to those of the system.
    ///
    /// # Errors
    ///
    /// Those of [`roots_pem`](Trust::roots_pem).
    pub fn system_plus_pem(pem: impl AsRef<[u8]>) -> Result<Self> {
        let roots = roots::from_pem(&Pem::given("Trust::system_plus_pem", pem.as_ref())?)?;
        Ok(Self(TrustKind::SystemPlus(roots)))
    }

    /// Trusts the roots in a PEM file in addition to those of the system. The file is read by this call,
    /// which may block.
    ///
    /// # Errors
    ///
    /// Those of [`roots_pem_file`](Trust::roots_pem_file).
    pub fn system_plus_pem_file(path: impl AsRef<Path>) -> Result<Self> {
        let roots = roots::from_pem(&Pem::of_file("Trust::system_plus_pem_file", path.as_ref())?)?;
        Ok(Self(TrustKind::SystemPlus(roots)))
    }

    /// Trusts Mozilla's roots, compiled in with the feature `webpki-roots`. They are as old as the program,
    /// and vouch for servers only.
    #[cfg(feature = "webpki-roots")]
    pub fn mozilla() -> Self {
        Self(TrustKind::Mozilla)
    }

    /// Trusts the keys with these pins, and no others.
    ///
    /// A pin is the SHA-256 of the `SubjectPublicKeyInfo` in the peer's own certificate (RFC 7469, section
    /// 2.4): in base64, with or without the `sha256//` that curl writes in front of it, in hexadecimal, or
    /// as 32 bytes. It identifies the key itself, so nothing else in the certificate counts: neither its
    /// issuer, nor its names, nor its validity.
    ///
    /// When a peer is refused, the message contains the pin of its key. To compute the pin of a
    /// certificate: `openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst
    /// -sha256 -binary | base64`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput): a text is not a pin, or there is none at all.
    pub fn pinned(pins: impl IntoIterator<Item = impl ToPin>) -> Result<Self> {
        let mut read = Vec::new();
        for pin in pins {
            read.push(pin.to_pin()?);
        }
        if read.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "Trust::pinned")
                .with_detail("expected at least one pin, but there is none"));
        }
        Ok(Self(TrustKind::Pinned(read.into())))
    }

    /// Trusts the peers that a function accepts.
    ///
    /// The function gets the chain as the peer sent it, unverified, and the name that was connected to.
    /// Besides, only the signature of the handshake is checked. An error that the function returns refuses
    /// the peer; it is part of the message, and available as the [`source`](std::error::Error::source).
    ///
    /// The function runs within the connection's handshake, under its lock and on the thread that drives
    /// it: it must not block, and calls on any TLS connection return an error there. A resumed session was
    /// verified when it began, so the function is not called again. If it panics, so does the call that
    /// drives the handshake.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
    /// use forebay::Trust;
    ///
    /// # let known = vec![b"a certificate in DER".to_vec()];
    /// // Servers whose certificates were exchanged by other means.
    /// let trust = Trust::verifier(move |chain| match chain.certificates() {
    ///     [own, ..] if known.iter().any(|known| known == own.der()) => Ok(()),
    ///     _ => Err(forebay::Error::other("an unknown certificate")),
    /// });
    /// # drop(trust);
    /// ```
    pub fn verifier(verify: impl Fn(&PeerChain) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(TrustKind::Program(Program::new(verify)))
    }

    /// Trusts every peer, which protects against no attacker who can reach the connection.
    ///
    /// Use it only for a quick try in development: [`roots_pem`](Trust::roots_pem) and
    /// [`pinned`](Trust::pinned) cost one line more. The first peer that is accepted this way causes a
    /// warning on standard error.
    pub fn dangerous_accept_any() -> Self {
        Self(TrustKind::Anybody(Anybody::default()))
    }
}

impl Trust {
    /// Returns `true` if the system's roots, which are read from files, are needed.
    pub(crate) fn needs_loading(&self) -> bool {
        matches!(self.0, TrustKind::System | TrustKind::SystemPlus(_))
    }

    /// Makes rustls' verifier of servers. `system` must be given if [`needs_loading`](Trust::needs_loading)
    /// returns `true`.
    ///
    /// # Errors
    ///
    /// `Unsupported` if pins are used and the provider has no SHA-256.
    pub(crate) fn server_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        system: Option<&SystemRoots>,
    ) -> Result<Arc<dyn ServerCertVerifier>> {
        let judge: Box<dyn Judge> = match &self.0 {
            TrustKind::System => Box::new(System::new(loaded(system)?, None)),
            TrustKind::SystemPlus(roots) => {
                let extra = Roots::of_servers(roots, provider)?;
                Box::new(System::new(loaded(system)?, Some(extra)))
            }
            TrustKind::Roots(roots) => Box::new(Roots::of_servers(roots, provider)?),
            #[cfg(feature = "webpki-roots")]
            TrustKind::Mozilla => Box::new(Roots::of_servers(&roots::mozilla(), provider)?),
            TrustKind::Pinned(pins) => Box::new(Pins::new(pins)?),
            TrustKind::Program(program) => Box::new(program.clone()),
            TrustKind::Anybody(anybody) => Box::new(anybody.clone()),
        };
        Ok(Arc::new(Verifier::of_servers(judge, provider)))
    }

    /// Makes rustls' verifier of clients. `required` refuses clients that send no certificate.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for the system's and Mozilla's roots, which vouch for servers only.
    pub(crate) fn client_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        required: bool,
    ) -> Result<Arc<dyn ClientCertVerifier>> {
        let judge: Box<dyn Judge> = match &self.0 {
            TrustKind::System | TrustKind::SystemPlus(_) => return Err(only_servers("the system")),
            #[cfg(feature = "webpki-roots")]
            TrustKind::Mozilla => return Err(only_servers("Mozilla")),
            TrustKind::Roots(roots) => Box::new(Roots::of_clients(roots, provider)?),
            TrustKind::Pinned(pins) => Box::new(Pins::new(pins)?),
            TrustKind::Program(program) => Box::new(program.clone()),
            TrustKind::Anybody(anybody) => Box::new(anybody.clone()),
        };
        Ok(Arc::new(Verifier::of_clients(judge, provider, required)))
    }
}

fn loaded(system: Option<&SystemRoots>) -> Result<SystemRoots> {
    system.cloned().ok_or_else(|| {
        Error::new(ErrorKind::Other, "tls")
            .with_detail("expected the system's roots to be loaded, but they are not")
    })
}

fn only_servers(whose: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, "client_auth").with_detail(format!(
        "expected the roots that issue your clients' certificates, but those of {whose} vouch for \
         servers; name yours with Trust::roots_pem"
    ))
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TrustKind::System => f.write_str("Trust::system"),
            TrustKind::SystemPlus(roots) => write!(f, "Trust::system_plus({} roots)", roots.len()),
            TrustKind::Roots(roots) => write!(f, "Trust::roots({} roots)", roots.len()),
            #[cfg(feature = "webpki-roots")]
            TrustKind::Mozilla => f.write_str("Trust::mozilla"),
            TrustKind::Pinned(pins) => write!(f, "Trust::pinned({} pins)", pins.len()),
            TrustKind::Program(_) => f.write_str("Trust::verifier"),
            TrustKind::Anybody(_) => f.write_str("Trust::dangerous_accept_any"),
        }
    }
}
