//! The primitives that threads meet in, chosen once for the whole crate.
//!
//! They are std's. Under `--cfg loom` or `--cfg shuttle` they are those of a model checker, which
//! decides at each of them which thread goes on: so the models in `models/` run this very source,
//! and not a copy of it. `.ci/arrows.py` refuses std's own anywhere else in this crate.
//!
//! Two things stay std's in a model:
//!
//! - `Arc` and `Weak`. A model of a reference count explores when it is counted; what is modelled
//!   here is what happens under locks. Besides, loom's has no `Weak`, and no `Arc<dyn Trait>`.
//! - `std::thread::panicking`, which tells of the test itself.
//!
//! A thread of a model is not a thread of the system: all of them share one. So what a thread keeps
//! to itself must be kept by the model's own `thread_local!`, or they would share it.

#[cfg(not(any(loom, shuttle)))]
mod chosen {
    pub(crate) use std::sync::atomic;
    pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};
    pub(crate) use std::thread_local;
}

#[cfg(loom)]
mod chosen {
    pub(crate) use loom::sync::atomic;
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) use super::modelled::OnceLock;

    /// loom's, which does not know `const` initialisers.
    macro_rules! const_thread_local {
        ($(#[$meta:meta])* $vis:vis static $name:ident: $type:ty = const { $init:expr };) => {
            loom::thread_local! { $(#[$meta])* $vis static $name: $type = $init; }
        };
    }
    pub(crate) use const_thread_local as thread_local;
}

#[cfg(shuttle)]
mod chosen {
    pub(crate) use shuttle::sync::atomic;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use shuttle::thread_local;

    pub(crate) use super::modelled::OnceLock;
}

pub(crate) use self::chosen::*;

#[cfg(any(loom, shuttle))]
mod modelled {
    use super::chosen::atomic::{AtomicUsize, Ordering};

    /// std's `OnceLock`, before each use of which the model may let another thread go on. Neither
    /// checker has one. Nothing modelled may happen while it is initialised: a thread that waited
    /// for that would stop the only one there is.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        /// Tells the checker that setting the value and looking for it depend on each other.
        uses: AtomicUsize,
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self { value: std::sync::OnceLock::new(), uses: AtomicUsize::new(0) }
        }
    }

    impl<T> OnceLock<T> {
        pub(crate) fn get(&self) -> Option<&T> {
            self.uses.load(Ordering::Acquire);
            self.value.get()
        }

        pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
            self.uses.fetch_add(1, Ordering::AcqRel);
            self.value.get_or_init(init)
        }
    }
}
