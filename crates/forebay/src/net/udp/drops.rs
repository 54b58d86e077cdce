//! The datagrams that the system has dropped, because the socket's buffer was full.

use std::io;

use rustix::fd::BorrowedFd;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use nix::libc;
    use nix::sys::socket::getsockopt;
    use nix::sys::socket::sockopt::GetStruct;

    use super::{BorrowedFd, io};

    /// `SK_MEMINFO_VARS` numbers (`linux/sock_diag.h`); kernels may know more of them.
    type MemInfo = [u32; 9];

    /// The place of the drops (`SK_MEMINFO_DROPS`).
    const DROPS: usize = 8;

    #[derive(Debug, Clone, Copy)]
    struct SocketMemory;

    nix::getsockopt_impl!(
        SocketMemory,
        libc::SOL_SOCKET,
        libc::SO_MEMINFO,
        MemInfo,
        GetStruct<MemInfo>
    );

    pub(super) fn drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
        Ok(getsockopt(&socket, SocketMemory)?[DROPS])
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::{BorrowedFd, io};

    pub(super) fn drops(_: BorrowedFd<'_>) -> io::Result<u32> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Reads their number, since the socket was made.
pub(super) fn drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    system::drops(socket)
}
