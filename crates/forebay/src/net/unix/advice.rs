//! Advice on the errors of `bind` and `connect`, where their kind tells.

use std::io;

use forebay_io::{Error, ErrorKind};
use rustix::io::Errno;

use crate::net::address::UnixAddress;

/// Adds the address, and advice on an error of `bind`.
pub(super) fn on_bind(error: Error, address: &UnixAddress) -> Error {
    let is_path = address.as_path().is_some();
    // An option that could not be set has its own name, and nothing to do with the address.
    if error.operation() != "bind" {
        return error.with_address(address);
    }
    let advice = match error.kind() {
        ErrorKind::AddressInUse if is_path => {
            "the path exists; replace_stale removes it if its server is gone"
        }
        ErrorKind::AddressInUse => "another socket has this name",
        ErrorKind::PermissionDenied if is_path => {
            "this process may not write to the path's directory, or not pass one on the way to it"
        }
        ErrorKind::NotFound if is_path => "the path's directory does not exist",
        _ => return error.with_address(address),
    };
    error.with_address(address).or_detail(advice)
}

/// The advice on connecting, or sending a datagram, to a socket of another kind.
pub(super) const ANOTHER_KIND: &str =
    "the socket that is open there is not of this kind: one is of streams, the other of datagrams";

/// True for the error of connecting, or sending a datagram, to a socket of another kind (`unix(7)`).
pub(super) fn is_of_another_kind(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let system = source.and_then(|source| source.downcast_ref::<io::Error>());
    system.and_then(Errno::from_io_error) == Some(Errno::PROTOTYPE)
}

/// Adds the address, and advice on an error of `connect`.
pub(super) fn on_connect(error: Error, address: &UnixAddress) -> Error {
    let is_path = address.as_path().is_some();
    let advice = match error.kind() {
        ErrorKind::Refused if is_path => {
            "the path is there, but no server listens at it; start it, and let it use replace_stale"
        }
        ErrorKind::Refused => "no server listens at this name",
        ErrorKind::NotFound => "there is no such path; check it, and whether the server runs",
        ErrorKind::PermissionDenied => {
            "this process may not write to the socket, or not pass a directory on the way to it"
        }
        _ if is_of_another_kind(&error) => ANOTHER_KIND,
        _ => return error.with_address(address),
    };
    error.with_address(address).or_detail(advice)
}
