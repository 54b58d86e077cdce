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

use crate::sync::atomic::AtomicUsize;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::thread_local;

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
/// The counters are statistics: nothing is ordered by them but, where a pool is freed, they by one
/// another.
#[derive(Debug, Default)]
pub struct BlockLedger {
    allocated: AtomicUsize,
    idle: AtomicUsize,
}

impl BlockLedger {
    /// Blocks held by channels, queues and chunks at this moment.
    pub fn in_use(&self) -> usize {
        // First, so that nothing idle is taken for held while its pool is freed.
        let idle = self.idle.load(Acquire);
        self.allocated.load(Relaxed).saturating_sub(idle)
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

/// A block of which a part holds bytes: handed from where they arrived to where they are sent.
#[derive(Debug)]
pub(crate) struct BlockPart {
    pub(crate) block: Block,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let idle = Idle { bytes: mem::take(&mut self.bytes), ledger: self.ledger.take() };
        let refused = POOL.try_with(|pool| pool.borrow_mut().put(idle));
        if let Ok(Some(Idle { ledger: Some(ledger), .. })) = refused {
            ledger.allocated.fetch_sub(1, Relaxed);
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").finish_non_exhaustive()
    }
}

/// A block in a pool. It keeps its ledger, so that taking and giving back count no references.
struct Idle {
    bytes: Vec<u8>,
    ledger: Option<Arc<BlockLedger>>,
}

struct Pool {
    small: Vec<Idle>,
    large: Vec<Idle>,
    ledger: Option<Arc<BlockLedger>>,
}

impl Pool {
    const fn new() -> Self {
        Self { small: Vec::new(), large: Vec::new(), ledger: None }
    }

    fn idle(&mut self, size: Size) -> &mut Vec<Idle> {
        match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        }
    }

    fn take(&mut self, size: Size) -> Block {
        let Some(Idle { bytes, ledger }) = self.idle(size).pop() else {
            return Block::allocate(size, self.ledger.clone());
        };
        self.report_idle();
        Block { bytes, ledger }
    }

    /// Keeps the block, or gives it back when the pool is full.
    fn put(&mut self, mut idle: Idle) -> Option<Idle> {
        let size = Size::of(idle.bytes.len());
        if self.idle(size).len() >= size.kept_count(self.ledger.is_some()) {
            return Some(idle);
        }
        self.adopt(&mut idle);
        self.idle(size).push(idle);
        self.report_idle();
        None
    }

    /// A block that another worker's pool allocated is counted here from now on.
    fn adopt(&self, idle: &mut Idle) {
        let same = match (&self.ledger, &idle.ledger) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(ours) = &self.ledger {
            ours.allocated.fetch_add(1, Relaxed);
        }
        let theirs = mem::replace(&mut idle.ledger, self.ledger.clone());
        if let Some(theirs) = theirs {
            theirs.allocated.fetch_sub(1, Relaxed);
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
            ledger.idle.store(0, Release);
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
