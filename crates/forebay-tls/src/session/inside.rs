//! Detects that this thread is inside a call of rustls.
//!
//! rustls calls user code (a verifier, a key log) in the middle of its work, under the session's lock. If
//! that code calls the session, it gets an error instead of a deadlock.

use std::cell::Cell;

use forebay_io::{Error, ErrorKind, Result};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as inside until it is dropped.
#[must_use]
pub(super) struct Inside {
    before: bool,
}

pub(super) fn enter() -> Inside {
    Inside { before: INSIDE.replace(true) }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.before);
    }
}

/// Fails if this thread is inside a call of rustls.
pub(super) fn check() -> Result<()> {
    if INSIDE.get() {
        return Err(Error::new(ErrorKind::InvalidInput, "tls").with_detail(
            "called from inside a verifier or a key log, which must not use secured channels",
        ));
    }
    Ok(())
}
