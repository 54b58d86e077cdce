//! The system's form of a Unix address (`unix(7)`).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use forebay_io::{Error, ErrorKind, Result};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use socket2::SockAddr;

use super::UnixAddress;

/// The longest path or abstract name in bytes that fits the system's address (`unix(7)`).
pub(super) const NAME_BYTES_MAX: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// Returns the path that these bytes are.
#[allow(clippy::unnecessary_wraps, reason = "not every system's paths are bytes")]
pub(super) fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    Some(OsString::from_vec(bytes).into())
}

impl UnixAddress {
    /// Returns the address that keeps its meaning when the process changes its directory: with an absolute
    /// path. A path whose absolute form is too long for the system's address stays relative, because such
    /// an address could not be connected to.
    pub(in crate::net) fn independent_of_directory(self) -> Self {
        match self {
            Self::Path(path) if path.is_relative() => match std::path::absolute(&path) {
                Ok(absolute) if absolute.as_os_str().len() <= NAME_BYTES_MAX => {
                    Self::Path(absolute)
                }
                // There is no directory any more, or no room.
                _ => Self::Path(path),
            },
            other => other,
        }
    }

    /// Converts to the system's form, after checking what the system would refuse or cut.
    pub(in crate::net) fn to_system(&self) -> Result<SockAddr> {
        let name = match self {
            Self::Path(path) => path.as_os_str().as_bytes(),
            Self::Abstract(name) if is_abstract_known() => name,
            Self::Abstract(_) => {
                let error = Error::new(ErrorKind::Unsupported, "address");
                let detail = "abstract names exist on Linux and Android; take a path";
                return Err(error.with_address(self).with_detail(detail));
            }
            Self::Unnamed => b"",
        };
        self.check(name)?;
        let text = match self {
            Self::Abstract(name) => [b"\0", name.as_slice()].concat(),
            _ => name.to_vec(),
        };
        SockAddr::unix(OsString::from_vec(text))
            .map_err(|error| Error::from_io("address", error).with_address(self))
    }

    /// Converts to the form that a message with descriptors takes. The address is one that
    /// [`to_system`](Self::to_system) has accepted.
    pub(in crate::net) fn to_message_address(&self) -> rustix::io::Result<SocketAddrUnix> {
        match self {
            Self::Path(path) => SocketAddrUnix::new(path),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
            _ => Err(Errno::INVAL),
        }
    }

    fn check(&self, name: &[u8]) -> Result<()> {
        let is_path = matches!(self, Self::Path(_));
        let detail = if *self == Self::Unnamed {
            "a Unix socket needs a path or a name, and this is empty; a peer that has none can be answered once it is \
             bound, which its own side does"
                .to_owned()
        } else if name.is_empty() {
            "a Unix socket needs a path or a name, and this is empty".to_owned()
        } else if is_path && name.contains(&0) {
            "a path holds no NUL".to_owned()
        } else if name.len() > NAME_BYTES_MAX {
            format!("{} bytes; the system's address holds {NAME_BYTES_MAX}", name.len())
        } else {
            return Ok(());
        };
        let error = Error::new(ErrorKind::InvalidInput, "address").with_address(self);
        Err(error.with_detail(detail))
    }

    pub(in crate::net) fn from_system(address: &SockAddr) -> Option<Self> {
        if !address.is_unix() {
            return None;
        }
        Some(if let Some(path) = address.as_pathname() {
            Self::Path(path.to_owned())
        } else if let Some(name) = address.as_abstract_namespace() {
            Self::Abstract(name.to_vec())
        } else {
            Self::Unnamed
        })
    }
}

const fn is_abstract_known() -> bool {
    cfg!(any(target_os = "linux", target_os = "android"))
}
