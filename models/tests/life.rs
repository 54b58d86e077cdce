//! Two events of a connection's life at once.
//!
//! ```text
//!   reader: refused? ─► take        closer: refuse reads ─► let calls end ─► discard
//!   layer:  shake hands ─► ready    closer: begin ─► discard, unless the layer reads
//! ```
//!
//! No reader gets bytes from behind discarded ones, one call closes, and of a layer that becomes ready and
//! a close that begins, the second knows of the first.

use std::sync::Arc;

use forebay_models::readiness::Connection;
use forebay_models::{explore, spawn};

#[test]
fn a_reader_beside_a_close_gets_nothing_behind_what_was_thrown_away() {
    explore("life: read twice, close and discard", || {
        let connection = Arc::new(Connection::default());
        connection.arrive();
        connection.arrive();
        let reader = spawn({
            let connection = Arc::clone(&connection);
            move || [connection.read(false), connection.read(false)]
        });
        assert!(connection.begin_closing());
        let thrown_away = connection.discard().expect("no layer reads");
        let read: Vec<_> = reader.join().expect("no panic").into_iter().flatten().collect();
        assert_eq!(read.len() + thrown_away.len(), 2, "{read:?} {thrown_away:?}");
        assert!(read.iter().all(|place| thrown_away.iter().all(|thrown| place < thrown)));
        assert!(connection.read(false).is_none());
    });
}

#[test]
fn one_of_two_closes_sees_it_to_its_end() {
    explore("life: two closes", || {
        let connection = Arc::new(Connection::default());
        let other = spawn({
            let connection = Arc::clone(&connection);
            move || connection.begin_closing()
        });
        let here = connection.begin_closing();
        assert!(here != other.join().expect("no panic"));
    });
}

#[test]
fn a_close_beside_a_layer_that_becomes_ready_throws_the_rest_away() {
    explore("life: a layer reads and is ready, close and discard", || {
        let connection = Arc::new(Connection::default());
        connection.lay_on_top();
        connection.arrive();
        connection.arrive();
        let layer = spawn({
            let connection = Arc::clone(&connection);
            move || {
                let read = connection.read(true);
                (read, connection.layer_is_ready())
            }
        });
        assert!(connection.begin_closing());
        let at_once = connection.discard();
        let (read, tells_the_close) = layer.join().expect("no panic");
        assert!(read.is_some(), "a layer reads until it is ready");
        assert!(at_once.is_some() || tells_the_close, "no one throws the rest away");
        let rest = connection.discard().expect("the layer is ready");
        assert_eq!(at_once.unwrap_or_default().len() + rest.len(), 1);
    });
}

#[test]
fn an_end_is_told_once() {
    explore("life: two receives meet the end", || {
        let connection = Arc::new(Connection::default());
        let other = spawn({
            let connection = Arc::clone(&connection);
            move || connection.peer_ended()
        });
        let here = connection.peer_ended();
        assert!(here != other.join().expect("no panic"));
    });
}
