//! No guests: what is compiled without the features that bring a foreign runtime.

mod part;

use std::sync::{Arc, Mutex, OnceLock, Weak};

use forebay_io::seam::Outbox;

pub(super) use self::part::NoGuest;
use super::flush::Locks;
use super::{Owner, Worker, WorkerParts};

/// The guests of a selector; there is none.
#[derive(Debug)]
pub(super) struct NoGuests;

#[allow(clippy::unused_self, reason = "the same methods as where there are guests")]
impl NoGuests {
    pub(super) fn new(_first_index: u16) -> Self {
        Self
    }

    pub(super) fn here(
        &self,
        _: &Mutex<Option<WorkerParts>>,
        _: &OnceLock<Weak<Owner>>,
    ) -> Option<Arc<Worker>> {
        None
    }

    pub(super) fn defer(
        &self,
        _: &Arc<Outbox>,
        _: Locks,
        _: (&Mutex<Option<WorkerParts>>, &OnceLock<Weak<Owner>>),
    ) -> bool {
        false
    }

    pub(super) fn all(&self) -> [Arc<Worker>; 0] {
        []
    }

    pub(super) fn stop(&self) {}
}
