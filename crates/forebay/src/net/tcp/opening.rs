//! A TCP socket that has its options, and is neither bound nor connected.

use std::io;
use std::net::SocketAddr;

use forebay_io::{Error, Result};
use socket2::Socket;

use crate::net::options::{OptionValues, SocketRole};
use crate::net::protocol::Protocol;
use crate::net::system;
use crate::selector::Shared;

/// Makes a socket and sets its options. One of multipath TCP gives way to one of TCP if it refuses an option: it is
/// a wish, and the others are not.
pub(super) fn open(
    selector: &Shared,
    operation: &'static str,
    role: SocketRole,
    address: SocketAddr,
    options: &OptionValues,
) -> Result<Socket> {
    let open_as = |make: fn(SocketAddr) -> io::Result<Socket>, operation| {
        let socket = system::or_after_ending_one(selector, || make(address))
            .map_err(|error| Error::from_io(operation, error))?;
        options.apply(Protocol::Tcp, role, &(&socket).into())?;
        Ok(socket)
    };
    if options.mptcp {
        match open_as(system::multipath_socket, "mptcp") {
            Err(_) if cfg!(target_os = "linux") => {}
            opened => return opened,
        }
    }
    open_as(system::stream_socket, operation)
}
