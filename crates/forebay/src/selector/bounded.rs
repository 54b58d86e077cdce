//! Lists of connections of which the oldest ends first: if there are too many, or if the process has no
//! descriptor left.
//!
//! They contain connections that are being closed without an owner, and handshakes that are not complete,
//! because no task of the program limits their number.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use crate::lock::lock;

/// A member of a list.
pub(crate) trait Member: Send + Sync {
    /// Ends the member now, whatever is lost, because there are too many.
    fn end(&self);

    /// Ends the member now, because no descriptor or memory is left for another connection.
    fn end_for_descriptor(&self) {
        self.end();
    }
}

/// The list of all members of one kind.
pub(crate) struct Bounded {
    most: usize,
    list: Mutex<MemberList>,
}

#[derive(Default)]
struct MemberList {
    /// By ticket, so that the oldest comes first.
    members: BTreeMap<u64, Weak<dyn Member>>,
    last_ticket: u64,
}

impl Bounded {
    pub(super) fn new(most: usize) -> Self {
        Self { most, list: Mutex::default() }
    }

    /// Returns how many members there may be.
    #[cfg(feature = "tls")]
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Adds a member, under a ticket that is never zero. If there are too many then, the oldest ends.
    pub(crate) fn add(&self, member: Weak<dyn Member>) -> u64 {
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

    /// Removes a member.
    pub(crate) fn leave(&self, ticket: u64) {
        let left = lock(&self.list).members.remove(&ticket);
        drop(left);
    }

    /// Ends the oldest member, so that its descriptor is free. Returns `false` if there is none.
    pub(crate) fn end_for_descriptor(&self) -> bool {
        let oldest = self.take_oldest();
        oldest.inspect(|oldest| oldest.end_for_descriptor()).is_some()
    }

    fn end_oldest(&self) {
        if let Some(oldest) = self.take_oldest() {
            oldest.end();
        }
    }

    fn take_oldest(&self) -> Option<Arc<dyn Member>> {
        loop {
            let (_, oldest) = lock(&self.list).members.pop_first()?;
            // A member that cannot be upgraded is gone already.
            if let Some(oldest) = oldest.upgrade() {
                return Some(oldest);
            }
        }
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("most", &self.most).finish_non_exhaustive()
    }
}
