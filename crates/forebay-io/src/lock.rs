//! The one way to take a lock.

use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

/// Locks, ignoring poison.
///
/// No user code runs under our locks, so a panic while one is held is a bug of ours that has
/// already been reported; turning it into a second panic in an innocent task would help nobody.
#[inline]
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
