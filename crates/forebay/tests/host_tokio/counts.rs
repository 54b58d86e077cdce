//! Descriptors, threads and many connections.

use std::sync::Arc;

use forebay::{Result, SelectorManager};
use forebay_testing::{alone, descriptors, watched, worker_threads};
use tokio::sync::Semaphore;

use crate::support::{Kind, current_thread, echo, in_each, multi_thread, used_pair};

/// A connection has one descriptor, and a guest a few for all its connections; all are given back.
#[test]
fn descriptors_are_counted() {
    alone("descriptors_are_counted", || {
        for kind in Kind::ALL {
            watched(move || {
                let runtime = kind.runtime();
                runtime.block_on(async {
                    // tokio opens some of its own with the first socket.
                    drop(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
                    let before = descriptors().len();
                    let selector = SelectorManager::new();
                    let own = descriptors().len() - before;
                    let mut held = Vec::new();
                    for _ in 0..50 {
                        held.push(used_pair(&selector).await.unwrap());
                    }
                    let open = descriptors().len() - before - own;
                    assert!((100..=105).contains(&open), "{open} for 100 ends, in {kind:?}");
                    for (near, far) in held.drain(..) {
                        near.socket.abort();
                        far.socket.abort();
                    }
                    assert!(descriptors().len() - before - own <= 5, "{kind:?}");
                    selector.close().await;
                    drop(selector);
                    // The tasks of the guest end in their next polls.
                    forebay_testing::until(|| descriptors().len() == before).await;
                    assert_eq!(worker_threads(), 0);
                });
            });
        }
    });
}

#[test]
fn a_thousand_connections_talk_at_once() {
    in_each("a_thousand_connections_talk_at_once", async |selector| {
        const CONNECTIONS: usize = 1000;
        let server = selector.tcp().backlog(4096).bind("127.0.0.1:0").await?;
        let address = server.local_address();
        let serving = tokio::spawn(async move {
            let mut echoing = Vec::new();
            for _ in 0..CONNECTIONS {
                let connection = server.accept().await?.connection()?;
                echoing.push(tokio::spawn(echo(connection)));
            }
            for echo in echoing {
                echo.await.unwrap()?;
            }
            Result::Ok(())
        });
        let all_are_there = Arc::new(Semaphore::new(0));
        let mut talking = Vec::new();
        for number in 0..CONNECTIONS {
            let mut near = selector.tcp().connect(&address).await?.connection()?;
            let all_are_there = Arc::clone(&all_are_there);
            talking.push(tokio::spawn(async move {
                let _permit = all_are_there.acquire().await.unwrap();
                for round in 0..5 {
                    let line = format!("{number} {round}");
                    near.output.write_str(&format!("{line}\n")).await?;
                    assert_eq!(near.input.read_line().await?, Some(line));
                }
                near.socket.close().await
            }));
        }
        all_are_there.add_permits(CONNECTIONS);
        for talk in talking {
            talk.await.unwrap()?;
        }
        serving.await.unwrap()
    });
}

/// Everything that the guests of former runtimes held is given back, also by a thread that went on with what was
/// left: a selector outlives many of them.
#[test]
fn a_selector_outlives_a_hundred_runtimes() {
    alone("a_selector_outlives_a_hundred_runtimes", || {
        watched(|| {
            // tokio keeps some of its own from the first runtime on.
            current_thread()
                .block_on(async { tokio::net::TcpListener::bind("[::1]:0").await.ok() });
            let before = descriptors().len();
            let selector = SelectorManager::new();
            let alone = descriptors().len();
            for round in 0..100 {
                let runtime = if round % 2 == 0 { current_thread() } else { multi_thread() };
                let task = {
                    let selector = selector.clone();
                    async move {
                        let (near, far) = used_pair(&selector).await?;
                        if round % 4 < 2 {
                            tokio::try_join!(near.socket.close(), far.socket.close())?;
                        }
                        // Otherwise both are dropped, and their closes may outlive the runtime.
                        Result::Ok(())
                    }
                };
                runtime.block_on(task).unwrap();
                drop(runtime);
                // A guest has three.
                forebay_testing::wait_for(|| descriptors().len() <= alone);
            }
            assert_eq!((selector.stats().sockets, selector.stats().timers), (0, 0));
            futures_lite::future::block_on(selector.close());
            drop(selector);
            forebay_testing::await_no_worker(before);
        });
    });
}
