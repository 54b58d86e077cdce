use std::thread;

use super::*;

fn entered() -> (Arc<BlockLedger>, WorkerPool) {
    let ledger = Arc::new(BlockLedger::default());
    let pool = WorkerPool::enter(Arc::clone(&ledger));
    (ledger, pool)
}

#[test]
fn the_block_given_back_last_is_handed_out_first() {
    let (_ledger, _pool) = entered();
    let (one, two) = (Block::take(), Block::take());
    let place = two.as_slice().as_ptr();
    drop(one);
    drop(two);
    assert_eq!(Block::take().as_slice().as_ptr(), place);
}

#[test]
fn a_ledger_counts_what_is_held_and_what_is_idle() {
    let (ledger, pool) = entered();
    let blocks: Vec<_> = (0..40).map(|_| Block::take()).collect();
    assert_eq!((ledger.in_use(), ledger.idle()), (40, 0));
    drop(blocks);
    assert_eq!((ledger.in_use(), ledger.idle()), (0, KEPT_BY_WORKER_COUNT));
    drop(pool);
    assert_eq!((ledger.in_use(), ledger.idle()), (0, 0));
}

#[test]
fn a_block_that_dies_on_another_thread_leaves_its_ledger() {
    let (ledger, _pool) = entered();
    let block = Block::take();
    assert_eq!(ledger.in_use(), 1);
    thread::spawn(move || drop(block)).join().expect("no panic");
    assert_eq!((ledger.in_use(), ledger.idle()), (0, 0));
}

#[test]
fn a_block_that_moves_to_another_worker_is_counted_there() {
    let (ledger, _pool) = entered();
    let block = Block::take();
    let other = Arc::new(BlockLedger::default());
    let theirs = Arc::clone(&other);
    thread::spawn(move || {
        let _pool = WorkerPool::enter(Arc::clone(&theirs));
        drop(block);
        assert_eq!((theirs.in_use(), theirs.idle()), (0, 1));
    })
    .join()
    .expect("no panic");
    assert_eq!((ledger.in_use(), ledger.idle()), (0, 0));
    assert_eq!((other.in_use(), other.idle()), (0, 0));
}

#[test]
fn a_block_outlives_the_pool_it_came_from() {
    let (ledger, pool) = entered();
    let block = Block::take();
    drop(pool);
    assert_eq!(ledger.in_use(), 1, "still held");
    drop(block);
    assert_eq!(ledger.in_use(), 0);
}

#[test]
fn a_thread_that_is_no_worker_keeps_a_handful() {
    thread::spawn(|| {
        drop((0..40).map(|_| Block::take()).collect::<Vec<_>>());
        assert_eq!(POOL.with(|pool| pool.borrow().idle.len()), KEPT_COUNT);
    })
    .join()
    .expect("no panic");
}
