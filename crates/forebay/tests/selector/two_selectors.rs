//! Sockets of one selector in the hands of another's tasks: each selector ends alone.

use forebay::SelectorManager;
use forebay_testing::{Transport, on_each};

#[test]
fn a_socket_first_waited_for_on_a_worker_that_stops_still_hears_of_its_bytes() {
    on_each(|transport: Transport| {
        let owner = SelectorManager::new();
        let (near, far) = owner.block_on(transport.pair(&owner)).unwrap();
        let (mut input, mut output) = (far.input, near.output);

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
        assert_eq!(first.unwrap().as_deref(), Some("first"), "over {transport}");
        other.block_on(other.close());
        drop(other);

        owner.block_on(async {
            let line = owner.spawn_value(async move { input.read_line().await });
            output.write_str("second\n").await.unwrap();
            let line = line.await.unwrap().unwrap();
            assert_eq!(line.as_deref(), Some("second"), "over {transport}");
        });
    });
}

#[test]
fn a_wait_in_another_selectors_task_is_told_when_its_own_selector_closes() {
    on_each(|transport: Transport| {
        let owner = SelectorManager::new();
        let other = SelectorManager::new();
        let (_near, far) = owner.block_on(transport.pair(&owner)).unwrap();
        let mut input = far.input;
        let waiting = other.spawn_value(async move { input.read_line().await });
        owner.block_on(owner.close());
        let outcome = other.block_on(waiting).unwrap();
        assert!(outcome.is_err_and(|error| error.is_closed()), "over {transport}");
    });
}
