//! The readiness of one descriptor: flags, a tick, and the wakers of its waits.
//!
//! The rules (for each, a test hangs without it):
//!
//! - The closed and error flags stay set forever: a hang-up is reported once, but the calls that must see
//!   it come later.
//! - A short receive clears readiness only on TCP, and only if none of those flags is set and no urgent
//!   data was seen; otherwise more calls are needed to learn what is left. An accept clears it when it has
//!   taken the last connection of the backlog. In all other cases only `EAGAIN` clears it.
//! - A tick, incremented by every event, prevents clearing what a newer event has set.
//!
//! `models/tests/registration.rs` runs this source in every order of the threads.

use std::io;
use std::task::{Context, Poll, Waker};

use super::{Direction, Hangup, Progress};
use crate::interrupted::uninterrupted;
use crate::lock::lock;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) const READABLE: usize = 1;
pub(crate) const WRITABLE: usize = 1 << 1;
pub(crate) const READ_CLOSED: usize = 1 << 2;
pub(crate) const WRITE_CLOSED: usize = 1 << 3;
pub(crate) const ERROR: usize = 1 << 4;
pub(crate) const URGENT: usize = 1 << 5;
const TICK: usize = 1 << 6;

/// The flags with which a short receive does not mean that the kernel is empty.
const MORE_TO_LEARN: usize = READ_CLOSED | WRITE_CLOSED | ERROR | URGENT;

impl Direction {
    const fn ready_mask(self) -> usize {
        match self {
            Self::Read => READABLE | READ_CLOSED | ERROR | URGENT,
            Self::Write => WRITABLE | WRITE_CLOSED | ERROR,
        }
    }

    const fn clearable(self) -> usize {
        match self {
            Self::Read => READABLE,
            Self::Write => WRITABLE,
        }
    }
}

/// The readiness of one descriptor, and the wakers that wait for it.
///
/// In this order in memory: what an event that wakes a reader needs stands together.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Slot {
    /// The flags, and above them the tick. Written with release after an event was received, and read with
    /// acquire before the system call that relies on it.
    state: AtomicUsize,
    reader: Mutex<Option<Waker>>,
    /// A wait to write may have begun. It is set before the tick is read again, and read after the tick was
    /// incremented; all four are sequentially consistent, so at least one of the two threads sees the
    /// other's step.
    writer_waits: AtomicBool,
    writer: Mutex<Option<Waker>>,
    /// A wait for the end, without reading or writing.
    watcher: Mutex<Option<Waker>>,
}

impl Slot {
    /// Makes a slot about which nothing is known yet. Until the first event, the descriptor counts as
    /// writable, which most are, so that the first write need not wait for the event.
    pub(crate) fn new() -> Self {
        Self { state: AtomicUsize::new(WRITABLE), ..Self::default() }
    }

    /// Runs the system call if the descriptor may be ready; `None` if the call has to wait.
    #[inline]
    pub(crate) fn try_io(
        &self,
        direction: Direction,
        call: impl FnMut() -> io::Result<Progress>,
    ) -> Option<io::Result<Progress>> {
        let seen = self.state.load(Ordering::Acquire);
        if seen & direction.ready_mask() == 0 { None } else { self.attempt(direction, seen, call) }
    }

    /// Keeps the waker if the descriptor is certainly not ready. Returns `false` if it may be, by now.
    #[inline]
    pub(crate) fn waits(&self, cx: &Context<'_>, direction: Direction) -> bool {
        let seen = self.state.load(Ordering::Acquire);
        if seen & direction.ready_mask() != 0 {
            return false;
        }
        self.keep(direction, cx.waker());
        self.state.load(Ordering::SeqCst) / TICK == seen / TICK
    }

    /// Runs the system call if the descriptor may be ready, and keeps the waker if it is not.
    pub(crate) fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut call: impl FnMut() -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        let mut seen = self.state.load(Ordering::Acquire);
        loop {
            if seen & direction.ready_mask() != 0
                && let Some(done) = self.attempt(direction, seen, &mut call)
            {
                return Poll::Ready(done);
            }
            self.keep(direction, cx.waker());
            // An event between the attempt and keeping the waker has incremented the tick. If a flag that
            // stays set forever brought `EAGAIN`, the tick is the same, and only a new event helps.
            let now = self.state.load(Ordering::SeqCst);
            if now / TICK == seen / TICK {
                return Poll::Pending;
            }
            seen = now;
        }
    }

    /// Reports how far the connection has ended once that differs from `known`, and keeps the waker until
    /// then.
    pub(crate) fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        let clone = cx.waker().clone();
        let replaced = lock(&self.watcher).replace(clone);
        drop(replaced);
        // Read after the waker is kept, because `note` sets a flag before it looks for the waker.
        let state = self.state.load(Ordering::SeqCst);
        let now = Hangup { read_closed: state & READ_CLOSED != 0, error: state & ERROR != 0 };
        if now == known { Poll::Pending } else { Poll::Ready(now) }
    }

    /// Takes all wakers, and makes each wait try its call again.
    pub(crate) fn take_all(&self, woken: &mut Vec<Waker>) {
        self.note(READABLE | WRITABLE, woken);
        woken.extend(lock(&self.watcher).take());
    }

    /// Sets the flags of an event, and takes the wakers of the waits that they concern.
    pub(crate) fn note(&self, flags: usize, woken: &mut impl Extend<Waker>) {
        let mut state = self.state.load(Ordering::Relaxed);
        while let Err(now) = self.state.compare_exchange_weak(
            state,
            (state | flags).wrapping_add(TICK),
            Ordering::SeqCst,
            Ordering::Relaxed,
        ) {
            state = now;
        }
        for direction in [Direction::Read, Direction::Write] {
            if flags & direction.ready_mask() != 0 && self.may_wait(direction) {
                self.take(direction, woken);
            }
        }
        if flags & (READ_CLOSED | ERROR) != 0 {
            woken.extend(lock(&self.watcher).take());
        }
    }

    /// Runs the call once, and clears readiness by the rules above.
    fn attempt(
        &self,
        direction: Direction,
        seen: usize,
        call: impl FnMut() -> io::Result<Progress>,
    ) -> Option<io::Result<Progress>> {
        match uninterrupted(call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear(direction, seen);
                None
            }
            Ok(progress) => {
                if progress.drained && seen & MORE_TO_LEARN == 0 {
                    self.clear(direction, seen);
                }
                Some(Ok(progress))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Returns `false` if certainly no task waits. Every event reports that the descriptor is writable, and
    /// hardly any wait is for that, so a flag saves taking the lock.
    fn may_wait(&self, direction: Direction) -> bool {
        direction == Direction::Read || self.writer_waits.load(Ordering::SeqCst)
    }

    fn waiter(&self, direction: Direction) -> &Mutex<Option<Waker>> {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    fn take(&self, direction: Direction, woken: &mut impl Extend<Waker>) {
        let mut kept = lock(self.waiter(direction));
        if direction == Direction::Write {
            self.writer_waits.store(false, Ordering::SeqCst);
        }
        woken.extend(kept.take());
    }

    /// Keeps the waker. It is cloned before the lock is taken, and the one not needed dropped after it is
    /// released.
    fn keep(&self, direction: Direction, waker: &Waker) {
        let clone = waker.clone();
        let mut kept = lock(self.waiter(direction));
        let unneeded = match &*kept {
            Some(known) if known.will_wake(&clone) => Some(clone),
            _ => kept.replace(clone),
        };
        if direction == Direction::Write {
            self.writer_waits.store(true, Ordering::SeqCst);
        }
        drop(kept);
        drop(unneeded);
    }

    /// Clears the direction's readiness, unless an event has come since `seen`.
    fn clear(&self, direction: Direction, seen: usize) {
        let mut state = self.state.load(Ordering::Acquire);
        while state / TICK == seen / TICK {
            match self.state.compare_exchange_weak(
                state,
                state & !direction.clearable(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }
}
