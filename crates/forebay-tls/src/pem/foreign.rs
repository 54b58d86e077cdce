//! Recognises formats that are often mistaken for a certificate or a key in PEM.

use crate::x509::{Certificate, PublicKey, is_request, is_revocation_list};

/// A certificate that only has the wrong form.
pub(super) const CERTIFICATE: &str = "a certificate in DER";

pub(super) const REQUEST: &str = "a request becomes a certificate when an authority signs it";
pub(super) const REVOCATION: &str =
    "lists of revoked certificates are not used here, so leave the list out";

/// The format of some bytes, and how to convert them.
#[derive(Clone, Copy)]
pub(crate) struct Foreign {
    pub(crate) what: &'static str,
    pub(crate) advice: &'static str,
}

/// Recognises the format of bytes that are not PEM.
pub(crate) fn recognise(bytes: &[u8]) -> Foreign {
    let (what, advice) = match bytes {
        [] => ("empty", "was it written completely?"),
        _ if bytes.trim_ascii().is_empty() => ("blank", "was it written completely?"),
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => (
            "a key store of Java",
            "`keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12` makes a PKCS#12 \
             store of it, and `openssl pkcs12 -in NEW.p12 -noenc -out NEW.pem` makes PEM of that",
        ),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("text in UTF-16", "save it as ASCII or UTF-8"),
        [0x30, ..] => der(bytes),
        _ if bytes.starts_with(b"ssh-") || bytes.starts_with(b"ecdsa-sha2-") => {
            ("a public key of OpenSSH", "take the certificate or the private key")
        }
        _ if bytes.starts_with(b"PuTTY-User-Key-File") => {
            ("a key of PuTTY", "`puttygen FILE -O private-openssh` exports it")
        }
        _ if bytes.starts_with(b"-----BEGIN ") => ("PEM", "read it as such"),
        _ if bytes.windows(11).any(|window| window == b"-----BEGIN ") => (
            "a text in which `-----BEGIN` does not stand at the beginning of a line",
            "take out what stands before it",
        ),
        _ => ("something else", "a section in PEM begins with a line `-----BEGIN ...-----`"),
    };
    Foreign { what, advice }
}

/// Tells apart structures in DER, by their beginning where they do not parse completely.
fn der(bytes: &[u8]) -> (&'static str, &'static str) {
    // `pkcs7-signedData`, and the arcs of password based encryption (RFC 8018, RFC 7292).
    const PKCS7: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    const PBES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05];
    const PKCS12_PBE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
    let inside = content(bytes).unwrap_or_default();
    let algorithm = content(inside).and_then(content).unwrap_or_default();
    if Certificate::read(bytes).is_some() {
        (CERTIFICATE, "`openssl x509 -inform der -in FILE -out NEW` makes PEM of it")
    } else if inside.starts_with(&[2, 1, 3]) {
        ("a PKCS#12 store", "`openssl pkcs12 -in FILE -noenc -out NEW` makes PEM of it")
    } else if inside.starts_with(&[2, 1, 0]) || inside.starts_with(&[2, 1, 1]) {
        ("a private key in DER", "`openssl pkey -inform der -in FILE -out NEW` makes PEM of it")
    } else if inside.starts_with(PKCS7) {
        (
            "a PKCS#7 bundle in DER",
            "`openssl pkcs7 -inform der -print_certs -in FILE -out NEW` makes PEM of it",
        )
    } else if algorithm.starts_with(PBES) || algorithm.starts_with(PKCS12_PBE) {
        (
            "an encrypted private key in DER",
            "`openssl pkey -inform der -in FILE -out NEW` writes it unencrypted in PEM",
        )
    } else if is_request(bytes) {
        ("a certificate request in DER", REQUEST)
    } else if is_revocation_list(bytes) {
        ("a revocation list in DER", REVOCATION)
    } else if PublicKey::read(bytes).is_some() {
        ("a public key in DER", "take the certificate or the private key")
    } else {
        ("something else in DER", "certificates and keys are wanted in PEM")
    }
}

/// Returns the content of an element of DER (X.690, section 8.1). Its length is not checked.
fn content(element: &[u8]) -> Option<&[u8]> {
    match *element.get(1)? {
        length @ 0x81..=0x84 => element.get(2 + usize::from(length & 0x7f)..),
        _ => element.get(2..),
    }
}
