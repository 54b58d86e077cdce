//! A list whose memory follows the number of its entries.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

/// Memory for this many entries is never freed.
pub(super) const ROOM_MIN: usize = 64;
/// Memory is freed when fewer than one in this many entries is left.
pub(super) const SPARSE: usize = 8;

/// Entries, each with a number that no other entry ever had.
///
/// A slab would keep the memory of the peak: its entries cannot move, because their index is their name.
/// Here entries can move, and do so when fewer than an eighth of the most are left. Then at least three
/// times as many entries have been added or removed since the last time as are moved, so each of these
/// takes constant time on average.
///
/// The numbers are the library's own and cannot be chosen by a peer. So the hash needs no secret, and the
/// order of the entries is the same in every run.
///
/// Invariant: `len <= room`.
#[derive(Debug)]
pub(super) struct Live<T> {
    pub(super) entries: HashMap<u64, T, BuildHasherDefault<DefaultHasher>>,
    last: u64,
    /// The largest number of entries since memory was last freed. (The map's capacity does not tell: it
    /// counts the places of removed entries as used.)
    pub(super) room: usize,
}

impl<T> Default for Live<T> {
    fn default() -> Self {
        Self { entries: HashMap::default(), last: 0, room: 0 }
    }
}

impl<T> Live<T> {
    pub(super) fn insert(&mut self, entry: T) -> u64 {
        self.last += 1;
        self.entries.insert(self.last, entry);
        self.room = self.room.max(self.len());
        self.last
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.entries.get_mut(&number)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let removed = self.entries.remove(&number);
        if self.room > ROOM_MIN && self.len() < self.room / SPARSE {
            self.room = 2 * self.len();
            self.entries.shrink_to(self.room);
        }
        removed
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }
}
