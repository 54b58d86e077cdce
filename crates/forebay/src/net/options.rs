//! The options of TCP sockets and of connections.

use std::io;
use std::time::Duration;

use forebay_io::{Error, Result};
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

/// The kind of silence that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// A read has waited, and no byte arrived.
    Reading,
    /// Bytes are queued, and the peer took none.
    Writing,
    /// No byte passed in either direction.
    Idling,
}

/// The options of connections of every kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ConnectionOptions {
    /// `None`: the selector's.
    pub(super) drain_timeout: Option<Duration>,
    /// `None`: the selector's.
    pub(super) drain_max: Option<Duration>,
    /// `None`: the selector's.
    pub(super) drain_limit: Option<u64>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
}

impl ConnectionOptions {
    /// The limits on silence.
    pub(super) fn silences(&self) -> [(Silence, Option<Duration>); 3] {
        [
            (Silence::Reading, self.read_timeout),
            (Silence::Writing, self.write_timeout),
            (Silence::Idling, self.idle_timeout),
        ]
    }
}

/// The setters of [`ConnectionOptions`], for a builder with a field `connection`.
macro_rules! connection_setters {
    () => {
        /// Sets how long the peer may be silent while a connection is closed or dropped: how long it may
        /// acknowledge none of the bytes sent to it (where the system does not tell, take none). A peer
        /// that reads slowly but steadily receives everything. Default: the selector's, 10 seconds.
        pub fn drain_timeout(mut self, timeout: Duration) -> Self {
            self.connection.drain_timeout = Some(timeout);
            self
        }

        /// Sets how long closing or dropping a connection may take in all, however steadily its peer reads.
        /// Default: the selector's, 5 minutes, or the drain timeout if that is longer.
        pub fn drain_max(mut self, total: Duration) -> Self {
            self.connection.drain_max = Some(total);
            self
        }

        /// Sets how many bytes of input closing or dropping a connection discards. Default: the selector's,
        /// 64 KiB.
        pub fn drain_limit(mut self, limit_bytes: u64) -> Self {
            self.connection.drain_limit = Some(limit_bytes);
            self
        }

        /// Sets how long a read may wait for a byte; see
        /// [`Socket::set_read_timeout`](crate::Socket::set_read_timeout). Default: no limit.
        #[doc(alias = "socketTimeout")]
        pub fn read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.connection.read_timeout = timeout.into();
            self
        }

        /// Sets how long the peer may take none of the queued bytes; see
        /// [`Socket::set_write_timeout`](crate::Socket::set_write_timeout). Default: no limit.
        #[doc(alias = "socketTimeout")]
        pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.connection.write_timeout = timeout.into();
            self
        }

        /// Sets how long no byte may pass in either direction; see
        /// [`Socket::set_idle_timeout`](crate::Socket::set_idle_timeout). Default: no limit.
        pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.connection.idle_timeout = timeout.into();
            self
        }
    };
}
pub(super) use connection_setters;

/// The options of connected and accepted TCP sockets.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamOptions {
    pub(super) no_delay: bool,
    pub(super) keep_alive: Option<KeepAlive>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { no_delay: true, keep_alive: Some(KeepAlive::default()) }
    }
}

impl StreamOptions {
    /// Sets all options; the error names the option that could not be set.
    pub(super) fn apply(&self, socket: &SockRef<'_>) -> Result<()> {
        named("no_delay", socket.set_tcp_nodelay(self.no_delay))?;
        match self.keep_alive {
            None => named("keep_alive", socket.set_keepalive(false)),
            Some(keep_alive) => {
                let probes = TcpKeepalive::new()
                    .with_time(keep_alive.idle)
                    .with_interval(keep_alive.interval)
                    .with_retries(keep_alive.count);
                named("keep_alive", socket.set_tcp_keepalive(&probes))
            }
        }
    }

    /// True if a socket has all of these options already, as accepted sockets do where they inherit them.
    pub(super) fn hold_on(&self, socket: &SockRef<'_>) -> bool {
        let keep_alive = socket.keepalive().ok() == Some(self.keep_alive.is_some());
        let idle = self
            .keep_alive
            .is_none_or(|wanted| socket.tcp_keepalive_time().is_ok_and(|idle| idle == wanted.idle));
        socket.tcp_nodelay().is_ok_and(|no_delay| no_delay == self.no_delay) && keep_alive && idle
    }
}

/// Adds the option's name to the error.
pub(super) fn named<T>(option: &'static str, result: io::Result<T>) -> Result<T> {
    result.map_err(|error| Error::from_io(option, error).context("setting a socket option"))
}
