//! Peers that do what is rare, while the reader is on another thread.

use std::io::Write;
use std::time::Duration;

use forebay::{Connection, Result};
use forebay_testing::{
    Random, connection_and_peer, other_handles_of_new_sockets, read_lines_beside_urgent_bytes,
    reset, send_lines_with_urgent_bytes, socket_descriptors, unix::abstract_name,
};
use rustix::net::{Shutdown, shutdown};
use tokio::task::spawn_blocking;

use crate::support::{in_each, pair};

/// The short receive clears the readiness; what is behind it must be noticed all the same.
#[test]
fn a_reset_behind_a_short_receive_is_noticed() {
    in_each("a_reset_behind_a_short_receive_is_noticed", async |selector| {
        for round in 0..200 {
            let (it, mut peer) = connection_and_peer(selector).await?;
            let mut input = it.input;
            let reading = tokio::spawn(async move {
                let first = input.read_u8().await;
                (first, input.read_u8().await)
            });
            if round % 2 == 0 {
                tokio::task::yield_now().await;
            }
            let resetting = spawn_blocking(move || {
                peer.write_all(b"x").unwrap();
                if round % 4 < 2 {
                    std::thread::yield_now();
                }
                reset(peer);
            });
            let (first, second) = reading.await.unwrap();
            resetting.await.unwrap();
            // The reset may overtake the byte.
            assert!(
                first.as_ref().is_ok_and(|byte| *byte == b'x')
                    || first.is_err_and(|error| error.is_reset())
            );
            assert!(second.is_err_and(|error| error.is_reset()));
        }
        Ok(())
    });
}

/// Marks at any place of a stream, in bursts, for a reader in a task of its own.
#[test]
fn urgent_bytes_anywhere_lose_nothing() {
    in_each("urgent_bytes_anywhere_lose_nothing", async |selector| {
        const LINES: usize = 2000;
        let (it, mut peer) = connection_and_peer(selector).await?;
        let mut input = it.input;
        let reading =
            tokio::spawn(async move { read_lines_beside_urgent_bytes(&mut input, LINES).await });
        let sending = spawn_blocking(move || {
            send_lines_with_urgent_bytes(&mut peer, LINES);
            peer
        });
        let _peer = sending.await.unwrap();
        reading.await.unwrap()
    });
}

/// On a Unix socket `accept` finds nothing forever behind it, and one event alone tells.
#[test]
fn a_listener_that_is_shut_down_elsewhere_ends_its_accepts() {
    in_each("a_listener_that_is_shut_down_elsewhere_ends_its_accepts", async |selector| {
        for round in 0..20 {
            let before = socket_descriptors();
            let server = if round % 4 < 2 {
                selector.unix().bind(abstract_name(&format!("host-tokio-{round}"))).await?
            } else {
                selector.tcp().bind("127.0.0.1:0").await?
            };
            let also = other_handles_of_new_sockets(&before);
            let accepting: Vec<_> = (0..3)
                .map(|_| {
                    let server = server.clone();
                    tokio::spawn(async move { server.accept().await.map(drop) })
                })
                .collect();
            if round % 2 == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(also.len(), 1);
            shutdown(&also[0], Shutdown::Read).unwrap();
            for accepting in accepting {
                let error = accepting.await.unwrap().unwrap_err();
                assert!(error.to_string().contains("shut down"), "{error}");
            }
            server.close();
        }
        Ok(())
    });
}

/// 1,000 reads are dropped at any time, by `select!` with timers of any length, on another thread than the writer.
#[test]
fn a_thousand_dropped_reads_lose_no_byte() {
    in_each("a_thousand_dropped_reads_lose_no_byte", async |selector| {
        const DROPS: usize = 1000;
        let (mut near, far) = pair(selector).await?;
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let reading = tokio::spawn(async move {
            let Connection { mut input, .. } = far;
            let mut random = Random::new(5, 1);
            let (mut dropped, mut next) = (0, 0_u64);
            while dropped < DROPS {
                let moment = Duration::from_micros(random.below(300) as u64);
                tokio::select! {
                    biased;
                    number = input.read_u64() => {
                        assert_eq!(number?, next);
                        next += 1;
                    }
                    () = tokio::time::sleep(moment), if random.below(2) == 0 => dropped += 1,
                    () = tokio::task::yield_now() => dropped += 1,
                }
            }
            stop.send(()).unwrap();
            while let Some(number) = input.read_u64().await.ok().filter(|number| *number == next) {
                assert_eq!(number, next);
                next += 1;
            }
            Result::Ok(next)
        });
        let mut random = Random::new(5, 0);
        let mut number = 0_u64;
        while stopped.try_recv().is_err() {
            for byte in number.to_be_bytes() {
                near.output.write_u8(byte).await?;
                if random.below(4) == 0 {
                    near.output.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            number += 1;
        }
        near.output.finish().await?;
        assert_eq!(reading.await.unwrap()?, number);
        near.socket.close().await
    });
}
