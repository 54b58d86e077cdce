//! A second host, for tests: a plain thread that polls.
//!
//! It differs from a worker in everything but the slot: it has no turns and no edge-triggered events, and
//! watches nothing until a wait has begun. Then the thread polls for it, level-triggered (`poll(2)`), until
//! it has reported one event. A level that is there already is reported at once, so no event is lost between
//! the call and the wait.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread::{self, JoinHandle};

use rustix::event::epoll;
use rustix::event::{PollFd, PollFlags, poll};
use slab::Slab;

use super::slot::{ERROR, READ_CLOSED, READABLE, Slot, WRITABLE};
use super::{Direction, Host, Ready, Registered, SocketFd};
use crate::interrupted::uninterrupted;
use crate::lock::lock;

/// A thread that polls for the threads that entered this host. It ends when the host is dropped.
pub(super) struct Plain {
    watch: Arc<Watch>,
    thread: Option<JoinHandle<()>>,
}

impl Plain {
    pub(super) fn start() -> io::Result<Self> {
        let (ear, bell) = io::pipe()?;
        let watch = Arc::new(Watch {
            watched: Mutex::default(),
            bell,
            rung: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            wakes: AtomicU64::new(0),
        });
        let polled = Arc::clone(&watch);
        let thread = thread::Builder::new()
            .name("plain-host".into())
            .spawn(move || polled.poll_until_stopped(ear))?;
        Ok(Self { watch, thread: Some(thread) })
    }

    fn watch(&self, fd: BorrowedFd<'_>) -> io::Result<Arc<dyn Ready>> {
        let sides = Arc::new(Sides {
            slot: Arc::new(Slot::new()),
            reader: PlainSide::new(fd, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)?,
            writer: PlainSide::new(fd, epoll::EventFlags::OUT)?,
            // Edge-triggered, unlike the others: the end of one direction stays reported while the other's
            // end is awaited.
            watcher: PlainSide::new(fd, epoll::EventFlags::RDHUP | epoll::EventFlags::ET)?,
        });
        let key = lock(&self.watch.watched).insert(Arc::clone(&sides));
        Ok(Arc::new(PlainReady { sides, key, watch: Arc::clone(&self.watch) }))
    }

    /// Returns the number of watched descriptors.
    pub(super) fn watched(&self) -> usize {
        lock(&self.watch.watched).len()
    }

    /// Returns the number of waits that the polling thread has ended.
    pub(super) fn wakes(&self) -> u64 {
        self.watch.wakes.load(Ordering::Relaxed)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.watch.stopped.store(true, Ordering::SeqCst);
        self.watch.ring();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the polling thread ends in peace");
        }
    }
}

impl Host for Plain {
    fn register(&self, fd: SocketFd) -> Registered<Arc<dyn Ready>> {
        let registered = self.watch(fd.as_fd());
        (Some(fd), registered)
    }
}

struct Watch {
    watched: Mutex<Slab<Arc<Sides>>>,
    /// A byte in this pipe ends the thread's poll.
    bell: PipeWriter,
    /// A byte has been written, so no second one is needed. Cleared before the slots are examined.
    rung: AtomicBool,
    stopped: AtomicBool,
    wakes: AtomicU64,
}

impl Watch {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            (&self.bell).write_all(&[0]).expect("the polling thread holds the other end");
        }
    }

    fn poll_until_stopped(&self, mut ear: PipeReader) {
        while !self.stopped.load(Ordering::SeqCst) {
            let waiting = self.waiting();
            let mut polled = vec![PollFd::new(&ear, PollFlags::IN)];
            polled.extend(
                waiting
                    .iter()
                    .map(|(sides, awaited)| PollFd::new(sides.of(*awaited), PollFlags::IN)),
            );
            uninterrupted(|| Ok(poll(&mut polled, None)?)).expect("descriptors of our own");
            let rung = !polled[0].revents().is_empty();
            let mut woken = Vec::new();
            for (fd, (sides, awaited)) in polled[1..].iter().zip(&waiting) {
                if !fd.revents().is_empty() {
                    sides.note(*awaited, &mut woken);
                }
            }
            if rung {
                uninterrupted(|| ear.read(&mut [0])).expect("the bell lives as long as we do");
                self.rung.store(false, Ordering::SeqCst);
            }
            self.wakes.fetch_add(woken.len() as u64, Ordering::Relaxed);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// Returns the sides that a wait has begun for.
    fn waiting(&self) -> Vec<(Arc<Sides>, Awaited)> {
        let watched = lock(&self.watched);
        let sides = watched.iter().flat_map(|(_, sides)| {
            [Awaited::Reading, Awaited::Writing, Awaited::TheEnd]
                .map(|awaited| (Arc::clone(sides), awaited))
        });
        sides.filter(|(sides, awaited)| sides.of(*awaited).is_awaited()).collect()
    }
}

/// The kind of a wait.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    Reading,
    Writing,
    TheEnd,
}

impl From<Direction> for Awaited {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Read => Self::Reading,
            Direction::Write => Self::Writing,
        }
    }
}

struct Sides {
    slot: Arc<Slot>,
    reader: PlainSide,
    writer: PlainSide,
    watcher: PlainSide,
}

impl Sides {
    fn of(&self, awaited: Awaited) -> &PlainSide {
        match awaited {
            Awaited::Reading => &self.reader,
            Awaited::Writing => &self.writer,
            Awaited::TheEnd => &self.watcher,
        }
    }

    fn begin(&self, awaited: Awaited) {
        self.of(awaited).awaited.store(true, Ordering::SeqCst);
    }

    /// Applies an event, behind which the side is polled for no more until another wait begins.
    fn note(&self, awaited: Awaited, woken: &mut Vec<Waker>) {
        let side = self.of(awaited);
        side.awaited.store(false, Ordering::SeqCst);
        let flags = match awaited {
            Awaited::Reading => READABLE,
            Awaited::Writing => WRITABLE,
            Awaited::TheEnd => side.take_ends(),
        };
        self.slot.note(flags, woken);
    }
}

/// One direction of a descriptor, in a form that the thread can poll for.
///
/// Another thread cannot poll for a borrowed descriptor. It could poll for a duplicate, but that would keep
/// the connection open when the original is closed. So the descriptor is put alone into an epoll instance,
/// which forgets it on close (`epoll(7)`), and that instance is polled.
struct PlainSide {
    level: OwnedFd,
    /// A wait has begun that no event has answered yet.
    awaited: AtomicBool,
}

impl PlainSide {
    fn new(fd: BorrowedFd<'_>, flags: epoll::EventFlags) -> io::Result<Self> {
        let level = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&level, fd, epoll::EventData::new_u64(0), flags)?;
        Ok(Self { level, awaited: AtomicBool::new(false) })
    }

    fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::SeqCst)
    }

    /// Takes the ends that are reported, as flags of a slot.
    fn take_ends(&self) -> usize {
        let mut events = Vec::with_capacity(1);
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let told = uninterrupted(|| {
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            Ok(epoll::wait(&self.level, buffer, Some(&at_once))?)
        });
        told.expect("an epoll instance of our own");
        events.iter().fold(0, |ends, event| {
            let flags = event.flags;
            let closed = flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP);
            let failed = flags.contains(epoll::EventFlags::ERR);
            ends | if closed { READ_CLOSED } else { 0 } | if failed { ERROR } else { 0 }
        })
    }
}

impl AsFd for PlainSide {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.level.as_fd()
    }
}

/// A descriptor watched by the polling thread.
struct PlainReady {
    sides: Arc<Sides>,
    key: usize,
    watch: Arc<Watch>,
}

impl Ready for PlainReady {
    fn slot(&self) -> &Arc<Slot> {
        &self.sides.slot
    }

    fn begin_wait(&self, direction: Direction) -> bool {
        self.sides.begin(direction.into());
        self.watch.ring();
        false
    }

    fn begin_watch(&self) {
        self.sides.begin(Awaited::TheEnd);
        self.watch.ring();
    }
}

impl Drop for PlainReady {
    fn drop(&mut self) {
        let removed = lock(&self.watch.watched).try_remove(self.key);
        drop(removed);
    }
}
