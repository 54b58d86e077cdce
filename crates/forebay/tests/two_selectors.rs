//! Sockets of one selector in the hands of another's tasks: each selector ends alone.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use forebay::{SelectorManager, Socket};

use support::watched;

/// A connection of `selector`, both ends.
async fn connected(selector: &SelectorManager) -> (Socket, Socket) {
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let client = selector.tcp().connect(server.local_address()).await.unwrap();
    (client, server.accept().await.unwrap())
}

#[test]
fn a_socket_first_waited_for_on_a_worker_that_stops_still_hears_of_its_bytes() {
    watched(|| {
        let owner = SelectorManager::new();
        let (client, accepted) = owner.block_on(connected(&owner));
        let mut input = accepted.open_read_channel().unwrap();
        let mut output = client.open_write_channel().unwrap();

        let other = SelectorManager::new();
        let reading = other.block_on(async {
            let line = other.spawn_value(async move {
                let first = input.read_line().await;
                (input, first)
            });
            output.write_str("first\n").await.unwrap();
            line.await.unwrap()
        });
        let (mut input, first) = reading;
        assert_eq!(first.unwrap().as_deref(), Some("first"));
        other.block_on(other.close());
        drop(other);

        owner.block_on(async {
            let line = owner.spawn_value(async move { input.read_line().await });
            output.write_str("second\n").await.unwrap();
            assert_eq!(line.await.unwrap().unwrap().as_deref(), Some("second"));
        });
    });
}

#[test]
fn a_wait_in_another_selectors_task_is_told_when_its_own_selector_closes() {
    watched(|| {
        let owner = SelectorManager::new();
        let other = SelectorManager::new();
        let (_client, accepted) = owner.block_on(connected(&owner));
        let mut input = accepted.open_read_channel().unwrap();
        let waiting = other.spawn_value(async move { input.read_line().await });
        owner.block_on(owner.close());
        let outcome = other.block_on(waiting).unwrap();
        assert!(outcome.is_err_and(|error| error.is_closed()));
    });
}
