//! A turn's writes to many connections leave in batches, while what was written is still in the caches.

use std::io::Read;

use forebay::Result;
use forebay_testing::{pair, run_on_one_worker};

/// A task writes to 40 connections in one poll, and the next one of the same turn looks what has been sent.
#[test]
fn many_connections_are_flushed_when_the_poll_ends() {
    run_on_one_worker(async |selector| {
        for (count, sent) in [(31, 0), (40, 40)] {
            let mut peers = Vec::new();
            let mut connections = Vec::new();
            for _ in 0..count {
                let (socket, peer) = pair(&selector).await?;
                connections.push(socket.connection()?);
                peers.push(peer);
            }
            let before = selector.stats().sends;
            let writing = selector.spawn_value(async move {
                for connection in &mut connections {
                    connection.output.write_str("1").await?;
                    connection.output.write_str("2").await?;
                }
                Result::Ok(connections)
            });
            let observer = selector.clone();
            let looked = selector.spawn_value(async move { observer.stats().sends });
            assert_eq!(looked.await? - before, sent, "of {count}");

            let written = writing.await??;
            for peer in &mut peers {
                let mut two = [0; 2];
                peer.read_exact(&mut two).unwrap();
                assert_eq!(&two, b"12");
            }
            assert_eq!(selector.stats().sends - before, count);
            drop(written);
        }
        Ok(())
    });
}
