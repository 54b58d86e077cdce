//! Unix sockets for the scenes.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};

use forebay::UnixAddress;

/// Returns a name that is used once.
pub(crate) fn unused_name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("forebay-cancel-{}-{number}", std::process::id())
}

/// A listener, and how to connect to it.
pub(crate) fn unix_listener() -> (UnixListener, UnixAddress) {
    let name = unused_name();
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    (UnixListener::bind_addr(&address).unwrap(), UnixAddress::Abstract(name.into_bytes()))
}
