//! Reading of PEM (RFC 7468) that a user provides, with errors that explain what is wrong.
//!
//! Identities and roots both use this, so that the same file meets the same limit and gets the same error
//! in both places: where it was read, what it contains, and what to do. Because the content may be a key,
//! errors contain nothing of it but the labels of its sections.

mod foreign;
mod sections;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use forebay_io::{Error, ErrorKind, Result};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use self::sections::Sections;

pub(crate) use self::foreign::recognise;

/// The limit for one text or file. All the roots of a system take less than one of these 16 MiB.
const BYTES_MAX: u64 = 16 << 20;

/// A text in PEM, split into sections, and its origin.
pub(crate) struct Pem<'a> {
    pub(crate) origin: PemOrigin<'a>,
    sections: Sections,
}

impl<'a> Pem<'a> {
    /// Splits bytes that a program has passed.
    pub(crate) fn given(operation: &'static str, bytes: &[u8]) -> Result<Self> {
        Self::read(PemOrigin::given(operation), bytes)
    }

    /// Reads a file, which blocks. Nothing beyond the limit is read.
    pub(crate) fn of_file(operation: &'static str, path: &'a Path) -> Result<Self> {
        let origin = PemOrigin { operation, path: Some(path) };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| origin.unreadable(error))?;
        Self::read(origin, &bytes)
    }

    fn read(origin: PemOrigin<'a>, bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > BYTES_MAX {
            let what = if origin.path.is_some() { "the file has" } else { "the given bytes are" };
            return Err(origin.invalid(format!(
                "expected certificates or a key of at most 16 MiB, but {what} more; leave out what \
                 is not needed"
            )));
        }
        match Sections::read(bytes) {
            Ok(sections) => Ok(Self { origin, sections }),
            Err(why) => Err(origin.invalid(why)),
        }
    }

    /// Returns the certificates in their order, of which there is at least one.
    pub(crate) fn certificates(&self) -> Result<&[CertificateDer<'static>]> {
        self.sections.certificates().map_err(|why| self.origin.invalid(why))
    }

    /// Returns the one key.
    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>> {
        self.sections.key().map_err(|why| self.origin.invalid(why))
    }
}

/// The origin of a text, which its errors name.
#[derive(Clone, Copy)]
pub(crate) struct PemOrigin<'a> {
    operation: &'static str,
    path: Option<&'a Path>,
}

impl<'a> PemOrigin<'a> {
    /// Makes the origin of bytes that a program has passed.
    pub(crate) fn given(operation: &'static str) -> Self {
        Self { operation, path: None }
    }

    pub(crate) fn path(&self) -> Option<&'a Path> {
        self.path
    }

    pub(crate) fn invalid(&self, detail: String) -> Error {
        self.locate(Error::new(ErrorKind::InvalidInput, self.operation).with_detail(detail))
    }

    fn locate(&self, error: Error) -> Error {
        match self.path {
            Some(path) => error.with_address(path.display()),
            None => error,
        }
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let detail = match error.kind() {
            io::ErrorKind::IsADirectory => {
                return self.invalid("this is a directory; name the file in it".into());
            }
            io::ErrorKind::NotFound if self.path.is_some_and(Path::is_relative) => {
                "there is no such file in the directory that this process runs in"
            }
            io::ErrorKind::NotFound => "there is no such file; is the path right?",
            io::ErrorKind::PermissionDenied => {
                "this process may not read the file; let its user or group read it"
            }
            _ => return self.locate(Error::from_io(self.operation, error)),
        };
        self.locate(Error::from_io(self.operation, error).with_detail(detail))
    }
}

/// Describes a certificate of a list, by its index, that does not parse.
pub(crate) fn malformed(index: usize, count: usize, der: &[u8]) -> String {
    let what = match recognise(der).what {
        foreign::CERTIFICATE => "damaged inside",
        what => what,
    };
    let number = index + 1;
    format!(
        "expected X.509 certificates, but certificate {number} of {count} is {what}; make it anew \
         or leave it out"
    )
}
