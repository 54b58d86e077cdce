//! Sockets on threads of smol's kind: async-io watches them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod out_of_descriptors;
mod peers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use async_io::block_on;
use forebay::{CloseReason, Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, alone, connection_and_peer, counted_alone, descriptors, read_to_end, reset, watched,
    worker_threads,
};
use futures_lite::future::{or, yield_now, zip};
use socket2::SockRef;

fn in_smol(test: impl AsyncFnOnce(&SelectorManager) -> Result<()> + Send + 'static) {
    watched(|| {
        block_on(async {
            let selector = SelectorManager::new();
            test(&selector).await.unwrap();
            selector.close().await;
            assert_eq!(selector.stats().sockets, 0);
        });
    });
}

async fn pair(selector: &SelectorManager) -> Result<(Connection, Connection)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let (near, far) = zip(selector.tcp().connect(server.local_address()), server.accept()).await;
    Ok((near?.connection()?, far?.connection()?))
}

/// A connection of which one end has been waited for.
async fn used_pair(selector: &SelectorManager) -> Result<(Connection, Connection)> {
    let (mut near, mut far) = pair(selector).await?;
    let telling = async {
        yield_now().await;
        near.output.write_str("one\n").await
    };
    let (line, told) = zip(far.input.read_line(), telling).await;
    assert_eq!(line?.as_deref(), Some("one"));
    told?;
    Ok((near, far))
}

/// Accepting, reading and writing need no thread of the selector's.
#[test]
fn no_worker_carries_bytes() {
    counted_alone("no_worker_carries_bytes", || {
        in_smol(async |selector| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let port = server.port();
            let client = thread::spawn(move || {
                thread::sleep(std::time::Duration::from_millis(20));
                let mut peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for round in 0..100 {
                    peer.write_all(format!("{round}\n").as_bytes()).unwrap();
                    let mut answer = vec![0; format!("{round}\n").len()];
                    peer.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, format!("{round}\n").as_bytes());
                }
            });
            let Connection { mut input, mut output, socket, .. } =
                server.accept().await?.connection()?;
            while let Some(line) = input.read_line().await? {
                output.write_str(&format!("{line}\n")).await?;
            }
            assert_eq!(worker_threads(), 0);
            client.join().unwrap();
            socket.close().await
        });
    });
}

#[test]
fn a_bulk_transfer_waits_in_both_directions() {
    in_smol(async |selector| {
        let (mut near, mut far) = pair(selector).await?;
        let all = vec![7; 20_000 * KIB];
        let sending = async {
            near.output.write_bytes(all.clone().into()).await?;
            near.output.finish().await
        };
        let (sent, received) = zip(sending, far.input.read_remaining(all.len())).await;
        sent?;
        assert_eq!(received?.len(), all.len());
        far.output.write_bytes(all.clone().into()).await?;
        let (sent, received) = zip(far.output.finish(), near.input.read_remaining(all.len())).await;
        sent?;
        assert_eq!(received?.len(), all.len());
        Ok(())
    });
}

#[test]
fn a_reset_ends_every_wait() {
    in_smol(async |selector| {
        let (near, peer) = connection_and_peer(selector).await?;
        let Connection { mut input, mut output, socket, .. } = near;
        let writing = async {
            loop {
                if let Err(error) = output.write_bytes(vec![0; 64 * KIB].into()).await {
                    return error;
                }
            }
        };
        let resetting = async {
            yield_now().await;
            reset(peer);
        };
        let waits = zip(zip(input.read_line(), writing), zip(socket.closed(), resetting));
        let ((read, written), (reason, ())) = waits.await;
        assert!(read.is_err_and(|error| error.is_reset()));
        assert!(written.is_reset(), "{written}");
        assert_eq!(reason, CloseReason::Reset);
        Ok(())
    });
}

#[test]
fn a_close_and_an_abort_from_another_thread_end_a_read() {
    for aborts in [false, true] {
        in_smol(async move |selector| {
            let (mut near, peer) = connection_and_peer(selector).await?;
            let socket = near.socket.clone();
            let ending = thread::spawn(move || {
                if aborts { socket.abort() } else { block_on(socket.close()).unwrap_or(()) }
            });
            let read = near.input.read_line().await;
            assert!(read.is_err_and(|error| error.is_closed()));
            drop(peer);
            ending.join().unwrap();
            Ok(())
        });
    }
}

#[test]
fn a_closing_selector_ends_every_wait() {
    watched(|| {
        let selector = SelectorManager::new();
        let (mut near, peer) = block_on(connection_and_peer(&selector)).unwrap();
        let server = block_on(selector.tcp().bind("127.0.0.1:0")).unwrap();
        let other = selector.clone();
        let closing = thread::spawn(move || block_on(other.close()));
        let (read, accepted) = block_on(zip(near.input.read_line(), server.accept()));
        assert!(read.is_err_and(|error| error.is_closed()));
        assert!(accepted.is_err_and(|error| error.is_closed()));
        drop(peer);
        drop(near);
        closing.join().unwrap();
    });
}

/// async-io reports readiness as it is at each wait, so a receive that stopped at the mark is followed by one
/// that finds the rest.
#[test]
fn bytes_behind_an_urgent_one_arrive() {
    in_smol(async |selector| {
        let (mut near, mut peer) = connection_and_peer(selector).await?;
        for round in 0..300 {
            write!(peer, "before {round}").unwrap();
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            writeln!(peer, "behind").unwrap();
            let line = near.input.read_line().await?;
            assert_eq!(line, Some(format!("before {round}behind")));
        }
        Ok(())
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    in_smol(async |selector| {
        let (mut near, mut far) = pair(selector).await?;
        let writing = async {
            for round in 0..1000 {
                near.output.write_str(&format!("{round}\n")).await?;
                yield_now().await;
            }
            near.output.finish().await
        };
        let reading = async {
            for round in 0..1000 {
                let line = loop {
                    let given_up = async {
                        yield_now().await;
                        None
                    };
                    let read = or(async { Some(far.input.read_line().await) }, given_up);
                    if let Some(line) = read.await {
                        break line?;
                    }
                };
                assert_eq!(line, Some(round.to_string()));
            }
            assert_eq!(far.input.read_line().await?, None);
            Result::Ok(())
        };
        let (written, read) = zip(writing, reading).await;
        written?;
        read
    });
}

/// A connection has one descriptor, and it is given back with it.
#[test]
fn descriptors_are_counted() {
    alone("descriptors_are_counted", || {
        in_smol(async |selector| {
            // async-io opens some of its own at the first wait.
            let first = used_pair(selector).await?;
            let before = descriptors().len();
            let mut held = Vec::new();
            for _ in 0..50 {
                held.push(used_pair(selector).await?);
            }
            assert_eq!(descriptors().len(), before + 100);
            for (near, far) in held {
                near.socket.abort();
                far.socket.abort();
            }
            assert_eq!(descriptors().len(), before);
            drop(first);
            Ok(())
        });
    });
}

/// Dropping every handle closes in the background, which is the work of a worker.
#[test]
fn a_dropped_connection_sends_what_was_written() {
    in_smol(async |selector| {
        let (mut near, mut peer) = connection_and_peer(selector).await?;
        near.output.write_bytes(vec![7; 5000 * KIB].into()).await?;
        drop(near);
        let (received, error) = read_to_end(&mut peer);
        assert_eq!((received.len(), error.map(|error| error.kind())), (5000 * KIB, None));
        Ok(())
    });
}
