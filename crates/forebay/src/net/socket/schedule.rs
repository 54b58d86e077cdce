//! The turns of a worker, for the write side of a connection: those of the selector, except for two things. A
//! dropped writer has the limits of its connection, and once the connection is being closed, the close decides
//! how long it may take.

use std::sync::Arc;
use std::task::Waker;

use forebay_io::seam::{FlushSchedule, Outbox};

use super::core::Core;
use crate::selector::Shared;
use crate::worker::Locks;

// For the core itself and not a type of its own, whose memory every write would touch.
impl FlushSchedule for Core {
    fn defer(&self, outbox: &Arc<Outbox>) {
        self.selector().defer(outbox, Locks::MayBeHeld);
    }

    fn defer_in_call(&self, outbox: &Arc<Outbox>) {
        self.selector().defer(outbox, Locks::None);
    }

    fn hurry(&self, outbox: &Arc<Outbox>) {
        Shared::hurry(outbox);
    }

    fn refuses_waiting(&self) -> bool {
        self.selector().is_closing()
    }

    fn wake_in_turn(&self, waker: &Waker) -> bool {
        self.selector().here().wake_in_turn(waker.clone());
        true
    }

    fn finish_in_background(self: Arc<Self>, outbox: Arc<Outbox>) {
        let (selector, drain) = (Arc::clone(self.selector()), self.drain());
        let peer = Arc::clone(&self);
        let moved = move |outbox: &Outbox, look| peer.moved(outbox, look);
        selector.finish_in_background(&outbox, drain, moved, move || self.is_closing());
    }
}
