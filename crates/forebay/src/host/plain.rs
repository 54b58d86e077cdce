//! A second host, for tests: a plain thread that polls.
//!
//! It differs from a worker in everything: it has no turns, no edge-triggered events and no ticks. Every
//! wait tries its call; a wait that got `EAGAIN` leaves a waker, and the thread polls for it,
//! level-triggered (`poll(2)`). A level that is there already is reported at once, so no event is lost
//! between the call and the wait.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use forebay_io::seam::WakeList;
use rustix::event::epoll;
use rustix::event::{PollFd, PollFlags, poll};
use slab::Slab;

use super::{Direction, Hangup, Host, Progress, Ready, Registered, SocketFd};
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
            slots: Mutex::default(),
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
        let slot = Arc::new(Slot {
            reader: PlainSide::new(fd, epoll::EventFlags::IN | epoll::EventFlags::RDHUP)?,
            writer: PlainSide::new(fd, epoll::EventFlags::OUT)?,
            // Edge-triggered, unlike the others: the end of one direction stays reported while the other's
            // end is awaited.
            watcher: PlainSide::new(fd, epoll::EventFlags::RDHUP | epoll::EventFlags::ET)?,
            ended: Mutex::default(),
        });
        let key = lock(&self.watch.slots).insert(Arc::clone(&slot));
        Ok(Arc::new(PlainReady { slot, key, watch: Arc::clone(&self.watch) }))
    }

    /// Returns the number of watched descriptors.
    pub(super) fn watched(&self) -> usize {
        lock(&self.watch.slots).len()
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
    fn register(&self, fd: SocketFd) -> Registered {
        let registered = self.watch(fd.as_fd());
        (Some(fd), registered)
    }
}

struct Watch {
    slots: Mutex<Slab<Arc<Slot>>>,
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
                    .map(|(slot, awaited)| PollFd::new(slot.side(*awaited), PollFlags::IN)),
            );
            uninterrupted(|| Ok(poll(&mut polled, None)?)).expect("descriptors of our own");
            let rung = !polled[0].revents().is_empty();
            let mut woken = Vec::new();
            for (fd, (slot, awaited)) in polled[1..].iter().zip(&waiting) {
                if !fd.revents().is_empty() {
                    woken.extend(slot.side(*awaited).take());
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

    /// Returns the sides that a task waits for.
    fn waiting(&self) -> Vec<(Arc<Slot>, Awaited)> {
        let slots = lock(&self.slots);
        let sides = slots.iter().flat_map(|(_, slot)| {
            [Awaited::Reading, Awaited::Writing, Awaited::TheEnd]
                .map(|awaited| (Arc::clone(slot), awaited))
        });
        sides.filter(|(slot, awaited)| slot.side(*awaited).is_waited_for()).collect()
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

struct Slot {
    reader: PlainSide,
    writer: PlainSide,
    watcher: PlainSide,
    ended: Mutex<Hangup>,
}

impl Slot {
    fn side(&self, awaited: Awaited) -> &PlainSide {
        match awaited {
            Awaited::Reading => &self.reader,
            Awaited::Writing => &self.writer,
            Awaited::TheEnd => &self.watcher,
        }
    }
}

/// One direction of a descriptor, in a form that the thread can poll for.
///
/// Another thread cannot poll for a borrowed descriptor. It could poll for a duplicate, but that would keep
/// the connection open when the original is closed. So the descriptor is put alone into an epoll instance,
/// which forgets it on close (`epoll(7)`), and that instance is polled.
struct PlainSide {
    level: OwnedFd,
    waiter: Mutex<Option<Waker>>,
}

impl PlainSide {
    fn new(fd: BorrowedFd<'_>, flags: epoll::EventFlags) -> io::Result<Self> {
        let level = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&level, fd, epoll::EventData::new_u64(0), flags)?;
        Ok(Self { level, waiter: Mutex::default() })
    }

    fn is_waited_for(&self) -> bool {
        lock(&self.waiter).is_some()
    }

    fn take(&self) -> Option<Waker> {
        lock(&self.waiter).take()
    }

    /// Keeps the waker. It is cloned before the lock is taken, and the replaced one dropped after it is
    /// released.
    fn keep(&self, waker: &Waker) {
        let clone = waker.clone();
        let replaced = lock(&self.waiter).replace(clone);
        drop(replaced);
    }
}

impl AsFd for PlainSide {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.level.as_fd()
    }
}

/// A descriptor watched by the polling thread.
struct PlainReady {
    slot: Arc<Slot>,
    key: usize,
    watch: Arc<Watch>,
}

impl Ready for PlainReady {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        call: &mut dyn FnMut() -> io::Result<Progress>,
    ) -> Poll<io::Result<Progress>> {
        match uninterrupted(&mut *call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
        self.slot.side(direction.into()).keep(cx.waker());
        self.watch.ring();
        // A `wake` between the call and keeping the waker is not a level, and has found no waker.
        match uninterrupted(call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            done => Poll::Ready(done),
        }
    }

    fn poll_hangup(&self, cx: &mut Context<'_>, known: Hangup) -> Poll<Hangup> {
        self.slot.watcher.keep(cx.waker());
        self.watch.ring();
        let mut events = Vec::with_capacity(1);
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let told = uninterrupted(|| {
            events.clear();
            let buffer = rustix::buffer::spare_capacity(&mut events);
            Ok(epoll::wait(&self.slot.watcher, buffer, Some(&at_once))?)
        });
        told.expect("an epoll instance of our own");
        let mut ended = lock(&self.slot.ended);
        for event in &events {
            let flags = event.flags;
            let closed = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP;
            ended.read_closed |= flags.intersects(closed);
            ended.error |= flags.contains(epoll::EventFlags::ERR);
        }
        if *ended == known { Poll::Pending } else { Poll::Ready(*ended) }
    }

    fn wake(&self, after: &mut WakeList) {
        for side in [&self.slot.reader, &self.slot.writer, &self.slot.watcher] {
            if let Some(waker) = side.take() {
                after.wake(waker);
            }
        }
    }
}

impl Drop for PlainReady {
    fn drop(&mut self) {
        let removed = lock(&self.watch.slots).try_remove(self.key);
        drop(removed);
    }
}
