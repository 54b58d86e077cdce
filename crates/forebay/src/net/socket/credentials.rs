//! The process on the other side of a Unix socket.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use forebay_io::{Error, ErrorKind, Result};

use super::Socket;
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
        self.ask_about_peer("peer_credentials", ask)
    }

    /// Returns a descriptor that stands for the process on the other side of a Unix socket (`SO_PEERPIDFD`,
    /// `unix(7)`; `pidfd_open(2)`). Unlike the [process ID](PeerCredentials::process_id) it never comes to mean
    /// another process: a signal that is sent through it reaches this one or none, and
    /// [`ready`](crate::ready) waits until the process has ended.
    ///
    /// It is the process that connected or began to listen, also if another one has the socket by now. The
    /// descriptor is close-on-exec.
    ///
    /// # Errors
    ///
    /// - [`Unsupported`](ErrorKind::Unsupported): this is not a Unix socket, or the system does not have this.
    /// - [`NotFound`](ErrorKind::NotFound): the process has ended, and the system keeps nothing of it; since
    ///   Linux 6.16 it does.
    /// - [`Closed`](ErrorKind::Closed): the socket was closed on this side.
    ///
    /// # Platform
    ///
    /// Linux, since 6.5.
    ///
    /// # Examples
    ///
    /// ```
    /// # let name = format!("forebay-doc-pidfd-{}", std::process::id());
    /// use forebay::{ErrorKind, Interest, UnixAddress};
    ///
    /// # if cfg!(target_os = "linux") {
    /// forebay::run(async |selector| {
    ///     let server = selector.unix().bind(UnixAddress::Abstract(name.into_bytes())).await?;
    ///     let client = selector.unix().connect(&server.local_address()).await?;
    ///     match client.peer_pidfd() {
    ///         // It is this process, which has not ended.
    ///         Ok(process) => {
    ///             let ended = selector.ready(&process, Interest::READABLE);
    ///             assert!(selector.timeout(std::time::Duration::ZERO, ended).await.is_err());
    ///         }
    ///         Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    ///     }
    ///     forebay::Result::Ok(())
    /// })?;
    /// # }
    /// # forebay::Result::Ok(())
    /// ```
    pub fn peer_pidfd(&self) -> Result<OwnedFd> {
        self.ask_about_peer("peer_pidfd", ask_for_process).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => error.or_detail("SO_PEERPIDFD exists since Linux 6.5"),
            ErrorKind::NotFound => error.or_detail("the process has ended"),
            _ => error,
        })
    }

    fn ask_about_peer<T>(
        &self,
        operation: &'static str,
        ask: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Result<T> {
        match self.0.core().link().stream() {
            Some(stream) if stream.protocol == Protocol::Unix => {
                stream.io.call(ask).map_err(|error| Error::from_io(operation, error))
            }
            _ => Err(Error::new(ErrorKind::Unsupported, operation)
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

#[cfg(target_os = "linux")]
fn ask_for_process(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use nix::errno::Errno;
    use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};

    getsockopt(&fd, PeerPidfd).map_err(|errno| match errno {
        // An older kernel.
        Errno::ENOPROTOOPT => io::ErrorKind::Unsupported.into(),
        // A process that has ended: before Linux 6.16 there is no such descriptor for it.
        Errno::ESRCH | Errno::EINVAL | Errno::ENODATA => io::ErrorKind::NotFound.into(),
        errno => errno.into(),
    })
}

#[cfg(not(target_os = "linux"))]
fn ask_for_process(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
