//! A value that is made once, however often making it has failed before.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use forebay_io::seam::lock;
use forebay_io::{Error, Result};

/// A value that is made when it is first needed. A success is kept; a failure is not.
///
/// One caller at a time makes an attempt. Callers that came during the attempt share its outcome, so that a
/// thousand connections with a missing file read it once. A caller that comes after a failure makes the
/// next attempt.
pub(super) struct SuccessCell<T> {
    made: OnceLock<T>,
    /// The number of attempts that have ended. Changed only under the lock of `failure`.
    ended: AtomicUsize,
    /// The last attempt's failure. Locked for the whole of an attempt.
    failure: Mutex<Option<Error>>,
}

impl<T> Default for SuccessCell<T> {
    fn default() -> Self {
        Self { made: OnceLock::new(), ended: AtomicUsize::default(), failure: Mutex::default() }
    }
}

impl<T: Clone> SuccessCell<T> {
    /// Returns the value if an attempt has succeeded.
    pub(super) fn get(&self) -> Option<T> {
        self.made.get().cloned()
    }

    /// Returns the value, making it first if necessary. Blocks while `make` runs, also for another caller.
    ///
    /// # Errors
    ///
    /// The error of `make`, from this call or from the attempt that was running when it came.
    pub(super) fn get_or_try(&self, make: impl FnOnce() -> Result<T>) -> Result<T> {
        self.try_after(self.ended(), make)
    }

    fn ended(&self) -> usize {
        // Relaxed: it orders nothing else, because an attempt's outcome is read under the lock. A caller
        // that knows of an attempt's end also sees it counted.
        self.ended.load(Ordering::Relaxed)
    }

    /// Works like [`get_or_try`](Self::get_or_try), for a caller that came when `ended` attempts had ended.
    fn try_after(&self, ended: usize, make: impl FnOnce() -> Result<T>) -> Result<T> {
        if let Some(made) = self.get() {
            return Ok(made);
        }
        // An attempt that panicked has not ended; the next caller makes another.
        let mut failure = lock(&self.failure);
        if let Some(made) = self.get() {
            return Ok(made);
        }
        // An attempt has ended since this caller came, and has failed: it shares that outcome.
        if let Some(failure) = failure.as_ref()
            && self.ended() != ended
        {
            return Err(failure.clone());
        }
        let outcome = make();
        *failure = outcome.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::Relaxed);
        outcome.map(|made| self.made.get_or_init(|| made).clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use forebay_io::{Error, Result};

    use super::SuccessCell;

    fn fail(text: &str) -> Result<u8> {
        Err(Error::other(text.to_owned()))
    }

    fn unasked() -> Result<u8> {
        panic!("nothing is to be made")
    }

    #[test]
    fn a_failure_is_not_kept_and_a_success_is() {
        let cell = SuccessCell::default();
        for text in ["first", "second"] {
            let error = cell.get_or_try(|| fail(text)).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(cell.get(), None);
        }
        assert_eq!(cell.get_or_try(|| Ok(3)).unwrap(), 3);
        assert_eq!(cell.get_or_try(unasked).unwrap(), 3);
        assert_eq!(cell.get(), Some(3));
    }

    #[test]
    fn callers_that_came_during_an_attempt_share_its_failure() {
        let cell = SuccessCell::default();
        let came = cell.ended();
        cell.get_or_try(|| fail("shared")).unwrap_err();
        for _ in 0..3 {
            let error = cell.try_after(came, unasked).unwrap_err();
            assert!(error.to_string().contains("shared"), "{error}");
        }
        // This caller came after the attempt.
        assert_eq!(cell.get_or_try(|| Ok(3)).unwrap(), 3);
        // A later success replaces the failure, also for callers that came before it.
        assert_eq!(cell.try_after(came, unasked).unwrap(), 3);
    }

    #[test]
    fn a_panicking_attempt_leaves_the_next_to_the_next_caller() {
        let cell = SuccessCell::default();
        let came = cell.ended();
        let panicked = thread::scope(|scope| scope.spawn(|| cell.get_or_try(unasked)).join());
        assert!(panicked.is_err());
        assert_eq!(cell.try_after(came, || Ok(3)).unwrap(), 3);
    }

    #[test]
    fn many_threads_make_it_once() {
        const THREADS: usize = 8;
        let (cell, made) = (SuccessCell::default(), AtomicUsize::new(0));
        let together = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    together.wait();
                    let value = cell.get_or_try(|| Ok(made.fetch_add(1, Ordering::Relaxed)));
                    assert_eq!(value.unwrap(), 0);
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }
}
