//! The identity of this side: a certificate chain and its private key.

mod chain;
mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use forebay_io::seam::lock;
use forebay_io::{Error, ErrorKind, Result};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use self::chain::Problem;
use crate::PeerCertificate;
use crate::pem::{self, Pem, PemOrigin};
use crate::provider::provider;

pub(crate) use resolve::{ClientKey, ServerKey};

/// The identity of this side of a connection: a certificate chain and the private key of its first
/// certificate.
///
/// A server has one, and so does a client if the server asks for it. Clones are handles to the same
/// identity: after [`reload`](Self::reload), every configuration made from it uses the new certificate,
/// from the next handshake on.
///
/// The order of certificates, and of certificates and key, does not matter. The certificate with the
/// private key's public half comes first, and each of the others follows the one it issued (RFC 8446,
/// section 4.4.2). Certificates that issued none of them are left out. If two certificates have the private
/// key's public half, the one that is valid longer is used. If two authorities have the same name, because
/// one was renewed with another key for instance, the one whose key made the signature is used. Both are
/// used if both certificates have that key, as cross-signed ones do, or if the provider cannot check
/// signatures of that kind. Neither validity nor host names are checked: the peer does that.
///
/// Keys may be RSA of at least 2048 bits, ECDSA on P-256 or P-384 (with aws-lc-rs also P-521), or Ed25519,
/// in PKCS#8, PKCS#1 or SEC1. Encrypted keys are refused, because there is no way to ask for a password.
///
/// `Debug` prints the subject and the names of the certificate, never the key. Errors contain nothing of a
/// file but the names of its sections and the subjects of its certificates.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::Identity;
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pem(format!("{key}{certificate}"))?;
/// assert!(format!("{identity:?}").contains("localhost"));
///
/// let error = Identity::from_pem(&certificate).unwrap_err();
/// assert!(error.to_string().contains("no private key in it, only 1 certificate"));
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
#[doc(alias = "addKeyStore")]
#[doc(alias = "addCertificateChain")]
#[doc(alias = "CertificateAndKey")]
pub struct Identity(Arc<Inner>);

struct Inner {
    files: Option<Files>,
    current: Mutex<Arc<CertifiedKey>>,
}

/// The files that the identity was read from, to be read again.
#[derive(Clone)]
struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

impl Identity {
    /// Makes an identity from one text in PEM (RFC 7468) that contains both the certificates and the key,
    /// in any order.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ErrorKind::InvalidInput): no certificate, no key or more than one, an encrypted
    ///   key, a key that belongs to none of the certificates, a text in another format, or of more than 16
    ///   MiB. The message says what was found.
    /// - [`Unsupported`](ErrorKind::Unsupported): the program was built without a provider of cryptography.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self> {
        let pem = Pem::given("Identity::from_pem", pem.as_ref())?;
        Ok(Self::new(of_pem(&pem, &pem)?, None))
    }

    /// Makes an identity from two files in PEM (RFC 7468): the certificates are read from the first, the
    /// key from the second. Both may be the same file.
    ///
    /// This reads files, and may block while doing so.
    ///
    /// A key that every user of the machine may read is accepted, because secrets are mounted into
    /// containers that way. Only you can know whether that is right.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound), [`PermissionDenied`](ErrorKind::PermissionDenied) and other
    ///   errors of the system: a file cannot be read.
    /// - [`InvalidInput`](ErrorKind::InvalidInput): there is no certificate, or not exactly one unencrypted
    ///   key, or they do not belong together; or a file has more than 16 MiB.
    /// - [`Unsupported`](ErrorKind::Unsupported): the program was built without a provider of cryptography.
    ///
    /// Each error names the path.
    pub fn from_pem_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let files =
            Files { certificates: certificates.as_ref().to_owned(), key: key.as_ref().to_owned() };
        let read = files.read("Identity::from_pem_files")?;
        Ok(Self::new(read, Some(files)))
    }

    /// Makes an identity from certificates in DER (X.690) and a key in DER.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ErrorKind::InvalidInput): there is no certificate, one does not parse, or the key
    ///   does not parse or belongs to none of them.
    /// - [`Unsupported`](ErrorKind::Unsupported): the program was built without a provider of cryptography.
    pub fn from_der(
        chain: impl IntoIterator<Item = impl Into<Vec<u8>>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self> {
        let at = PemOrigin::given("Identity::from_der");
        let chain: Vec<_> =
            chain.into_iter().map(|certificate| CertificateDer::from(certificate.into())).collect();
        if chain.is_empty() {
            return Err(at.invalid("there is no certificate in the chain".into()));
        }
        let key = key.into();
        let what = pem::recognise(&key).what;
        let key = PrivateKeyDer::try_from(key).map_err(|_| {
            at.invalid(format!(
                "the key is not an unencrypted private key in DER (PKCS#8, PKCS#1 or SEC1) but \
                 {what}",
            ))
        })?;
        Ok(Self::new(certified(chain, key, at, at)?, None))
    }

    fn new(current: CertifiedKey, files: Option<Files>) -> Self {
        Self(Arc::new(Inner { files, current: Mutex::new(Arc::new(current)) }))
    }

    /// Reads the files again. All configurations made from this identity, or from clones of it, use the new
    /// certificate from the next handshake on; existing connections do not change.
    ///
    /// A session that is resumed shows no certificate, so a peer may continue without having seen the new
    /// one for as long as its ticket is valid.
    ///
    /// A key is checked against a configuration's cipher suites when the configuration is built, and not
    /// again. With a new key of another kind, and only suites for the old one, handshakes fail with
    /// [`NoCommonSuite`](forebay_io::TlsFault::NoCommonSuite).
    ///
    /// This reads files, and may block while doing so: call it in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// Those of [`from_pem_files`](Self::from_pem_files); the identity does not change then.
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it was not made from files.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
    /// use forebay::{Identity, TlsConfig};
    ///
    /// # let folder = std::env::temp_dir().join(format!("forebay-reload-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let file = folder.join("server.pem");
    /// # let make = || {
    /// #     let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// #     format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())
    /// # };
    /// # std::fs::write(&file, make())?;
    /// let identity = Identity::from_pem_files(&file, &file)?;
    /// let config = TlsConfig::server(identity.clone()).build()?;
    /// # std::fs::write(&file, make())?;
    ///
    /// // Somebody has renewed the certificate: `config` shows the new one from now on.
    /// identity.reload()?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn reload(&self) -> Result<()> {
        let operation = "Identity::reload";
        let files = self.0.files.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, operation).with_detail(
                "this identity was not made from files, so there is nothing to read again; \
                 make it with `Identity::from_pem_files`",
            )
        })?;
        let read = Arc::new(files.read(operation)?);
        // The old key is dropped after the lock is released, so that a handshake waits only for the
        // exchange.
        let old = std::mem::replace(&mut *lock(&self.0.current), read);
        drop(old);
        Ok(())
    }

    /// Returns the chain and key that the next handshake uses.
    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        lock(&self.0.current).clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current();
        let mut debug = f.debug_struct("Identity");
        if let Some(leaf) = current.cert.first().map(|leaf| PeerCertificate::parse(leaf)) {
            debug.field("subject", &leaf.subject()).field("names", &leaf.names());
        }
        if let Some(files) = &self.0.files {
            debug.field("files", &(&files.certificates, &files.key));
        }
        debug.finish_non_exhaustive()
    }
}

impl Files {
    fn read(&self, operation: &'static str) -> Result<CertifiedKey> {
        let certificates = Pem::of_file(operation, &self.certificates)?;
        if self.key == self.certificates {
            return of_pem(&certificates, &certificates);
        }
        of_pem(&certificates, &Pem::of_file(operation, &self.key)?)
    }
}

fn of_pem(certificates: &Pem<'_>, key: &Pem<'_>) -> Result<CertifiedKey> {
    let (chain, private) = (certificates.certificates()?.to_vec(), key.key()?);
    certified(chain, private, certificates.origin, key.origin)
}

/// Combines chain and key. An error names the text or file that it is about.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    chain_at: PemOrigin<'_>,
    key_at: PemOrigin<'_>,
) -> Result<CertifiedKey> {
    let provider = provider()?;
    chain::certified(chain, key, &provider).map_err(|problem| match problem {
        Problem::Certificate(why) => chain_at.invalid(why),
        Problem::Key(why) => key_at.invalid(why),
        Problem::Pair(why) => match chain_at.path() {
            Some(path) if key_at.path() != Some(path) => {
                key_at.invalid(format!("{why} (in {})", path.display()))
            }
            _ => key_at.invalid(why),
        },
    })
}
