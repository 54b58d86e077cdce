//! The options of a connection, and its descriptor.

use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::OwnedFd;
use socket2::SockRef;

use super::Socket;
use super::core::Core;
use crate::net::descriptor::{released, unanswered};
use crate::net::options::{Silence, SocketOptions, SocketRole};
use crate::net::protocol::Protocol;

impl Socket {
    /// Returns the options that took effect: the system's as it reports them now, and the limits that this
    /// library keeps. In memory there are only the latter.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed): it was closed on this side, or its selector was.
    #[doc(alias = "getsockopt")]
    pub fn options(&self) -> Result<SocketOptions> {
        let core = self.0.core();
        let (kept, role) = (&core.parts().options, SocketRole::Accepted);
        let told = match core.link().stream() {
            Some(stream) => {
                stream.io.call(|fd| Ok(kept.told(stream.protocol, role, Some(&SockRef::from(&fd)))))
            }
            None if core.link().is_released() => Err(released()),
            None => Ok(kept.told(Protocol::Unix, role, None)),
        };
        let named = |error| core.named(unanswered("options", error));
        Ok(in_force(told.map_err(named)?, core))
    }

    /// Returns another descriptor of the system's socket (`dup(2)`): for options that this library does not have,
    /// and for other libraries.
    ///
    /// The descriptor of this socket itself is not lent, because [`close`](Self::close) on another handle may close
    /// it at any time (`AsFd` promises that it stays open). The new one is the caller's, and
    ///
    /// - while it is open, the system's socket is: closing here still sends the end mark, but
    ///   [`abort`](Self::abort) resets the connection only when the last descriptor is closed;
    /// - it shares everything else too. Reading from it takes bytes from the channel, and making it blocking stops
    ///   a worker.
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed): it was closed on this side, or its selector was;
    /// [`Unsupported`](ErrorKind::Unsupported): a connection in memory has no descriptor;
    /// [`Exhausted`](ErrorKind::Exhausted): the process has no descriptor left.
    ///
    /// # Platform
    ///
    /// On Windows it is an `OwnedSocket`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:0").await?;
    ///     let socket = selector.tcp().connect(server.local_address()).await?;
    ///     let descriptor = socket.try_clone_fd()?;
    ///     rustix::net::sockopt::set_tcp_cork(&descriptor, true)?;
    ///     assert!(rustix::net::sockopt::tcp_cork(socket.try_clone_fd()?)?);
    ///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    /// })?;
    /// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    #[doc(alias = "as_fd")]
    #[doc(alias = "AsFd")]
    #[doc(alias = "as_raw_fd")]
    #[doc(alias = "dup")]
    pub fn try_clone_fd(&self) -> Result<OwnedFd> {
        let core = self.0.core();
        let Some(stream) = core.link().stream() else {
            let error = Error::new(ErrorKind::Unsupported, "try_clone_fd");
            return Err(error.with_detail("a connection in memory has no descriptor"));
        };
        stream.copy_always();
        let cloned = stream.io.call(|fd| fd.try_clone_to_owned());
        cloned.map_err(|error| core.named(unanswered("try_clone_fd", error)))
    }
}

/// Puts the limits of a connection that may have changed, or that the selector has, in place of those that its
/// builder was given.
fn in_force(mut told: SocketOptions, core: &Core) -> SocketOptions {
    let drain = core.drain();
    told.drain_limit = Some(core.drain_limit());
    told.drain_timeout = Some(drain.silence);
    told.drain_max = Some(drain.total);
    told.read_timeout = core.silence_limit(Silence::Reading);
    told.write_timeout = core.silence_limit(Silence::Writing);
    told.idle_timeout = core.silence_limit(Silence::Idling);
    told
}
