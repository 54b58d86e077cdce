//! The witnesses that other tests call: each notices what it is there to notice, and the selector's
//! own account agrees with theirs while it holds something.

#![cfg(target_os = "linux")]

use std::future::pending;
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use forebay::{Result, SelectorManager};
use forebay_testing::{
    KIB, alone, dial, watched,
    witness::{Witness, counted, on_a_thread},
};
use futures_lite::future;

#[test]
fn a_descriptor_that_is_left_is_noticed() {
    alone("a_descriptor_that_is_left_is_noticed", || {
        watched(|| {
            let witness = Witness::patient(Duration::ZERO);
            let left = TcpListener::bind("127.0.0.1:0").unwrap();
            let said = witness.left().unwrap();
            assert!(said.contains("descriptors") && said.contains("socket:"), "{said}");
            drop(left);
            witness.all_as_before();
        });
    });
}

#[test]
fn a_future_that_is_left_is_noticed() {
    alone("a_future_that_is_left_is_noticed", || {
        watched(|| {
            let witness = Witness::patient(Duration::ZERO);
            let left = counted(pending::<()>());
            let said = witness.left().unwrap();
            assert!(said.contains("futures"), "{said}");
            drop(left);
            witness.all_as_before();
        });
    });
}

#[test]
fn memory_that_is_left_is_noticed() {
    alone("memory_that_is_left_is_noticed", || {
        watched(|| {
            let witness = Witness::patient(Duration::ZERO);
            let left: Vec<_> = (0..1000).map(|_| Box::new([0_u8; 33])).collect();
            let said = witness.left().unwrap();
            assert!(said.contains("bytes"), "{said}");
            drop(left);
            witness.all_as_before();
        });
    });
}

#[test]
fn a_socket_that_the_selector_does_not_know_of_is_noticed() {
    alone("a_socket_that_the_selector_does_not_know_of_is_noticed", || {
        watched(|| {
            let witness = Witness::patient(Duration::ZERO);
            let selector = SelectorManager::new();
            let unknown = TcpListener::bind("127.0.0.1:0").unwrap();
            let said = witness.difference(&selector, 0).unwrap();
            assert!(said.contains("(0, 0) by its own, (1, 0) there"), "{said}");
            witness.agrees(&selector, 1);
            drop(unknown);
            witness.agrees(&selector, 0);
        });
    });
}

/// Checks on the way what every other test checks at its end.
#[test]
fn the_selectors_account_is_right_at_every_step() {
    alone("the_selectors_account_is_right_at_every_step", || {
        watched(|| {
            let witness = Witness::look();
            on_a_thread(|| account(&witness).unwrap());
            let witness = witness.again();
            on_a_thread(|| account(&witness).unwrap());
            witness.all_as_before();
        });
    });
}

fn account(witness: &Witness) -> Result<()> {
    const PEERS: usize = 5;
    let selector = SelectorManager::new();
    witness.agrees(&selector, 0);
    let server = future::block_on(selector.tcp().bind("127.0.0.1:0"))?;
    witness.agrees(&selector, 0);
    let mut peers: Vec<_> = (0..PEERS).map(|_| dial(server.port())).collect();
    witness.agrees(&selector, PEERS);
    let mut tasks = Vec::new();
    for _ in 0..PEERS {
        let mut it = selector.block_on(server.accept())?.connection()?;
        tasks.push(selector.spawn(counted(async move {
            it.output.write_all(&[b'x'; KIB]).await?;
            it.input.read_line().await.map(drop)
        })));
    }
    for peer in &mut peers {
        peer.read_exact(&mut [0; KIB]).unwrap();
    }
    assert_eq!(selector.stats().tasks, PEERS);
    assert_eq!(selector.stats().sockets, PEERS as u64 + 1);
    witness.agrees(&selector, PEERS);
    // One that ends by this side's doing, and the others by their peers'.
    let aborted = tasks.pop().unwrap();
    aborted.abort();
    assert!(future::block_on(aborted).is_err_and(|error| error.is_cancelled()));
    witness.agrees(&selector, PEERS);
    drop(peers);
    for task in tasks {
        future::block_on(task)?;
    }
    drop(server);
    witness.at_rest(&selector);
    future::block_on(selector.close());
    Ok(())
}
