//! A descriptor in a worker's poll on Unix: watched by its number, and left where it is.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::{Slots, WorkerReady};

impl Slots {
    /// Watches a descriptor. The first event tells what it is ready for.
    pub(crate) fn register(
        self: &Arc<Self>,
        registry: &Registry,
        fd: BorrowedFd<'_>,
        interest: Interest,
    ) -> io::Result<WorkerReady> {
        let ready = self.add();
        let (number, token) = (fd.as_raw_fd(), ready.token);
        match registry.register(&mut SourceFd(&number), token, interest) {
            // A closed descriptor is still watched as long as another program has it too (`epoll(7)`, "Questions and
            // answers", 6). This is the same socket again, with the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                registry.reregister(&mut SourceFd(&number), token, interest)?;
            }
            registered => registered?,
        }
        Ok(ready)
    }

    /// Watches a descriptor only for what a foreign runtime does not report: the peer's end mark without a
    /// read, and urgent data.
    #[cfg(any(feature = "tokio", feature = "smol"))]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn register_ends(
        self: &Arc<Self>,
        registry: &Registry,
        fd: BorrowedFd<'_>,
    ) -> io::Result<WorkerReady> {
        use rustix::event::epoll::{EventData, EventFlags, add, modify};
        use rustix::io::Errno;

        let ready = self.add();
        let data = EventData::new_u64(ready.token.0 as u64);
        let flags = EventFlags::PRI | EventFlags::RDHUP | EventFlags::ET;
        match add(registry, fd, data, flags) {
            // As in `register`.
            Err(Errno::EXIST) => modify(registry, fd, data, flags)?,
            added => added?,
        }
        Ok(ready)
    }

    /// Watches a descriptor also for what a foreign runtime reports, which does no harm.
    #[cfg(any(feature = "tokio", feature = "smol"))]
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn register_ends(
        self: &Arc<Self>,
        registry: &Registry,
        fd: BorrowedFd<'_>,
    ) -> io::Result<WorkerReady> {
        self.register(registry, fd, both_directions())
    }
}

impl WorkerReady {
    /// Watches the descriptor in both directions from now on.
    pub(crate) fn watch_all(&self, registry: &Registry, fd: BorrowedFd<'_>) -> io::Result<()> {
        registry.reregister(&mut SourceFd(&fd.as_raw_fd()), self.token, both_directions())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::worker) fn both_directions() -> Interest {
    Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::worker) fn both_directions() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}
