//! The descriptor of a datagram socket, and the calls that wait for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{WakeList, giving_way};
use rustix::fd::BorrowedFd;

use crate::host::{Direction, Progress};
use crate::net::descriptor::Descriptor;
use crate::net::system;
use crate::net::wait_list::WaitList;
use crate::selector::{Shared, Waits};

/// A descriptor, with the lists of the calls that wait for it.
pub(in crate::net) struct DatagramWaits {
    io: Descriptor,
    /// Another program has the socket too, and may make it blocking.
    is_shared: bool,
    pub(in crate::net) readers: Arc<WaitList>,
    /// Wakes all of `readers`; the only waker that the descriptor has for reading.
    reader_waker: Waker,
    pub(in crate::net) writers: Arc<WaitList>,
    /// Wakes all of `writers`, likewise.
    writer_waker: Waker,
    /// The calls that wait for the close.
    closers: WaitList,
    closed: AtomicBool,
}

impl DatagramWaits {
    pub(in crate::net) fn new(io: Descriptor, is_shared: bool) -> Self {
        let (readers, writers) = (Arc::<WaitList>::default(), Arc::<WaitList>::default());
        Self {
            io,
            is_shared,
            reader_waker: Waker::from(Arc::clone(&readers)),
            readers,
            writer_waker: Waker::from(Arc::clone(&writers)),
            writers,
            closers: WaitList::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(in crate::net) fn selector(&self) -> &Arc<Shared> {
        self.io.selector()
    }

    pub(in crate::net) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Closes the descriptor, and wakes every call that waits. `before` is called while it is open.
    pub(in crate::net) fn close(&self, before: impl FnOnce(BorrowedFd<'_>)) {
        // Before the waits are woken, so that each of them sees it.
        self.closed.store(true, Ordering::Release);
        let mut after = WakeList::new();
        self.io.release(before, &mut after);
        for waits in [&*self.readers, &*self.writers, &self.closers] {
            waits.release(&mut after);
        }
        after.run();
    }

    /// Waits for the close.
    pub(in crate::net) async fn until_closed(&self) {
        giving_way(self.closers.until(|| self.is_closed())).await;
    }

    /// Runs a system call now, or as soon as the socket is ready for it, and returns the number of bytes. All calls of
    /// the direction are woken then.
    #[inline]
    pub(in crate::net) fn poll_io(
        &self,
        direction: Direction,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let waker = match direction {
            Direction::Read => &self.reader_waker,
            Direction::Write => &self.writer_waker,
        };
        let mut cx = Context::from_waker(waker);
        // A short receive proves nothing: only `EAGAIN` says that there is no more.
        let call = |fd: BorrowedFd<'_>| Ok(Progress { count: call(fd)?, drained: false });
        let done = self.io.poll_io(&mut cx, direction, Waits::User, call);
        done.map_ok(|progress| progress.count)
    }

    /// Runs a system call, and does not wait.
    pub(in crate::net) fn call<T>(
        &self,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.io.call(call)
    }

    /// Returns when every call that was in progress has ended.
    pub(in crate::net) fn let_calls_end(&self) {
        self.io.let_calls_end();
    }

    /// Fails with `WouldBlock` if a receive would have to wait, before one that cannot say for itself that it does not.
    #[inline]
    pub(in crate::net) fn keep_from_waiting(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        if !self.is_shared {
            return Ok(());
        }
        if !system::has_arrived(fd)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        system::keep_from_blocking(fd)
    }
}
