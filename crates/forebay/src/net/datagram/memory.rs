//! The memory in which the system puts what arrives.

use std::cell::Cell;
use std::thread::LocalKey;

/// The memory that a thread keeps for one kind of receive. What has arrived there is copied before the next one.
pub(in crate::net) struct ReceiveMemory(Cell<Option<Box<[u8]>>>);

impl ReceiveMemory {
    pub(in crate::net) const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Takes the thread's memory, of at least `bytes_min` bytes.
    #[inline]
    pub(in crate::net) fn take(thread: &'static LocalKey<Self>, bytes_min: usize) -> Box<[u8]> {
        let kept = thread.try_with(|memory| memory.0.take()).ok().flatten();
        kept.filter(|kept| kept.len() >= bytes_min).unwrap_or_else(|| make(bytes_min))
    }

    /// Keeps memory for the next receive.
    #[inline]
    pub(in crate::net) fn keep(thread: &'static LocalKey<Self>, bytes: Box<[u8]>) {
        // While the thread ends, the memory is freed instead.
        thread.try_with(|memory| memory.0.set(Some(bytes))).ok();
    }
}

/// Makes memory that the system zeroes, page by page, when something arrives there.
#[cold]
fn make(bytes: usize) -> Box<[u8]> {
    vec![0; bytes].into()
}
