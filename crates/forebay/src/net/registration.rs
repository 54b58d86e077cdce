//! A descriptor and its registration with a host, which is made once, at the first wait.
//!
//! ```text
//!   wait:     attempt ─► EAGAIN ─► register, store the readiness ─► store a waker ─► attempt
//!   release:  take the descriptor out ─► let a registration end ─► wake the stored wakers
//! ```
//!
//! The two may interleave in any way. A registration runs while the descriptor is locked. So
//! either it comes after the release, and finds no descriptor, or the release comes after it. The release
//! then also waits until the readiness is stored: otherwise it would find nothing to wake, and every wait
//! from the second on would wait for an event of a descriptor that is gone. `models/tests/registration.rs`
//! runs this source with every order of the threads.

use crate::lock::{lock, read, write};
use crate::sync::{Mutex, OnceLock, RwLock};

/// A descriptor `F`, until its release, and its readiness `R`, from its registration on.
pub(crate) struct Registration<F, R> {
    /// Locked for reading during a call, and for writing to take the descriptor out.
    fd: RwLock<Option<F>>,
    ready: OnceLock<R>,
    /// Locked from before the host is asked until the readiness is stored.
    registering: Mutex<()>,
}

impl<F, R> Registration<F, R> {
    pub(crate) fn new(fd: F) -> Self {
        Self { fd: RwLock::new(Some(fd)), ready: OnceLock::default(), registering: Mutex::new(()) }
    }

    /// Calls with the descriptor; `None` if it was released.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&F) -> T) -> Option<T> {
        read(&self.fd).as_ref().map(call)
    }

    /// The readiness; `None` if the descriptor is not registered.
    pub(crate) fn ready(&self) -> Option<&R> {
        self.ready.get()
    }

    /// The readiness. Registers the descriptor first if needed; `None` if it was released. Registering may
    /// replace the descriptor, or take it out if it is lost.
    pub(crate) fn register<E>(
        &self,
        register: impl FnOnce(&mut Option<F>) -> Option<Result<R, E>>,
    ) -> Option<Result<&R, E>> {
        let _once = lock(&self.registering);
        if let Some(ready) = self.ready() {
            return Some(Ok(ready));
        }
        let registered = register(&mut write(&self.fd))?;
        Some(registered.map(|ready| self.ready.get_or_init(|| ready)))
    }

    /// The readiness, after any registration in progress has ended.
    pub(crate) fn ready_after_registering(&self) -> Option<&R> {
        drop(lock(&self.registering));
        self.ready()
    }

    /// Takes the descriptor out, after every call in progress has returned. `None` except for the first
    /// time.
    pub(crate) fn release(&self) -> Option<F> {
        write(&self.fd).take()
    }

    pub(crate) fn is_released(&self) -> bool {
        read(&self.fd).is_none()
    }

    /// Returns when every call that was in progress has ended.
    pub(crate) fn let_calls_end(&self) {
        drop(write(&self.fd));
    }
}
