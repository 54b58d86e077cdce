//! The part of a worker that only a guest has: what its runtime is asked to do.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use mio::Registry;

use super::bell::Bell;
use super::flusher::Flushers;
use crate::host::{RuntimeSocket, SocketFd};
use crate::lock::{lock, read, write};
use crate::worker::slots::{Slots, WorkerReady, both_directions};

/// The part of a worker that only a guest has.
#[derive(Debug)]
pub(in crate::worker) struct Guest {
    pub(super) bell: Bell,
    pub(super) flushers: Flushers,
    /// The runtime does not drive it any more. Nothing new is registered here.
    has_ended: AtomicBool,
    /// Locked until the runtime has the task that drives, or has dropped it.
    beginning: Mutex<()>,
    /// Locked for reading while a descriptor moves into the runtime. The runtime drops the task that drives
    /// before it stops watching, and that waits for the moves: a runtime that watches nothing any more would
    /// close the descriptor.
    moves: RwLock<()>,
}

impl Guest {
    pub(super) fn new(flushers_count: usize) -> Self {
        Self {
            bell: Bell::default(),
            flushers: Flushers::new(flushers_count),
            has_ended: AtomicBool::new(false),
            beginning: Mutex::default(),
            moves: RwLock::default(),
        }
    }

    /// Makes other threads wait with their moves until the guard drops.
    pub(super) fn begin(&self) -> MutexGuard<'_, ()> {
        lock(&self.beginning)
    }

    /// Wakes the task that drives the worker, if there is one.
    pub(in crate::worker) fn ring(&self) {
        self.bell.ring();
    }

    /// Ends the tasks that flush; the one that drives looks by itself whether there is work left.
    pub(in crate::worker) fn stop(&self) {
        self.flushers.stop();
    }

    /// Watches a descriptor, which moves into a socket of the runtime. On other systems than Linux this
    /// worker's poll reports the same once more.
    pub(in crate::worker) fn register(
        &self,
        slots: &Arc<Slots>,
        registry: &Registry,
        fd: SocketFd,
    ) -> (Option<SocketFd>, io::Result<WorkerReady>) {
        drop(lock(&self.beginning));
        let _moves = read(&self.moves);
        if self.has_ended() {
            return Self::register_here(slots, registry, fd);
        }
        let SocketFd::Own(fd) = fd else { return Self::register_here(slots, registry, fd) };
        let ready = match slots.register_ends(registry, fd.as_fd()) {
            Ok(ready) => ready,
            Err(error) => return (Some(fd.into()), Err(error)),
        };
        match RuntimeSocket::in_tokio(fd, ready.slot()) {
            Ok(socket) => (Some(SocketFd::Runtime(Box::new(socket))), Ok(ready)),
            Err(error) => (None, Err(error)),
        }
    }

    fn register_here(
        slots: &Arc<Slots>,
        registry: &Registry,
        fd: SocketFd,
    ) -> (Option<SocketFd>, io::Result<WorkerReady>) {
        let registered = slots.register(registry, fd.as_fd(), both_directions());
        (Some(fd), registered)
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        // A move that has not seen it yet ends before this returns.
        drop(write(&self.moves));
        self.flushers.stop();
    }

    pub(in crate::worker) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}
