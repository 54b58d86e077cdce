//! On Unix, a worker watches a descriptor that it does not own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

#[cfg(feature = "signal")]
use crate::host::Ready;
use crate::host::{Registered, SocketFd};
#[cfg(feature = "smol")]
use crate::worker::BY_OWNER;
#[cfg(feature = "smol")]
use crate::worker::current;
use crate::worker::slots::both_directions;
use crate::worker::{BY_WORKER, Watched, Worker};

impl Worker {
    /// Watches a socket by this worker's own poll, or by async-io on a thread that is no worker's.
    pub(in crate::worker) fn register_here(self: &Arc<Self>, fd: SocketFd) -> Registered<Watched> {
        #[cfg(feature = "smol")]
        if !current::is_inside() {
            return self.register_in_async_io(fd);
        }
        let watched = self.watch(fd.as_fd(), both_directions());
        (Some(fd), watched)
    }

    /// Watches a descriptor here like a socket, and borrows it.
    #[cfg(feature = "signal")]
    pub(crate) fn watch_borrowed(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
    ) -> io::Result<Arc<dyn Ready>> {
        Ok(Arc::new(self.watch(fd, both_directions())?))
    }

    pub(in crate::worker) fn watch(
        self: &Arc<Self>,
        fd: BorrowedFd<'_>,
        interest: mio::Interest,
    ) -> io::Result<Watched> {
        let ready = self.slots.register(&self.registry, fd, interest)?;
        Ok(self.watched(ready, BY_WORKER))
    }

    /// Moves a socket's descriptor into async-io, whose reactor watches it for reading and writing.
    #[cfg(feature = "smol")]
    fn register_in_async_io(self: &Arc<Self>, fd: SocketFd) -> Registered<Watched> {
        use crate::host::{RuntimeSocket, async_io_has_begun};

        let fd = match fd {
            SocketFd::Own(fd) if async_io_has_begun(fd.as_fd()) => fd,
            fd => {
                let watched = self.watch(fd.as_fd(), both_directions());
                return (Some(fd), watched);
            }
        };
        let ready = match self.slots.register_ends(&self.registry, fd.as_fd()) {
            Ok(ready) => ready,
            Err(error) => return (Some(fd.into()), Err(error)),
        };
        match RuntimeSocket::in_async_io(fd, ready.slot()) {
            Ok(socket) => {
                let watched = self.watched(ready, BY_OWNER);
                (Some(SocketFd::Runtime(Box::new(socket))), Ok(watched))
            }
            Err(error) => (None, Err(error)),
        }
    }
}
