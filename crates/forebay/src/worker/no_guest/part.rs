//! The part of a worker that only a guest has, where there are no guests.

use std::io;
use std::sync::Arc;

use mio::Registry;

use crate::host::SocketFd;
use crate::worker::slots::{Slots, WorkerReady};

/// The part of a worker that only a guest has; there is none.
#[derive(Debug)]
pub(in crate::worker) enum NoGuest {}

impl NoGuest {
    pub(in crate::worker) fn ring(&self) {
        match *self {}
    }

    pub(in crate::worker) fn stop(&self) {
        match *self {}
    }

    pub(in crate::worker) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(in crate::worker) fn register(
        &self,
        _: &Arc<Slots>,
        _: &Registry,
        _: SocketFd,
    ) -> (Option<SocketFd>, io::Result<WorkerReady>) {
        match *self {}
    }
}
