//! Descriptors that are no sockets of ours, and signals.

use std::io::{Read, Write, pipe};

use forebay::{ErrorKind, Interest, SignalKind};

use crate::support::in_each;

/// The wait is nested once more than on a worker: in the guest's poll, which tokio watches.
#[test]
fn any_descriptor_is_awaited() {
    in_each("any_descriptor_is_awaited", async |selector| {
        let (mut reader, mut writer) = pipe()?;
        for _ in 0..100 {
            let mut ready = Box::pin(selector.ready(&reader, Interest::READABLE));
            assert!(futures_lite::future::poll_once(&mut ready).await.is_none());
            writer.write_all(b".")?;
            assert!(ready.await?.is_readable());
            reader.read_exact(&mut [0])?;
        }
        Ok(())
    });
}

/// Linux counts the ways from a descriptor through nested polls; the error names the number.
#[test]
fn more_waits_for_one_descriptor_than_linux_allows_are_refused_by_name() {
    in_each(
        "more_waits_for_one_descriptor_than_linux_allows_are_refused_by_name",
        async |selector| {
            let (reader, _writer) = pipe()?;
            let mut held = Vec::new();
            let refused = loop {
                let mut ready = Box::pin(selector.ready(&reader, Interest::READABLE));
                match futures_lite::future::poll_once(&mut ready).await {
                    None => held.push(ready),
                    Some(done) => break done.unwrap_err(),
                }
                assert!(held.len() < 2000, "there is no limit any more");
            };
            assert_eq!(refused.kind(), ErrorKind::Exhausted, "{refused}");
            assert!(held.len() >= 90, "{} waits", held.len());
            Ok(())
        },
    );
}

/// A signal is watched by the selector's first worker, whatever host its waits have.
#[test]
fn a_signal_arrives_in_the_runtime() {
    forebay_testing::alone("a_signal_arrives_in_the_runtime", || {
        forebay_testing::watched(|| {
            let selector = forebay::SelectorManager::new();
            crate::support::multi_thread().block_on(async {
                let mut signals = selector.signal(SignalKind::User1).unwrap();
                let waiting = tokio::spawn(async move { signals.next().await });
                tokio::task::yield_now().await;
                signal_hook::low_level::raise(signal_hook::consts::SIGUSR1).unwrap();
                waiting.await.unwrap().unwrap();
                selector.close().await;
            });
        });
    });
}
