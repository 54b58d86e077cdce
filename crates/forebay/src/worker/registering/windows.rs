//! On Windows, a worker watches a socket that it owns.

use std::io;
use std::sync::Arc;

use crate::host::{Registered, RuntimeSocket, SocketFd};
use crate::worker::{BY_WORKER, Watched, Worker};

impl Worker {
    /// Watches a socket by this worker's own poll.
    pub(in crate::worker) fn register_here(self: &Arc<Self>, fd: SocketFd) -> Registered<Watched> {
        let SocketFd::Own(socket) = fd else {
            // Only the first wait registers.
            return (Some(fd), Err(io::ErrorKind::AlreadyExists.into()));
        };
        match self.slots.register(&self.registry, socket) {
            Ok((owner, ready)) => {
                let socket = RuntimeSocket::from(owner);
                (Some(SocketFd::Runtime(Box::new(socket))), Ok(self.watched(ready, BY_WORKER)))
            }
            Err(error) => (None, Err(error)),
        }
    }
}
