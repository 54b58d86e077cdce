//! Looking a little longer before sleeping.
//!
//! Waking a sleeping core costs 27 to 31 microseconds, several times the cost of a small request. So a
//! worker that was recently idle only for moments looks for events a little longer before it sleeps. This
//! costs processor time if nothing arrives, so it stops as soon as the gaps grow: a request every
//! millisecond never starts it.
//!
//! Of a selector's workers at most one looks, and only while all others sleep: the processor that it would
//! use is better used by a worker that has something to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The longest time to look.
const SPIN_FOR: Duration = Duration::from_micros(50);
/// A gap that looking would nearly have bridged.
const SHORT_GAP: Duration = Duration::from_micros(60);
/// This many short gaps in a row start it.
const SHORT_GAPS_COUNT: u8 = 2;

/// The workers of a selector that are awake, and whether one of them is looking.
///
/// The orderings are relaxed: a stale value makes a worker look, or sleep, a moment too long.
#[derive(Debug, Default)]
pub(crate) struct SpinLimit {
    awake: AtomicUsize,
    taken: AtomicBool,
}

/// Decides whether looking pays off.
#[derive(Debug)]
pub(super) struct Spin {
    allowed: bool,
    short_gaps: u8,
    /// `None` if the selector has only one worker.
    limit: Option<Arc<SpinLimit>>,
}

impl Spin {
    pub(super) fn new(allowed: bool, limit: Option<Arc<SpinLimit>>) -> Self {
        Self { allowed, short_gaps: 0, limit }
    }

    /// Returns `true` if a worker that has become idle may look. It calls [`end`](Self::end) afterwards.
    pub(super) fn begin(&self) -> bool {
        let pays_off = self.allowed && self.short_gaps >= SHORT_GAPS_COUNT;
        pays_off
            && self.limit.as_ref().is_none_or(|limit| {
                limit.others_sleep() && !limit.taken.swap(true, Ordering::Relaxed)
            })
    }

    /// Returns `true` while a worker that became idle at `since`, and has begun to look, should look once
    /// more.
    pub(super) fn goes_on(&self, since: Instant) -> bool {
        since.elapsed() < SPIN_FOR && self.limit.as_ref().is_none_or(|limit| limit.others_sleep())
    }

    pub(super) fn end(&self) {
        if let Some(limit) = &self.limit {
            limit.taken.store(false, Ordering::Relaxed);
        }
    }

    /// Counts this worker among those that are awake.
    pub(super) fn note_awake(&self) {
        if let Some(limit) = &self.limit {
            limit.awake.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the effect of [`note_awake`](Self::note_awake).
    pub(super) fn note_asleep(&self) {
        if let Some(limit) = &self.limit {
            limit.awake.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Records how long the worker was idle.
    pub(super) fn note_gap(&mut self, gap: Duration) {
        self.short_gaps =
            if gap < SHORT_GAP { (self.short_gaps + 1).min(SHORT_GAPS_COUNT) } else { 0 };
    }
}

impl SpinLimit {
    fn others_sleep(&self) -> bool {
        self.awake.load(Ordering::Relaxed) <= 1
    }
}

/// Returns `true` if another processor can do the work that is waited for: two are online, and no quota
/// below two is set. A process pinned to one of them still profits.
pub(crate) fn machine_allows() -> bool {
    online_count() >= 2 && quota().is_none_or(|processors| processors >= 2.0)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn online_count() -> usize {
    match std::fs::read_to_string("/sys/devices/system/cpu/online") {
        Ok(list) => list.trim().split(',').map(range_len).sum(),
        Err(_) => available(),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn online_count() -> usize {
    available()
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the length of `3` or `0-7`.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn range_len(range: &str) -> usize {
    let mut ends = range.splitn(2, '-').map(|end| end.trim().parse::<usize>().ok());
    match (ends.next().flatten(), ends.next().flatten()) {
        (Some(first), Some(last)) if last >= first => last - first + 1,
        (Some(_), None) => 1,
        _ => 0,
    }
}

/// Returns how many processors the control group may use at once, if a quota is set (cgroup v2, `cpu.max`:
/// quota and period in microseconds).
fn quota() -> Option<f64> {
    let max = std::fs::read_to_string("/sys/fs/cgroup/cpu.max").ok()?;
    let mut fields = max.split_whitespace();
    let quota: f64 = fields.next()?.parse().ok()?;
    let period: f64 = fields.next()?.parse().ok()?;
    (period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use std::sync::Arc;

    use super::{Spin, SpinLimit, range_len};

    #[test]
    fn two_short_gaps_start_it_and_a_long_one_ends_it() {
        let mut spin = Spin::new(true, None);
        assert!(!spin.begin());
        spin.note_gap(Duration::from_micros(10));
        assert!(!spin.begin());
        spin.note_gap(Duration::from_micros(59));
        assert!(spin.begin());
        spin.end();
        spin.note_gap(Duration::from_millis(2));
        assert!(!spin.begin());
    }

    #[test]
    fn one_worker_looks_while_all_others_sleep() {
        let limit = Arc::<SpinLimit>::default();
        let mut spins = [(); 2].map(|()| Spin::new(true, Some(Arc::clone(&limit))));
        for spin in &mut spins {
            spin.note_gap(Duration::ZERO);
            spin.note_gap(Duration::ZERO);
        }
        let [first, second] = spins;
        first.note_awake();
        second.note_awake();
        assert!(!first.begin(), "the other one has work");
        second.note_asleep();
        assert!(first.begin());
        assert!(!second.begin(), "the first one looks already");
        assert!(first.goes_on(Instant::now()));
        second.note_awake();
        assert!(!first.goes_on(Instant::now()), "the other one has got work");
        first.end();
        first.note_asleep();
        assert!(second.begin());
    }

    #[test]
    fn it_ends_by_itself_and_never_starts_where_it_is_not_allowed() {
        let mut spin = Spin::new(true, None);
        let mut never = Spin::new(false, None);
        for _ in 0..3 {
            spin.note_gap(Duration::ZERO);
            never.note_gap(Duration::ZERO);
        }
        let long_ago = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
        assert!(spin.begin());
        assert!(!spin.goes_on(long_ago));
        assert!(!never.begin());
    }

    #[test]
    fn processor_lists_are_counted() {
        assert_eq!(range_len("0-7"), 8);
        assert_eq!(range_len("3"), 1);
        assert_eq!(range_len(""), 0);
        assert_eq!(range_len("5-2"), 0);
    }
}
