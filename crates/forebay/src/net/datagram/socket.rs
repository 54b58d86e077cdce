//! A socket of datagrams, of any protocol, and what its handles ask of it.

use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::OwnedFd;
use socket2::SockRef;

use super::DatagramWaits;
use crate::net::descriptor::unanswered;
use crate::net::options::SocketOptions;

/// The part of a socket that all its handles share.
pub(in crate::net) trait DatagramSocket {
    fn waits(&self) -> &DatagramWaits;

    /// Adds the address of the peer or, without one, of this side.
    fn named(&self, error: Error) -> Error;

    fn close(&self);

    /// Reads the options of the system's socket, and adds those that are kept here.
    fn told(&self, socket: &SockRef<'_>) -> SocketOptions;

    /// Prepares the socket for what happens before the program gets another descriptor of the socket.
    fn before_clone(&self) {}

    /// Returns the error of a call on a closed socket.
    fn closed(&self, operation: &'static str) -> Error {
        self.named(Error::new(ErrorKind::Closed, operation))
    }

    fn check_open(&self, operation: &'static str) -> Result<()> {
        if self.waits().is_closed() { Err(self.closed(operation)) } else { Ok(()) }
    }

    fn options(&self) -> Result<SocketOptions> {
        let told = self.waits().call(|fd| Ok(self.told(&SockRef::from(&fd))));
        told.map_err(|error| self.named(unanswered("options", error)))
    }

    fn try_clone_fd(&self) -> Result<OwnedFd> {
        self.before_clone();
        let cloned = self.waits().call(|fd| fd.try_clone_to_owned());
        cloned.map_err(|error| self.named(unanswered("try_clone_fd", error)))
    }
}
