use std::sync::Arc;
use std::task::Wake;

use super::*;

struct Quiet;

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {}
}

/// A waker, and a handle that tells how many clones of it are left.
fn waker() -> (Waker, Arc<Quiet>) {
    let quiet = Arc::new(Quiet);
    (Waker::from(Arc::clone(&quiet)), quiet)
}

#[test]
fn a_waiter_that_comes_again_stays_one_waiter() {
    let mut waiters = Waiters::default();
    let (mut key, (first, old), (second, new)) = (None, waker(), waker());
    assert!(waiters.put(&mut key, 1, first).is_none());
    let known = key;
    let replaced = waiters.put(&mut key, 2, second);
    assert_eq!(key, known);
    assert_eq!(Arc::strong_count(&old), 2, "the caller drops it, without the lock");
    drop(replaced);
    assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 2));

    let mut after = WakeList::new();
    waiters.release(&mut after, |until| *until == 1);
    assert!(!waiters.is_empty(), "it waits for the second number now");
    waiters.release(&mut after, |until| *until == 2);
    assert!(waiters.is_empty());
    after.run();
}

#[test]
fn a_removed_waiter_gives_its_waker_back_and_leaves_the_others() {
    let mut waiters = Waiters::default();
    let (mut one, mut two, (waker, quiet)) = (None, None, waker());
    waiters.put(&mut one, (), waker.clone());
    waiters.put(&mut two, (), waker);
    let one = one.expect("a key was given");
    drop(waiters.remove(one).expect("it was waiting"));
    assert!(waiters.remove(one).is_none(), "once only");
    assert_eq!(Arc::strong_count(&quiet), 2, "the other still waits");
    assert!(waiters.remove(two.expect("a key was given")).is_some());
    assert!(waiters.is_empty());
}

#[test]
fn a_released_waiter_that_waits_again_is_added_anew() {
    let mut waiters = Waiters::default();
    let (mut key, mut after) = (None, WakeList::new());
    waiters.put(&mut key, (), waker().0);
    let first = key;
    waiters.release(&mut after, |()| true);
    waiters.put(&mut key, (), waker().0);
    assert_ne!(key, first);
    assert!(!waiters.is_empty());
    after.run();
}
