//! Whole blocks from a last-in-first-out pool, one pool per thread.
//!
//! A block is zeroed once, when it is allocated, and then only ever overwritten. The block that
//! was given back last is handed out first, because its memory is still in the cache: a pool of
//! whole blocks used that way costs what one hot buffer costs
//! (`docs/decisions/006-whole-pooled-blocks.md`).
//!
//! There are two sizes. Receiving takes 64 KiB, one block at a time. What a turn's tasks write
//! stays queued until the turn ends, a queue for every connection that wrote, so a queue begins
//! with 8 KiB: hundreds of those are kept where a few dozen large ones would be.
//!
//! A thread's pool keeps a handful of blocks. A worker raises that number and names a
//! [`BlockLedger`], in which every block the pool allocates is counted until it is freed.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes in a large block.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// Bytes in a small block.
pub(crate) const SMALL_BLOCK_BYTES: usize = 8 * 1024;

/// The sizes, and how many of each a pool keeps: a worker 2 MiB of either, another thread 256 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
}

impl Size {
    const fn bytes(self) -> usize {
        match self {
            Self::Small => SMALL_BLOCK_BYTES,
            Self::Large => BLOCK_BYTES,
        }
    }

    const fn of(bytes: usize) -> Self {
        if bytes == SMALL_BLOCK_BYTES { Self::Small } else { Self::Large }
    }

    /// A turn polls 256 tasks at most, so no more queues than that are filled in it.
    const fn kept_count(self, by_worker: bool) -> usize {
        match (self, by_worker) {
            (Self::Small, true) => 256,
            (Self::Small, false) | (Self::Large, true) => 32,
            (Self::Large, false) => 4,
        }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

/// Counts the blocks that a worker's pool allocated and that are not freed yet.
///
/// The counters are statistics: nothing is ordered by them, so all accesses are relaxed.
#[derive(Debug, Default)]
pub struct BlockLedger {
    allocated: AtomicUsize,
    idle: AtomicUsize,
}

impl BlockLedger {
    /// Blocks held by channels, queues and chunks at this moment.
    pub fn in_use(&self) -> usize {
        self.allocated.load(Relaxed).saturating_sub(self.idle.load(Relaxed))
    }

    /// Blocks waiting in the pool.
    pub fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }
}

/// A piece of initialised memory, returned to the pool of whichever thread drops it.
pub(crate) struct Block {
    bytes: Vec<u8>,
    ledger: Option<Arc<BlockLedger>>,
}

impl Block {
    /// Takes the block of this size that this thread used last, or allocates one.
    pub(crate) fn take(size: Size) -> Self {
        POOL.try_with(|pool| pool.borrow_mut().take(size))
            .unwrap_or_else(|_| Self::allocate(size, None))
    }

    fn allocate(size: Size, ledger: Option<Arc<BlockLedger>>) -> Self {
        if let Some(ledger) = &ledger {
            ledger.allocated.fetch_add(1, Relaxed);
        }
        Self { bytes: vec![0; size.bytes()], ledger }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        let ledger = self.ledger.take();
        let returned = POOL.try_with(|pool| pool.borrow_mut().put(bytes, ledger.as_ref()));
        if !matches!(returned, Ok(true))
            && let Some(ledger) = ledger
        {
            ledger.allocated.fetch_sub(1, Relaxed);
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").finish_non_exhaustive()
    }
}

struct Pool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    ledger: Option<Arc<BlockLedger>>,
}

impl Pool {
    const fn new() -> Self {
        Self { small: Vec::new(), large: Vec::new(), ledger: None }
    }

    fn idle(&mut self, size: Size) -> &mut Vec<Vec<u8>> {
        match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        }
    }

    fn take(&mut self, size: Size) -> Block {
        let Some(bytes) = self.idle(size).pop() else {
            return Block::allocate(size, self.ledger.clone());
        };
        self.report_idle();
        Block { bytes, ledger: self.ledger.clone() }
    }

    /// Keeps the block and answers true, or answers false when the pool is full.
    fn put(&mut self, bytes: Vec<u8>, from: Option<&Arc<BlockLedger>>) -> bool {
        let size = Size::of(bytes.len());
        let by_worker = self.ledger.is_some();
        if self.idle(size).len() >= size.kept_count(by_worker) {
            return false;
        }
        self.adopt(from);
        self.idle(size).push(bytes);
        self.report_idle();
        true
    }

    /// A block that another worker's pool allocated is counted here from now on.
    fn adopt(&self, from: Option<&Arc<BlockLedger>>) {
        let same = match (&self.ledger, from) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(theirs) = from {
            theirs.allocated.fetch_sub(1, Relaxed);
        }
        if let Some(ours) = &self.ledger {
            ours.allocated.fetch_add(1, Relaxed);
        }
    }

    fn report_idle(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.idle.store(self.small.len() + self.large.len(), Relaxed);
        }
    }

    /// Frees what is idle and counts under another ledger from now on.
    fn recount(&mut self, ledger: Option<Arc<BlockLedger>>) -> Option<Arc<BlockLedger>> {
        if let Some(ledger) = &self.ledger {
            ledger.allocated.fetch_sub(self.small.len() + self.large.len(), Relaxed);
            ledger.idle.store(0, Relaxed);
        }
        (self.small, self.large) = (Vec::new(), Vec::new());
        mem::replace(&mut self.ledger, ledger)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.recount(None);
    }
}

/// Makes this thread's pool a worker's pool until the guard drops.
#[derive(Debug)]
pub struct WorkerPool {
    before: Option<Arc<BlockLedger>>,
}

impl WorkerPool {
    /// Counts this thread's blocks in `ledger` from now on, and keeps more of them.
    pub fn enter(ledger: Arc<BlockLedger>) -> Self {
        let before = POOL.with(|pool| pool.borrow_mut().recount(Some(ledger)));
        Self { before }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        let before = self.before.take();
        // Without thread-locals there is no pool left to hand back.
        POOL.try_with(|pool| pool.borrow_mut().recount(before)).ok();
    }
}
