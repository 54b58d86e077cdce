//! The synchronisation primitives, chosen once for the whole crate.
//!
//! They are std's. Under `--cfg loom` or `--cfg shuttle` they are those of a model checker, which decides
//! at each use which thread runs next. That is how the models in `models/` run this very source and not a
//! copy of it. `.ci/arrows.py` refuses std's primitives anywhere else in this crate.
//!
//! Three things stay std's in a model:
//!
//! - `Arc` and `Weak`. A modelled reference count would make the checker explore the order of counting, and
//!   these models are about the order of steps under locks. Besides, loom's `Arc` has no `Weak` and no
//!   `Arc<dyn Trait>`.
//! - The counter that hands out unique numbers: nothing depends on its order, and a static of loom's could not be
//!   made.
//! - `std::thread::panicking`, which reports on the test itself.
//!
//! The threads of a model share one thread of the system. Thread-local values must therefore use the
//! model's own `thread_local!`; with std's macro all threads of a model would share them.

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

    /// Drops the `const` of the initialiser, which loom's macro does not accept.
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
pub(crate) use std::sync::atomic::AtomicU64 as StaticCounter;

#[cfg(any(loom, shuttle))]
mod modelled {
    use super::chosen::atomic::{AtomicUsize, Ordering};

    /// std's `OnceLock`, with a point before each use at which the checker may switch threads; neither
    /// checker has a `OnceLock`. The initialiser must do nothing that is modelled: a thread that waited for
    /// it would stop the only thread of the system.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        /// Tells the checker that setting and reading the value depend on each other.
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
