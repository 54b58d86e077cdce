//! The provider of cryptography, and the parts of it that are used.
//!
//! The provider is always named. The default provider of the process is neither used nor set, so that two
//! libraries in one program cannot conflict there.

mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result};
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::ProducesTickets;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::TlsVersion;

/// A provider with all of its parts, including those that are off by default.
struct Chosen {
    provider: fn() -> CryptoProvider,
    ticketer: fn() -> std::result::Result<Arc<dyn ProducesTickets>, rustls::Error>,
    suites: &'static [SupportedCipherSuite],
    groups: &'static [&'static dyn SupportedKxGroup],
}

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as chosen;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as chosen;

/// aws-lc-rs if that feature is on, ring otherwise.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
const CHOSEN: Option<Chosen> = Some(Chosen {
    provider: chosen::default_provider,
    ticketer: chosen::Ticketer::new,
    suites: chosen::ALL_CIPHER_SUITES,
    groups: chosen::ALL_KX_GROUPS,
});
#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
const CHOSEN: Option<Chosen> = None;

impl Chosen {
    fn get() -> Result<Self> {
        CHOSEN.ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "tls").with_detail(
                "this program was built without a provider of cryptography; \
                 switch on one of the features `aws-lc-rs` and `ring`",
            )
        })
    }
}

/// Returns the provider, with the parts that are on by default.
pub(crate) fn provider() -> Result<Arc<CryptoProvider>> {
    Ok(Arc::new((Chosen::get()?.provider)()))
}

/// Returns SHA-256. A provider's digests are found through its suites, whether or not these are used.
pub(crate) fn sha256() -> Result<&'static dyn Hash> {
    let suites = Chosen::get()?.suites.iter().filter_map(SupportedCipherSuite::tls13);
    let mut digests = suites.map(|suite| suite.common.hash_provider);
    digests.find(|digest| digest.algorithm() == HashAlgorithm::SHA256).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "tls")
            .with_detail("expected a provider that knows SHA-256, but this one does not")
    })
}

/// Draws a random number, so that no handshake draws the first one of the process: before that one, aws-lc-rs
/// collects entropy from the processor's timing, and a worker would stand still for tens of milliseconds.
pub(crate) fn seed(provider: &CryptoProvider, operation: &'static str) -> Result<()> {
    provider.secure_random.fill(&mut [0; 32]).map_err(|error| {
        Error::new(ErrorKind::System, operation)
            .with_detail("the system gave no random numbers")
            .with_cause(rustls::Error::from(error))
    })
}

/// Makes keys for tickets that contain the whole session; they are random and change every six hours.
pub(crate) fn ticketer(operation: &'static str) -> Result<Arc<dyn ProducesTickets>> {
    (Chosen::get()?.ticketer)().map_err(|error| {
        Error::new(ErrorKind::System, operation)
            .with_detail("the system gave no random numbers for the keys of tickets")
            .with_cause(error)
    })
}

/// The parts of the provider that a user wants, by name. `None`: all that are on by default.
#[derive(Debug, Clone, Default)]
pub(crate) struct WantedCryptography {
    pub(crate) cipher_suites: Option<Vec<String>>,
    pub(crate) versions: Option<Vec<String>>,
    pub(crate) key_exchange_groups: Option<Vec<String>>,
}

/// A provider reduced to the wanted parts. Each of its versions has a suite and a group.
#[derive(Debug, Clone)]
pub(crate) struct Cryptography {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Cryptography {
    /// Returns everything that is on by default.
    pub(crate) fn of_default() -> Result<Self> {
        Ok(Self { provider: provider()?, versions: rustls::DEFAULT_VERSIONS.to_vec() })
    }

    /// Reduces the provider to the wanted parts. Every part that was named is there afterwards and can be
    /// used, or this fails: a suite that no version can use would be an option that silently does nothing.
    pub(crate) fn of(wanted: &WantedCryptography, operation: &'static str) -> Result<Self> {
        let invalid =
            |detail: String| Error::new(ErrorKind::InvalidInput, operation).with_detail(detail);
        let chosen = Chosen::get()?;
        let mut provider = (chosen.provider)();
        if let Some(names) = &wanted.cipher_suites {
            provider.cipher_suites = names::suites(names, chosen.suites).map_err(invalid)?;
        }
        if let Some(names) = &wanted.key_exchange_groups {
            provider.kx_groups = names::groups(names, chosen.groups).map_err(invalid)?;
        }
        let named = match &wanted.versions {
            Some(names) => names::versions(names).map_err(invalid)?,
            None => vec![TlsVersion::Tls13, TlsVersion::Tls12],
        };
        let mut versions = Vec::new();
        for version in named.iter().copied() {
            match usable(&provider, version) {
                Ok(()) => versions.push(names::supported(version)),
                Err(why) if wanted.versions.is_some() => return Err(invalid(why)),
                Err(_) => {}
            }
        }
        if versions.is_empty() {
            return Err(invalid(
                "no version is left that has both a cipher suite and a key exchange group; \
                 name more of them, or none to take the defaults"
                    .into(),
            ));
        }
        if let Some(why) = first_useless(&provider, wanted, &versions) {
            return Err(invalid(why));
        }
        // Defaults that cannot be used with any of the versions are not offered.
        provider.cipher_suites.retain(|suite| versions.contains(&suite.version()));
        provider.kx_groups.retain(|group| goes_with(*group, &versions));
        Ok(Self { provider: Arc::new(provider), versions })
    }

    /// Returns the names of the remaining parts, for `Debug`.
    pub(crate) fn names(&self) -> impl std::fmt::Debug {
        let versions = self.versions.iter().map(|version| names::ours(version));
        let suites =
            self.provider.cipher_suites.iter().map(|suite| names::suite_name(suite.suite()));
        let groups = self.provider.kx_groups.iter().filter_map(|group| group.name().as_str());
        (versions.collect::<Vec<_>>(), suites.collect::<Vec<_>>(), groups.collect::<Vec<_>>())
    }
}

/// Checks that a version has a suite and a group, and says what is missing.
fn usable(provider: &CryptoProvider, version: TlsVersion) -> std::result::Result<(), String> {
    let supported = names::supported(version);
    if !provider.cipher_suites.iter().any(|suite| suite.version() == supported) {
        return Err(format!(
            "{version} is wanted, but none of the cipher suites is one of {version}; \
             add one to `cipher_suites`, or take {version} out of `versions`"
        ));
    }
    if !provider.kx_groups.iter().any(|group| group.usable_for_version(supported.version)) {
        return Err(format!(
            "{version} is wanted, but none of the key exchange groups can be used with it; \
             add one to `key_exchange_groups`, or take {version} out of `versions`"
        ));
    }
    Ok(())
}

fn goes_with(group: &dyn SupportedKxGroup, versions: &[&'static SupportedProtocolVersion]) -> bool {
    versions.iter().any(|version| group.usable_for_version(version.version))
}

/// Finds a suite or a group that was named and can never be used.
fn first_useless(
    provider: &CryptoProvider,
    wanted: &WantedCryptography,
    versions: &[&'static SupportedProtocolVersion],
) -> Option<String> {
    let listed = || {
        let left = versions.iter().map(|version| names::ours(version).to_string());
        left.collect::<Vec<_>>().join(" and ")
    };
    if wanted.cipher_suites.is_some() {
        let useless =
            provider.cipher_suites.iter().find(|suite| !versions.contains(&suite.version()));
        if let Some(suite) = useless {
            return Some(format!(
                "the cipher suite {} is one of {}, and only {} is left; \
                 take it out of `cipher_suites`, or add its version to `versions`",
                names::suite_name(suite.suite()),
                names::ours(suite.version()),
                listed(),
            ));
        }
    }
    if wanted.key_exchange_groups.is_some() {
        let useless = provider.kx_groups.iter().find(|group| !goes_with(**group, versions));
        if let Some(group) = useless {
            return Some(format!(
                "the key exchange group {} cannot be used with {}; \
                 take it out of `key_exchange_groups`, or add its version to `versions`",
                group.name().as_str().unwrap_or("without a name"),
                listed(),
            ));
        }
    }
    None
}
