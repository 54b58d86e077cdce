//! A descriptor in the hands of a runtime, which watches it for reading and writing.
//!
//! ```text
//!   event ──► the runtime's readiness ──► its waker ──► Slot: the flag, and the waker of the wait
//!   call  ──► nothing left: clears both
//!   wait  ──► in the slot, then in the runtime: an event between the two wakes the wait
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
#[cfg(feature = "smol")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
#[cfg(feature = "smol")]
use std::time::Duration;
#[cfg(feature = "smol")]
use std::{panic::catch_unwind, pin::Pin};

#[cfg(feature = "smol")]
use async_io::{Async, Timer};
#[cfg(feature = "tokio")]
use tokio::{io::Interest, net::TcpStream};

use super::slot::{READABLE, Slot, WRITABLE};
use super::{Direction, Progress, Wait};

/// The number of times in a row that a direction may be reported as ready, and not be, before the runtime is
/// not asked any more.
const WRONG_MAX: u8 = 16;

/// A descriptor that a runtime owns and watches.
///
/// The runtime's own readiness is an outpost of the [`Slot`]: an event sets the slot's flag, and a call
/// clears both. So all rules, and all wakers of tasks, are in the slot.
#[derive(Debug)]
pub(crate) struct RuntimeSocket {
    owner: RuntimeOwner,
    reader: SocketSide,
    writer: SocketSide,
    /// The runtime is not asked any more: it has ended, or reports what is not so.
    is_left: AtomicBool,
}

/// The socket in which a runtime holds the descriptor.
#[derive(Debug)]
enum RuntimeOwner {
    /// Of any kind: the type stands for no more than a descriptor that is reported to be readable and
    /// writable. tokio remembers readiness until it is cleared.
    #[cfg(feature = "tokio")]
    Tokio(TcpStream),
    /// async-io looks anew at each wait, and remembers no more than that the last one has ended.
    #[cfg(feature = "smol")]
    AsyncIo(Async<OwnedFd>),
}

#[derive(Debug)]
struct SocketSide {
    waker: Waker,
    /// The number of reports in a row behind which a call would have had to wait. It orders nothing.
    wrong: AtomicU8,
}

impl RuntimeSocket {
    /// Moves the descriptor into a socket of the current runtime of tokio. On an error the descriptor is
    /// closed.
    #[cfg(feature = "tokio")]
    pub(crate) fn in_tokio(fd: OwnedFd, slot: &Arc<Slot>) -> io::Result<Self> {
        Ok(Self::new(RuntimeOwner::Tokio(TcpStream::from_std(fd.into())?), slot))
    }

    /// Moves the descriptor into a socket of async-io, whose reactor is the process's. On an error the
    /// descriptor is closed.
    #[cfg(feature = "smol")]
    pub(crate) fn in_async_io(fd: OwnedFd, slot: &Arc<Slot>) -> io::Result<Self> {
        Ok(Self::new(RuntimeOwner::AsyncIo(Async::new_nonblocking(fd)?), slot))
    }

    fn new(owner: RuntimeOwner, slot: &Arc<Slot>) -> Self {
        let side = |waker| SocketSide { waker, wrong: AtomicU8::new(0) };
        Self {
            owner,
            reader: side(Waker::from(Arc::clone(slot))),
            writer: side(Waker::from(Arc::new(WriteWaker(Arc::clone(slot))))),
            is_left: AtomicBool::new(false),
        }
    }

    fn side(&self, direction: Direction) -> &SocketSide {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    /// Runs a system call, and clears the runtime's readiness if it has found nothing, or nothing is left.
    #[inline]
    pub(super) fn attempt(
        &self,
        direction: Direction,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        let done = match &self.owner {
            #[cfg(feature = "tokio")]
            RuntimeOwner::Tokio(stream) => attempt_in_tokio(stream, direction, call),
            #[cfg(feature = "smol")]
            RuntimeOwner::AsyncIo(socket) => call(socket.as_fd()),
        };
        if done.is_ok() {
            self.side(direction).wrong.store(0, Ordering::Relaxed);
        }
        done
    }

    /// Asks to be woken by the next event. An event that has come already wakes the wait now.
    pub(super) fn wait(&self, direction: Direction) -> Wait {
        if self.is_left.load(Ordering::Relaxed) {
            return Wait::Begun;
        }
        let side = self.side(direction);
        let mut cx = Context::from_waker(&side.waker);
        match self.owner.poll_ready(&mut cx, direction) {
            Poll::Pending => Wait::Begun,
            Poll::Ready(Ok(())) => {
                side.waker.wake_by_ref();
                // The end of a direction stays reported, also of a descriptor to which it means nothing.
                if side.wrong.fetch_add(1, Ordering::Relaxed) >= WRONG_MAX {
                    return Wait::Ended;
                }
                Wait::Begun
            }
            Poll::Ready(Err(_)) => Wait::Ended,
        }
    }

    /// Stops asking the runtime: something else watches the descriptor from now on.
    pub(crate) fn leave(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

impl RuntimeOwner {
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        match (self, direction) {
            #[cfg(feature = "tokio")]
            (Self::Tokio(stream), Direction::Read) => stream.poll_read_ready(cx),
            #[cfg(feature = "tokio")]
            (Self::Tokio(stream), Direction::Write) => stream.poll_write_ready(cx),
            // Ready for the first time means the end of the last wait, which the call has followed.
            #[cfg(feature = "smol")]
            (Self::AsyncIo(socket), Direction::Read) => match socket.poll_readable(cx) {
                Poll::Ready(Ok(())) => socket.poll_readable(cx),
                polled => polled,
            },
            #[cfg(feature = "smol")]
            (Self::AsyncIo(socket), Direction::Write) => match socket.poll_writable(cx) {
                Poll::Ready(Ok(())) => socket.poll_writable(cx),
                polled => polled,
            },
        }
    }
}

#[cfg(feature = "tokio")]
#[inline]
fn attempt_in_tokio(
    stream: &TcpStream,
    direction: Direction,
    call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
) -> io::Result<Progress> {
    // Of a send, only one that would block changes the readiness. It is repeated by way of that: an event that comes
    // behind it must not be cleared.
    if direction == Direction::Write {
        let done = call(stream.as_fd());
        if !matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            return done;
        }
    }
    attempt_by_readiness(stream, direction, call)
}

/// Runs a system call if tokio takes the descriptor for ready, and clears that.
#[cfg(feature = "tokio")]
fn attempt_by_readiness(
    stream: &TcpStream,
    direction: Direction,
    call: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
) -> io::Result<Progress> {
    let interest = match direction {
        Direction::Read => Interest::READABLE,
        Direction::Write => Interest::WRITABLE,
    };
    let (mut called, mut last) = (false, None);
    let done = stream.try_io(interest, || {
        called = true;
        let progress = call(stream.as_fd())?;
        if progress.drained {
            // This is how the readiness is cleared, unless an event has come since it was read.
            last = Some(progress);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(progress)
    });
    match (done, last) {
        (Err(_), Some(progress)) => Ok(progress),
        // The slot knows of something that the runtime does not report.
        (Err(_), None) if !called => call(stream.as_fd()),
        (done, _) => done,
    }
}

/// Returns `true` if async-io can watch this descriptor, and all later ones.
///
/// At its first use it opens three descriptors and starts the thread that drives it. It panics without them, and
/// so does that thread, which is not started again: from then on no socket in async-io would be driven. So it
/// begins only while there are as many, and not at all in a process in which it has failed nevertheless.
#[cfg(feature = "smol")]
pub(crate) fn async_io_has_begun(fd: BorrowedFd<'_>) -> bool {
    static HAS_BEGUN: OnceLock<bool> = OnceLock::new();
    if let Some(has_begun) = HAS_BEGUN.get() {
        return *has_begun;
    }
    let spare = [(); 3].map(|()| fd.try_clone_to_owned());
    if spare.iter().any(Result::is_err) {
        return false;
    }
    drop(spare);
    *HAS_BEGUN.get_or_init(|| {
        // A timer that waits is the least that makes it begin.
        let begin = || {
            let mut timer = Timer::after(Duration::from_secs(1));
            Pin::new(&mut timer).poll(&mut Context::from_waker(Waker::noop())).is_pending()
        };
        catch_unwind(begin).is_ok()
    })
}

/// The waker that the runtime is given for reading: the slot itself, which a wait to read touches anyway.
impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        report(self, READABLE);
    }
}

/// The waker that the runtime is given for writing.
#[derive(Debug)]
struct WriteWaker(Arc<Slot>);

impl Wake for WriteWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        report(&self.0, WRITABLE);
    }
}

/// Reports to a slot that a direction may be ready.
fn report(slot: &Slot, flag: usize) {
    let mut woken = OneWaker(None);
    slot.note(flag, &mut woken);
    if let OneWaker(Some(waker)) = woken {
        waker.wake();
    }
}

/// The waker of the only wait that an event of one direction concerns: without the memory of a list.
struct OneWaker(Option<Waker>);

impl Extend<Waker> for OneWaker {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        for waker in wakers {
            debug_assert!(self.0.is_none(), "one direction has one wait");
            self.0 = Some(waker);
        }
    }
}

impl AsFd for RuntimeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.owner {
            #[cfg(feature = "tokio")]
            RuntimeOwner::Tokio(stream) => stream.as_fd(),
            #[cfg(feature = "smol")]
            RuntimeOwner::AsyncIo(socket) => socket.as_fd(),
        }
    }
}
