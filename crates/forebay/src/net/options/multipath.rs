//! Multipath TCP (RFC 8684): whether a socket is of that kind.

use std::io;

use socket2::SockRef;

#[cfg(target_os = "linux")]
mod system {
    use nix::libc;
    use nix::sys::socket::sockopt::GetStruct;

    /// The level of the options of multipath TCP (`linux/socket.h`), and the option that tells how a connection
    /// fares (`linux/mptcp.h`).
    const SOL_MPTCP: libc::c_int = 284;
    const MPTCP_INFO: libc::c_int = 1;

    /// The first 12 bytes of `struct mptcp_info`, of which the last four are flags.
    pub(super) type Beginning = [u32; 3];

    /// The connection has fallen back to TCP (`MPTCP_INFO_FLAG_FALLBACK`).
    pub(super) const FALLBACK: u32 = 1;

    /// The option that reads them.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Info;

    nix::getsockopt_impl!(Info, SOL_MPTCP, MPTCP_INFO, Beginning, GetStruct<Beginning>);
}

/// True for a listener that accepts connections of multipath TCP, and for a connection that has not fallen back.
#[cfg(target_os = "linux")]
pub(super) fn is_in_use(socket: &SockRef<'_>) -> io::Result<bool> {
    if socket.protocol()? != Some(socket2::Protocol::MPTCP) {
        return Ok(false);
    }
    if socket.is_listener()? {
        return Ok(true);
    }
    // After a fallback, kernels since 5.16 refuse the option, or set the flag.
    let info = nix::sys::socket::getsockopt(&**socket, system::Info);
    Ok(info.is_ok_and(|[_, _, flags]| flags & system::FALLBACK == 0))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_use(_: &SockRef<'_>) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}
