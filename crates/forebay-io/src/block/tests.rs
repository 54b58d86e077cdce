use forebay_testing::report;
use std::sync::atomic::fence;
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
    let (one, two) = (Block::take(Size::Large), Block::take(Size::Large));
    let place = two.as_slice().as_ptr();
    drop(one);
    drop(two);
    assert_eq!(Block::take(Size::Large).as_slice().as_ptr(), place);
}

#[test]
fn a_ledger_counts_what_is_held_and_what_is_idle() {
    let (ledger, pool) = entered();
    let blocks: Vec<_> = (0..40).map(|_| Block::take(Size::Large)).collect();
    assert_eq!((ledger.in_use(), ledger.idle()), (40, 0));
    drop(blocks);
    assert_eq!((ledger.in_use(), ledger.idle()), (0, Size::Large.kept_count(true)));
    drop(pool);
    assert_eq!((ledger.in_use(), ledger.idle()), (0, 0));
}

#[test]
fn a_block_that_dies_on_another_thread_leaves_its_ledger() {
    let (ledger, _pool) = entered();
    let block = Block::take(Size::Large);
    assert_eq!(ledger.in_use(), 1);
    thread::spawn(move || drop(block)).join().expect("no panic");
    assert_eq!((ledger.in_use(), ledger.idle()), (0, 0));
}

#[test]
fn a_block_that_moves_to_another_worker_is_counted_there() {
    let (ledger, _pool) = entered();
    let block = Block::take(Size::Large);
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
fn idle_blocks_are_not_taken_for_held_ones_while_their_pool_is_freed() {
    let rounds = if cfg!(miri) { 20 } else { 20_000 };
    // Odd while a pool is freed.
    let (stage, ledger) = (AtomicUsize::new(0), Arc::new(BlockLedger::default()));
    thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0;
            loop {
                let before = stage.load(Acquire);
                if before == 2 * rounds {
                    return looks;
                }
                let in_use = ledger.in_use();
                fence(Acquire);
                if before % 2 == 1 && stage.load(Relaxed) == before {
                    assert_eq!(in_use, 0);
                    looks += 1;
                }
            }
        });
        for _ in 0..rounds {
            let pool = WorkerPool::enter(Arc::clone(&ledger));
            drop([Block::take(Size::Small), Block::take(Size::Small)]);
            stage.fetch_add(1, Release);
            drop(pool);
            stage.fetch_add(1, Release);
            // Paired with the other fence: a look that counts blocks of the next round sees this stage too.
            fence(Release);
        }
        report(&format!("{} looks at {rounds} pools being freed", looks.join().expect("no panic")));
    });
}

#[test]
fn a_block_outlives_the_pool_it_came_from() {
    let (ledger, pool) = entered();
    let block = Block::take(Size::Large);
    drop(pool);
    assert_eq!(ledger.in_use(), 1, "still held");
    drop(block);
    assert_eq!(ledger.in_use(), 0);
}

#[test]
fn a_thread_that_is_no_worker_keeps_a_handful() {
    thread::spawn(|| {
        drop((0..40).map(|_| Block::take(Size::Large)).collect::<Vec<_>>());
        assert_eq!(
            POOL.with(|pool| pool.borrow().large.blocks.len()),
            Size::Large.kept_count(false)
        );
    })
    .join()
    .expect("no panic");
}

#[test]
fn the_sizes_are_kept_apart() {
    let (ledger, _pool) = entered();
    let small = Block::take(Size::Small);
    assert_eq!(small.as_slice().len(), SMALL_BLOCK_BYTES);
    drop(small);
    assert_eq!(Block::take(Size::Large).as_slice().len(), BLOCK_BYTES);
    assert_eq!((ledger.in_use(), ledger.idle()), (0, 2));
}
