//! Probes of idle connections.

use std::io;
use std::time::Duration;

use forebay_io::{Error, ErrorKind};
use socket2::{SockRef, TcpKeepalive};

/// Probes of an idle connection (RFC 9293, section 3.8.4; `tcp(7)`).
///
/// The default, 60 s, 15 s and 8 probes, detects a dead peer about three minutes after its last sign of
/// life. Then every call on the socket fails with [`TimedOut`](crate::ErrorKind::TimedOut).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe. The system counts in whole seconds, so this is rounded up.
    pub idle: Duration,
    /// Time between two probes, rounded up likewise.
    pub interval: Duration,
    /// Number of unanswered probes after which the connection counts as dead.
    pub count: u32,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), interval: Duration::from_secs(15), count: 8 }
    }
}

/// The bounds of Linux. Not left to the kernel: one of multipath TCP takes any value before it is connected, reads it
/// back, and probes by its defaults. Zero is some systems' word for their default.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SECONDS_MAX: Duration = Duration::from_secs(32_767);
#[cfg(any(target_os = "linux", target_os = "android"))]
const COUNT_MAX: u32 = 127;
#[cfg(any(target_os = "linux", target_os = "android"))]
const OUT_OF_BOUNDS: &str =
    "times are 1 to 32,767 seconds, the number 1 to 127; `None` turns it off";

/// Other systems check the rest themselves.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SECONDS_MAX: Duration = Duration::MAX;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COUNT_MAX: u32 = u32::MAX;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const OUT_OF_BOUNDS: &str = "times and number must not be zero; `None` turns it off";

/// Rounds the times up to what the system counts in: `tcp(7)`.
pub(super) fn whole_seconds(keep_alive: KeepAlive) -> KeepAlive {
    let up = |time: Duration| match (time.as_secs(), time.subsec_nanos()) {
        (seconds, 0) => Duration::from_secs(seconds),
        (seconds, _) => Duration::from_secs(seconds.saturating_add(1)),
    };
    KeepAlive { idle: up(keep_alive.idle), interval: up(keep_alive.interval), ..keep_alive }
}

/// Sets the probes of a socket; `None` turns probing off.
pub(super) fn set(socket: &SockRef<'_>, keep_alive: Option<KeepAlive>) -> io::Result<()> {
    let Some(KeepAlive { idle, interval, count }) = keep_alive else {
        return socket.set_keepalive(false);
    };
    let times = Duration::from_secs(1)..=SECONDS_MAX;
    if !times.contains(&idle) || !times.contains(&interval) || !(1..=COUNT_MAX).contains(&count) {
        let error = Error::new(ErrorKind::InvalidInput, "keep_alive");
        return Err(error.with_detail(OUT_OF_BOUNDS).into());
    }
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
