//! The fields of a certificate (RFC 5280, section 4.1).

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, UtcTime};
use der::oid::ObjectIdentifier;
use der::{Decode, Reader, Result, SliceReader, Tag, Tagged as _};

use super::extensions::Extension;
use super::{Name, content, context, hexadecimal, whole};

/// A certificate whose frame can be read. Nothing in it has been checked.
///
/// It borrows the bytes that it was read from.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    /// The part that is signed.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8],
    /// The content of the object identifier.
    pub(crate) signature_algorithm: &'a [u8],
    serial: &'a [u8],
    pub(crate) issuer: Name<'a>,
    /// Seconds since 1970. `None` is a date that cannot be read, or is before 1970: `webpki`
    /// refuses both.
    pub(crate) not_before: Option<i64>,
    pub(crate) not_after: Option<i64>,
    pub(crate) subject: Name<'a>,
    pub(crate) public_key: PublicKey<'a>,
    pub(crate) extensions: Vec<Extension<'a>>,
}

/// A public key with the algorithm that it is for (RFC 5280, section 4.1.2.7).
#[derive(Debug)]
pub(crate) struct PublicKey<'a> {
    /// `SubjectPublicKeyInfo` in DER.
    pub(crate) der: &'a [u8],
    /// The content of the object identifier.
    pub(crate) algorithm: &'a [u8],
    /// The key, in the form that its algorithm gives it.
    pub(crate) bits: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate that is all of the bytes.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        match Self::read_first(der)? {
            (certificate, []) => Some(certificate),
            _ => None,
        }
    }

    /// Reads a certificate at the beginning of the bytes, and returns it with what follows.
    pub(crate) fn read_first(der: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut reader = SliceReader::new(der).ok()?;
        let certificate = Self::decode(&mut reader).ok()?;
        let rest = der.get(usize::try_from(reader.position()).ok()?..)?;
        Some((certificate, rest))
    }

    /// Returns the serial number in hexadecimal: `4e:2a:01`.
    pub(crate) fn serial(&self) -> String {
        hexadecimal(self.serial, ":")
    }

    fn decode(reader: &mut SliceReader<'a>) -> Result<Self> {
        reader.sequence(|reader| {
            let signed = whole(reader, Tag::Sequence)?;
            let signature_algorithm = algorithm(reader)?;
            let signature = BitStringRef::decode(reader)?.raw_bytes();
            let mut reader = SliceReader::new(signed)?;
            let mut certificate = reader.sequence(Self::decode_signed)?;
            certificate.signed = signed;
            certificate.signature_algorithm = signature_algorithm;
            certificate.signature = signature;
            Ok(certificate)
        })
    }

    fn decode_signed(reader: &mut SliceReader<'a>) -> Result<Self> {
        if context(Tag::peek(reader)?) == Some(0) {
            // The version. Extensions are read in any.
            AnyRef::decode(reader)?;
        }
        let serial = content(reader, Tag::Integer)?;
        // The algorithm of the signature once more.
        whole(reader, Tag::Sequence)?;
        let issuer = Name(whole(reader, Tag::Sequence)?);
        let (not_before, not_after) =
            reader.sequence(|reader| Ok::<_, der::Error>((time(reader)?, time(reader)?)))?;
        let subject = Name(whole(reader, Tag::Sequence)?);
        let public_key = PublicKey::decode(reader)?;
        let mut extensions = Vec::new();
        while !reader.is_finished() {
            let field = AnyRef::decode(reader)?;
            match context(field.tag()) {
                // Unique identifiers of the issuer and the subject, which only old certificates have.
                Some(1 | 2) => {}
                Some(3) => extensions = Extension::list(field.value())?,
                _ => return Err(field.tag().unexpected_error(None).into()),
            }
        }
        let (signed, signature, signature_algorithm): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        Ok(Self {
            signed,
            signature,
            signature_algorithm,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            extensions,
        })
    }
}

impl<'a> PublicKey<'a> {
    /// Reads a `SubjectPublicKeyInfo` that is all of the bytes.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let mut reader = SliceReader::new(der).ok()?;
        let key = Self::decode(&mut reader).ok()?;
        reader.is_finished().then_some(key)
    }

    /// Returns the bytes of the modulus of an RSA key (RFC 8017, section A.1.1), without zeroes in
    /// front; `None` of another kind of key, and of one that cannot be read.
    pub(crate) fn rsa_modulus(&self) -> Option<&'a [u8]> {
        const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
        if self.algorithm != RSA.as_bytes() {
            return None;
        }
        let parts = super::sequence(self.bits).ok()?;
        let modulus = parts.first().filter(|part| part.tag() == Tag::Integer)?.value();
        let zeroes = modulus.iter().take_while(|byte| **byte == 0).count();
        modulus.get(zeroes..)
    }

    pub(super) fn decode(reader: &mut SliceReader<'a>) -> Result<Self> {
        let der = whole(reader, Tag::Sequence)?;
        SliceReader::new(der)?.sequence(|reader| {
            let algorithm = algorithm(reader)?;
            let bits = BitStringRef::decode(reader)?.raw_bytes();
            Ok(Self { der, algorithm, bits })
        })
    }
}

/// Reads an `AlgorithmIdentifier`, whose parameters are not looked at.
pub(super) fn algorithm<'a>(reader: &mut SliceReader<'a>) -> Result<&'a [u8]> {
    let mut reader = SliceReader::new(content(reader, Tag::Sequence)?)?;
    content(&mut reader, Tag::ObjectIdentifier)
}

fn time(reader: &mut SliceReader<'_>) -> Result<Option<i64>> {
    let element = AnyRef::decode(reader)?;
    let since_1970 = match element.tag() {
        Tag::UtcTime => element.decode_as::<UtcTime>().map(|time| time.to_unix_duration()),
        Tag::GeneralizedTime => {
            element.decode_as::<GeneralizedTime>().map(|time| time.to_unix_duration())
        }
        tag => return Err(tag.unexpected_error(None).into()),
    };
    Ok(since_1970.ok().and_then(|time| i64::try_from(time.as_secs()).ok()))
}
