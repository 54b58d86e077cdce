//! A closure of the user's on a socket before it is bound or connected.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd};
use socket2::SockRef;

/// The closure, shared by the clones of a builder.
#[derive(Clone)]
pub(in crate::net) struct Configure(Arc<Closure>);

type Closure = dyn Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync;

impl Configure {
    pub(in crate::net) fn new(
        configure: impl Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(configure))
    }

    pub(super) fn run(&self, socket: &SockRef<'_>) -> io::Result<()> {
        (self.0)(socket.as_fd())
    }
}

impl fmt::Debug for Configure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a closure")
    }
}
