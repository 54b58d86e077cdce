//! Looking a little longer before sleeping.
//!
//! Waking a sleeping core costs 27 to 31 microseconds, several times the cost of a small request. So a
//! worker that was recently idle only for moments looks for events a little longer before it sleeps. This
//! costs processor time if nothing arrives, so it stops as soon as the gaps grow: a request every
//! millisecond never starts it.

use std::time::{Duration, Instant};

/// The longest time to look.
const SPIN_FOR: Duration = Duration::from_micros(50);
/// A gap that looking would nearly have bridged.
const SHORT_GAP: Duration = Duration::from_micros(60);
/// This many short gaps in a row start it.
const SHORT_GAPS_COUNT: u8 = 2;

/// Decides whether looking pays off.
#[derive(Debug)]
pub(super) struct Spin {
    allowed: bool,
    short_gaps: u8,
}

impl Spin {
    pub(super) fn new(allowed: bool) -> Self {
        Self { allowed, short_gaps: 0 }
    }

    /// Returns `true` while a worker that became idle at `since` should look once more.
    pub(super) fn goes_on(&self, since: Instant) -> bool {
        self.allowed && self.short_gaps >= SHORT_GAPS_COUNT && since.elapsed() < SPIN_FOR
    }

    /// Records how long the worker was idle.
    pub(super) fn note_gap(&mut self, gap: Duration) {
        self.short_gaps =
            if gap < SHORT_GAP { (self.short_gaps + 1).min(SHORT_GAPS_COUNT) } else { 0 };
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

    use super::{Spin, range_len};

    #[test]
    fn two_short_gaps_start_it_and_a_long_one_ends_it() {
        let mut spin = Spin::new(true);
        let now = Instant::now();
        assert!(!spin.goes_on(now));
        spin.note_gap(Duration::from_micros(10));
        assert!(!spin.goes_on(now));
        spin.note_gap(Duration::from_micros(59));
        assert!(spin.goes_on(Instant::now()));
        spin.note_gap(Duration::from_millis(2));
        assert!(!spin.goes_on(Instant::now()));
    }

    #[test]
    fn it_ends_by_itself_and_never_starts_where_it_is_not_allowed() {
        let mut spin = Spin::new(true);
        let mut never = Spin::new(false);
        for _ in 0..3 {
            spin.note_gap(Duration::ZERO);
            never.note_gap(Duration::ZERO);
        }
        let long_ago = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
        assert!(!spin.goes_on(long_ago));
        assert!(!never.goes_on(Instant::now()));
    }

    #[test]
    fn processor_lists_are_counted() {
        assert_eq!(range_len("0-7"), 8);
        assert_eq!(range_len("3"), 1);
        assert_eq!(range_len(""), 0);
        assert_eq!(range_len("5-2"), 0);
    }
}
