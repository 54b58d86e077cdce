//! Readiness from a worker's own poll.
//!
//! The rules, each of which has a test that hangs without it:
//!
//! - The closed and error flags stay set for ever: a hang-up is reported once, but the calls that
//!   must see it come later.
//! - A short receive clears readiness only on TCP, and only while none of those flags is set and no
//!   urgent data was seen: behind each of them there is more to learn. An accept clears it when it
//!   has taken the last of the backlog. Otherwise only `EAGAIN` clears.
//! - A tick, counted up by every event, guards against clearing what a newer event set.

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::Afterwards;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::{Direction, Hangup, Progress, Ready};
use crate::interrupted::uninterrupted;
use crate::lock::lock;

const READABLE: usize = 1;
const WRITABLE: usize = 1 << 1;
const READ_CLOSED: usize = 1 << 2;
const WRITE_CLOSED: usize = 1 << 3;
const ERROR: usize = 1 << 4;
const URGENT: usize = 1 << 5;
const TICK: usize = 1 << 6;

/// Flags under which a short receive says nothing about what is left.
const MORE_TO_LEARN: usize = READ_CLOSED | WRITE_CLOSED | ERROR | URGENT;

/// The half of a token that names the entry; the other half is its generation.
const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

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

/// The descriptors that one poll watches.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: Slab<(usize, Arc<Slot>)>,
    generation: usize,
}

impl Slots {
    /// Watches a descriptor. The first event tells what it is ready for. Until then it is taken for
    /// one that can be written to, which most can: the first write need not wait for the event.
    pub(crate) fn register(
        self: &Arc<Self>,
        registry: &Registry,
        fd: BorrowedFd<'_>,
    ) -> io::Result<WorkerReady> {
        let slot = Arc::new(Slot { state: AtomicUsize::new(WRITABLE), ..Slot::default() });
        let token = lock(&self.table).insert(Arc::clone(&slot));
        let ready = WorkerReady { slot, token, slots: Arc::clone(self) };
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, interest())?;
        Ok(ready)
    }

    /// Notes what an event says, and takes out whom it wakes. An event of a descriptor that was
    /// closed meanwhile carries an old generation and is nobody's.
    pub(crate) fn note<'a>(&self, events: impl Iterator<Item = &'a Event>, woken: &mut Vec<Waker>) {
        let table = lock(&self.table);
        for event in events {
            let Token(token) = event.token();
            match table.slots.get(token & INDEX_MASK) {
                Some((generation, slot)) if *generation == token >> INDEX_BITS => {
                    slot.note(flags(event), woken);
                }
                _ => {}
            }
        }
    }

    /// Takes out everybody who waits, and has each try its call again.
    pub(crate) fn take_all(&self, woken: &mut Vec<Waker>) {
        for (_, (_, slot)) in &lock(&self.table).slots {
            slot.note(READABLE | WRITABLE, woken);
            woken.extend(lock(&slot.watcher).take());
        }
    }

    /// Descriptors watched.
    pub(crate) fn len(&self) -> usize {
        lock(&self.table).slots.len()
    }
}

impl Table {
    fn insert(&mut self, slot: Arc<Slot>) -> Token {
        // The topmost generation is kept free for the poll's own tokens.
        self.generation = (self.generation + 1) % INDEX_MASK;
        let index = self.slots.insert((self.generation, slot));
        Token(self.generation << INDEX_BITS | index)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn interest() -> Interest {
    Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn interest() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}

fn flags(event: &Event) -> usize {
    let flag = |set: bool, flag: usize| if set { flag } else { 0 };
    flag(event.is_readable(), READABLE)
        | flag(event.is_writable(), WRITABLE)
        | flag(event.is_read_closed(), READ_CLOSED)
        | flag(event.is_write_closed(), WRITE_CLOSED)
        | flag(event.is_error(), ERROR)
        | flag(event.is_priority(), URGENT)
}

/// What is known of one descriptor, and who waits for it.
#[derive(Debug, Default)]
struct Slot {
    /// Flags, and above them the tick. Written with release after the event was received, read
    /// with acquire before the system call that relies on it.
    state: AtomicUsize,
    reader: Mutex<Option<Waker>>,
    writer: Mutex<Option<Waker>>,
    /// Whoever waits for the end, without reading or writing.
    watcher: Mutex<Option<Waker>>,
    /// Somebody waits to write. Set before the tick is looked at again, and looked at after the
    /// tick was counted up, all four sequentially consistent: one of the two sees the other.
    writer_waits: AtomicBool,
}

impl Slot {
    fn note(&self, flags: usize, woken: &mut Vec<Waker>) {
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

    /// Every event says that the descriptor can be written to, and hardly ever does somebody wait
    /// for that: a flag saves the lock.
    fn may_wait(&self, direction: Direction) -> bool {
        direction == Direction::Read || self.writer_waits.load(Ordering::SeqCst)
    }

    fn waiter(&self, direction: Direction) -> &Mutex<Option<Waker>> {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    fn take(&self, direction: Direction, woken: &mut Vec<Waker>) {
        let mut kept = lock(self.waiter(direction));
        if direction == Direction::Write {
            self.writer_waits.store(false, Ordering::SeqCst);
        }
        woken.extend(kept.take());
    }

    /// Keeps the waker; cloned before, and the one it replaces dropped after, the lock is held.
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

    /// Forgets that the direction was ready, unless an event has come since `seen`.
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

/// A descriptor watched by a worker.
#[derive(Debug)]
pub(crate) struct WorkerReady {
    slot: Arc<Slot>,
    token: Token,
    slots: Arc<Slots>,
}

impl WorkerReady {
    /// Runs the call once and clears readiness by the rules above.
    fn attempt(
        &self,
        direction: Direction,
        seen: usize,
        call: &mut dyn FnMut() -> io::Result<Progress>,
    ) -> Option<io::Result<Progress>> {
        match uninterrupted(call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.slot.clear(direction, seen);
                None
            }
            Ok(progress) => {
                if progress.drained && seen & MORE_TO_LEARN == 0 {
                    self.slot.clear(direction, seen);
                }
                Some(Ok(progress))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Ready for WorkerReady {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        call: &mut dyn FnMut() -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        let mut seen = self.slot.state.load(Ordering::Acquire);
        loop {
            if seen & direction.ready_mask() != 0
                && let Some(done) = self.attempt(direction, seen, call)
            {
                return Poll::Ready(done);
            }
            self.slot.keep(direction, cx.waker());
            // An event between the attempt and the keeping of the waker has counted up the tick. A
            // flag that is set for ever but brought EAGAIN has not: then only a new event helps.
            let now = self.slot.state.load(Ordering::SeqCst);
            if now / TICK == seen / TICK {
                return Poll::Pending;
            }
            seen = now;
        }
    }

    fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        let clone = cx.waker().clone();
        let replaced = lock(&self.slot.watcher).replace(clone);
        drop(replaced);
        // Looked at after the waker is kept: whoever sets a flag before looks for the waker after.
        let state = self.slot.state.load(Ordering::SeqCst);
        let now = Hangup { read_closed: state & READ_CLOSED != 0, error: state & ERROR != 0 };
        if now == known { Poll::Pending } else { Poll::Ready(now) }
    }

    fn wake(&self, after: &mut Afterwards) {
        let mut woken = Vec::new();
        self.slot.note(READABLE | WRITABLE, &mut woken);
        woken.extend(lock(&self.slot.watcher).take());
        for waker in woken {
            after.wake(waker);
        }
    }
}

impl Drop for WorkerReady {
    /// The kernel forgets the descriptor when it is closed, which happens before or right after.
    fn drop(&mut self) {
        let removed = lock(&self.slots.table).slots.try_remove(self.token.0 & INDEX_MASK);
        drop(removed);
    }
}
