//! What is still open when its selector closes, and is closed with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use crate::lock::lock;

/// Something that has accepted bytes and has to send them before its selector ends, whether it still
/// has an owner or not: a connection, a channel that feeds a file.
pub(crate) trait Remains: Send + Sync {
    /// Begins to close it in the background: what was accepted is sent, and then the end mark.
    fn close_with_selector(self: Arc<Self>);
}

/// Everything of a selector that is open. Each entry leaves the list when it is dropped, so that the
/// list keeps no memory of it.
#[derive(Default)]
pub(crate) struct Remaining(Mutex<List>);

#[derive(Default)]
struct List {
    open: BTreeMap<u64, Weak<dyn Remains>>,
    last_key: u64,
    /// Everything was told to close.
    is_closed: bool,
}

impl Remaining {
    /// Adds an entry, under a key that is never zero. Behind [`close_all`](Self::close_all) it is closed
    /// at once.
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

    /// True when nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).open.is_empty()
    }

    /// Begins to close everything that is open.
    pub(super) fn close_all(&self) {
        // Upgraded under the lock and closed without it: closing removes entries.
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
