//! Memory blocks from a last-in-first-out pool, one pool per thread.
//!
//! A block is zeroed once, when it is allocated; after that it is only overwritten. The block that was
//! returned last is handed out first, because its memory is still in the cache. A pool used this way costs
//! about as much as one buffer that stays in the cache (`docs/decisions/006-whole-pooled-blocks.md`).
//!
//! There are two sizes. Receiving takes a block of 64 KiB, one at a time. What tasks write stays queued
//! until the turn ends, in one queue per connection, so a queue starts with a block of 8 KiB: a pool keeps
//! hundreds of small blocks in the memory of a few dozen large ones.
//!
//! The pool of an ordinary thread keeps a few blocks. A worker raises that number and provides a
//! [`BlockLedger`], which counts every block that the pool has allocated until it is freed. A thread of a
//! foreign runtime that sends for connections raises the number only.

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

/// A block size. A worker's pool keeps up to 2 MiB of each size, any other thread's pool up to 256 KiB.
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

    /// The number of idle blocks that a pool keeps. A turn polls at most 256 tasks, so it rarely fills more
    /// queues than that.
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

/// Counts the blocks that a worker's pool has allocated and that are not freed yet.
///
/// The counters are statistics and order no other memory. They are ordered only against each other, when a
/// pool is freed (see [`in_use`](Self::in_use)).
#[derive(Debug, Default)]
pub struct BlockLedger {
    allocated: AtomicUsize,
    idle: AtomicUsize,
}

impl BlockLedger {
    /// Returns the number of blocks that channels, queues and chunks hold at this moment.
    pub fn in_use(&self) -> usize {
        // Acquire, paired with the Release in `Pool::recount`: if this sees the zero stored there, it also
        // sees `allocated` reduced, so idle blocks are not counted as held while their pool is freed.
        let idle = self.idle.load(Acquire);
        self.allocated.load(Relaxed).saturating_sub(idle)
    }

    /// Returns the number of blocks that wait in the pool.
    pub fn idle(&self) -> usize {
        self.idle.load(Relaxed)
    }
}

/// A piece of initialised memory. It returns to the pool of the thread that drops it.
///
/// It is `None` only while it is dropped.
pub(crate) struct Block(Option<BlockMemory>);

/// The memory of a block. In a pool it keeps its reference to the ledger, so that taking and returning a block
/// changes no reference count.
struct BlockMemory {
    bytes: Box<[u8]>,
    ledger: Option<Arc<BlockLedger>>,
}

impl Block {
    /// Takes the block of this size that this thread's pool got back last, or allocates one.
    #[inline]
    pub(crate) fn take(size: Size) -> Self {
        match POOL.try_with(|pool| pool.borrow_mut().pop(size)) {
            Ok(memory @ Some(_)) => Self(memory),
            _ => Self::allocate(size),
        }
    }

    /// Allocates a block, which this thread's pool counts.
    #[cold]
    fn allocate(size: Size) -> Self {
        // The thread-local is gone while the thread ends: allocate, without a ledger.
        let ledger = POOL.try_with(|pool| pool.borrow().ledger.clone()).ok().flatten();
        if let Some(ledger) = &ledger {
            ledger.allocated.fetch_add(1, Relaxed);
        }
        Self(Some(BlockMemory { bytes: vec![0; size.bytes()].into(), ledger }))
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |memory| &memory.bytes)
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |memory| &mut memory.bytes)
    }
}

/// A block that holds bytes at `start..end`. It moves from the place where the bytes arrived to the queue
/// that sends them.
#[derive(Debug)]
pub(crate) struct BlockPart {
    pub(crate) block: Block,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        let is_kept = POOL.try_with(|pool| pool.borrow_mut().put(&mut self.0));
        if !matches!(is_kept, Ok(true)) {
            self.free();
        }
    }
}

impl Block {
    /// Frees the memory, outside the pool's borrow.
    #[cold]
    fn free(&mut self) {
        if let Some(BlockMemory { ledger: Some(ledger), .. }) = self.0.take() {
            ledger.allocated.fetch_sub(1, Relaxed);
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").finish_non_exhaustive()
    }
}

/// The idle blocks of one size, and the number that is kept at most.
struct Shelf {
    blocks: Vec<BlockMemory>,
    kept_count: usize,
}

impl Shelf {
    const fn new(size: Size) -> Self {
        Self { blocks: Vec::new(), kept_count: size.kept_count(false) }
    }
}

struct Pool {
    small: Shelf,
    large: Shelf,
    ledger: Option<Arc<BlockLedger>>,
    /// The thread serves many connections, so the pool keeps as much as a worker's.
    is_raised: bool,
}

impl Pool {
    const fn new() -> Self {
        Self {
            small: Shelf::new(Size::Small),
            large: Shelf::new(Size::Large),
            ledger: None,
            is_raised: false,
        }
    }

    #[inline]
    fn pop(&mut self, size: Size) -> Option<BlockMemory> {
        let idle = match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        };
        let memory = idle.blocks.pop();
        self.report_idle();
        memory
    }

    /// Takes the block, unless the pool is full. Returns `true` if it did.
    #[inline]
    fn put(&mut self, block: &mut Option<BlockMemory>) -> bool {
        let Some(memory) = block else { return true };
        if self.ledger.as_ref().map(Arc::as_ptr) != memory.ledger.as_ref().map(Arc::as_ptr) {
            return self.put_foreign(block);
        }
        let is_small = memory.bytes.len() == SMALL_BLOCK_BYTES;
        let idle = if is_small { &mut self.small } else { &mut self.large };
        if idle.blocks.len() >= idle.kept_count {
            return false;
        }
        if let Some(memory) = block.take() {
            idle.blocks.push(memory);
        }
        self.report_idle();
        true
    }

    /// Takes a block that another pool allocated, which this pool's ledger counts from now on.
    #[cold]
    fn put_foreign(&mut self, block: &mut Option<BlockMemory>) -> bool {
        let Some(memory) = block else { return true };
        if let Some(ours) = &self.ledger {
            ours.allocated.fetch_add(1, Relaxed);
        }
        let theirs = mem::replace(&mut memory.ledger, self.ledger.clone());
        if let Some(theirs) = theirs {
            theirs.allocated.fetch_sub(1, Relaxed);
        }
        self.put(block)
    }

    #[inline]
    fn report_idle(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.idle.store(self.idle_count(), Relaxed);
        }
    }

    #[inline]
    fn idle_count(&self) -> usize {
        self.small.blocks.len() + self.large.blocks.len()
    }

    fn raise(&mut self) {
        self.is_raised = true;
        self.set_kept_counts();
    }

    fn set_kept_counts(&mut self) {
        let by_worker = self.is_raised || self.ledger.is_some();
        self.small.kept_count = Size::Small.kept_count(by_worker);
        self.large.kept_count = Size::Large.kept_count(by_worker);
    }

    /// Frees the idle blocks and switches to another ledger, returning the previous one.
    fn recount(&mut self, ledger: Option<Arc<BlockLedger>>) -> Option<Arc<BlockLedger>> {
        if let Some(ledger) = &self.ledger {
            ledger.allocated.fetch_sub(self.idle_count(), Relaxed);
            // Release, paired with the Acquire in `in_use`: a thread that reads this zero also sees
            // `allocated` reduced.
            ledger.idle.store(0, Release);
        }
        (self.small, self.large) = (Shelf::new(Size::Small), Shelf::new(Size::Large));
        let before = mem::replace(&mut self.ledger, ledger);
        self.set_kept_counts();
        before
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.recount(None);
    }
}

/// Lets this thread's pool keep as many blocks as a worker's, for as long as the thread lives, because it
/// serves many connections in a foreign runtime. Nothing counts them.
pub fn raise_pool() {
    // Without an effect while the thread ends.
    POOL.try_with(|pool| pool.borrow_mut().raise()).ok();
}

/// Turns this thread's pool into a worker's pool until the guard drops.
#[derive(Debug)]
pub struct WorkerPool {
    before: Option<Arc<BlockLedger>>,
}

impl WorkerPool {
    /// Counts this thread's blocks in `ledger` from now on, and lets the pool keep more of them.
    pub fn enter(ledger: Arc<BlockLedger>) -> Self {
        let before = POOL.with(|pool| pool.borrow_mut().recount(Some(ledger)));
        Self { before }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        let before = self.before.take();
        // While the thread ends its pool may be gone already; then there is nothing to restore.
        POOL.try_with(|pool| pool.borrow_mut().recount(before)).ok();
    }
}
