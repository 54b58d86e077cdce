//! The one way to take a lock. A `Mutex` is taken as in the crates below; only this crate has an `RwLock`.

use forebay_io::seam::unpoisoned;

pub(crate) use forebay_io::seam::lock;

use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks for shared use, ignoring poison.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    unpoisoned(lock.read())
}

/// Locks for exclusive use, ignoring poison.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    unpoisoned(lock.write())
}
