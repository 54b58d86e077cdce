//! Pins: the SHA-256 of public keys, by which peers are authenticated.

use std::fmt;
use std::sync::Arc;

use forebay_io::{Error, ErrorKind, Result, TlsFault};
use rustls::CertificateError;
use rustls::crypto::hash::Hash;
use rustls::server::ParsedCertificate;

use super::chain::Presented;
use super::explain;
use super::judge::{Judge, Refused};
use crate::callback_facts::Refusal;
use crate::provider::sha256;

/// The SHA-256 of a `SubjectPublicKeyInfo` (RFC 7469, section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// A value that can be a pin for [`Trust::pinned`](crate::Trust::pinned): text in base64 or hexadecimal, or
/// the 32 bytes.
///
/// Implemented for `&str`, `String`, `&String` and `[u8; 32]`. It cannot be implemented elsewhere.
pub trait ToPin: sealed::ToPin {}

impl<T: sealed::ToPin> ToPin for T {}

mod sealed {
    use forebay_io::Result;

    use super::Pin;

    pub trait ToPin {
        /// Parses the pin.
        ///
        /// # Errors
        ///
        /// `InvalidInput` if the text is not a pin.
        fn to_pin(self) -> Result<Pin>;
    }

    impl ToPin for [u8; 32] {
        fn to_pin(self) -> Result<Pin> {
            Ok(Pin(self))
        }
    }

    impl ToPin for &str {
        fn to_pin(self) -> Result<Pin> {
            Pin::parse(self)
        }
    }

    impl ToPin for &String {
        fn to_pin(self) -> Result<Pin> {
            Pin::parse(self)
        }
    }

    impl ToPin for String {
        fn to_pin(self) -> Result<Pin> {
            Pin::parse(&self)
        }
    }
}

impl Pin {
    fn parse(text: &str) -> Result<Self> {
        let digits = text.trim();
        let digits = digits.strip_prefix("sha256//").unwrap_or(digits).as_bytes();
        let bytes = if digits.len() == 64 { from_hex(digits) } else { from_base64(digits) };
        bytes.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "Trust::pinned").with_detail(format!(
                "expected the SHA-256 of a public key in base64 (44 characters) or hexadecimal \
                 (64), but received a text of {} characters that is neither",
                digits.len()
            ))
        })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256//")?;
        for group in self.0.chunks(3) {
            let bits = group
                .iter()
                .enumerate()
                .fold(0_u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
            for digit in 0..4 {
                let value = (bits >> (18 - 6 * digit)) & 63;
                let char = if digit > group.len() { '=' } else { BASE64[value as usize].into() };
                fmt::Write::write_char(f, char)?;
            }
        }
        Ok(())
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes 43 digits and one `=`, the form of 32 bytes (RFC 4648, section 4).
fn from_base64(digits: &[u8]) -> Option<[u8; 32]> {
    let digits = digits.strip_suffix(b"=").filter(|digits| digits.len() == 43)?;
    let mut bytes = [0; 32];
    let (mut bits, mut held, mut at) = (0_u32, 0, 0);
    for digit in digits {
        let value = BASE64.iter().position(|known| known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            *bytes.get_mut(at)? = u8::try_from(bits >> held & 0xff).ok()?;
            at += 1;
        }
    }
    // The two remaining bits must be zero, or several texts would be the same pin.
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

fn from_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let text = str::from_utf8(pair).ok()?;
        // The number parser accepts a sign, too.
        if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(bytes)
}

/// Accepts peers that hold one of the pinned keys.
pub(super) struct Pins {
    pins: Arc<[Pin]>,
    sha256: &'static dyn Hash,
}

impl Pins {
    pub(super) fn new(pins: &Arc<[Pin]>) -> Result<Self> {
        Ok(Self { pins: pins.clone(), sha256: sha256()? })
    }

    /// Returns the pin of the peer's key. The key is read with the parser that also reads it to check the
    /// handshake's signature, so that a certificate that two parsers understand differently cannot pass
    /// with another key.
    fn pin_of(&self, presented: &Presented<'_>) -> std::result::Result<Pin, rustls::Error> {
        let certificate = ParsedCertificate::try_from(presented.end_entity)?;
        let hash = self.sha256.hash(&certificate.subject_public_key_info());
        hash.as_ref().try_into().map(Pin).map_err(|_| CertificateError::BadEncoding.into())
    }
}

impl Judge for Pins {
    fn judge(&self, presented: &Presented<'_>) -> std::result::Result<(), Refused> {
        let pin = self.pin_of(presented).map_err(|error| {
            let refusal = explain::refusal(&error, presented, None);
            Refused { error, refusal }
        })?;
        if self.pins.contains(&pin) {
            return Ok(());
        }
        Err(Refused {
            error: CertificateError::ApplicationVerificationFailure.into(),
            refusal: self.mismatch(presented, pin),
        })
    }
}

impl Pins {
    fn mismatch(&self, presented: &Presented<'_>, pin: Pin) -> Refusal {
        let which = match self.pins.len() {
            1 => "the pinned key".to_owned(),
            count => format!("one of the {count} pinned keys"),
        };
        Refusal {
            fault: TlsFault::PinMismatch,
            detail: format!(
                "expected a {} with {which}, but received one with {pin}; if its key was changed on \
                 purpose, pin that with Trust::pinned",
                presented.role
            ),
            cause: None,
        }
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").field("pins", &self.pins).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use forebay_io::ErrorKind;

    use super::sealed::ToPin;

    /// The SHA-256 of the empty text, as the usual tools print it.
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn every_spelling_of_a_pin_is_the_same_pin() {
        let pin = HEX.to_pin().unwrap();
        assert_eq!(BASE64.to_pin().unwrap(), pin);
        assert_eq!(format!("sha256//{BASE64}").to_pin().unwrap(), pin);
        assert_eq!(format!(" {BASE64}\n").to_pin().unwrap(), pin);
        assert_eq!(HEX.to_uppercase().to_pin().unwrap(), pin);
        assert_eq!(pin.0.to_pin().unwrap(), pin);
        assert_eq!(pin.to_string(), format!("sha256//{BASE64}"));
    }

    #[test]
    fn a_malformed_pin_is_refused_with_a_sentence() {
        let bad = [
            "",
            "sha256//",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha1//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "+3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            &HEX[..62],
        ];
        for text in bad {
            let error = text.to_pin().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains("expected the SHA-256"), "{error}");
        }
    }
}
