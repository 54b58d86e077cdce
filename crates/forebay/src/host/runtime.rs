//! The runtime of the current thread, which can drive a worker: the four things that a worker needs of it.
//! It is tokio's; only with the feature `tokio`.
//!
//! tokio's `AsyncFd` is not used: its safe constructors are deprecated as unsound. A typed socket made from
//! an owned descriptor watches any descriptor that can be watched, and a pipe's receiver asks for nothing
//! but readability, which is all that a poll's own descriptor has.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Handle;
pub(crate) use tokio::runtime::Id as RuntimeId;
use tokio::time::{Instant as TokioInstant, Sleep, sleep};

/// The runtime that the current thread is inside.
#[derive(Debug)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    #[inline]
    pub(crate) fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.0.id()
    }

    /// Returns the number of threads that poll tasks.
    pub(crate) fn threads_count(&self) -> usize {
        self.0.metrics().num_workers()
    }

    /// Starts a task. It is dropped unfinished when the runtime ends; at once, if it has ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(task));
    }
}

/// The runtime is shutting down, and watches nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuntimeEnds;

/// The time for which a runtime watches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoWatch {
    /// It was built without I/O or without time, or is shutting down.
    Ever,
    /// The system refuses.
    Now,
}

/// A descriptor and a deadline, watched by a runtime.
#[derive(Debug)]
pub(crate) struct RuntimeWatch {
    readable: Receiver,
    sleep: Pin<Box<Sleep>>,
    /// The deadline of `sleep`, unless that has ended.
    armed: Option<Instant>,
}

impl RuntimeWatch {
    /// Watches a descriptor for being readable, by the runtime of this thread.
    ///
    /// tokio tells that the runtime was built without I/O or without time only by a panic, which is contained
    /// here; the process's panic hook prints it, once per runtime and selector. Called on a thread that is
    /// inside the runtime.
    pub(crate) fn new(fd: OwnedFd) -> Result<Self, NoWatch> {
        let watch = catch_unwind(AssertUnwindSafe(|| {
            let sleep = Box::pin(sleep(Duration::ZERO));
            Ok(Self { readable: Receiver::from_owned_fd_unchecked(fd)?, sleep, armed: None })
        }));
        watch.map_err(|_| NoWatch::Ever)?.map_err(|error: io::Error| {
            // A runtime that shuts down has an error of its own.
            if error.raw_os_error().is_some() { NoWatch::Now } else { NoWatch::Ever }
        })
    }

    /// Calls `look` if the descriptor may be readable. `look` returns `true` once it has taken everything
    /// that was there; otherwise the task is woken again. Keeps the waker for the next event.
    pub(crate) fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        look: &mut dyn FnMut() -> bool,
    ) -> Result<(), RuntimeEnds> {
        // At most twice: readiness that is back at once waits until the woken tasks have run.
        for _ in 0..2 {
            match self.readable.poll_read_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(RuntimeEnds),
                Poll::Ready(Ok(())) => {}
            }
            // The error clears the readiness, unless an event has come since it was read.
            let left = self
                .readable
                .try_io(|| if look() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) });
            if left.is_ok() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Waits until a time of the runtime's clock.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.armed != Some(deadline) {
            self.sleep.as_mut().reset(TokioInstant::from_std(deadline));
            self.armed = Some(deadline);
        }
        let over = self.sleep.as_mut().poll(cx);
        if over.is_ready() {
            self.armed = None;
        }
        over
    }
}
