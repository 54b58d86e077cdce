//! A descriptor in the hands of a runtime, which watches it for reading and writing.
//!
//! ```text
//!   event ──► the runtime's readiness ──► SlotWaker ──► Slot: the flag, and the waker of the wait
//!   call  ──► nothing left: clears both
//!   wait  ──► in the slot, then in the runtime: an event between the two wakes the wait
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::Interest;
use tokio::net::TcpStream;

use super::slot::{READABLE, Slot, WRITABLE};
use super::{Direction, Progress, Wait};

/// The number of times in a row that a direction may be reported as ready, and not be, before the runtime is
/// not asked any more.
const WRONG_MAX: u8 = 16;

/// A descriptor that a runtime owns and watches. It may be of any kind: the type of tokio's socket stands
/// for no more than a descriptor that is reported to be readable and writable.
///
/// The runtime's own readiness is an outpost of the [`Slot`]: an event sets the slot's flag, and a call
/// clears both. So all rules, and all wakers of tasks, are in the slot.
#[derive(Debug)]
pub(crate) struct RuntimeSocket {
    stream: TcpStream,
    reader: SocketSide,
    writer: SocketSide,
    /// The runtime is not asked any more: it has ended, or reports what is not so.
    is_left: AtomicBool,
}

#[derive(Debug)]
struct SocketSide {
    waker: Waker,
    /// The number of reports in a row behind which a call would have had to wait. It orders nothing.
    wrong: AtomicU8,
}

impl RuntimeSocket {
    /// Moves the descriptor into a socket of the current runtime. On an error the descriptor is closed.
    pub(crate) fn new(fd: OwnedFd, slot: &Arc<Slot>) -> io::Result<Self> {
        let side = |direction| SocketSide {
            waker: Waker::from(Arc::new(SlotWaker::new(slot, direction))),
            wrong: AtomicU8::new(0),
        };
        Ok(Self {
            stream: TcpStream::from_std(fd.into())?,
            reader: side(Direction::Read),
            writer: side(Direction::Write),
            is_left: AtomicBool::new(false),
        })
    }

    fn side(&self, direction: Direction) -> &SocketSide {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    /// Runs a system call, and clears the runtime's readiness if it has found nothing, or nothing is left.
    pub(super) fn attempt(
        &self,
        direction: Direction,
        call: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<Progress>,
    ) -> io::Result<Progress> {
        let interest = match direction {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        let (mut called, mut last) = (false, None);
        let done = self.stream.try_io(interest, || {
            called = true;
            let progress = call(self.stream.as_fd())?;
            if progress.drained {
                // This is how the readiness is cleared, unless an event has come since it was read.
                last = Some(progress);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(progress)
        });
        let done = match (done, last) {
            (Err(_), Some(progress)) => Ok(progress),
            // The slot knows of something that the runtime does not report.
            (Err(_), None) if !called => call(self.stream.as_fd()),
            (done, _) => done,
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
        let ready = match direction {
            Direction::Read => self.stream.poll_read_ready(&mut cx),
            Direction::Write => self.stream.poll_write_ready(&mut cx),
        };
        match ready {
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

/// Reports to a slot that a direction may be ready: the waker that the runtime is given.
#[derive(Debug)]
struct SlotWaker {
    slot: Arc<Slot>,
    flag: usize,
}

impl SlotWaker {
    fn new(slot: &Arc<Slot>, direction: Direction) -> Self {
        let flag = match direction {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        };
        Self { slot: Arc::clone(slot), flag }
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = Vec::new();
        self.slot.note(self.flag, &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl AsFd for RuntimeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
