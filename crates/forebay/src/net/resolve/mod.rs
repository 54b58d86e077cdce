//! Resolves an address to socket addresses.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::SocketAddr;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use forebay_io::{Error, ErrorKind, Result};

use super::address::{Address, HostPart};
use crate::task::{BlockingPool, run_blocking};

/// Finds the addresses of a host, at least one, in the order of the system's preference.
///
/// An IP address is its own result and uses neither the resolver nor the pool. A name is looked up on the
/// pool by the system (`getaddrinfo`: its hosts file, its DNS, its order by RFC 6724). There is no timeout
/// here: the caller has one, which also covers the attempts to connect.
///
/// # Errors
///
/// - [`ErrorKind::NotFound`]: the name does not exist, or has no address.
/// - [`ErrorKind::LookUpFailed`]: its name servers failed, refused or did not answer.
/// - [`ErrorKind::Exhausted`], [`ErrorKind::System`]: the system could not perform the look-up.
/// - Those of [`run_blocking`]: too many look-ups wait, or the pool was closed.
///
/// # Cancel safety
///
/// Dropping the future discards the result. A look-up that has begun still runs to its end on its thread.
pub(crate) async fn resolve(pool: &BlockingPool, address: &Address) -> Result<Vec<SocketAddr>> {
    let name = match address.host() {
        HostPart::Literal(inet) => return Ok(vec![inet]),
        HostPart::Name(name) => name.to_owned(),
    };
    let port = address.port();
    let found = run_blocking(pool, "resolve", move || look_up(&name, port)).await;
    answer(address, found.map_err(|error| error.with_address(address))?)
}

/// Looks up both families at once and without flags. Asked for one family only, glibc searches DNS for what
/// the hosts file has of the other one, and `AI_ADDRCONFIG` hides 127.0.0.1 on some hosts.
fn look_up(name: &str, port: u16) -> std::result::Result<Vec<SocketAddr>, LookupError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(name), None, Some(hints))?;
    // Entries that are neither IPv4 nor IPv6 cannot belong to a TCP socket.
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

const CHECK_THE_NAME: &str = "check its spelling; DNS and /etc/hosts do not have it";
const CHECK_THE_SERVERS: &str = "try again, or check the name servers in /etc/resolv.conf";

/// Distinguishes a name that does not exist from a look-up that failed (RFC 3493, section 6.1).
fn failed(error: LookupError) -> Error {
    let kind = match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => ErrorKind::NotFound,
        LookupErrorKind::Again | LookupErrorKind::Fail => ErrorKind::LookUpFailed,
        LookupErrorKind::Memory => ErrorKind::Exhausted,
        // The look-up failed by a system call; the kind follows from its error number.
        LookupErrorKind::System => return Error::from_io("resolve", error.into()),
        _ => ErrorKind::System,
    };
    let text = error.to_string();
    let words = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let error = Error::new(kind, "resolve").with_cause(words);
    match kind {
        ErrorKind::NotFound => error.with_detail(CHECK_THE_NAME),
        ErrorKind::LookUpFailed => error.with_detail(CHECK_THE_SERVERS),
        _ => error,
    }
}

/// Removes duplicates: where a name has both 127.0.0.1 and `::1`, glibc returns the first one twice.
fn without_repetition(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::with_capacity(addresses.len());
    addresses.retain(|address| seen.insert(*address));
    addresses
}
