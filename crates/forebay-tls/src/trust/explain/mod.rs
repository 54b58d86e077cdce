//! Explains a refused chain to the user: what was expected, what was received, and what to do.

mod dates;
mod issuers;

use std::fmt::Display;

use forebay_io::TlsFault;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, RootCertStore};

use super::chain::{
    AUTHORITIES_MAX, Chain, Presented, RSA_BITS_MIN, Role, is_self_issued, rsa_bits,
};
use super::words::{algorithm, constraints, is_weak, purposes, who};
use crate::callback_facts::Refusal;
use crate::info::names_of;
use crate::text::{NAME_MAX, list};
use crate::x509::{CLIENT_AUTHENTICATION, Certificate, SERVER_AUTHENTICATION};
use forebay_io::seam::printable;

/// The largest number of names that a message lists; a certificate may have thousands.
const NAMES_SHOWN: usize = 8;

/// Explains why a judge refused a chain. `roots` are the trusted ones, if they are known.
pub(super) fn refusal(
    error: &Error,
    presented: &Presented<'_>,
    roots: Option<&RootCertStore>,
) -> Refusal {
    let chain = Chain::of(presented);
    let scene = Scene { path: chain.path(), chain: &chain, presented, roots };
    match error {
        Error::InvalidCertificate(error) => scene.certificate(error),
        error => scene.invalid(format!("the verifier said: {error}")),
    }
}

/// Explains why a signature of the handshake was refused. `None` leaves it to the error.
pub(super) fn signature(
    error: &Error,
    certificate: &CertificateDer<'_>,
    role: Role<'_>,
) -> Option<Refusal> {
    let Error::InvalidCertificate(error) = error else { return None };
    let (certificate, _) = Certificate::read_first(certificate)?;
    if let Some(bits) = rsa_bits(&certificate.public_key).filter(|bits| *bits < RSA_BITS_MIN) {
        return Some(weak_key(&certificate, bits, role));
    }
    Some(match fault_of(error) {
        fault @ TlsFault::UnsupportedAlgorithm => refused(
            fault,
            "a signature that the provider can check",
            format!("the key in {} is of another kind", who(&certificate)),
            format!("have the {role} use a key of ECDSA P-256 or RSA"),
        ),
        fault => refused(
            fault,
            format!("the {role} to sign the handshake with the key of its certificate"),
            format!("the signature does not fit {}", who(&certificate)),
            format!("see whether the {role}'s key belongs to its certificate"),
        ),
    })
}

/// Returns the fault behind a verifier's error, as far as the error alone tells.
pub(crate) fn fault_of(error: &CertificateError) -> TlsFault {
    use CertificateError as E;
    #[expect(deprecated, reason = "a verifier of the platform may still use the old words")]
    match error {
        E::Expired | E::ExpiredContext { .. } => TlsFault::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => TlsFault::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => TlsFault::WrongName,
        E::UnknownIssuer => TlsFault::UntrustedRoot,
        E::Revoked => TlsFault::Revoked,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => TlsFault::WrongPurpose,
        E::UnsupportedSignatureAlgorithm
        | E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            TlsFault::UnsupportedAlgorithm
        }
        E::ApplicationVerificationFailure => TlsFault::RefusedByVerifier,
        E::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::NameConstraintViolation) => TlsFault::NameConstraints,
            Some(webpki::Error::CaUsedAsEndEntity) => TlsFault::WrongPurpose,
            _ => TlsFault::InvalidCertificate,
        },
        _ => TlsFault::InvalidCertificate,
    }
}

/// Builds the sentence of a refusal, which always has these three parts.
pub(in crate::trust) fn refused(
    fault: TlsFault,
    expected: impl Display,
    came: impl Display,
    remedy: impl Display,
) -> Refusal {
    Refusal { fault, detail: format!("expected {expected}, but {came}; {remedy}"), cause: None }
}

pub(in crate::trust) fn weak_key(
    certificate: &Certificate<'_>,
    bits: usize,
    role: Role<'_>,
) -> Refusal {
    refused(
        TlsFault::WeakKey,
        format!("RSA keys of at least {RSA_BITS_MIN} bits"),
        format!("that of {} has {bits}", who(certificate)),
        format!("have the {role}'s chain issued anew, with larger keys"),
    )
}

/// Everything that is known when a chain is refused.
struct Scene<'a> {
    presented: &'a Presented<'a>,
    chain: &'a Chain<'a>,
    path: Vec<&'a Certificate<'a>>,
    roots: Option<&'a RootCertStore>,
}

impl Scene<'_> {
    fn certificate(&self, error: &CertificateError) -> Refusal {
        use CertificateError as E;
        let fault = fault_of(error);
        // A malformed certificate may be an unneeded one, which does no harm. It is the reason only if it
        // is the peer's own certificate, or if the error does not tell the reason.
        let is_open = matches!(fault, TlsFault::UntrustedRoot | TlsFault::InvalidCertificate);
        if let Some(index) = self.chain.malformed.filter(|index| *index == 0 || is_open) {
            return self.malformed(index);
        }
        let Some(leaf) = self.path.first() else { return self.malformed(0) };
        match (fault, error) {
            (TlsFault::Expired, E::Expired) => self.backward_dates(),
            (TlsFault::Expired, error) => self.expired(error),
            (TlsFault::NotYetValid, error) => self.not_yet_valid(error),
            (TlsFault::WrongName, _) => self.wrong_name(leaf),
            (TlsFault::UntrustedRoot, _) => self.unknown_issuer(),
            (TlsFault::WrongPurpose, E::Other(_)) => self.authority_as_peer(leaf),
            (TlsFault::WrongPurpose, _) => self.wrong_purpose(),
            (TlsFault::UnsupportedAlgorithm, _) => self.signature_algorithm(),
            (TlsFault::NameConstraints, _) => self.name_constraints(leaf),
            (TlsFault::Revoked, _) => self.revoked(leaf),
            (_, E::BadSignature) => self.bad_signature(),
            (_, E::Other(other)) => match other.0.downcast_ref::<webpki::Error>() {
                Some(error) => self.rejected(error),
                // The platform's verifier has its own error type for a wrong purpose.
                None if self.serves_another_purpose(leaf) => self.wrong_purpose(),
                None => self.invalid(format!(
                    "the verifier said: {}",
                    printable(&other.to_string(), NAME_MAX)
                )),
            },
            (_, error) => self.invalid(format!("the verifier said: {error:?}")),
        }
    }

    fn role(&self) -> Role<'_> {
        self.presented.role
    }

    fn wrong_name(&self, leaf: &Certificate<'_>) -> Refusal {
        let Role::Server(name) = self.role() else {
            return self.invalid("its names do not fit".to_owned());
        };
        let expected = printable(&name.to_str(), NAME_MAX);
        let names = names_of(leaf);
        if names.is_empty() {
            return refused(
                TlsFault::NoName,
                format!("a certificate with the subject alternative name {expected}"),
                format!("{} has none, and a common name does not count", who(leaf)),
                format!("have one issued with subjectAltName {expected}"),
            );
        }
        // RFC 5280, section 4.2.1.6, allows no dot at the end of a name.
        let is_dotted = names.iter().any(|name| name.strip_suffix('.') == Some(&*expected));
        let remedy = if is_dotted {
            "have it issued without the dot at the end of its name".to_owned()
        } else {
            format!(
                "connect to such a name, say it with `server_name`, or have a certificate issued \
                 for {expected}"
            )
        };
        refused(
            TlsFault::WrongName,
            format!("a certificate for {expected}"),
            format!("the server's is for {}", list(&names, NAMES_SHOWN)),
            remedy,
        )
    }

    fn wrong_purpose(&self) -> Refusal {
        let (needed, short) = match self.role() {
            Role::Client => ("client authentication", "clientAuth"),
            Role::Server(_) | Role::SomeServer => ("server authentication", "serverAuth"),
        };
        let other = self.path.iter().find(|c| self.serves_another_purpose(c));
        let came = other.map_or_else(
            || "one is made for something else".to_owned(),
            |c| format!("{} is for {}", who(c), purposes(c)),
        );
        refused(
            TlsFault::WrongPurpose,
            format!("certificates for {needed}"),
            came,
            format!("have one issued with the extended key usage {short}"),
        )
    }

    /// Returns `true` if a certificate is for other purposes only. Without the extension it is for every
    /// purpose (RFC 5280, section 4.2.1.12).
    fn serves_another_purpose(&self, certificate: &Certificate<'_>) -> bool {
        let needed = match self.role() {
            Role::Client => CLIENT_AUTHENTICATION,
            Role::Server(_) | Role::SomeServer => SERVER_AUTHENTICATION,
        };
        certificate.purposes().is_some_and(|purposes| !purposes.contains(&needed.as_bytes()))
    }

    fn signature_algorithm(&self) -> Refusal {
        let weak = self.path.iter().find(|c| is_weak(c));
        if let Some(certificate) = weak {
            return refused(
                TlsFault::WeakSignature,
                "signatures with SHA-256 or better",
                format!("{} is signed with {}", who(certificate), algorithm(certificate)),
                format!("have the {}'s certificate issued anew", self.role()),
            );
        }
        let which: Vec<String> =
            self.path.iter().map(|c| format!("{} with {}", who(c), algorithm(c))).collect();
        refused(
            TlsFault::UnsupportedAlgorithm,
            "signatures that the provider can check",
            format!("received {}", list(&which, NAMES_SHOWN)),
            "use another provider, or have the chain issued with ECDSA P-256 or RSA",
        )
    }

    fn name_constraints(&self, leaf: &Certificate<'_>) -> Refusal {
        let rules: Vec<String> = self.path.iter().skip(1).filter_map(|c| constraints(c)).collect();
        let rules = match rules.as_slice() {
            [] => "its root may not vouch for all of these".to_owned(),
            rules => list(rules, NAMES_SHOWN),
        };
        refused(
            TlsFault::NameConstraints,
            "names that every authority of the chain may vouch for",
            format!("{} is for {}, and {rules}", who(leaf), list(&names_of(leaf), NAMES_SHOWN)),
            "have it issued by an authority without that limit, or for other names",
        )
    }

    fn revoked(&self, leaf: &Certificate<'_>) -> Refusal {
        refused(
            TlsFault::Revoked,
            "certificates that are still good",
            format!("the system knows {}, or one of its issuers, as revoked", who(leaf)),
            format!("have the {} use a new key and certificate", self.role()),
        )
    }

    fn rejected(&self, error: &webpki::Error) -> Refusal {
        use webpki::Error as E;
        if matches!(error, E::MaximumPathDepthExceeded)
            && let Some(refusal) = self.too_long()
        {
            return refusal;
        }
        self.invalid(match error {
            E::EndEntityUsedAsCa => match self.path.iter().skip(1).find(|c| !c.is_ca()) {
                Some(issuer) => format!(
                    "{} issued one, which is no authority (no basic constraints: CA)",
                    who(issuer)
                ),
                None => "one was issued by a certificate that is not an authority's".to_owned(),
            },
            E::PathLenConstraintViolated => {
                "an authority has issued another, and may not (path length)".to_owned()
            }
            E::MaximumSignatureChecksExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumNameConstraintComparisonsExceeded
            | E::MaximumPathDepthExceeded => "the chain takes too long to check".to_owned(),
            E::UnsupportedCertVersion => "one is not of X.509 version 3".to_owned(),
            E::UnsupportedCriticalExtension => {
                "one has a critical extension that is not known here".to_owned()
            }
            other => format!("a check failed: {other:?}"),
        })
    }

    /// Returns `None` if the path by names is within the limit, so that another path was too long.
    fn too_long(&self) -> Option<Refusal> {
        let authorities = self.path.get(1..)?;
        // A root that was sent along does not count.
        let roots = usize::from(authorities.last().is_some_and(|last| is_self_issued(last)));
        let count = authorities.len() - roots;
        let role = self.role();
        (count > AUTHORITIES_MAX).then(|| {
            refused(
                TlsFault::InvalidCertificate,
                format!(
                    "at most {AUTHORITIES_MAX} authorities between the {role}'s certificate and a \
                     trusted root"
                ),
                format!("the chain has {count}"),
                format!(
                    "have the {role} use a certificate that is nearer to the root, or trust one of \
                     them with Trust::roots_pem"
                ),
            )
        })
    }

    fn malformed(&self, index: usize) -> Refusal {
        self.invalid(format!("certificate {} of the chain is malformed", index + 1))
    }

    fn invalid(&self, came: impl Display) -> Refusal {
        let role = self.role();
        refused(
            TlsFault::InvalidCertificate,
            format!("a {role} with a valid chain of certificates"),
            came,
            format!("have the {role}'s certificate issued anew"),
        )
    }
}
