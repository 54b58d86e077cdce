//! Counts what an operation may leave behind: nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use forebay::{SelectorManager, Stats};

/// The time within which another thread, having woken the trial, releases what it used for that.
const LETS_GO_WITHIN: Duration = Duration::from_secs(1);

/// The resources that a selector and the process hold.
pub(crate) struct Ledger {
    stats: [u64; 4],
    descriptors: Descriptors,
}

impl Ledger {
    pub(crate) fn of(selector: &SelectorManager) -> Self {
        Self { stats: stats(&selector.stats()), descriptors: Descriptors::open() }
    }

    /// It is the same now.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self, selector: &SelectorManager) {
        assert_eq!(stats(&selector.stats()), self.stats, "{STATS}, after the cut");
        self.descriptors.assert_not_exceeded();
    }
}

const STATS: &str = "sockets, tasks, timers, sockets that linger";

fn stats(held: &Stats) -> [u64; 4] {
    let (tasks, timers) = (held.tasks as u64, held.timers as u64);
    [held.sockets, tasks, timers, held.background_closes]
}

/// A selector that was closed holds nothing.
#[track_caller]
pub(crate) fn assert_nothing_held(held: &Stats) {
    assert_eq!(stats(held), [0; 4], "{STATS}, at the end");
    assert_eq!(held.blocks, 0, "blocks in use at the end");
}

/// The open descriptors of the process and what they are, where the system tells.
pub(crate) struct Descriptors(BTreeMap<String, String>);

/// Numbers that forgotten operations hold forever. There are hundreds of them in the end, and to
/// look each up again in every trial takes more time than the trials do.
static FORGOTTEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

impl Descriptors {
    pub(crate) fn open() -> Self {
        let Ok(listing) = std::fs::read_dir("/proc/self/fd") else {
            return Self(BTreeMap::new());
        };
        let mut forgotten = FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // One that was closed after all is looked up when its number is there again.
        let (still, others) = numbers.partition::<BTreeSet<_>, _>(|it| forgotten.contains(it));
        *forgotten = still;
        let open = others.into_iter().filter_map(|number| {
            let target = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
            let target = target.to_string_lossy().into_owned();
            // The listing has a descriptor too.
            (!target.starts_with("/proc/")).then_some((number, target))
        });
        Self(open.collect())
    }

    /// Ignores from now on what has been added since: a forgotten operation holds it.
    pub(crate) fn forget_added(&self) {
        let now = Self::open().0.into_keys();
        let added = now.filter(|number| !self.0.contains_key(number));
        FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner).extend(added);
    }

    /// None has been added since. Some may have gone, with a thread that an earlier trial left.
    #[track_caller]
    pub(crate) fn assert_not_exceeded(&self) {
        let added = || {
            let mut now = Self::open().0;
            now.retain(|number, target| self.0.get(number) != Some(target));
            now
        };
        allow_a_moment(|| added().is_empty());
        assert_eq!(added(), BTreeMap::new(), "descriptors that are still open");
    }
}

/// Another thread may not have let go of what it has just used.
pub(crate) fn allow_a_moment(holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() && since.elapsed() < LETS_GO_WITHIN {
        std::thread::yield_now();
    }
}
