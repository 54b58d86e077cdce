//! The one way to take a lock.

use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

/// Locks, ignoring poison.
///
/// No user code runs under these locks, so a panic while one is held is a bug of this library that has
/// already been reported. A second panic in an unrelated task would not help.
#[inline]
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
