//! Reads certificates: as much of RFC 5280 as messages, identities and checks need.
//!
//! The crate `der` reads the encoding; what stands here is the order of the fields. Nothing here
//! decides whether a certificate is trusted: `webpki` does, with a parser of its own.
//!
//! A certificate whose frame can be read is a [`Certificate`], however strange its parts are.
//! Names, dates and extensions are read when they are asked for, and are absent where they cannot
//! be read, so that one odd attribute does not hide everything else from a message.

mod certificate;
mod extensions;
mod foreign;
mod name;
#[cfg(test)]
mod tests;

use der::asn1::AnyRef;
use der::{Decode, Reader, Result, SliceReader, Tag, Tagged as _};

pub(crate) use certificate::{Certificate, PublicKey};
pub(crate) use extensions::{CLIENT_AUTHENTICATION, GeneralName, SERVER_AUTHENTICATION};
pub(crate) use foreign::{is_request, is_revocation_list};
pub(crate) use name::Name;

/// Reads one element of this tag and returns its content.
fn content<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> Result<&'a [u8]> {
    let element = AnyRef::decode(reader)?;
    element.tag().assert_eq(tag)?;
    Ok(element.value())
}

/// Reads one element of this tag and returns all of it, header included.
fn whole<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> Result<&'a [u8]> {
    Tag::peek(reader)?.assert_eq(tag)?;
    reader.tlv_bytes()
}

/// Reads the elements that stand in these bytes one behind the other.
fn elements(bytes: &[u8]) -> Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(AnyRef::decode(&mut reader)?);
    }
    Ok(elements)
}

/// Reads bytes that are one sequence, and returns its elements.
fn sequence(bytes: &[u8]) -> Result<Vec<AnyRef<'_>>> {
    let sequence = AnyRef::from_der(bytes)?;
    sequence.tag().assert_eq(Tag::Sequence)?;
    elements(sequence.value())
}

/// Returns the number of a context-specific tag.
fn context(tag: Tag) -> Option<u32> {
    match tag {
        Tag::ContextSpecific { number, .. } => Some(number.value()),
        _ => None,
    }
}

/// Writes an object identifier with dots, from the content of its element.
pub(crate) fn dotted(oid: &[u8]) -> String {
    match der::oid::ObjectIdentifierRef::from_bytes(oid) {
        Ok(oid) => oid.to_string(),
        Err(_) => format!("(an object identifier of the bytes {})", hexadecimal(oid, "")),
    }
}

/// Writes bytes in hexadecimal.
fn hexadecimal(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}
