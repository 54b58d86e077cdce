//! The system's resolver.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};
use forebay_io::{Error, ErrorKind, Result};

use super::look_up::{LookUp, LookUpTable, LookUpWork, LookingUp};
use crate::task::{BlockingPool, run_blocking};

/// Look-ups by the system (`getaddrinfo`: its hosts file, its DNS, its order by RFC 6724), each on a thread of the
/// pool.
#[derive(Clone)]
pub(super) struct SystemLookUps {
    pool: Arc<BlockingPool>,
    table: Arc<LookUpTable>,
}

impl SystemLookUps {
    pub(super) fn new(pool: Arc<BlockingPool>) -> Self {
        Self { pool, table: Arc::default() }
    }

    pub(super) fn look_up(&self, name: &str) -> LookingUp {
        self.table.join(name, |look_up| ask(Arc::clone(&self.pool), Weak::clone(look_up)))
    }
}

fn ask(pool: Arc<BlockingPool>, look_up: Weak<LookUp>) -> LookUpWork {
    Box::pin(async move {
        // The callers hold it. The future is theirs, so it must not hold it too.
        let Some(look_up) = look_up.upgrade() else { return Ok(()) };
        let call = run_blocking(&pool, "resolve", move || {
            if look_up.begins_to_run() {
                let result = answer(&look_up);
                look_up.end(result);
            }
        });
        drop(pool);
        call.await
    })
}

fn answer(look_up: &LookUp) -> Result<()> {
    look_up.add(addresses_of(look_up.name()).map_err(failed)?);
    Ok(())
}

/// Looks up both families at once and without flags. Asked for one family only, glibc searches DNS for what
/// the hosts file has of the other one, and `AI_ADDRCONFIG` hides 127.0.0.1 on some hosts.
fn addresses_of(name: &str) -> std::result::Result<Vec<SocketAddr>, LookupError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(name), None, Some(hints))?;
    // Entries that are neither IPv4 nor IPv6 cannot belong to a TCP socket.
    Ok(found.filter_map(|entry| Some(entry.ok()?.sockaddr)).collect())
}

pub(super) const CHECK_THE_NAME: &str = "check its spelling; DNS and /etc/hosts do not have it";
pub(super) const CHECK_THE_SERVERS: &str =
    "try again, or check the name servers in /etc/resolv.conf";

/// Distinguishes a name that does not exist from a look-up that failed (RFC 3493, section 6.1).
pub(super) fn failed(error: LookupError) -> Error {
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
