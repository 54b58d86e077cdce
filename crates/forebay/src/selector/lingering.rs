//! Connections that are being closed without an owner. Nobody would miss their descriptors if they
//! piled up, so there may be so many and no more.

use std::collections::BTreeMap;
use std::sync::{Mutex, Weak};

use crate::lock::lock;

/// Connections that may linger at once, unless the selector was made with another limit.
pub(super) const LINGERING_MAX: usize = 1024;

/// Something that lingers.
pub(crate) trait Lingerer: Send + Sync {
    /// Ends it now, whatever is lost.
    fn end(&self);
}

/// Those that linger.
pub(crate) struct Lingering {
    most: usize,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    /// By ticket, so that the oldest comes first.
    lingerers: BTreeMap<u64, Weak<dyn Lingerer>>,
    last_ticket: u64,
}

impl Lingering {
    pub(super) fn new(most: usize) -> Self {
        Self { most, list: Mutex::default() }
    }

    /// Lists one more, under a ticket that is never zero; the oldest ends if there are too many.
    pub(crate) fn enroll(&self, lingerer: Weak<dyn Lingerer>) -> u64 {
        let mut list = lock(&self.list);
        list.last_ticket += 1;
        let ticket = list.last_ticket;
        list.lingerers.insert(ticket, lingerer);
        let too_many = list.lingerers.len() > self.most;
        drop(list);
        if too_many {
            self.end_oldest();
        }
        ticket
    }

    /// It does not linger any more.
    pub(crate) fn leave(&self, ticket: u64) {
        let left = lock(&self.list).lingerers.remove(&ticket);
        drop(left);
    }

    /// Ends the oldest; false when there is none.
    pub(crate) fn end_oldest(&self) -> bool {
        loop {
            let oldest = lock(&self.list).lingerers.pop_first();
            match oldest.map(|(_, lingerer)| Weak::upgrade(&lingerer)) {
                Some(Some(lingerer)) => {
                    lingerer.end();
                    return true;
                }
                // It is gone already.
                Some(None) => {}
                None => return false,
            }
        }
    }
}

impl std::fmt::Debug for Lingering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lingering").field("most", &self.most).finish_non_exhaustive()
    }
}
