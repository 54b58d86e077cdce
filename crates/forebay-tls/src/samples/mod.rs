//! Certificates for the tests of this crate, made when they are needed.
//!
//! They are valid today and at the fixed time that some tests use; a test about dates sets its own.

mod files;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::CertificateDer;

use crate::Trust;

pub(crate) use files::{Directory, assert_hides};

/// An authority with its key and its parameters.
pub(crate) struct Authority {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    pub(crate) der: Vec<u8>,
    pub(crate) key_der: Vec<u8>,
}

impl Authority {
    /// Makes a root.
    pub(crate) fn new(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (authority(name, change), KeyPair::generate().unwrap());
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    /// Makes an authority below this one.
    pub(crate) fn authority(&self, name: &str) -> Self {
        self.authority_with(name, |_| {})
    }

    pub(crate) fn authority_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (params, key) = (authority(name, change), KeyPair::generate().unwrap());
        let der = params.signed_by(&key, &self.issuer()).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(crate) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub(crate) fn pem(&self) -> String {
        pem(&self.der)
    }

    /// Returns trust in this root only.
    pub(crate) fn trust(&self) -> Trust {
        Trust::roots_pem(self.pem()).unwrap()
    }

    /// Issues a valid certificate for these names, with its key.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(&KeyPair::generate().unwrap(), names, |_| {})
    }

    /// Issues a certificate for a key, with changed parameters.
    pub(crate) fn issue_with(
        &self,
        key: &KeyPair,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = named("the leaf", names);
        change(&mut params);
        let certificate = params.signed_by(key, &self.issuer()).unwrap();
        Issued {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        }
    }

    /// Issues a certificate for these names, for tests that need no key.
    pub(crate) fn leaf(&self, names: &[&str]) -> CertificateDer<'static> {
        self.leaf_with(names, |_| {})
    }

    pub(crate) fn leaf_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        self.leaf_for(&KeyPair::generate().unwrap(), names, change)
    }

    pub(crate) fn leaf_for(
        &self,
        key: &KeyPair,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        self.issue_with(key, names, change).der.into()
    }
}

impl Issued {
    /// Returns the certificate and the key in one text.
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.pem, self.key_pem)
    }
}

/// Returns valid parameters, for a subject of this name.
pub(crate) fn named(name: &str, alternative: &[&str]) -> CertificateParams {
    let names: Vec<String> = alternative.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    params
}

/// Makes a certificate that is signed with its own key.
pub(crate) fn self_signed(params: &CertificateParams) -> CertificateDer<'static> {
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

/// Returns the PEM form of bytes, which need not be a certificate.
pub(crate) fn pem(der: &[u8]) -> String {
    let body = base64_lines(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

fn base64_lines(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut lines = String::new();
    for line in bytes.chunks(48) {
        for group in line.chunks(3) {
            let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4 {
                let value = (bits >> (18 - 6 * digit)) & 63;
                lines.push(if digit > group.len() { '=' } else { DIGITS[value as usize].into() });
            }
        }
        lines.push('\n');
    }
    lines
}
