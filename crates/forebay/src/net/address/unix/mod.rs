//! Addresses of Unix sockets: a path, an abstract name, or none.

#[cfg(not(unix))]
mod no_system;
#[cfg(unix)]
mod system;
#[cfg(all(test, unix))]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use forebay_io::{Error, ErrorKind, Result};

#[cfg(not(unix))]
use self::no_system as system;
use super::SocketAddress;

/// The prefix of a Unix address in text.
pub(super) const PREFIX: &str = "unix:";

/// The address of one end of a Unix socket.
///
/// In text it is `unix:` followed by the path, or `unix:@` followed by the abstract name, or `unix:` alone
/// for a socket without a name, as clients usually are. A backslash, an `@` at the beginning of a path,
/// control characters and bytes that are not UTF-8 are written as `\x` and two hexadecimal digits. So every
/// address parses back, except an empty path, which is not a valid address.
///
/// # Examples
///
/// ```
/// use forebay::{SocketAddress, UnixAddress};
///
/// let address: SocketAddress = "unix:/run/greeter.sock".parse()?;
/// assert_eq!(address, SocketAddress::Unix(UnixAddress::Path("/run/greeter.sock".into())));
/// assert_eq!(UnixAddress::Abstract(b"greeter".to_vec()).to_string(), "unix:@greeter");
/// # Ok::<(), forebay::Error>(())
/// ```
#[doc(alias = "UnixSocketAddress")]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum UnixAddress {
    /// A path in the file system.
    Path(PathBuf),
    /// A name outside the file system, which disappears with its last socket (Linux). Every process of the
    /// network namespace may connect to it: check [`peer_credentials`](crate::Socket::peer_credentials).
    Abstract(Vec<u8>),
    /// The socket has no name.
    Unnamed,
}

impl UnixAddress {
    /// Returns the path; `None` for an abstract name and for a socket without a name.
    pub fn as_path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Abstract(_) | Self::Unnamed => None,
        }
    }

    /// Parses the text behind the prefix.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (name, is_abstract) = match text.strip_prefix('@') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let before = PREFIX.len() + text.len() - name.len();
        let name = unescaped(name).map_err(|place| {
            let whole = format!("{PREFIX}{text}");
            Error::new(ErrorKind::InvalidInput, "address").with_address(&whole).with_expected(
                &whole,
                before + place,
                "behind a backslash stand x and two hexadecimal digits, as in \\x0a",
            )
        })?;
        Ok(match (is_abstract, name.is_empty()) {
            (true, _) => Self::Abstract(name),
            (false, true) => Self::Unnamed,
            (false, false) => Self::Path(system::path(name).ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "address")
                    .with_address(format_args!("{PREFIX}{text}"))
                    .with_detail("a path is Unicode on this system")
            })?),
        })
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        match self {
            Self::Path(path) => {
                let bytes = path.as_os_str().as_encoded_bytes();
                match bytes.strip_prefix(b"@") {
                    Some(rest) => {
                        f.write_str("\\x40")?;
                        escape(rest, f)
                    }
                    None => escape(bytes, f),
                }
            }
            Self::Abstract(name) => {
                f.write_str("@")?;
                escape(name, f)
            }
            Self::Unnamed => Ok(()),
        }
    }
}

fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() {
                let mut buffer = [0; 4];
                escape_bytes(character.encode_utf8(&mut buffer).as_bytes(), f)?;
            } else {
                write!(f, "{character}")?;
            }
        }
        escape_bytes(chunk.invalid(), f)?;
    }
    Ok(())
}

fn escape_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// Decodes `\x` escapes. The error is the place of a backslash that is followed by anything else than `x` and two
/// hexadecimal digits.
fn unescaped(text: &str) -> std::result::Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (code, behind) = code(escape).ok_or(text.len() - escape.len() - 1)?;
        bytes.push(code);
        rest = behind;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Parses the byte at the beginning of the text behind a backslash, and returns what follows it.
fn code(escape: &str) -> Option<(u8, &str)> {
    let (digits, behind) = escape.strip_prefix('x')?.split_at_checked(2)?;
    let is_code = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_code.then(|| Some((u8::from_str_radix(digits, 16).ok()?, behind)))?
}

/// A value that names a Unix socket: a path in any of its types, a [`UnixAddress`], or a [`SocketAddress`]
/// that holds one. A text is always a path, whatever its first character; for an abstract name use
/// [`UnixAddress::Abstract`].
///
/// This trait is sealed: it cannot be implemented outside this crate.
pub trait ToUnixAddress: sealed::Sealed {
    /// Returns the address. Its length is checked when it is used.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput): a [`SocketAddress`] of another kind.
    fn to_unix_address(&self) -> Result<UnixAddress>;
}

mod sealed {
    pub trait Sealed {}

    impl<T: Sealed + ?Sized> Sealed for &T {}
}

impl<T: ToUnixAddress + ?Sized> ToUnixAddress for &T {
    fn to_unix_address(&self) -> Result<UnixAddress> {
        (**self).to_unix_address()
    }
}

/// Implements the seal and the trait for types that are paths.
macro_rules! paths {
    ($($type:ty),+) => {$(
        impl sealed::Sealed for $type {}

        impl ToUnixAddress for $type {
            fn to_unix_address(&self) -> Result<UnixAddress> {
                Ok(UnixAddress::Path(PathBuf::from(self)))
            }
        }
    )+};
}

paths!(str, String, Path, PathBuf, OsStr, OsString);

impl sealed::Sealed for UnixAddress {}

impl ToUnixAddress for UnixAddress {
    fn to_unix_address(&self) -> Result<UnixAddress> {
        Ok(self.clone())
    }
}

impl sealed::Sealed for SocketAddress {}

impl ToUnixAddress for SocketAddress {
    fn to_unix_address(&self) -> Result<UnixAddress> {
        match self {
            Self::Unix(unix) => Ok(unix.clone()),
            Self::Inet(_) => Err(Error::new(ErrorKind::InvalidInput, "address")
                .with_address(self)
                .with_detail("this is the address of an IP socket; a Unix socket has a path")),
        }
    }
}
