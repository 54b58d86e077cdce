//! Names of subjects and issuers as text.

use std::fmt;

use der::asn1::AnyRef;
use der::oid::ObjectIdentifier;
use der::{Result, Tag, Tagged as _};

use super::{dotted, elements, hexadecimal, sequence};

/// The name of a subject or issuer (RFC 5280, section 4.1.2.4) in DER.
///
/// Its text is `CN=example.com, O=Example`. What is no text in it is shown in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a>(pub(super) &'a [u8]);

impl<'a> Name<'a> {
    /// Returns the name's bytes. Names are compared by these, as `webpki` does.
    pub(crate) fn der(&self) -> &'a [u8] {
        self.0
    }

    /// Reads a name that is all of the bytes.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        sequence(der).is_ok().then_some(Self(der))
    }

    fn text(self) -> Result<String> {
        let relative = sequence(self.0)?.into_iter().map(|set| {
            set.tag().assert_eq(Tag::Set)?;
            let attributes = elements(set.value())?.into_iter().map(attribute);
            Ok(attributes.collect::<Result<Vec<_>>>()?.join(" + "))
        });
        Ok(relative.collect::<Result<Vec<_>>>()?.join(", "))
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Ok(text) => f.write_str(&text),
            Err(_) => f.write_str("(a name that cannot be read)"),
        }
    }
}

fn attribute(element: AnyRef<'_>) -> Result<String> {
    element.tag().assert_eq(Tag::Sequence)?;
    match elements(element.value())?.as_slice() {
        [kind, value] if kind.tag() == Tag::ObjectIdentifier => {
            Ok(format!("{}={}", label(kind.value()), value_text(*value)))
        }
        _ => Err(element.tag().value_error().into()),
    }
}

fn value_text(value: AnyRef<'_>) -> String {
    let bytes = value.value();
    let text = match value.tag() {
        Tag::NumericString
        | Tag::VisibleString
        | Tag::PrintableString
        | Tag::GeneralString
        | Tag::TeletexString
        | Tag::VideotexString
        | Tag::Utf8String
        | Tag::Ia5String => str::from_utf8(bytes).ok().map(str::to_owned),
        Tag::BmpString if bytes.len() % 2 == 0 => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(std::result::Result::ok).collect()
        }
        _ => None,
    };
    text.unwrap_or_else(|| hexadecimal(bytes, "").to_uppercase())
}

/// Kinds of attributes by their usual names. Abbreviated are those that RFC 4514, section 3,
/// abbreviates; the others are those of X.520, and of certificates with extended validation.
const LABELS: [(ObjectIdentifier, &str); 28] = [
    (ObjectIdentifier::new_unwrap("2.5.4.3"), "CN"),
    (ObjectIdentifier::new_unwrap("2.5.4.6"), "C"),
    (ObjectIdentifier::new_unwrap("2.5.4.7"), "L"),
    (ObjectIdentifier::new_unwrap("2.5.4.8"), "ST"),
    (ObjectIdentifier::new_unwrap("2.5.4.10"), "O"),
    (ObjectIdentifier::new_unwrap("2.5.4.11"), "OU"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"), "DC"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1"), "Email"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1"), "uid"),
    (ObjectIdentifier::new_unwrap("2.5.4.4"), "surname"),
    (ObjectIdentifier::new_unwrap("2.5.4.5"), "serialNumber"),
    (ObjectIdentifier::new_unwrap("2.5.4.9"), "streetAddress"),
    (ObjectIdentifier::new_unwrap("2.5.4.12"), "title"),
    (ObjectIdentifier::new_unwrap("2.5.4.13"), "description"),
    (ObjectIdentifier::new_unwrap("2.5.4.15"), "businessCategory"),
    (ObjectIdentifier::new_unwrap("2.5.4.16"), "postalAddress"),
    (ObjectIdentifier::new_unwrap("2.5.4.17"), "postalCode"),
    (ObjectIdentifier::new_unwrap("2.5.4.41"), "name"),
    (ObjectIdentifier::new_unwrap("2.5.4.42"), "givenName"),
    (ObjectIdentifier::new_unwrap("2.5.4.43"), "initials"),
    (ObjectIdentifier::new_unwrap("2.5.4.44"), "generationQualifier"),
    (ObjectIdentifier::new_unwrap("2.5.4.45"), "uniqueIdentifier"),
    (ObjectIdentifier::new_unwrap("2.5.4.46"), "dnQualifier"),
    (ObjectIdentifier::new_unwrap("2.5.4.97"), "organizationIdentifier"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.2"), "unstructuredName"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.60.2.1.1"), "msJurisdictionLocality"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.60.2.1.2"), "msJurisdictionStateOrProvince"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.60.2.1.3"), "msJurisdictionCountry"),
];

fn label(oid: &[u8]) -> String {
    match LABELS.iter().find(|(known, _)| known.as_bytes() == oid) {
        Some((_, label)) => (*label).to_owned(),
        None => dotted(oid),
    }
}
