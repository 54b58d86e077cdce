use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

/// A waker that can be distinguished from the others.
struct Numbered;

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {}
}

/// The wakers of one test; equal numbers are equal wakers.
struct Wakers(Vec<Waker>);

impl Wakers {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Waker::from(Arc::new(Numbered))).collect())
    }

    fn get(&self, number: usize) -> Waker {
        self.0[number].clone()
    }

    fn number(&self, waker: &Waker) -> usize {
        self.0.iter().position(|known| known.will_wake(waker)).expect("the waker is one of ours")
    }
}

/// The queue's promises, implemented as plainly as possible: a list that is sorted for each question.
#[derive(Default)]
struct Oracle {
    waiting: Vec<(u64, usize, usize)>,
}

impl Oracle {
    fn replace(&mut self, timer: usize, waker: usize) -> Result<usize, usize> {
        match self.waiting.iter_mut().find(|(_, waiting, _)| *waiting == timer) {
            Some((_, _, kept)) => Ok(std::mem::replace(kept, waker)),
            None => Err(waker),
        }
    }

    fn remove(&mut self, timer: usize) -> Option<usize> {
        let place = self.waiting.iter().position(|(_, waiting, _)| *waiting == timer)?;
        Some(self.waiting.remove(place).2)
    }

    fn take_due(&mut self, now: u64) -> Vec<usize> {
        self.waiting.sort_unstable();
        let due = self.waiting.iter().take_while(|(deadline, ..)| *deadline <= now).count();
        self.waiting.drain(..due).map(|(_, _, waker)| waker).collect()
    }

    fn next_deadline(&self) -> Option<u64> {
        self.waiting.iter().map(|(deadline, ..)| *deadline).min()
    }
}

/// Times are milliseconds after the start; timers are named by the order of their insertion.
#[derive(Debug, Clone)]
enum Op {
    Insert { deadline: u64 },
    Replace { timer: usize },
    Remove { timer: usize },
    TakeDue { now: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..20_u64).prop_map(|deadline| Op::Insert { deadline }),
        1 => (0..64_usize).prop_map(|timer| Op::Replace { timer }),
        1 => (0..64_usize).prop_map(|timer| Op::Remove { timer }),
        1 => (0..20_u64).prop_map(|now| Op::TakeDue { now }),
    ]
}

proptest! {
    #[test]
    fn the_queue_agrees_with_a_sorted_list(ops in prop::collection::vec(op(), 0..64)) {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let wakers = Wakers::new(ops.len());
        let (mut queue, mut oracle) = (TimerQueue::default(), Oracle::default());
        let mut keys = Vec::new();
        for (number, op) in ops.into_iter().enumerate() {
            let waker = wakers.get(number);
            match op {
                Op::Insert { deadline } => {
                    oracle.waiting.push((deadline, keys.len(), number));
                    keys.push(queue.insert(at(deadline), waker));
                }
                Op::Replace { timer } => if let Some(key) = keys.get(timer) {
                    let given_back = queue.replace(key, waker);
                    let given_back = given_back.map(|w| wakers.number(&w));
                    let given_back = given_back.map_err(|w| wakers.number(&w));
                    prop_assert_eq!(given_back, oracle.replace(timer, number));
                },
                Op::Remove { timer } => if let Some(key) = keys.get(timer) {
                    let removed = queue.remove(key).map(|w| wakers.number(&w));
                    prop_assert_eq!(removed, oracle.remove(timer));
                },
                Op::TakeDue { now } => {
                    let mut due = Vec::new();
                    queue.take_due(at(now), &mut due);
                    let due: Vec<usize> = due.iter().map(|w| wakers.number(w)).collect();
                    prop_assert_eq!(due, oracle.take_due(now));
                }
            }
            prop_assert_eq!(queue.len(), oracle.waiting.len());
            prop_assert_eq!(queue.next_deadline(), oracle.next_deadline().map(at));
        }
    }
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion() {
    let (now, wakers, mut queue) = (Instant::now(), Wakers::new(100), TimerQueue::default());
    for number in 0..100 {
        queue.insert(now, wakers.get(number));
    }
    let mut due = vec![wakers.get(7)];
    queue.take_due(now, &mut due);
    let order: Vec<usize> = due.iter().map(|waker| wakers.number(waker)).collect();
    assert_eq!(order[0], 7, "what the caller had stays in front");
    assert_eq!(order[1..], (0..100).collect::<Vec<_>>());
}

#[test]
fn a_timer_that_fired_is_absent_and_its_place_is_not_taken_again() {
    let (now, wakers, mut queue) = (Instant::now(), Wakers::new(2), TimerQueue::default());
    let fired = queue.insert(now, wakers.get(0));
    queue.take_due(now, &mut Vec::new());
    queue.insert(now, wakers.get(1));
    assert!(queue.remove(&fired).is_none());
    assert!(queue.replace(&fired, wakers.get(0)).is_err());
    assert_eq!(queue.len(), 1);
}

#[test]
fn huge_durations_do_not_overflow() {
    let now = Instant::now();
    assert_eq!(deadline_after(now, Duration::ZERO), Some(now));
    assert_eq!(deadline_after(now, Duration::MAX), None);
    let centuries = Duration::from_secs(300 * 365 * 24 * 3600);
    assert_eq!(deadline_after(now, centuries), Some(now + centuries));
}

/// Counts how often it is woken and dropped.
struct Counted(Arc<AtomicUsize>);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn no_call_drops_a_waker() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let waker = || Waker::from(Arc::new(Counted(Arc::clone(&dropped))));
    let (now, mut queue, mut due) = (Instant::now(), TimerQueue::default(), Vec::new());
    let key = queue.insert(now, waker());
    let old = queue.replace(&key, waker());
    queue.take_due(now, &mut due);
    let late = queue.replace(&key, waker());
    let removed_key = queue.insert(now, waker());
    let removed = queue.remove(&removed_key);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop((old, due, late, removed));
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
}
