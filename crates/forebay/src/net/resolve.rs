//! From an address to the socket addresses it stands for.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use forebay_io::{Error, ErrorKind, Result};

use super::address::{Address, Host};
use crate::task::{BlockingPool, run_blocking};

/// Finds the addresses of a host, at least one, in the order of the system's preference.
///
/// An IP address is its own answer: it touches neither the resolver nor the pool. A name is asked
/// of the system (`getaddrinfo`: its hosts file, its DNS, its order by RFC 6724) on the pool, and
/// is never guarded by a timeout here: that is the caller's, who covers the attempts to connect
/// with the same one.
///
/// # Errors
///
/// - [`ErrorKind::NotFound`]: the name does not resolve, or has no address. The error names it.
/// - Those of [`run_blocking`]: too many look-ups wait, or the pool was closed.
///
/// # Cancel safety
///
/// Dropping the future abandons the answer; a look-up that has begun ends on its thread.
pub(crate) async fn resolve(pool: &BlockingPool, address: &Address) -> Result<Vec<SocketAddr>> {
    let name = match address.host() {
        Host::Literal(inet) => return Ok(vec![inet]),
        Host::Name(name) => name.to_owned(),
    };
    let port = address.port();
    let found = run_blocking(pool, "resolve", move || look_up(&name, port)).await;
    answer(address, found.map_err(|error| error.with_address(address))?)
}

fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((name, port).to_socket_addrs()?.collect())
}

fn answer(address: &Address, found: io::Result<Vec<SocketAddr>>) -> Result<Vec<SocketAddr>> {
    let error = || Error::new(ErrorKind::NotFound, "resolve").with_address(address);
    match found {
        Ok(addresses) if addresses.is_empty() => {
            Err(error().with_detail("the name has no address"))
        }
        Ok(addresses) => Ok(without_repetition(addresses)),
        // The system's text tells "no such name" from "no answer at present"; its kind does not.
        Err(cause) => Err(error().with_detail(cause.to_string()).with_cause(cause)),
    }
}

/// Where a name has 127.0.0.1 and `::1`, glibc gives the first of them twice.
fn without_repetition(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::with_capacity(addresses.len());
    addresses.retain(|address| seen.insert(*address));
    addresses
}
