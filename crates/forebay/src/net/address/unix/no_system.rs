//! Unix addresses where the system has no Unix sockets, or this library does not use them.

use std::path::PathBuf;

use socket2::SockAddr;

use super::UnixAddress;

/// Returns the path that these bytes are; `None` if they are not Unicode.
pub(super) fn path(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

impl UnixAddress {
    /// No socket here has such an address.
    pub(in crate::net) fn from_system(_: &SockAddr) -> Option<Self> {
        None
    }
}
