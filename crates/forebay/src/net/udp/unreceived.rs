//! Datagrams and a report that a receive returns before it asks the system.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::datagram::Datagram;
use crate::lock::lock;

/// Datagrams that came together with one that was received, and a report that a send has met.
#[derive(Debug, Default)]
pub(super) struct Unreceived {
    /// Read without the lock; set and cleared under it.
    is_any: AtomicBool,
    entries: Mutex<UnreceivedEntries>,
}

#[derive(Debug, Default)]
struct UnreceivedEntries {
    surplus: VecDeque<Datagram>,
    /// The last one.
    report: Option<io::Error>,
    is_closed: bool,
}

impl Unreceived {
    /// Returns `true` if something is kept.
    ///
    /// A thread that misses it asks the system, and is woken by the one that adds it.
    #[inline]
    pub(super) fn is_any(&self) -> bool {
        // Relaxed: a hint.
        self.is_any.load(Ordering::Relaxed)
    }

    /// Puts the first datagram in its place, or fails with the report behind the last one. Returns `false` if there is
    /// neither.
    #[cold]
    pub(super) fn take(&self, place: &mut Option<Datagram>) -> io::Result<bool> {
        self.change(|entries| {
            *place = entries.surplus.pop_front();
            if place.is_some() {
                return Ok(true);
            }
            entries.report.take().map_or(Ok(false), Err)
        })
    }

    /// Takes the first datagram.
    pub(super) fn take_datagram(&self) -> Option<Datagram> {
        if !self.is_any() {
            return None;
        }
        self.change(|entries| entries.surplus.pop_front())
    }

    /// Adds datagrams behind those that are there.
    pub(super) fn add(&self, datagrams: impl Iterator<Item = Datagram>) {
        self.change(|entries| {
            // Nothing is kept that no call will receive.
            if !entries.is_closed {
                entries.surplus.extend(datagrams);
            }
        });
    }

    /// Keeps a report in place of an earlier one.
    pub(super) fn add_report(&self, report: io::Error) {
        drop(self.change(|entries| entries.report.replace(report)));
    }

    /// Discards the datagrams, and all later ones.
    pub(super) fn close(&self) {
        drop(self.change(|entries| {
            entries.is_closed = true;
            std::mem::take(&mut entries.surplus)
        }));
    }

    fn change<T>(&self, change: impl FnOnce(&mut UnreceivedEntries) -> T) -> T {
        let mut entries = lock(&self.entries);
        let changed = change(&mut entries);
        let is_any = !entries.surplus.is_empty() || entries.report.is_some();
        self.is_any.store(is_any, Ordering::Relaxed);
        changed
    }
}
