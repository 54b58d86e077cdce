//! The validity of a certificate, and the kind of its key.

use std::time::{SystemTime, UNIX_EPOCH};

use forebay_io::Result;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use time::{Duration, OffsetDateTime};

use super::{failed, invalid};

/// The options of a certificate: its validity, and the kind of its key.
///
/// # Examples
///
/// ```
/// # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
/// use forebay::certificates::{Authority, KeyKind, Options};
///
/// let authority = Authority::with_options("Development", Options::default().days(365))?;
/// let options = Options::default().days(5).key(KeyKind::EcdsaP384);
/// let server = authority.server_with(["localhost"], options)?;
/// # Ok::<(), forebay::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Options {
    days: u32,
    key: KeyKind,
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on P-256, which every TLS implementation can verify.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519, which browsers do not accept.
    Ed25519,
}

impl Default for Options {
    fn default() -> Self {
        Self { days: 90, key: KeyKind::default() }
    }
}

/// The clocks of two machines differ: a certificate from this second may not be valid yet on the other one.
const BEFORE: Duration = Duration::hours(1);

impl Options {
    /// Sets for how many days from now the certificate is valid. It is already valid since an hour ago, for
    /// clocks that are behind. Default: 90.
    pub fn days(mut self, days: u32) -> Self {
        self.days = days;
        self
    }

    /// Sets the kind of the key. Default: ECDSA on P-256.
    pub fn key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    pub(super) fn generate_key(self) -> Result<KeyPair> {
        KeyPair::generate_for(match self.key {
            KeyKind::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::EcdsaP384 => &PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &PKCS_ED25519,
        })
        .map_err(failed)
    }

    /// Returns the start and the end of the validity.
    pub(super) fn validity(self) -> Result<(OffsetDateTime, OffsetDateTime)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        let now = now.and_then(|now| i64::try_from(now.as_secs()).ok());
        let now = now.and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
        let days = Duration::days(self.days.into());
        now.filter(|_| self.days > 0)
            .and_then(|now| Some((now.checked_sub(BEFORE)?, now.checked_add(days)?)))
            .ok_or_else(|| {
                invalid(format!(
                    "expected a time that ends before the year 10000 and not today, but `days` is {}",
                    self.days
                ))
            })
    }
}
