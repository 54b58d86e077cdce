//! Options of TCP that only Linux has.

use std::io;
use std::time::Duration;

use socket2::SockRef;

/// Rounds up to what the system counts in.
pub(super) fn whole_milliseconds(time: Duration) -> Duration {
    let rest = time.subsec_nanos() % 1_000_000;
    if rest == 0 {
        time
    } else {
        time.saturating_add(Duration::from_nanos((1_000_000 - rest).into()))
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn set_notsent_lowat(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn notsent_lowat(socket: &SockRef<'_>) -> io::Result<u32> {
    socket.tcp_notsent_lowat()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn set_user_timeout(socket: &SockRef<'_>, timeout: Option<Duration>) -> io::Result<()> {
    // The system would take zero for its own limit.
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "zero is no time to wait"));
    }
    socket.set_tcp_user_timeout(timeout)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn user_timeout(socket: &SockRef<'_>) -> io::Result<Option<Duration>> {
    socket.tcp_user_timeout()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn set_notsent_lowat(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn notsent_lowat(_: &SockRef<'_>) -> io::Result<u32> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn set_user_timeout(_: &SockRef<'_>, _: Option<Duration>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn user_timeout(_: &SockRef<'_>) -> io::Result<Option<Duration>> {
    Err(io::ErrorKind::Unsupported.into())
}
