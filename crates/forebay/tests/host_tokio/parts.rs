//! Runtimes that were built without I/O, or without time: they count as none.

use forebay::{Result, SelectorManager};
use forebay_testing::{alone, watched, worker_threads};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

use crate::support::{echo, pair};

fn runtimes() -> Vec<(&'static str, Runtime)> {
    vec![
        ("nothing", Builder::new_current_thread().build().unwrap()),
        ("time", Builder::new_current_thread().enable_time().build().unwrap()),
        ("I/O", Builder::new_current_thread().enable_io().build().unwrap()),
        ("nothing, threads", Builder::new_multi_thread().worker_threads(2).build().unwrap()),
    ]
}

#[test]
fn a_runtime_without_io_or_time_counts_as_none() {
    alone("a_runtime_without_io_or_time_counts_as_none", || {
        for (parts, runtime) in runtimes() {
            watched(move || {
                let selector = SelectorManager::new();
                let talked: Result<()> = runtime.block_on(async {
                    let (mut near, far) = pair(&selector).await?;
                    let echoing = tokio::spawn(echo(far));
                    near.output.write_str("hello\n").await?;
                    assert_eq!(near.input.read_line().await?.as_deref(), Some("hello"));
                    selector.sleep(Duration::from_millis(1)).await;
                    near.socket.close().await?;
                    echoing.await.unwrap()
                });
                talked.unwrap_or_else(|error| panic!("with {parts}: {error}"));
                assert!(worker_threads() > 0, "with {parts}");
            });
        }
    });
}
