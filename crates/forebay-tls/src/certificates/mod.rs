//! Certificates for development and tests: an authority, and the certificates that it issues.
//!
//! Browsers and `curl` rightly distrust a self-signed certificate. An [`Authority`] takes one line to make,
//! and its certificate is given to the peers that shall trust its servers and clients. Nothing here is for
//! production: the keys are in this process's memory, nothing can be revoked, and a leaked key file is
//! enough to impersonate its owner.
//!
//! # Examples
//!
//! ```
//! # mod forebay { pub use forebay_io::*; pub use forebay_tls::*; }
//! use forebay::certificates::Authority;
//! use forebay::{TlsConfig, Trust};
//!
//! let authority = Authority::new("Development")?;
//! let server = authority.server(["localhost", "127.0.0.1", "::1"])?;
//! let server = TlsConfig::server(server.identity()?).build()?;
//!
//! let client = TlsConfig::client().trust(Trust::roots_pem(authority.pem())?).build()?;
//! # Ok::<(), forebay::Error>(())
//! ```

mod issued;
mod options;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use forebay_io::{Error, ErrorKind, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::text::NAME_MAX;
use crate::trust::AUTHORITIES_MAX;
use forebay_io::seam::printable;

pub use issued::Issued;
pub use options::{KeyKind, Options};

/// An authority that issues certificates for development.
///
/// Give [`pem`](Authority::pem) to the peers that shall trust it. `Debug` and errors never show its key,
/// which lives as long as the value does. The [module](self) has an example.
#[doc(alias = "generateCertificate")]
pub struct Authority {
    name: String,
    params: CertificateParams,
    key: KeyPair,
    pem: String,
    /// The authorities above this one, without the root, the nearest first. Its certificates are sent with
    /// them.
    above: String,
    /// The number of authorities from the root down to this one; zero for a root.
    depth: usize,
}

impl Authority {
    /// Makes a root authority with this name (its common name), valid for 90 days.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name is empty or cannot be written in a
    /// certificate.
    pub fn new(name: &str) -> Result<Self> {
        Self::with_options(name, Options::default())
    }

    /// Makes a root authority with other options.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Authority::new); [`InvalidInput`](ErrorKind::InvalidInput) for a validity of no
    /// days, or one that ends after the year 9999.
    pub fn with_options(name: &str, options: Options) -> Result<Self> {
        let (params, key) = (authority_params(name, options)?, options.generate_key()?);
        let certificate = params.self_signed(&key).map_err(failed)?;
        let (name, above) = (name.to_owned(), String::new());
        Ok(Self { name, pem: certificate.pem(), params, key, above, depth: 0 })
    }

    /// Makes an authority below this one, valid for 90 days. The certificates it issues are sent together
    /// with its own, so that peers that trust the root accept them.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Authority::new); [`InvalidInput`](ErrorKind::InvalidInput) if this would be the
    /// seventh authority below the root, whose certificates no client would accept.
    pub fn authority(&self, name: &str) -> Result<Self> {
        if self.depth == AUTHORITIES_MAX {
            return Err(invalid(format!(
                "expected at most {AUTHORITIES_MAX} authorities below a root, which is as far as \
                 clients follow, but this would be one more; issue from one that is nearer to the root"
            )));
        }
        let options = Options::default();
        let (params, key) = (authority_params(name, options)?, options.generate_key()?);
        let certificate = params.signed_by(&key, &self.issuer()).map_err(failed)?;
        let pem = certificate.pem();
        let above = format!("{pem}{}", self.above);
        Ok(Self { name: name.to_owned(), pem, params, key, above, depth: self.depth + 1 })
    }

    /// Issues a server certificate for these DNS names and IP addresses, valid for 90 days.
    ///
    /// It lists the DNS names first, then the addresses, each in the given order; its common name is the
    /// first of them. The asterisk in `*.example.com` stands for one label. At least two labels must follow
    /// it, because clients accept no certificate for `*.com` or `*.localhost`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there is no name; if a name is neither a DNS name nor
    /// an address; or if no client would match it, because it ends in a dot or has an asterisk in front of
    /// a single label.
    pub fn server(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Issued> {
        self.server_with(names, Options::default())
    }

    /// Issues a server certificate with other options.
    ///
    /// # Errors
    ///
    /// Those of [`server`](Authority::server), and those of invalid options.
    pub fn server_with(
        &self,
        names: impl IntoIterator<Item = impl AsRef<str>>,
        options: Options,
    ) -> Result<Issued> {
        let names = alternative_names(names)?;
        let Some(first) = names.first() else {
            return Err(invalid("expected at least one DNS name or IP address, but there is none"));
        };
        let mut params = leaf_params(&text_of(first), options)?;
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params, options)
    }

    /// Issues a client certificate for this name (its common name), valid for 90 days.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the name is empty.
    pub fn client(&self, name: &str) -> Result<Issued> {
        self.client_with(name, Options::default())
    }

    /// Issues a client certificate with other options.
    ///
    /// # Errors
    ///
    /// Those of [`client`](Authority::client), and those of invalid options.
    pub fn client_with(&self, name: &str, options: Options) -> Result<Issued> {
        let mut params = leaf_params(name, options)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, options)
    }

    /// Returns the authority's certificate, by which peers trust it. It is not secret.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns the authority's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn issue(&self, params: &CertificateParams, options: Options) -> Result<Issued> {
        let key = options.generate_key()?;
        let certificate = params.signed_by(&key, &self.issuer()).map_err(failed)?;
        Ok(Issued::new(format!("{}{}", certificate.pem(), self.above), key.serialize_pem()))
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// Makes the parameters of an authority, which may issue anything (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
fn authority_params(name: &str, options: Options) -> Result<CertificateParams> {
    let mut params = params(name, options)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf_params(name: &str, options: Options) -> Result<CertificateParams> {
    let mut params = params(name, options)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(name: &str, options: Options) -> Result<CertificateParams> {
    if name.is_empty() {
        return Err(invalid("expected a name, but it is empty"));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = options.validity()?;
    Ok(params)
}

/// Parses the names: DNS names first, then addresses.
fn alternative_names(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<SanType>> {
    let (mut hosts, mut addresses) = (Vec::new(), Vec::new());
    for name in names {
        let name = name.as_ref();
        match name.parse::<IpAddr>() {
            Ok(address) => addresses.push(SanType::IpAddress(address)),
            Err(_) => hosts.push(SanType::DnsName(dns_name(name)?)),
        }
    }
    hosts.extend(addresses);
    Ok(hosts)
}

/// Refuses a name that our client, and most others, would never match: here it can still be corrected.
fn dns_name(name: &str) -> Result<rcgen::string::Ia5String> {
    let shown = printable(name, NAME_MAX);
    let wildcard = name.strip_prefix("*.");
    let host = wildcard.unwrap_or(name);
    if host.len() > 1 && host.ends_with('.') {
        return Err(invalid(format!(
            "expected a DNS name as certificates have it, but {shown:?} ends in a dot (RFC 5280, \
             section 4.2.1.6); leave out the dot"
        )));
    }
    // OpenSSL, GnuTLS and Node refuse it as well; Go and Java do not.
    if wildcard.is_some_and(|host| !host.contains('.')) {
        return Err(invalid(format!(
            "expected a wildcard that is not for all names below {host:?}, but {shown:?} is, and \
             clients do not believe it; two labels must follow the asterisk, as in \
             \"*.app.{host}\"",
            host = printable(host, NAME_MAX),
        )));
    }
    rustls_pki_types::DnsName::try_from(host).ok().and_then(|_| name.try_into().ok()).ok_or_else(
        || invalid(format!("expected a DNS name or an IP address, but {shown:?} is neither")),
    )
}

fn text_of(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) => name.to_string(),
        SanType::IpAddress(address) => address.to_string(),
        // No other kinds are made.
        _ => String::new(),
    }
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, "certificates").with_detail(detail.into())
}

fn failed(error: rcgen::Error) -> Error {
    Error::new(ErrorKind::Other, "certificates")
        .with_detail(format!("the certificate could not be made: {error}"))
        .with_cause(error)
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}
