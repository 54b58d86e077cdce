//! Witnesses beside `stats()`: a ledger that is asked about itself may be wrong and agree with itself. The
//! kernel's list in `/proc/self/fd`, the counts of an allocator, and futures that count their own drops are
//! independent of it.
//!
//! A program that needs them counts its allocations: `forebay_testing::count_allocations!();` is in its
//! `main.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use forebay::{SelectorManager, Stats};
use forebay_io::seam::lock;
pub use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Makes the program count its allocations.
#[macro_export]
macro_rules! count_allocations {
    () => {
        #[global_allocator]
        static MEMORY: &$crate::witness::StatsAlloc<std::alloc::System> =
            &$crate::witness::INSTRUMENTED_SYSTEM;
    };
}

/// Futures that were counted and not dropped yet.
static FUTURES: AtomicUsize = AtomicUsize::new(0);

/// Locked during a comparison: the accounts are those of the process, so only one test at a time may use
/// them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The time until the process must be as it was; threads, for instance, end in their own time.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// Live memory may exceed the earlier amount by this much: the test runner and thread-locals of the
/// remaining threads hold some, which a warm-up cannot foresee. A leak in each of a thousand rounds is
/// more.
const ALLOWED_BYTES: i64 = 16 * 1024;

/// The account of the process at one moment, to be compared with later ones.
pub struct Witness {
    descriptors: Descriptors,
    futures: usize,
    bytes: i64,
    settles_within: Duration,
    alone: MutexGuard<'static, ()>,
}

type Descriptors = BTreeMap<String, String>;

impl Witness {
    /// Takes the account of the process, once no other test is between its two looks.
    pub fn look() -> Self {
        Self::patient(SETTLES_WITHIN)
    }

    /// Takes the account like [`look`](Self::look), for tests that know how long to wait.
    pub fn patient(settles_within: Duration) -> Self {
        let alone = lock(&ONE_AT_A_TIME);
        Self::take_down(settles_within, alone)
    }

    /// Takes the account again, before any other test does: after a warm-up, for instance.
    pub fn again(self) -> Self {
        let Self { settles_within, alone, .. } = self;
        Self::take_down(settles_within, alone)
    }

    fn take_down(settles_within: Duration, alone: MutexGuard<'static, ()>) -> Self {
        let (descriptors, futures) = (open_descriptors(), FUTURES.load(SeqCst));
        // Last, so that the memory of this value is counted on both sides.
        Self { descriptors, futures, bytes: live_bytes(), settles_within, alone }
    }

    /// Asserts that everything is as it was: descriptors of every kind, futures and memory. For the end of
    /// a test, when the selectors that it made are gone.
    #[track_caller]
    pub fn all_as_before(&self) {
        if let Some(left) = self.left() {
            panic!("not as before: {left}");
        }
    }

    /// Returns a description of everything that is not as it was.
    pub fn left(&self) -> Option<String> {
        self.settle(|| self.added(|_| true).is_empty());
        let added = self.added(|_| true);
        if !added.is_empty() {
            return Some(format!("descriptors are still open: {added:?}"));
        }
        self.settle(|| FUTURES.load(SeqCst) == self.futures);
        if FUTURES.load(SeqCst) != self.futures {
            return Some("counted futures were not dropped".to_owned());
        }
        let grown = || live_bytes() - self.bytes;
        self.settle(|| grown() <= ALLOWED_BYTES);
        let grown = grown();
        (grown > ALLOWED_BYTES).then(|| format!("{grown} bytes are still allocated"))
    }

    /// Asserts that the selector reports that it holds nothing, and that the kernel and the counted futures
    /// agree. For a selector that goes on.
    #[track_caller]
    pub fn at_rest(&self, selector: &SelectorManager) {
        let held = || held(&selector.stats());
        self.settle(|| held() == [0; 5]);
        assert_eq!(held(), [0; 5], "{HELD}, by its own account");
        self.agrees(selector, 0);
    }

    /// Asserts that the selector's own account of sockets and tasks agrees with the kernel's and the
    /// futures', if this many sockets are the test's own. Called when no task of the library's own runs.
    #[track_caller]
    pub fn agrees(&self, selector: &SelectorManager, of_the_test: usize) {
        if let Some(difference) = self.difference(selector, of_the_test) {
            panic!("the accounts differ: {difference}");
        }
    }

    /// Returns the differences between the accounts.
    pub fn difference(&self, selector: &SelectorManager, of_the_test: usize) -> Option<String> {
        let own = || {
            let stats = selector.stats();
            (usize::try_from(stats.sockets).unwrap() + of_the_test, stats.tasks)
        };
        let theirs = || {
            let sockets = self.added(|target| target.starts_with("socket:")).len();
            (sockets, FUTURES.load(SeqCst) - self.futures)
        };
        let mut both = (own(), theirs());
        self.settle(|| {
            both = (own(), theirs());
            both.0 == both.1
        });
        let (own, theirs) = both;
        (own != theirs).then(|| format!("sockets and tasks: {own:?} by its own, {theirs:?} there"))
    }

    /// The descriptors that are open now and were not before.
    fn added(&self, counts: impl Fn(&str) -> bool) -> Descriptors {
        let mut now = open_descriptors();
        now.retain(|number, target| counts(target) && self.descriptors.get(number) != Some(target));
        now
    }

    /// Gives other threads the time to release what they have just used.
    fn settle(&self, mut holds: impl FnMut() -> bool) {
        let since = Instant::now();
        while !holds() && since.elapsed() < self.settles_within {
            thread::yield_now();
        }
    }

    /// Returns how many descriptors there are more than before. Cheap enough to be called all the time.
    pub fn more_descriptors(&self) -> usize {
        // The descriptor that lists them is open only during the call.
        let listing = fs::read_dir("/proc/self/fd").unwrap().count() - 1;
        listing.saturating_sub(self.descriptors.len())
    }
}

const HELD: &str = "sockets, tasks, timers, blocks and lingering sockets";

fn held(stats: &Stats) -> [u64; 5] {
    let Stats { sockets, tasks, timers, blocks, background_closes, .. } = *stats;
    [sockets, tasks as u64, timers as u64, blocks as u64, background_closes]
}

pub fn live_bytes() -> i64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    assert!(stats.allocations > 0, "this program does not say `count_allocations!`");
    // Reallocations are in both sums already.
    let (more, less) = (stats.bytes_allocated, stats.bytes_deallocated);
    i64::try_from(more).unwrap() - i64::try_from(less).unwrap()
}

/// Returns the number of allocations that this program has made so far.
pub fn allocations() -> usize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    assert!(stats.allocations > 0, "this program does not say `count_allocations!`");
    stats.allocations + stats.reallocations
}

/// Returns the number of pieces of memory that are held.
pub fn live_allocations() -> i64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    i64::try_from(stats.allocations).unwrap() - i64::try_from(stats.deallocations).unwrap()
}

fn open_descriptors() -> Descriptors {
    let listing = fs::read_dir("/proc/self/fd").unwrap();
    let open = listing.filter_map(|entry| {
        let entry = entry.ok()?;
        let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        let number = entry.file_name().to_string_lossy().into_owned();
        (!target.starts_with("/proc/")).then_some((number, target))
    });
    open.collect()
}

/// Runs this on a thread that ends with it. Every thread keeps some blocks of memory for the next channel
/// (256 KiB of each size), which is not a leak, but looks like one as long as the thread exists.
pub fn on_a_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(body).join() {
        Ok(value) => value,
        Err(panic) => resume_unwind(panic),
    })
}

/// Returns a future that is counted until it is dropped.
pub fn counted<F: Future>(future: F) -> Counted<F> {
    FUTURES.fetch_add(1, SeqCst);
    Counted { future: Box::pin(future) }
}

pub struct Counted<F> {
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl<F> Drop for Counted<F> {
    fn drop(&mut self) {
        FUTURES.fetch_sub(1, SeqCst);
    }
}
