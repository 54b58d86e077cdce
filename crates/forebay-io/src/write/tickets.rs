//! The order of the writers that wait for room in a shared channel.
//!
//! Each of them waits in the outbox by itself, and all are woken when there is room. The tickets decide which one goes
//! first: a writer keeps its ticket until its item is accepted or its call is dropped, so one that found the
//! queue full again has not lost its place.
//!
//! No writer hands its turn over to the next one, because a call that was leaked (`mem::forget`) never would.
//! Instead, a writer that is not first gives way for a turn; if the first one has not moved after a few of them
//! although there is room, it loses its place.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use crate::lock::lock;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::turn::turn;

/// The number of turns in which the first writer may use the room that there is. It needs two, because it may have
/// to give way once itself; more than that do no harm, because only a call that was leaked takes them.
const TURNS_MAX: u8 = 4;

/// The tickets that are out.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    out: Mutex<IssuedTickets>,
    /// The number of tickets, as the last holder of the lock left it.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct IssuedTickets {
    numbers: BTreeSet<u64>,
    next: u64,
}

impl Tickets {
    /// Returns `true` if no writer waits, as far as this can be known without the lock.
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: a hint. A writer that overtakes one that has just begun to wait does no harm.
        self.count.load(Relaxed) == 0
    }

    /// Takes the next ticket.
    pub(super) fn take(&self) -> Ticket<'_> {
        let number = self.change(IssuedTickets::issue);
        Ticket { tickets: self, number, seen: None }
    }

    fn change<R>(&self, change: impl FnOnce(&mut IssuedTickets) -> R) -> R {
        let mut out = lock(&self.out);
        let result = change(&mut out);
        self.count.store(out.numbers.len(), Relaxed);
        result
    }
}

impl IssuedTickets {
    fn issue(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.numbers.insert(number);
        number
    }
}

/// A writer's place. Dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    tickets: &'a Tickets,
    number: u64,
    seen: Option<TicketInFront>,
}

/// The ticket in front for which a writer gives way.
#[derive(Debug, Clone, Copy)]
struct TicketInFront {
    first: u64,
    turns: u8,
    last: Option<NonZeroU64>,
}

impl Ticket<'_> {
    /// Notes that there was no room, so that the first writer had no reason to move.
    pub(super) fn restart(&mut self) {
        self.seen = None;
    }

    /// Returns `true` if this ticket is the first. Called while there is room.
    pub(super) fn is_first(&mut self) -> bool {
        if let Some(seen) = &mut self.seen {
            let now = turn();
            // A second look in the same turn is no turn. A thread without turns has nothing else to count.
            seen.turns += u8::from(now.is_none() || now != seen.last);
            seen.last = now;
        }
        let stuck = self.seen.filter(|seen| seen.turns >= TURNS_MAX).map(|seen| seen.first);
        let first = self.look(stuck);
        self.seen = match (first, self.seen) {
            (Some(first), Some(seen)) if seen.first == first => Some(seen),
            (Some(first), _) => Some(TicketInFront { first, turns: 0, last: turn() }),
            (None, _) => None,
        };
        first.is_none()
    }

    /// Returns the first ticket, or `None` if it is this one. `stuck` loses its place if it is still the first.
    fn look(&mut self, stuck: Option<u64>) -> Option<u64> {
        let number = self.number;
        let (number, first) = self.tickets.change(|out| {
            let is_known = out.numbers.contains(&number);
            // Another writer took this one's place for given up, so it starts again at the end.
            let number = if is_known { number } else { out.issue() };
            if let Some(stuck) = stuck
                && stuck != number
                && out.numbers.first() == Some(&stuck)
            {
                out.numbers.remove(&stuck);
            }
            (number, out.numbers.first().copied())
        });
        self.number = number;
        first.filter(|first| *first != number)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.tickets.change(|out| out.numbers.remove(&self.number));
    }
}
