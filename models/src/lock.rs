//! Locks of the checker, with the functions that the included sources call. A poisoned lock means that the
//! model has failed, and panics.

use std::sync::PoisonError;

use crate::checker::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
use crate::sync::{Mutex, RwLock};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
