//! System calls and signals.

use std::io;

/// Repeats a system call until no signal interrupts it (`EINTR`, `signal(7)`).
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
