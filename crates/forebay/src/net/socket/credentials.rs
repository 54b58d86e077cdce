//! The process on the other side of a Unix socket.

use std::io;
use std::os::fd::BorrowedFd;

use forebay_io::{Error, ErrorKind, Result};

use super::Socket;
use super::link::Link;
use crate::net::protocol::Protocol;

/// The process on the other side of a Unix socket, as of the moment when it connected or began to listen
/// (`SO_PEERCRED`, `unix(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The effective user ID.
    pub user_id: u32,
    /// The effective group ID.
    pub group_id: u32,
    /// The process ID. `None` where the system does not tell, and for a process outside the PID namespace
    /// of this one. The process may have ended since, and its ID may belong to another one by now.
    pub process_id: Option<i32>,
}

impl Socket {
    /// Returns the user, group and process on the other side of a Unix socket. The system guarantees them:
    /// they tell what the permissions of a path should, and for an abstract name they are the only check.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported): this is not a Unix socket; [`Closed`](ErrorKind::Closed):
    /// it was closed on this side.
    ///
    /// # Platform
    ///
    /// The process ID is known on Linux and Android.
    pub fn peer_credentials(&self) -> Result<PeerCredentials> {
        match self.0.core().link() {
            Link::Kernel(stream) if stream.protocol == Protocol::Unix => {
                stream.io.call(ask).map_err(|error| Error::from_io("peer_credentials", error))
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "peer_credentials")
                .with_detail("only a Unix socket has peer credentials")),
        }
        .map_err(|error| self.0.core().named(error))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn ask(fd: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    // Not by rustix: its type cannot hold zero, which the system reports for a process outside the PID
    // namespace of this one (`pid_namespaces(7)`).
    let peer = nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::PeerCredentials)?;
    let process_id = Some(peer.pid()).filter(|number| *number != 0);
    Ok(PeerCredentials { user_id: peer.uid(), group_id: peer.gid(), process_id })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ask(fd: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let (user, group) = nix::unistd::getpeereid(fd)?;
    Ok(PeerCredentials { user_id: user.as_raw(), group_id: group.as_raw(), process_id: None })
}
