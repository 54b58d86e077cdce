//! Tells structures apart that are taken for certificates.

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Reader, Result, SliceReader, Tag, Tagged as _};

use super::certificate::algorithm;
use super::{PublicKey, content, whole};

/// Returns whether this is a request for a certificate (RFC 2986, section 4).
pub(crate) fn is_request(der: &[u8]) -> bool {
    signed(der, |reader| {
        content(reader, Tag::Integer)?;
        whole(reader, Tag::Sequence)?;
        PublicKey::decode(reader)?;
        Ok(())
    })
}

/// Returns whether this is a list of revoked certificates (RFC 5280, section 5.1).
pub(crate) fn is_revocation_list(der: &[u8]) -> bool {
    signed(der, |reader| {
        if Tag::peek(reader)? == Tag::Integer {
            content(reader, Tag::Integer)?;
        }
        algorithm(reader)?;
        whole(reader, Tag::Sequence)?;
        match AnyRef::decode(reader)?.tag() {
            Tag::UtcTime | Tag::GeneralizedTime => Ok(()),
            tag => Err(tag.unexpected_error(None).into()),
        }
    })
}

/// Returns whether this is something signed, with these fields at its beginning.
fn signed<'a>(der: &'a [u8], fields: impl FnOnce(&mut SliceReader<'a>) -> Result<()>) -> bool {
    let look = || -> Result<()> {
        SliceReader::new(der)?.sequence(|reader| {
            fields(&mut SliceReader::new(content(reader, Tag::Sequence)?)?)?;
            algorithm(reader)?;
            BitStringRef::decode(reader).map(drop)
        })
    };
    look().is_ok()
}
