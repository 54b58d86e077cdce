//! Who is on the other side of a Unix socket.

use std::io;
use std::os::fd::BorrowedFd;

use forebay_io::{Error, ErrorKind, Result};

use super::Socket;
use super::link::{Link, Protocol};

/// The process on the other side of a Unix socket, as it was when it connected or began to listen
/// (`SO_PEERCRED`, `unix(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// Its effective user.
    pub user_id: u32,
    /// Its effective group.
    pub group_id: u32,
    /// Its number, where the system tells, and where it has one here: a process outside this one's
    /// namespace has none. It may have ended, and the number be another's by now.
    pub process_id: Option<i32>,
}

impl Socket {
    /// Says who is on the other side of a Unix socket. The system vouches for it; permissions of a
    /// path can be checked with it, and for an abstract name it is the only check there is.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported): this is not a Unix socket;
    /// [`Closed`](ErrorKind::Closed): it was closed on this side.
    ///
    /// # Platform
    ///
    /// The process is known on Linux and Android.
    pub fn peer_credentials(&self) -> Result<PeerCredentials> {
        match self.0.core().link() {
            Link::Kernel(stream) if stream.protocol == Protocol::Unix => {
                stream.io.call(ask).map_err(|error| Error::from_io("peer_credentials", error))
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "peer_credentials")
                .with_detail("only a Unix socket knows who is on its other side")),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn ask(fd: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    // Not by rustix, whose answer cannot hold what the system says of a process outside this one's
    // namespace, which is zero (`pid_namespaces(7)`).
    let peer = nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::PeerCredentials)?;
    let process_id = Some(peer.pid()).filter(|number| *number != 0);
    Ok(PeerCredentials { user_id: peer.uid(), group_id: peer.gid(), process_id })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn ask(fd: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let (user, group) = nix::unistd::getpeereid(fd)?;
    Ok(PeerCredentials { user_id: user.as_raw(), group_id: group.as_raw(), process_id: None })
}
