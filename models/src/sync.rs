//! The primitives that the included sources of `forebay` take from their own `sync`.

pub(crate) use crate::checker::{
    Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic, thread_local,
};

use self::atomic::{AtomicBool, Ordering};

/// A stand-in for std's `OnceLock`, for a value that is set under a lock: neither checker has one. Another
/// thread may run before each use, and a `get` that finds the value has seen everything before it was set.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: AtomicBool,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self { value: std::sync::OnceLock::new(), is_set: AtomicBool::new(false) }
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        // Pairs with the store below.
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let value = self.value.get_or_init(init);
        self.is_set.store(true, Ordering::Release);
        value
    }
}
