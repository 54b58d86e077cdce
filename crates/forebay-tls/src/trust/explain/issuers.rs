//! Explanations of issuers, and of certificates without a trusted one.

use forebay_io::TlsFault;

use super::{Scene, refused, weak_key};
use crate::callback_facts::Refusal;
use crate::text::NAME_MAX;
use crate::trust::anchors;
use crate::trust::chain::{RSA_BITS_MIN, is_self_issued, rsa_bits};
use crate::trust::words::who;
use crate::x509::Certificate;
use forebay_io::seam::printable;

impl Scene<'_> {
    pub(super) fn unknown_issuer(&self) -> Refusal {
        let (Some(leaf), Some(last)) = (self.path.first(), self.path.last()) else {
            return self.malformed(0);
        };
        if is_self_issued(leaf) {
            return self_signed(leaf);
        }
        if is_self_issued(last) {
            return self.untrusted_root(last);
        }
        let issuer = printable(&last.issuer.to_string(), NAME_MAX);
        refused(
            TlsFault::IncompleteChain,
            "a chain that leads to a trusted root",
            format!(
                "{issuer}, the issuer of the last certificate ({}), was neither sent nor is it \
                 trusted here",
                who(last)
            ),
            format!(
                "have the {} send the certificate of {issuer} too, or, if that is a root, trust it \
                 with Trust::roots_pem",
                self.role()
            ),
        )
    }

    fn untrusted_root(&self, root: &Certificate<'_>) -> Refusal {
        let expected = "a chain that ends in a trusted root";
        if self.roots.is_some_and(|roots| anchors::named(roots, root.subject).is_some()) {
            return refused(
                TlsFault::UntrustedRoot,
                expected,
                format!(
                    "it ends in {}, whose name is trusted here, but with another key",
                    who(root)
                ),
                "if the root was made anew, trust the new one with Trust::roots_pem",
            );
        }
        refused(
            TlsFault::UntrustedRoot,
            expected,
            format!("it ends in {}, which is not trusted here", who(root)),
            "if that is your root, trust it with Trust::roots_pem or Trust::system_plus_pem",
        )
    }

    pub(super) fn authority_as_peer(&self, leaf: &Certificate<'_>) -> Refusal {
        let trusted = self.roots.is_some_and(|roots| anchors::named(roots, leaf.subject).is_some());
        if is_self_issued(leaf) && !trusted {
            return self_signed(leaf);
        }
        let role = self.role();
        refused(
            TlsFault::WrongPurpose,
            format!("the {role}'s own certificate"),
            format!("{} is that of an authority (basic constraints: CA)", who(leaf)),
            format!("issue one for the {role} with it, or trust its key with Trust::pinned"),
        )
    }

    /// Explains a signature that does not match. The signatures of an issuer with a weak key are not even
    /// checked. Of the other causes, the most frequent is a root that was made anew under its old name.
    pub(super) fn bad_signature(&self) -> Refusal {
        let weak = self.path.iter().skip(1).find_map(|c| {
            let bits = rsa_bits(&c.public_key).filter(|bits| *bits < RSA_BITS_MIN)?;
            Some(weak_key(c, bits, self.role()))
        });
        if let Some(refusal) = weak {
            return refusal;
        }
        let Some(last) = self.path.last() else { return self.malformed(0) };
        let root = self.roots.and_then(|roots| anchors::named(roots, last.issuer));
        if let Some(bits) = root.and_then(anchors::rsa_bits_of).filter(|bits| *bits < RSA_BITS_MIN)
        {
            return refused(
                TlsFault::WeakKey,
                format!("RSA keys of at least {RSA_BITS_MIN} bits"),
                format!(
                    "that of the root {} has {bits}",
                    printable(&last.issuer.to_string(), NAME_MAX)
                ),
                "trust a root with a larger key",
            );
        }
        if is_self_issued(last) && self.path.len() > 1 {
            return self.untrusted_root(last);
        }
        self.invalid(format!(
            "the signature on {} is not of the {} that is known here: it was altered, or its \
             issuer was made anew under the same name",
            who(last),
            printable(&last.issuer.to_string(), NAME_MAX)
        ))
    }
}

fn self_signed(leaf: &Certificate<'_>) -> Refusal {
    refused(
        TlsFault::SelfSigned,
        "a certificate that a trusted root vouches for",
        format!("{} was issued by itself and is not trusted here", who(leaf)),
        "if it is yours, trust it with Trust::roots_pem, or its key with Trust::pinned",
    )
}
