//! Connections and channels that are still open when their selector closes, and are closed with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use crate::lock::lock;

/// An object that has accepted bytes and must send them before its selector ends, with or without an owner:
/// a connection, or a channel that feeds a file.
pub(crate) trait Remains: Send + Sync {
    /// Begins to close it in the background: what was accepted is sent, and then the end mark.
    fn close_with_selector(self: Arc<Self>);
}

/// All open objects of a selector. Each removes its entry when it is dropped, so that the list keeps no
/// memory of it.
#[derive(Default)]
pub(crate) struct Remaining(Mutex<OpenList>);

#[derive(Default)]
struct OpenList {
    open: BTreeMap<u64, Weak<dyn Remains>>,
    last_key: u64,
    /// `close_all` was called.
    is_closed: bool,
}

impl Remaining {
    /// Adds an entry, under a key that is never zero. After [`close_all`](Self::close_all) it is closed at
    /// once.
    pub(crate) fn add(&self, open: Weak<dyn Remains>) -> u64 {
        let mut list = lock(&self.0);
        list.last_key += 1;
        let key = list.last_key;
        let late = if list.is_closed { open.upgrade() } else { None };
        list.open.insert(key, open);
        drop(list);
        if let Some(late) = late {
            late.close_with_selector();
        }
        key
    }

    /// Removes an entry.
    pub(crate) fn remove(&self, key: u64) {
        let removed = lock(&self.0).open.remove(&key);
        drop(removed);
    }

    /// Returns `true` if nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).open.is_empty()
    }

    /// Begins to close everything that is open.
    pub(super) fn close_all(&self) {
        // Upgraded under the lock and closed without it, because closing removes entries.
        let mut list = lock(&self.0);
        list.is_closed = true;
        let open: Vec<_> = list.open.values().filter_map(Weak::upgrade).collect();
        drop(list);
        for open in open {
            open.close_with_selector();
        }
    }
}

impl fmt::Debug for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remaining").finish_non_exhaustive()
    }
}
