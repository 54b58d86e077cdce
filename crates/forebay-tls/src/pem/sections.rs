//! The sections of a text in PEM (RFC 7468): certificates, keys and others.

use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::foreign;
use crate::text::list;

const BEGIN: &[u8] = b"-----BEGIN ";
/// A mark that some editors write in front of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The header of RFC 1421, section 4.6.1.1, with which OpenSSL marks encrypted keys.
const ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// The largest number of sections that a message names.
const FOUND_MAX: usize = 8;

/// Labels, or parts of labels, of sections that are often mistaken for a certificate or a key, with what to
/// do.
const OFTEN_MISTAKEN: [(&str, &str); 6] = [
    ("OPENSSH PRIVATE KEY", "`ssh-keygen -p -m PKCS8 -f FILE` writes the key in PKCS#8"),
    ("CERTIFICATE REQUEST", foreign::REQUEST),
    ("TRUSTED CERTIFICATE", "`openssl x509 -in FILE -out NEW` leaves the trust settings out"),
    ("PKCS7", "`openssl pkcs7 -print_certs -in FILE -out NEW` takes the certificates out"),
    ("X509 CRL", foreign::REVOCATION),
    ("PUBLIC KEY", "a public key is neither, so take the private key and the certificate"),
];

/// The sections of a text. The error details that its methods return contain nothing of the text but the
/// labels of its sections.
pub(super) struct Sections {
    certificates: Vec<CertificateDer<'static>>,
    keys: Vec<PrivateKeyDer<'static>>,
    encrypted_count: usize,
    others: Vec<String>,
}

impl Sections {
    /// Splits a text. The error is the detail of a message.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let marks = marks(text);
        if marks.is_empty() {
            let found = foreign::recognise(text);
            return Err(format!("this is not PEM but {}; {}", found.what, found.advice));
        }
        if let Some(mark) = marks.iter().find(|mark| !mark.is_whole) {
            return Err(damaged(mark, "its BEGIN line does not end in five hyphens"));
        }
        let mut sections = Self {
            certificates: Vec::new(),
            keys: Vec::new(),
            encrypted_count: marks.iter().filter(|mark| mark.is_encrypted).count(),
            others: marks.iter().filter(|mark| mark.is_other()).map(Mark::name).collect(),
        };
        // The reader of `rustls-pki-types` skips sections with unknown labels.
        let mut known = marks.iter().filter(|mark| SectionKind::try_from(mark.label).is_ok());
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
            let mark = known.next();
            // Its header lines are not base64.
            if mark.is_some_and(|mark| mark.is_encrypted) {
                continue;
            }
            let section = section.map_err(|error| match (error, mark, marks.last()) {
                (pem::Error::Base64Decode(_), Some(mark), _) => {
                    damaged(mark, "its content is not base64")
                }
                // No section follows the one that does not end.
                (pem::Error::MissingSectionEnd { .. }, _, Some(last)) => {
                    damaged(last, "it has no END line, so the text was cut off")
                }
                // The reader's own message may contain a line of the text.
                _ => "a section cannot be read; copy it anew".into(),
            })?;
            match section {
                (SectionKind::Certificate, der) => sections.certificates.push(der.into()),
                (SectionKind::PrivateKey, der) => {
                    sections.keys.push(PrivateKeyDer::Pkcs8(der.into()));
                }
                (SectionKind::RsaPrivateKey, der) => {
                    sections.keys.push(PrivateKeyDer::Pkcs1(der.into()));
                }
                (SectionKind::EcPrivateKey, der) => {
                    sections.keys.push(PrivateKeyDer::Sec1(der.into()));
                }
                _ => {}
            }
        }
        Ok(sections)
    }

    /// Returns the certificates, of which there is at least one.
    pub(super) fn certificates(&self) -> Result<&[CertificateDer<'static>], String> {
        if self.certificates.is_empty() {
            return Err(self.lacks("certificate", "CERTIFICATE"));
        }
        Ok(&self.certificates)
    }

    /// Returns the one key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        match self.keys.as_slice() {
            _ if self.encrypted_count > 0 => Err(self.encrypted()),
            [key] => Ok(key.clone_key()),
            [] => Err(self.lacks("private key", "PRIVATE KEY")),
            keys => Err(format!(
                "there are {} private keys in it, and only one can be that of the certificate; \
                 leave the others out",
                keys.len(),
            )),
        }
    }

    fn lacks(&self, what: &str, label: &str) -> String {
        let mut why = format!(
            "there is no {what} in it, only {}; one stands between `-----BEGIN {label}-----` and \
             `-----END {label}-----`",
            self.found(),
        );
        if let Some(advice) = self.advice() {
            why.push_str("; ");
            why.push_str(advice);
        }
        why
    }

    fn encrypted(&self) -> String {
        match self.encrypted_count + self.keys.len() {
            1 => "the private key is encrypted, and there is no way to ask for its password; \
                  `openssl pkey -in FILE -out NEW` writes it unencrypted"
                .into(),
            count => format!(
                "there are {count} private keys in it, some of them encrypted; leave one in, \
                 unencrypted: `openssl pkey -in FILE -out NEW` writes one so"
            ),
        }
    }

    /// Lists what the text contains, in words.
    fn found(&self) -> String {
        let mut found = Vec::new();
        for (count, one) in [
            (self.certificates.len(), "certificate"),
            (self.keys.len(), "private key"),
            (self.encrypted_count, "encrypted private key"),
        ] {
            match count {
                0 => {}
                1 => found.push(format!("1 {one}")),
                count => found.push(format!("{count} {one}s")),
            }
        }
        found.extend(self.others.iter().map(|name| format!("a section \"{name}\"")));
        if found.is_empty() { "sections without content".into() } else { list(&found, FOUND_MAX) }
    }

    /// Returns what to do with another section that is often mistaken for a certificate or a key.
    fn advice(&self) -> Option<&'static str> {
        let known = OFTEN_MISTAKEN
            .iter()
            .find(|(label, _)| self.others.iter().any(|other| other.contains(label)));
        known.map(|(_, advice)| *advice)
    }
}

/// The first line of a section.
struct Mark<'a> {
    label: &'a [u8],
    is_encrypted: bool,
    is_whole: bool,
}

impl Mark<'_> {
    fn is_key(&self) -> bool {
        matches!(self.label, b"PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY")
            && !self.is_encrypted
    }

    /// Returns `true` if nothing is taken from the section.
    fn is_other(&self) -> bool {
        !self.is_key() && !self.is_encrypted && self.label != b"CERTIFICATE"
    }

    /// Returns the label, unless it has characters that no label has: those could be anything.
    fn name(&self) -> String {
        let is_label =
            |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
        match std::str::from_utf8(self.label) {
            Ok(label) if label.len() <= 32 && self.label.iter().all(is_label) => label.to_owned(),
            _ => "of an unknown kind".into(),
        }
    }
}

/// Finds the first lines of sections.
fn marks(text: &[u8]) -> Vec<Mark<'_>> {
    let mut marks: Vec<Mark<'_>> = Vec::new();
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if let Some(rest) = line.strip_prefix(BEGIN) {
            let rest = rest.trim_ascii_end();
            let end = rest.iter().rposition(|byte| *byte != b'-').map_or(0, |last| last + 1);
            let (label, hyphens) = rest.split_at(end);
            let is_encrypted = label == b"ENCRYPTED PRIVATE KEY";
            marks.push(Mark { label, is_encrypted, is_whole: hyphens.len() == 5 });
        } else if line.trim_ascii_end() == ENCRYPTED
            && let Some(last) = marks.last_mut()
        {
            last.is_encrypted = true;
        }
    }
    marks
}

fn damaged(mark: &Mark<'_>, why: &str) -> String {
    format!("a section \"{}\" is damaged: {why}; copy it anew", mark.name())
}
