//! Probes of idle connections.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Probes of an idle connection (RFC 9293, section 3.8.4; `tcp(7)`).
///
/// The default, 60 s, 15 s and 8 probes, detects a dead peer about three minutes after its last sign of
/// life. Then every call on the socket fails with [`TimedOut`](crate::ErrorKind::TimedOut).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe. The system counts in whole seconds.
    pub idle: Duration,
    /// Time between two probes. The system counts in whole seconds.
    pub interval: Duration,
    /// Number of unanswered probes after which the connection counts as dead.
    pub count: u32,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(15), count: 8 }
    }
}

/// Sets the probes of a socket; `None` turns probing off.
pub(super) fn set(socket: &SockRef<'_>, keep_alive: Option<KeepAlive>) -> io::Result<()> {
    let Some(KeepAlive { idle, interval, count }) = keep_alive else {
        return socket.set_keepalive(false);
    };
    let probes = TcpKeepalive::new().with_time(idle).with_interval(interval);
    match socket.set_tcp_keepalive(&probes.clone().with_retries(count)) {
        // Before Windows 10 1703 the number cannot be set; it is ten.
        Err(error) if cfg!(windows) && is_unknown(&error) => socket.set_tcp_keepalive(&probes),
        set => set,
    }
}

fn is_unknown(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOPROTOOPT.raw_os_error())
}

/// Reads the probes of a socket. The system keeps their times while probing is off.
#[cfg(unix)]
pub(super) fn read(socket: &SockRef<'_>) -> io::Result<Option<KeepAlive>> {
    if !socket.keepalive()? {
        return Ok(None);
    }
    Ok(Some(KeepAlive {
        idle: socket.tcp_keepalive_time()?,
        interval: socket.tcp_keepalive_interval()?,
        count: socket.tcp_keepalive_retries()?,
    }))
}

/// Not known on this system: an accepted socket counts as one that has inherited nothing.
#[cfg(not(unix))]
pub(super) fn read(_: &SockRef<'_>) -> io::Result<Option<KeepAlive>> {
    Err(io::ErrorKind::Unsupported.into())
}
