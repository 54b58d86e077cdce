//! What there may be so much of at once, and no more: the oldest ends first.
//!
//! Connections that are being closed without an owner, and handshakes that a peer has begun: nobody
//! here would miss them if they piled up.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, Weak};

use crate::lock::lock;

/// One of them.
pub(crate) trait Member: Send + Sync {
    /// Ends it now, whatever is lost.
    fn end(&self);
}

/// All of a kind.
pub(crate) struct Bounded {
    most: usize,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    /// By ticket, so that the oldest comes first.
    members: BTreeMap<u64, Weak<dyn Member>>,
    last_ticket: u64,
}

impl Bounded {
    pub(super) fn new(most: usize) -> Self {
        Self { most, list: Mutex::default() }
    }

    /// How many there may be.
    #[cfg(feature = "tls")]
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Lists one more, under a ticket that is never zero; the oldest ends if there are too many.
    pub(crate) fn enroll(&self, member: Weak<dyn Member>) -> u64 {
        let mut list = lock(&self.list);
        list.last_ticket += 1;
        let ticket = list.last_ticket;
        list.members.insert(ticket, member);
        let too_many = list.members.len() > self.most;
        drop(list);
        if too_many {
            self.end_oldest();
        }
        ticket
    }

    /// It is not one of them any more.
    pub(crate) fn leave(&self, ticket: u64) {
        let left = lock(&self.list).members.remove(&ticket);
        drop(left);
    }

    /// Ends the oldest; false when there is none.
    pub(crate) fn end_oldest(&self) -> bool {
        loop {
            let oldest = lock(&self.list).members.pop_first();
            match oldest.map(|(_, member)| Weak::upgrade(&member)) {
                Some(Some(member)) => {
                    member.end();
                    return true;
                }
                // It is gone already.
                Some(None) => {}
                None => return false,
            }
        }
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("most", &self.most).finish_non_exhaustive()
    }
}
