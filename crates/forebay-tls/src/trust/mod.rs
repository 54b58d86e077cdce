//! Whom to believe: roots, pins, a program's own verifier, or anybody.

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

/// Which peers are believed to be who they say they are.
///
/// Cheap to clone. A client believes servers by it, a server its clients
/// ([`ClientAuth`](crate::ClientAuth)). Whatever is chosen, a peer must prove in the handshake that
/// it holds the key of its certificate (RFC 8446, section 4.4.3), and an RSA key has at least 2048
/// bits.
///
/// With roots of any origin a certificate has to be in date, issued through an unbroken chain by a
/// root that is trusted (RFC 5280, section 6), made for its use, signed without SHA-1 and by no RSA
/// key below 2048 bits, and a server's for the very name that was connected to, by its subject
/// alternative names (RFC 9525). At most six authorities may stand between a certificate and a root.
/// Chains through which more than 100 ways lead are refused, because they are made to be searched for
/// long. Whether it has been revoked is not checked, but by the verifiers of macOS, iOS, Android and
/// Windows behind [`system`](Trust::system).
///
/// # Examples
///
/// ```
/// use forebay_tls::Trust;
///
/// let pinned = Trust::pinned(["sha256//ypSF3dAcNlt3mFHlcxDsrCAYZnrTF5MmCGsF6gP8WVs="])?;
/// assert!(Trust::pinned(["not a pin"]).is_err());
/// # Ok::<(), forebay_io::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "trustManager")]
#[doc(alias = "addTrustManager")]
pub struct Trust(Kind);

#[derive(Clone)]
enum Kind {
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
    /// The first connection of a selector that needs the roots reads them, beside the loop; then they
    /// are kept for as long as the selector lives. A failure is that connection's only, and the next
    /// one reads again.
    ///
    /// # Platform
    ///
    /// On Linux and the BSDs the roots are files, by `SSL_CERT_FILE` and `SSL_CERT_DIR` where these
    /// are set. A file that is missing, damaged or not readable costs its own roots only, as long as
    /// there are others. macOS, iOS, Android and Windows are asked through their own verifiers.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// Trusts the roots in a PEM text, and no others.
    ///
    /// A server's own certificate may stand among them, too: it then is trusted by itself, unless
    /// it is marked as an authority's.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput): no certificate, a malformed one, a text of another
    /// kind, or of more than 16 MiB. The message says what was found, but never quotes it.
    pub fn roots_pem(pem: impl AsRef<[u8]>) -> Result<Self> {
        roots::from_pem(&Pem::given("Trust::roots_pem", pem.as_ref())?)
            .map(|roots| Self(Kind::Roots(roots)))
    }

    /// Trusts the roots in a PEM file, and no others. The file is read now, and blocks for that.
    ///
    /// # Errors
    ///
    /// - Those of [`roots_pem`](Trust::roots_pem).
    /// - [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied) and
    ///   other errors of the system: the file cannot be read.
    ///
    /// Each names the path.
    pub fn roots_pem_file(path: impl AsRef<Path>) -> Result<Self> {
        let roots = roots::from_pem(&Pem::of_file("Trust::roots_pem_file", path.as_ref())?)?;
        Ok(Self(Kind::Roots(roots)))
    }

    /// Trusts the roots in a PEM text besides those of the system.
    ///
    /// # Errors
    ///
    /// Those of [`roots_pem`](Trust::roots_pem).
    pub fn system_plus_pem(pem: impl AsRef<[u8]>) -> Result<Self> {
        let roots = roots::from_pem(&Pem::given("Trust::system_plus_pem", pem.as_ref())?)?;
        Ok(Self(Kind::SystemPlus(roots)))
    }

    /// Trusts the roots in a PEM file besides those of the system. The file is read now, and blocks
    /// for that.
    ///
    /// # Errors
    ///
    /// Those of [`roots_pem_file`](Trust::roots_pem_file).
    pub fn system_plus_pem_file(path: impl AsRef<Path>) -> Result<Self> {
        let roots = roots::from_pem(&Pem::of_file("Trust::system_plus_pem_file", path.as_ref())?)?;
        Ok(Self(Kind::SystemPlus(roots)))
    }

    /// Trusts the roots of Mozilla that were compiled in with the feature `webpki-roots`. They grow
    /// old with the program, and vouch for servers only.
    #[cfg(feature = "webpki-roots")]
    pub fn mozilla() -> Self {
        Self(Kind::Mozilla)
    }

    /// Trusts the keys with these pins, and nobody else.
    ///
    /// A pin is the SHA-256 of the `SubjectPublicKeyInfo` in the peer's own certificate (RFC 7469,
    /// section 2.4): in base64, with or without the `sha256//` that curl puts before it, in
    /// hexadecimal, or as 32 bytes. It stands for the key itself, so that nothing else of the
    /// certificate counts: not who issued it, nor for which name, nor until when.
    ///
    /// What a refused peer's pin would have been stands in the message. Of a certificate:
    /// `openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst
    /// -sha256 -binary | base64`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput): a text is no pin, or there is none at all.
    pub fn pinned(pins: impl IntoIterator<Item = impl ToPin>) -> Result<Self> {
        let mut read = Vec::new();
        for pin in pins {
            read.push(pin.to_pin()?);
        }
        if read.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "Trust::pinned")
                .with_detail("expected at least one pin, but there is none"));
        }
        Ok(Self(Kind::Pinned(read.into())))
    }

    /// Trusts whom a function trusts.
    ///
    /// It sees the chain as the peer sent it, unverified, and the name that was connected to; only
    /// the signature of the handshake is checked besides. An error that it returns refuses the
    /// peer, and stands in the message and as the [`source`](std::error::Error::source).
    ///
    /// The function runs within the connection's handshake, under its lock and on the thread that
    /// drives it: it must not block, and a call on any TLS connection is an error there. A resumed
    /// session has been verified when it began, so the function is not asked again. If it panics, so
    /// does the call that drove the handshake.
    ///
    /// # Examples
    ///
    /// ```
    /// use forebay_tls::Trust;
    ///
    /// # let known = vec![b"a certificate in DER".to_vec()];
    /// // Servers whose certificates were handed over by other means.
    /// let trust = Trust::verifier(move |chain| match chain.certificates() {
    ///     [own, ..] if known.iter().any(|known| known == own.der()) => Ok(()),
    ///     _ => Err(forebay_io::Error::other("nobody we know")),
    /// });
    /// # drop(trust);
    /// ```
    pub fn verifier(verify: impl Fn(&PeerChain) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Kind::Program(Program::new(verify)))
    }

    /// Trusts everybody, and so protects against nobody who can touch the connection.
    ///
    /// For a try in development, nothing else: [`roots_pem`](Trust::roots_pem) and
    /// [`pinned`](Trust::pinned) cost one line more. The first peer that is accepted like this is
    /// worth a warning on standard error.
    pub fn dangerous_accept_any() -> Self {
        Self(Kind::Anybody(Anybody::default()))
    }
}

impl Trust {
    /// Tells whether the system's roots are needed, which are read from files.
    pub(crate) fn needs_loading(&self) -> bool {
        matches!(self.0, Kind::System | Kind::SystemPlus(_))
    }

    /// Makes what rustls asks about servers. `system` has to be there where
    /// [`needs_loading`](Trust::needs_loading) says so.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no provider that knows SHA-256, which pins need.
    pub(crate) fn server_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        system: Option<&SystemRoots>,
    ) -> Result<Arc<dyn ServerCertVerifier>> {
        let judge: Box<dyn Judge> = match &self.0 {
            Kind::System => Box::new(System::new(loaded(system)?, None)),
            Kind::SystemPlus(roots) => {
                let extra = Roots::of_servers(roots, provider)?;
                Box::new(System::new(loaded(system)?, Some(extra)))
            }
            Kind::Roots(roots) => Box::new(Roots::of_servers(roots, provider)?),
            #[cfg(feature = "webpki-roots")]
            Kind::Mozilla => Box::new(Roots::of_servers(&roots::mozilla(), provider)?),
            Kind::Pinned(pins) => Box::new(Pins::new(pins)?),
            Kind::Program(program) => Box::new(program.clone()),
            Kind::Anybody(anybody) => Box::new(anybody.clone()),
        };
        Ok(Arc::new(Verifier::of_servers(judge, provider)))
    }

    /// Makes what rustls asks about clients; `required` refuses those that send no certificate.
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
            Kind::System | Kind::SystemPlus(_) => return Err(only_servers("the system")),
            #[cfg(feature = "webpki-roots")]
            Kind::Mozilla => return Err(only_servers("Mozilla")),
            Kind::Roots(roots) => Box::new(Roots::of_clients(roots, provider)?),
            Kind::Pinned(pins) => Box::new(Pins::new(pins)?),
            Kind::Program(program) => Box::new(program.clone()),
            Kind::Anybody(anybody) => Box::new(anybody.clone()),
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
            Kind::System => f.write_str("Trust::system"),
            Kind::SystemPlus(roots) => write!(f, "Trust::system_plus({} roots)", roots.len()),
            Kind::Roots(roots) => write!(f, "Trust::roots({} roots)", roots.len()),
            #[cfg(feature = "webpki-roots")]
            Kind::Mozilla => f.write_str("Trust::mozilla"),
            Kind::Pinned(pins) => write!(f, "Trust::pinned({} pins)", pins.len()),
            Kind::Program(_) => f.write_str("Trust::verifier"),
            Kind::Anybody(_) => f.write_str("Trust::dangerous_accept_any"),
        }
    }
}
