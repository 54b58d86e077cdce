//! A descriptor and its registration with a host: made at the first wait, and once.
//!
//! ```text
//!   wait:     attempt ─► EAGAIN ─► register, keep the readiness ─► keep a waker ─► attempt
//!   release:  take the descriptor out ─► let a registration end ─► wake what was kept
//! ```
//!
//! The two may meet anywhere. A registration runs with the descriptor held, so it either comes after
//! the release, and finds no descriptor, or the release comes after it. The release then waits until
//! the readiness is kept as well: otherwise it would find nothing to wake, and every wait from the
//! second on would wait for an event of a descriptor that is gone. `models/tests/registration.rs` runs
//! this source in every order of the threads.

use std::sync::Arc;

use crate::lock::{lock, read, write};
use crate::sync::{Mutex, OnceLock, RwLock};

/// A descriptor `F`, or what is left after its release, and its readiness `R` once it is registered.
pub(crate) struct Registration<F, R: ?Sized> {
    /// Held for reading during a call, and for writing to take the descriptor out.
    fd: RwLock<Option<F>>,
    ready: OnceLock<Arc<R>>,
    /// Held from before the host is asked until the readiness is kept.
    registering: Mutex<()>,
}

impl<F, R: ?Sized> Registration<F, R> {
    pub(crate) fn new(fd: F) -> Self {
        Self { fd: RwLock::new(Some(fd)), ready: OnceLock::default(), registering: Mutex::new(()) }
    }

    /// Calls with the descriptor, unless it was released.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&F) -> T) -> Option<T> {
        read(&self.fd).as_ref().map(call)
    }

    /// The readiness, if the descriptor was registered.
    pub(crate) fn ready(&self) -> Option<&R> {
        self.ready.get().map(Arc::as_ref)
    }

    /// The readiness; registers the descriptor for it, unless it was released.
    pub(crate) fn register<E>(
        &self,
        register: impl FnOnce(&F) -> Result<Arc<R>, E>,
    ) -> Option<Result<&R, E>> {
        let _once = lock(&self.registering);
        if let Some(ready) = self.ready() {
            return Some(Ok(ready));
        }
        let registered = self.call(register)?;
        Some(registered.map(|ready| self.ready.get_or_init(|| ready).as_ref()))
    }

    /// The readiness, after a registration that is under way.
    pub(crate) fn ready_after_registering(&self) -> Option<&R> {
        drop(lock(&self.registering));
        self.ready()
    }

    /// Takes the descriptor out, once every call that is under way has returned. `None` after the
    /// first time.
    pub(crate) fn release(&self) -> Option<F> {
        write(&self.fd).take()
    }

    pub(crate) fn is_released(&self) -> bool {
        read(&self.fd).is_none()
    }

    /// Returns once every call that was under way is over.
    pub(crate) fn let_calls_end(&self) {
        drop(write(&self.fd));
    }
}
