//! The extensions of a certificate (RFC 5280, section 4.2) that something is asked of.

use der::asn1::AnyRef;
use der::oid::ObjectIdentifier;
use der::{Decode, Result, SliceReader, Tag, Tagged as _};

use super::{Certificate, Name, content, context, elements, sequence};

#[derive(Debug)]
pub(crate) struct Extension<'a> {
    oid: &'a [u8],
    value: &'a [u8],
}

/// One of a certificate's alternative names (RFC 5280, section 4.2.1.6).
#[derive(Debug)]
pub(crate) enum GeneralName<'a> {
    Dns(&'a str),
    /// Four bytes or sixteen; twice as many in a constraint; any number where it is wrong.
    Address(&'a [u8]),
    Email(&'a str),
    Uri(&'a str),
    Directory(Name<'a>),
    /// A kind that is not read, or a text that is not UTF-8.
    Other,
}

/// The names that an authority may issue for (RFC 5280, section 4.2.1.10); `None` is no limit.
#[derive(Debug, Default)]
pub(crate) struct NameConstraints<'a> {
    pub(crate) permitted: Option<Vec<GeneralName<'a>>>,
    pub(crate) excluded: Option<Vec<GeneralName<'a>>>,
}

const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const ALTERNATIVE_NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// Purposes that an extended key usage may have (RFC 5280, section 4.2.1.12).
pub(crate) const SERVER_AUTHENTICATION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(crate) const CLIENT_AUTHENTICATION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

impl<'a> Extension<'a> {
    /// Reads the list of them. What follows the value of one is an error.
    pub(super) fn list(der: &'a [u8]) -> Result<Vec<Self>> {
        sequence(der)?.into_iter().map(|element| element.sequence(Self::decode)).collect()
    }

    fn decode(reader: &mut SliceReader<'a>) -> Result<Self> {
        let oid = content(reader, Tag::ObjectIdentifier)?;
        if Tag::peek(reader)? == Tag::Boolean {
            // Whether it is critical, which `webpki` heeds.
            AnyRef::decode(reader)?;
        }
        Ok(Self { oid, value: content(reader, Tag::OctetString)? })
    }
}

impl<'a> Certificate<'a> {
    /// Returns the identifier of the key that this certificate is for.
    pub(crate) fn subject_key(&self) -> Option<&'a [u8]> {
        let key = AnyRef::from_der(self.extension(&SUBJECT_KEY)?).ok()?;
        (key.tag() == Tag::OctetString).then(|| key.value())
    }

    /// Returns the identifier of the key that this certificate is signed with.
    pub(crate) fn authority_key(&self) -> Option<&'a [u8]> {
        let fields = sequence(self.extension(&AUTHORITY_KEY)?).ok()?;
        fields.iter().find(|field| context(field.tag()) == Some(0)).map(|field| field.value())
    }

    /// Returns the alternative names, if there is exactly one such extension and it can be read.
    pub(crate) fn alternative_names(&self) -> Option<Vec<GeneralName<'a>>> {
        let names = sequence(self.extension(&ALTERNATIVE_NAMES)?).ok()?;
        names.into_iter().map(GeneralName::of).collect()
    }

    /// Returns whether this is the certificate of an authority.
    pub(crate) fn is_ca(&self) -> bool {
        let Some(value) = self.extension(&BASIC_CONSTRAINTS) else { return false };
        sequence(value).is_ok_and(|fields| {
            fields.first().is_some_and(|first| first.decode_as::<bool>() == Ok(true))
        })
    }

    /// Returns the purposes as the contents of object identifiers; `None` is every purpose.
    pub(crate) fn purposes(&self) -> Option<Vec<&'a [u8]>> {
        let purposes = sequence(self.extension(&EXTENDED_KEY_USAGE)?).ok()?;
        let is_oid = |purpose: &AnyRef<'_>| purpose.tag() == Tag::ObjectIdentifier;
        purposes.iter().map(|purpose| is_oid(purpose).then(|| purpose.value())).collect()
    }

    /// Returns the limits on the names that this authority may issue for.
    pub(crate) fn name_constraints(&self) -> Option<NameConstraints<'a>> {
        let mut constraints = NameConstraints::default();
        for trees in sequence(self.extension(&NAME_CONSTRAINTS)?).ok()? {
            let names = || -> Option<Vec<_>> {
                let trees = elements(trees.value()).ok()?;
                trees.into_iter().map(|tree| subtree(tree)).collect()
            };
            match context(trees.tag()) {
                Some(0) => constraints.permitted = Some(names()?),
                Some(1) => constraints.excluded = Some(names()?),
                _ => return None,
            }
        }
        Some(constraints)
    }

    /// Returns the value of an extension, for tests of what is issued.
    #[cfg(test)]
    pub(crate) fn value_of(&self, oid: &str) -> Option<&'a [u8]> {
        self.extension(&ObjectIdentifier::new_unwrap(oid))
    }

    /// Returns the value of the one extension of a kind. Two of a kind are not allowed (RFC 5280,
    /// section 4.2), and neither could be believed.
    fn extension(&self, oid: &ObjectIdentifier) -> Option<&'a [u8]> {
        let mut same = self.extensions.iter().filter(|one| one.oid == oid.as_bytes());
        let first = same.next()?;
        same.next().is_none().then_some(first.value)
    }
}

/// A name, behind which a distance may stand that RFC 5280 has no use for.
fn subtree(tree: AnyRef<'_>) -> Option<GeneralName<'_>> {
    if tree.tag() != Tag::Sequence {
        return None;
    }
    GeneralName::of(*elements(tree.value()).ok()?.first()?)
}

impl<'a> GeneralName<'a> {
    fn of(element: AnyRef<'a>) -> Option<Self> {
        let value = element.value();
        // Names in UTF-8 occur where only ASCII is allowed.
        let text = |kind: fn(&'a str) -> Self| str::from_utf8(value).map_or(Self::Other, kind);
        Some(match context(element.tag())? {
            1 => text(Self::Email),
            2 => text(Self::Dns),
            4 => Name::read(value).map_or(Self::Other, Self::Directory),
            6 => text(Self::Uri),
            7 => Self::Address(value),
            _ => Self::Other,
        })
    }
}
