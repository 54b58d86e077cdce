//! The one way to take a lock, in all crates of forebay.

use std::sync::{LockResult, PoisonError};

use crate::sync::{Mutex, MutexGuard};

/// Locks, ignoring poison.
#[inline]
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// Returns the guard or value of a lock, ignoring poison.
///
/// No user code runs under the locks of these crates, so a panic while one is held is a bug of this library
/// that has already been reported. A second panic in an unrelated task would not help.
#[inline]
pub fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
