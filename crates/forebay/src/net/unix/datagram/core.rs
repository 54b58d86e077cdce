//! The state that all handles of a Unix datagram socket share.

use std::sync::Arc;

use forebay_io::Error;
use rustix::fd::OwnedFd;
use socket2::{SockAddr, SockRef};

use crate::net::OwnPath;
use crate::net::address::UnixAddress;
use crate::net::datagram::{DatagramSocket, DatagramWaits};
use crate::net::descriptor::Descriptor;
use crate::net::options::{OptionValues, SocketOptions, SocketRole};
use crate::net::protocol::Protocol;
use crate::selector::Shared;
use crate::time::WakeUp;

pub(in crate::net) struct UnixDatagramCore {
    /// The path in the file system that belongs to this socket. The first field, to be dropped before the
    /// socket.
    path: Option<OwnPath>,
    waits: DatagramWaits,
    ends: Ends,
}

/// The addresses of a socket, and its options.
pub(in crate::net) struct Ends {
    pub(in crate::net) local: UnixAddress,
    /// The peer of a connected socket; in the system's form `None` if it has no name to connect to again.
    pub(in crate::net) remote: Option<(UnixAddress, Option<SockAddr>)>,
    pub(in crate::net) datagram_bytes_max: usize,
    pub(in crate::net) options: Arc<OptionValues>,
}

impl DatagramSocket for UnixDatagramCore {
    fn waits(&self) -> &DatagramWaits {
        &self.waits
    }

    fn named(&self, error: Error) -> Error {
        error.with_address(self.remote().unwrap_or(self.local()))
    }

    fn close(&self) {
        self.waits.close(|_| {
            // While the socket is open, as a removal needs it.
            if let Some(path) = &self.path {
                path.remove();
            }
        });
    }

    fn told(&self, socket: &SockRef<'_>) -> SocketOptions {
        let role = if self.remote().is_some() { SocketRole::Connected } else { SocketRole::Bound };
        let mut told = self.ends.options.told(Protocol::UnixDatagram, role, Some(socket));
        told.mode = self.path.as_ref().and_then(OwnPath::mode);
        told
    }
}

/// A socket closes with its selector.
impl WakeUp for UnixDatagramCore {
    fn wake_up(&self) {
        if self.waits.selector().is_closing() {
            self.close();
        }
    }
}

impl UnixDatagramCore {
    /// Takes a socket that is bound, or connected if it has a peer. `is_shared`: another program has it too.
    pub(in crate::net) fn new(
        selector: &Arc<Shared>,
        (fd, path): (OwnedFd, Option<OwnPath>),
        ends: Ends,
        is_shared: bool,
    ) -> Arc<Self> {
        let io = Descriptor::new(fd, Arc::clone(selector));
        let core = Arc::new(Self { path, waits: DatagramWaits::new(io, is_shared), ends });
        selector.closing().close_with(&core);
        core
    }

    pub(super) fn local(&self) -> &UnixAddress {
        &self.ends.local
    }

    pub(super) fn remote(&self) -> Option<&UnixAddress> {
        self.ends.remote.as_ref().map(|(address, _)| address)
    }

    /// The peer of a connected socket, to be connected to again.
    pub(super) fn remote_of_system(&self) -> Option<&SockAddr> {
        self.ends.remote.as_ref().and_then(|(_, system)| system.as_ref())
    }

    pub(super) fn descriptors_max(&self) -> u8 {
        self.ends.options.descriptors_max
    }

    pub(super) fn datagram_bytes_max(&self) -> usize {
        self.ends.datagram_bytes_max
    }
}
