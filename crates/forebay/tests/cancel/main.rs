//! The drop-at-every-poll harness: every public function that returns a future, cut off at every
//! Pending it can have, keeps the one of the five promises that it makes.
//!
//! `cancel/futures.txt` lists the functions with their words; `.ci/futures.py` holds the list
//! against rustdoc's, and the first test here holds it against the rows. A row has scenes: over
//! which transport the call is made, and what is asked of it after the cut. Each scene runs uncut
//! first, to count how often it returns Pending, and then once for each time and each manner:
//! dropped, dropped after the wake-up, forgotten. The world of a scene (a peer, a clock) moves on
//! only when the test says so, so nothing here waits for time to pass.

#![allow(clippy::unwrap_used, missing_docs)]

mod copies;
mod datagrams;
mod descriptors;
mod ends;
mod exact;
mod groups;
mod huge;
mod incoming;
mod ledger;
mod names;
mod outgoing;
mod passing;
mod reads;
mod relays;
mod shared;
mod signals;
mod sockets;
mod support;
mod table;
mod tasks;
mod time;
mod tls;
mod unix;
mod unix_sockets;
mod writes;
mod yields;

use crate::table::Row;

fn rows() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("reads", reads::rows()),
        ("exact reads", exact::rows()),
        ("copies", copies::rows()),
        ("relays", relays::rows()),
        ("writes", writes::rows()),
        ("huge writes", huge::rows()),
        ("shared writes", shared::rows()),
        ("ends", ends::rows()),
        ("time", time::rows()),
        ("tasks", tasks::rows()),
        ("groups of tasks", groups::rows()),
        ("signals", signals::rows()),
        ("names", names::rows()),
        ("sockets", sockets::rows()),
        ("datagrams", datagrams::rows()),
        ("descriptors", descriptors::rows()),
        ("passing", passing::rows()),
        ("Unix sockets", unix_sockets::rows()),
        ("TLS", tls::rows()),
    ]
}

#[test]
fn every_future_has_a_row() {
    let rows: Vec<_> = rows().into_iter().flat_map(|(_, rows)| rows).collect();
    table::assert_agrees_with_the_list(&rows);
}

#[test]
fn every_future_may_be_dropped_at_every_poll() {
    table::run("every_future_may_be_dropped_at_every_poll", rows());
}
