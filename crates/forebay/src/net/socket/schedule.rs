//! The turns of a worker, for the write side of a connection.

use std::sync::Arc;
use std::task::Waker;

use forebay_io::seam::{FlushSchedule, Outbox};

use super::core::Core;
use crate::selector::Shared;

/// The turns of the selector, except for two things: a dropped writer has the limits of its connection, and
/// once the connection is being closed, the close decides how long it may take.
pub(super) struct SocketSchedule {
    core: Arc<Core>,
}

impl SocketSchedule {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl FlushSchedule for SocketSchedule {
    fn defer(&self, outbox: &Arc<Outbox>) {
        self.core.selector().defer(outbox);
    }

    fn hurry(&self, outbox: &Arc<Outbox>) {
        Shared::hurry(outbox);
    }

    fn is_closing(&self) -> bool {
        self.core.selector().is_closing()
    }

    fn wake_in_turn(&self, waker: &Waker) -> bool {
        self.core.selector().here().wake_in_turn(waker.clone());
        true
    }

    fn finish_in_background(&self, outbox: Arc<Outbox>) {
        let core = Arc::clone(&self.core);
        let selector = Arc::clone(core.selector());
        let peer = Arc::clone(&core);
        let moved = move |outbox: &Outbox, look| peer.moved(outbox, look);
        selector.finish_in_background(&outbox, core.drain(), moved, move || core.is_closing());
    }
}
