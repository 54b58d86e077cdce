//! Several listening sockets at one address, among which the system distributes connections.

use std::io;

use socket2::SockRef;

/// FreeBSD distributes connections only with an option of its own; with that of the same name the socket
/// bound last gets them all.
#[cfg(target_os = "freebsd")]
pub(super) fn set(socket: &SockRef<'_>, reuse: bool) -> io::Result<()> {
    socket.set_reuse_port_lb(reuse)
}

#[cfg(target_os = "freebsd")]
pub(super) fn read(socket: &SockRef<'_>) -> io::Result<bool> {
    socket.reuse_port_lb()
}

#[cfg(all(unix, not(any(target_os = "freebsd", target_os = "illumos", target_os = "solaris"))))]
pub(super) fn set(socket: &SockRef<'_>, reuse: bool) -> io::Result<()> {
    socket.set_reuse_port(reuse)
}

#[cfg(all(unix, not(any(target_os = "freebsd", target_os = "illumos", target_os = "solaris"))))]
pub(super) fn read(socket: &SockRef<'_>) -> io::Result<bool> {
    socket.reuse_port()
}

#[cfg(any(not(unix), target_os = "illumos", target_os = "solaris"))]
pub(super) fn set(_: &SockRef<'_>, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(any(not(unix), target_os = "illumos", target_os = "solaris"))]
pub(super) fn read(_: &SockRef<'_>) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}
