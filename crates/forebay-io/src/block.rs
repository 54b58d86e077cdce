//! Whole 64 KiB blocks from a last-in-first-out pool, one pool per thread.
//!
//! A block is zeroed once, when it is allocated, and then only ever overwritten. The block that
//! was given back last is handed out first, because its memory is still in the cache: a pool of
//! whole blocks used that way costs what one hot buffer costs
//! (`docs/decisions/006-whole-pooled-blocks.md`).
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

/// Bytes in a block.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// Blocks kept by a thread that is not a worker.
const KEPT_COUNT: usize = 4;

/// Blocks kept by a worker: 2 MiB at the most.
const KEPT_BY_WORKER_COUNT: usize = 32;

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
        self.allocated
            .load(Relaxed)
            .saturating_sub(self.idle.load(Relaxed))
    }

    /// Blocks waiting in the pool.
    pub fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }
}

/// 64 KiB of initialised memory, returned to the pool of whichever thread drops it.
pub(crate) struct Block {
    bytes: Vec<u8>,
    ledger: Option<Arc<BlockLedger>>,
}

impl Block {
    /// Takes the block that this thread used last, or allocates one.
    pub(crate) fn take() -> Self {
        POOL.try_with(|pool| pool.borrow_mut().take())
            .unwrap_or_else(|_| Self::allocate(None))
    }

    fn allocate(ledger: Option<Arc<BlockLedger>>) -> Self {
        if let Some(ledger) = &ledger {
            ledger.allocated.fetch_add(1, Relaxed);
        }
        Self {
            bytes: vec![0; BLOCK_BYTES],
            ledger,
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

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
    idle: Vec<Vec<u8>>,
    ledger: Option<Arc<BlockLedger>>,
}

impl Pool {
    const fn new() -> Self {
        Self {
            idle: Vec::new(),
            ledger: None,
        }
    }

    fn take(&mut self) -> Block {
        let Some(bytes) = self.idle.pop() else {
            return Block::allocate(self.ledger.clone());
        };
        self.report_idle();
        Block {
            bytes,
            ledger: self.ledger.clone(),
        }
    }

    /// Keeps the block and answers true, or answers false when the pool is full.
    fn put(&mut self, bytes: Vec<u8>, from: Option<&Arc<BlockLedger>>) -> bool {
        let most = if self.ledger.is_some() {
            KEPT_BY_WORKER_COUNT
        } else {
            KEPT_COUNT
        };
        if self.idle.len() >= most {
            return false;
        }
        self.adopt(from);
        self.idle.push(bytes);
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
            ledger.idle.store(self.idle.len(), Relaxed);
        }
    }

    /// Frees what is idle and counts under another ledger from now on.
    fn recount(&mut self, ledger: Option<Arc<BlockLedger>>) -> Option<Arc<BlockLedger>> {
        if let Some(ledger) = &self.ledger {
            ledger.allocated.fetch_sub(self.idle.len(), Relaxed);
            ledger.idle.store(0, Relaxed);
        }
        self.idle = Vec::new();
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
