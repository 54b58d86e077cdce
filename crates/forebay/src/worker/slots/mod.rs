//! Readiness from a worker's own poll.

#[cfg(test)]
mod tests;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::sync::{Arc, Mutex};
use std::task::Waker;

use mio::Token;
use mio::event::Event;
use slab::Slab;

use crate::host::slot::{ERROR, READ_CLOSED, READABLE, Slot, URGENT, WRITABLE, WRITE_CLOSED};
use crate::lock::lock;

#[cfg(unix)]
pub(super) use self::unix::both_directions;

/// The half of a token that identifies the entry; the other half is its generation.
const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

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
    fn add(self: &Arc<Self>) -> WorkerReady {
        let slot = Arc::new(Slot::new());
        let token = lock(&self.table).insert(Arc::clone(&slot));
        WorkerReady { slot, token, slots: Arc::clone(self) }
    }

    /// Applies events, and takes the wakers of the waits that they concern. An event of a descriptor that
    /// was closed meanwhile has an old generation, and is ignored.
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

    /// Takes all wakers, and makes each wait try its call again.
    pub(crate) fn take_all(&self, woken: &mut Vec<Waker>) {
        for (_, (_, slot)) in &lock(&self.table).slots {
            slot.take_all(woken);
        }
    }

    /// Returns the number of watched descriptors.
    pub(crate) fn len(&self) -> usize {
        lock(&self.table).slots.len()
    }
}

impl Table {
    /// Removes the entry with this token, if it is there still.
    fn remove(&mut self, Token(token): Token) -> Option<Arc<Slot>> {
        let index = token & INDEX_MASK;
        let (generation, _) = self.slots.get(index)?;
        let is_the_same = *generation == token >> INDEX_BITS;
        is_the_same.then(|| self.slots.remove(index).1)
    }

    fn insert(&mut self, slot: Arc<Slot>) -> Token {
        // The topmost generation is reserved for the poll's own tokens.
        self.generation = (self.generation + 1) % INDEX_MASK;
        let index = self.slots.insert((self.generation, slot));
        Token(self.generation << INDEX_BITS | index)
    }
}

fn flags(event: &Event) -> usize {
    let flag = |set: bool, flag: usize| if set { flag } else { 0 };
    let named = flag(event.is_readable(), READABLE)
        | flag(event.is_writable(), WRITABLE)
        | flag(event.is_read_closed(), READ_CLOSED)
        | flag(event.is_write_closed(), WRITE_CLOSED)
        | flag(event.is_error(), ERROR)
        | flag(event.is_priority(), URGENT);
    // The peer's end mark alone has no name in mio, which asks for it only together with readability.
    if named == 0 { READ_CLOSED } else { named }
}

/// A descriptor watched by a worker.
#[derive(Debug)]
pub(crate) struct WorkerReady {
    slot: Arc<Slot>,
    token: Token,
    slots: Arc<Slots>,
}

impl WorkerReady {
    /// Stops counting the descriptor as watched.
    pub(crate) fn remove(&self) {
        let removed = lock(&self.slots.table).remove(self.token);
        drop(removed);
    }

    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

impl Drop for WorkerReady {
    /// The kernel forgets the descriptor when it is closed, just before this or right after.
    fn drop(&mut self) {
        self.remove();
    }
}
