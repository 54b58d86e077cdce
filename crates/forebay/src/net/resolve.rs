//! From an address to the socket addresses it stands for.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::SocketAddr;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
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
/// - [`ErrorKind::NotFound`]: the name does not exist, or has no address.
/// - [`ErrorKind::LookUpFailed`]: its name servers failed, refused or were silent.
/// - [`ErrorKind::Exhausted`], [`ErrorKind::System`]: the system could not look it up.
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

/// Asks for both families at once, and without flags: glibc asked for one of them looks in DNS for what
/// the hosts file has of the other, and `AI_ADDRCONFIG` hides 127.0.0.1 on some hosts.
fn look_up(name: &str, port: u16) -> std::result::Result<Vec<SocketAddr>, LookupError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(name), None, Some(hints))?;
    // An address of another family than these two is none of a TCP socket's.
    let addresses = found.filter_map(|entry| Some(entry.ok()?.sockaddr));
    Ok(addresses.map(|address| with_port(address, port)).collect())
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn answer(
    address: &Address,
    found: std::result::Result<Vec<SocketAddr>, LookupError>,
) -> Result<Vec<SocketAddr>> {
    match found {
        Ok(addresses) if addresses.is_empty() => {
            Err(Error::new(ErrorKind::NotFound, "resolve").with_detail("the name has no address"))
        }
        Ok(addresses) => Ok(without_repetition(addresses)),
        Err(error) => Err(failed(error)),
    }
    .map_err(|error| error.with_address(address))
}

/// A name that does not exist is told from one that could not be looked up (RFC 3493, section 6.1).
fn failed(error: LookupError) -> Error {
    let kind = match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => ErrorKind::NotFound,
        LookupErrorKind::Again | LookupErrorKind::Fail => ErrorKind::LookUpFailed,
        LookupErrorKind::Memory => ErrorKind::Exhausted,
        // The number of a call that failed, of which the kind follows.
        LookupErrorKind::System => return Error::from_io("resolve", error.into()),
        _ => ErrorKind::System,
    };
    let text = error.to_string();
    let words = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    Error::new(kind, "resolve").with_detail(words.to_owned()).with_cause(error)
}

/// Where a name has 127.0.0.1 and `::1`, glibc gives the first of them twice.
fn without_repetition(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::with_capacity(addresses.len());
    addresses.retain(|address| seen.insert(*address));
    addresses
}
