//! The checker that the compiler's flag has selected.

use std::io::{self, Write};

pub(crate) use self::chosen::{
    Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, thread_local,
};
pub use self::chosen::{atomic, explore, mpsc, spawn};
#[cfg(shuttle)]
pub use self::chosen::{explore_widely, random};

/// Takes a lock as the shipped sources do. A poisoned lock is a failed model, which says so itself.
pub(crate) use forebay_io::seam::lock;

/// Writes one line on what a model covered, bypassing the test runner, which hides the output of passing
/// tests.
fn report(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}

#[cfg(loom)]
mod chosen {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Instant;

    pub(crate) use loom::sync::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use loom::sync::{atomic, mpsc};
    pub use loom::thread::spawn;

    /// The primitives of loom, which do not support `const` initialisers.
    macro_rules! const_thread_local {
        ($(#[$meta:meta])* $vis:vis static $name:ident: $type:ty = const { $init:expr };) => {
            loom::thread_local! { $(#[$meta])* $vis static $name: $type = $init; }
        };
    }
    pub(crate) use const_thread_local as thread_local;

    /// Preemptions in one order of the threads; switches at a point where a thread waits are not counted.
    /// `LOOM_MAX_PREEMPTIONS` raises it.
    const PREEMPTIONS_MAX: usize = 4;

    /// Runs a scenario in every order, and reports how many there are.
    pub fn explore(name: &str, scenario: impl Fn() + Send + Sync + 'static) {
        let mut model = loom::model::Builder::new();
        let most = *model.preemption_bound.get_or_insert(PREEMPTIONS_MAX);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let began = Instant::now();
        model.check(move || {
            counted.fetch_add(1, Relaxed);
            scenario();
        });
        let (count, millis) = (count.load(Relaxed), began.elapsed().as_millis());
        super::report(&format!(
            "loom: {name}: all {count} interleavings of at most {most} preemptions, {millis} ms"
        ));
    }
}

#[cfg(shuttle)]
mod chosen {
    use std::hash::{BuildHasher, RandomState};
    use std::time::{Duration, Instant};

    pub(crate) use shuttle::sync::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub use shuttle::sync::{atomic, mpsc};
    pub use shuttle::thread::spawn;
    pub(crate) use shuttle::thread_local;

    use shuttle::rand::Rng;
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, Runner};

    /// Orders drawn for each scenario with each scheduler. `FOREBAY_CASES` changes it.
    const CASES: usize = 10_000;

    /// Preemptions placed by the scheduler of few preemptions.
    const DEPTH: usize = 3;

    /// A scheduler draws no more orders after this time, unless the number of orders was given.
    const TIME_MAX: Duration = Duration::from_secs(15);

    /// Runs a scenario in orders drawn at random: with every thread equally likely to be next, and with few
    /// preemptions at places drawn at random. A failure prints its seed.
    pub fn explore(name: &str, scenario: impl Fn() + Copy + Send + Sync + 'static) {
        explore_cases(name, CASES, scenario);
    }

    /// Runs a scenario like `explore`, with ten times as many orders, for scenarios that also draw their
    /// events.
    pub fn explore_widely(name: &str, scenario: impl Fn() + Copy + Send + Sync + 'static) {
        explore_cases(name, 10 * CASES, scenario);
    }

    fn explore_cases(name: &str, cases: usize, scenario: impl Fn() + Copy + Send + Sync + 'static) {
        let seed = from_environment("FOREBAY_SEED")
            .unwrap_or_else(|| RandomState::new().hash_one("forebay"));
        let told = from_environment("FOREBAY_CASES")
            .map(|cases| usize::try_from(cases).expect("FOREBAY_CASES is too large"));
        let cases = told.unwrap_or(cases);
        let mut config = Config::new();
        config.max_time = told.is_none().then_some(TIME_MAX);
        let _told_on_failure = Seed(seed);
        let began = Instant::now();
        let random = RandomScheduler::new_from_seed(seed, cases);
        let random = Runner::new(random, config.clone()).run(scenario);
        let few = PctScheduler::new_from_seed(seed, DEPTH, cases);
        let few = Runner::new(few, config).run(scenario);
        let millis = began.elapsed().as_millis();
        super::report(&format!(
            "shuttle: {name}: {random} random orders, {few} of {DEPTH} preemptions, {millis} ms"
        ));
    }

    /// Returns a number below `end`, drawn like the order of the threads: the same seed draws it again.
    pub fn random(end: usize) -> usize {
        shuttle::rand::thread_rng().gen_range(0..end)
    }

    fn from_environment(name: &str) -> Option<u64> {
        let given = std::env::var(name).ok()?;
        Some(given.parse().unwrap_or_else(|_| panic!("{name} is not a number: {given}")))
    }

    /// Prints the seed if the scenario fails.
    struct Seed(u64);

    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                super::report(&format!("FOREBAY_SEED={} repeats it", self.0));
            }
        }
    }
}
