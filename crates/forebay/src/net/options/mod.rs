//! Options: one table, and what is made of it.

mod buffer_size;
mod configure;
mod define;
mod device;
mod fast_open;
mod keep_alive;
mod multipath;
mod of_linux;
mod packets;
mod reuse_port;
mod role;
mod silence;
mod table;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::fmt;
use std::io;

use forebay_io::{Error, ErrorKind, Result};
use rustix::io::Errno;
use socket2::SockRef;

pub(super) use self::configure::Configure;
pub(super) use self::define::{builder_text, if_among, role_text, systems_text};
pub use self::keep_alive::KeepAlive;
pub(super) use self::role::SocketRole;
pub(super) use self::silence::Silence;
pub use self::table::SocketOptions;
pub(super) use self::table::{OptionValues, builder_setters, option_table, socket_setters};
use self::table::{ROWS, Row};
use super::protocol::Protocol;

impl OptionValues {
    /// Sets the options of a socket; the error names the option that could not be set.
    pub(super) fn apply(
        &self,
        protocol: Protocol,
        role: SocketRole,
        socket: &SockRef<'_>,
    ) -> Result<()> {
        let mut rows = rows_of(protocol).filter(|row| row.is_set_on(role));
        rows.try_for_each(|row| row.set(self, role, socket))?;
        match &self.configure {
            // Behind all options, so that it has the last word.
            Some(configure) if role != SocketRole::Accepted => {
                let run = configure.run(socket);
                run.map_err(|error| named("configure", error))
            }
            _ => Ok(()),
        }
    }

    /// The options of a socket: the system's as the system reports them, and those that this library keeps for
    /// sockets of this role.
    pub(super) fn told(
        &self,
        protocol: Protocol,
        role: SocketRole,
        socket: Option<&SockRef<'_>>,
    ) -> SocketOptions {
        let mut told = SocketOptions::default();
        for row in rows_of(protocol) {
            match (&row.tell_kept, &row.system, socket) {
                (Some(tell), ..) if row.is_set_on(role) => tell(self, &mut told),
                (None, Some(system), Some(socket)) => (system.tell)(socket, &mut told),
                _ => {}
            }
        }
        told
    }

    /// Sets the options of a socket as far as it takes them; `refused` is told of the others.
    pub(super) fn apply_each(
        &self,
        protocol: Protocol,
        role: SocketRole,
        socket: &SockRef<'_>,
        refused: impl Fn(Error),
    ) {
        for row in rows_of(protocol).filter(|row| row.is_set_on(role)) {
            if let Err(error) = row.set(self, role, socket) {
                refused(error);
            }
        }
    }

    /// Sets on a listener of another program what its connections are to inherit. An option that the listener
    /// refuses is set on each connection.
    #[cfg(unix)]
    pub(super) fn offer(&self, protocol: Protocol, listener: &SockRef<'_>) -> Result<()> {
        self.apply_each(protocol, SocketRole::Accepted, listener, drop);
        let run = self.configure.as_ref().map_or(Ok(()), |configure| configure.run(listener));
        run.map_err(|error| named("configure", error))
    }

    /// True if an accepted socket has all of its options already, because it has inherited them from its
    /// listener.
    pub(super) fn hold_on(&self, protocol: Protocol, accepted: &SockRef<'_>) -> bool {
        let role = SocketRole::Accepted;
        let mut rows = rows_of(protocol).filter(|row| row.is_set_on(role));
        rows.all(|row| row.system.as_ref().is_none_or(|it| (it.holds)(accepted, self, role)))
    }

    /// The limit on waiting connections, as `listen(2)` takes it.
    pub(super) fn backlog(&self) -> i32 {
        // The system caps larger numbers anyway.
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }

    /// Prints the options of a protocol as fields of their builder.
    pub(super) fn fmt_fields(&self, protocol: Protocol, fields: &mut fmt::DebugStruct<'_, '_>) {
        for row in rows_of(protocol) {
            fields.field(row.name, (row.value)(self));
        }
    }
}

impl Row {
    /// True if this option is set on sockets of this role. A listening socket is given the options of the
    /// sockets that it accepts too, so that they can inherit them.
    fn is_set_on(&self, role: SocketRole) -> bool {
        let inherited = role == SocketRole::Listening && self.roles.contains(&SocketRole::Accepted);
        self.roles.contains(&role) || inherited
    }

    /// Sets this option, if it is one of the system; the error names it.
    fn set(&self, options: &OptionValues, role: SocketRole, socket: &SockRef<'_>) -> Result<()> {
        let set = self.system.as_ref().map_or(Ok(()), |system| (system.set)(socket, options, role));
        set.map_err(|error| named(self.name, error))
    }
}

/// The error of an option.
fn named(option: &'static str, error: io::Error) -> Error {
    let raw = error.raw_os_error();
    // Not in std's kinds: the socket, or the system, does not have the option.
    let unknown = [Errno::NOPROTOOPT, Errno::OPNOTSUPP];
    let error = if unknown.iter().any(|errno| raw == Some(errno.raw_os_error())) {
        Error::new(ErrorKind::Unsupported, option).with_cause(error)
    } else {
        Error::from_io(option, error)
    };
    error.context("setting a socket option")
}

/// The options of a protocol, sorted by name.
fn rows_of(protocol: Protocol) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.protocols.contains(&protocol))
}
