//! Detects that the current code runs because a task panicked.

use std::cell::Cell;

use crate::sync::thread_local;

thread_local! {
    static MARK: Cell<bool> = const { Cell::new(false) };
}

/// Returns `true` while the current task is being torn down by a panic.
///
/// `std::thread::panicking()` alone is not enough. An executor catches the panic first, and the fields of a
/// hand-written future drop afterwards, when the thread no longer counts as panicking. So an executor drops
/// a panicked future inside [`torn_down`], and writers call this function.
pub fn unwinding() -> bool {
    // A destructor that runs after the thread-locals are gone does not belong to a task.
    std::thread::panicking() || MARK.try_with(Cell::get).unwrap_or(false)
}

/// Runs `tear_down`, the drop of a panicked future, with the mark set.
pub fn torn_down<T>(tear_down: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            MARK.with(|mark| mark.set(self.0));
        }
    }
    let _restore = Restore(MARK.with(|mark| mark.replace(true)));
    tear_down()
}
