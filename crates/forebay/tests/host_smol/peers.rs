//! Peers that do what is rare, and many threads, selectors and hosts.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use async_io::block_on;
use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{
    KIB, MIB, Random, alone, await_no_worker, connection_and_peer, counted_alone, descriptors,
    drain, flood, other_handles_of_new_sockets, pattern, read_lines_beside_urgent_bytes, reset,
    send_lines_with_urgent_bytes, socket_descriptors, unix::abstract_name, wait_for, watched,
};
use futures_lite::future::{self, or, poll_once, yield_now, zip};
use rustix::net::shutdown;

use crate::{in_smol, pair, used_pair};

/// Lets async-io open what it keeps, so that descriptors can be counted.
fn warmed_up() {
    block_on(async_io::Timer::after(Duration::from_millis(1)));
}

#[test]
fn a_reset_behind_a_short_receive_is_noticed() {
    in_smol(async |selector| {
        for round in 0..200 {
            let (it, mut peer) = connection_and_peer(selector).await?;
            let mut input = it.input;
            let reading = thread::spawn(move || {
                block_on(async { (input.read_u8().await, input.read_u8().await) })
            });
            if round % 2 == 0 {
                thread::yield_now();
            }
            peer.write_all(b"x").unwrap();
            reset(peer);
            let (first, second) = reading.join().unwrap();
            assert!(first.is_ok_and(|byte| byte == b'x') || second.is_err());
            assert!(second.is_err_and(|error| error.is_reset()));
        }
        Ok(())
    });
}

#[test]
fn urgent_bytes_anywhere_lose_nothing() {
    in_smol(async |selector| {
        const LINES: usize = 2000;
        let (it, mut peer) = connection_and_peer(selector).await?;
        let mut input = it.input;
        let reading = thread::spawn(move || {
            future::block_on(read_lines_beside_urgent_bytes(&mut input, LINES))
        });
        send_lines_with_urgent_bytes(&mut peer, LINES);
        reading.join().unwrap()
    });
}

#[test]
fn a_listener_that_is_shut_down_elsewhere_ends_its_accepts() {
    alone("a_listener_that_is_shut_down_elsewhere_ends_its_accepts", || {
        in_smol(async |selector| {
            for round in 0..20 {
                let before = socket_descriptors();
                let server = if round % 4 < 2 {
                    selector.unix().bind(abstract_name(&format!("host-smol-{round}"))).await?
                } else {
                    selector.tcp().bind("127.0.0.1:0").await?
                };
                let also = other_handles_of_new_sockets(&before);
                assert_eq!(also.len(), 1);
                let accepting: Vec<_> = (0..3)
                    .map(|_| {
                        let server = server.clone();
                        thread::spawn(move || block_on(async { server.accept().await.map(drop) }))
                    })
                    .collect();
                if round % 2 == 0 {
                    thread::yield_now();
                }
                shutdown(&also[0], rustix::net::Shutdown::Read).unwrap();
                for accepting in accepting {
                    let error = accepting.join().unwrap().unwrap_err();
                    assert!(error.to_string().contains("shut down"), "{error}");
                }
                server.close();
            }
            Ok(())
        });
    });
}

/// In one executor without turns: the other future of the same task goes on.
#[test]
fn a_read_or_write_that_never_waits_starves_nothing() {
    in_smol(async |selector| {
        for writes in [false, true] {
            let (it, peer) = connection_and_peer(selector).await?;
            let Connection { mut input, mut output, socket, .. } = it;
            let moving = if writes { drain(peer) } else { flood(peer) };
            let piece = vec![7; 8 * KIB];
            let busy = async {
                loop {
                    if writes {
                        output.write_all(&piece).await.unwrap();
                    } else {
                        input.read_chunk().await.unwrap();
                    }
                }
            };
            let timer = async {
                async_io::Timer::after(Duration::from_millis(20)).await;
                selector.sleep(Duration::from_millis(20)).await;
            };
            or(busy, timer).await;
            socket.abort();
            moving.join().unwrap();
        }
        Ok(())
    });
}

/// The halves are on two threads, of which one blocks by another executor than async-io's.
#[test]
fn the_halves_of_a_connection_are_on_two_threads() {
    in_smol(async |selector| {
        let (near, far) = pair(selector).await?;
        let echoing = thread::spawn(move || {
            future::block_on(async {
                let Connection { mut input, mut output, socket, .. } = far;
                while let Some(chunk) = input.read_chunk().await? {
                    output.write_bytes(chunk).await?;
                }
                output.finish().await?;
                socket.close().await
            })
        });
        let sent = pattern(5 * MIB);
        let Connection { mut input, mut output, socket, .. } = near;
        let all = sent.len();
        let reading = thread::spawn(move || block_on(async { input.read_remaining(all).await }));
        output.write_all(&sent).await?;
        output.finish().await?;
        assert!(reading.join().unwrap()?.as_slice() == sent);
        echoing.join().unwrap()?;
        socket.close().await
    });
}

#[test]
fn a_hundred_selectors_leave_nothing() {
    counted_alone("a_hundred_selectors_leave_nothing", || {
        warmed_up();
        let before = descriptors().len();
        watched(|| {
            block_on(async {
                let selectors: Vec<_> = (0..100).map(|_| SelectorManager::new()).collect();
                let mut pairs = Vec::new();
                for selector in &selectors {
                    pairs.push(used_pair(selector).await.unwrap());
                }
                for (near, far) in &mut pairs {
                    let (told, heard) =
                        zip(near.output.write_str("hello\n"), far.input.read_line()).await;
                    told.unwrap();
                    assert_eq!(heard.unwrap().as_deref(), Some("hello"));
                }
                drop(pairs);
                for (number, selector) in selectors.into_iter().enumerate() {
                    if number % 2 == 0 {
                        selector.close().await;
                    }
                }
            });
        });
        await_no_worker(before);
    });
}

/// A thread closes, aborts or drops while two others wait for the halves.
#[test]
fn waits_end_beside_closes_aborts_and_drops() {
    counted_alone("waits_end_beside_closes_aborts_and_drops", || {
        warmed_up();
        let before = descriptors().len();
        for round in 0..100 {
            in_smol(async move |selector| {
                let (it, peer) = connection_and_peer(selector).await?;
                let Connection { mut input, mut output, socket, .. } = it;
                let is_aborted = round % 3 == 0;
                let reading = thread::spawn(move || block_on(async { input.read_u8().await }));
                let writing = thread::spawn(move || {
                    future::block_on(async {
                        while output.write_all(&vec![0; 100 * KIB]).await.is_ok() {}
                    });
                });
                let drained = drain(peer);
                if is_aborted {
                    socket.abort();
                } else {
                    socket.close().await?;
                }
                assert!(reading.join().unwrap().is_err_and(|error| error.is_closed()));
                writing.join().unwrap();
                drained.join().unwrap();
                Ok(())
            });
        }
        await_no_worker(before);
    });
}

#[test]
fn a_child_gets_no_descriptor() {
    alone("a_child_gets_no_descriptor", || {
        in_smol(async |selector| {
            let (near, mut far) = used_pair(selector).await?;
            assert!(poll_once(far.input.read_u8()).await.is_none());
            let mut list = Command::new("ls");
            list.args(["-l", "/proc/self/fd"]).stdin(Stdio::null()).stderr(Stdio::null());
            let listed = String::from_utf8(list.output().unwrap().stdout).unwrap();
            for kind in ["socket:", "eventpoll", "eventfd", "timerfd"] {
                assert!(!listed.contains(kind), "a child has: {listed}");
            }
            near.socket.abort();
            Ok(())
        });
    });
}

/// Nothing that is accepted is lost where the executor that polled is gone: there is nothing that ends.
#[test]
fn what_is_queued_arrives_without_an_executor() {
    watched(|| {
        let selector = SelectorManager::new();
        let (mut it, mut peer) = block_on(connection_and_peer(&selector)).unwrap();
        let sent = pattern(16 * MIB);
        block_on(it.output.write_bytes(sent.clone().into())).unwrap();
        let mut received = vec![0; sent.len()];
        peer.read_exact(&mut received).unwrap();
        assert!(received == sent);
        it.socket.abort();
        wait_for(|| selector.stats().sockets == 0);
    });
}

/// A thousand reads are dropped while bytes come.
#[test]
fn a_thousand_dropped_reads_lose_no_byte() {
    in_smol(async |selector| {
        let (near, far) = pair(selector).await?;
        let (stop, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_over, drops) = (Arc::clone(&stop), Arc::clone(&dropped));
        let reading = thread::spawn(move || {
            block_on(async {
                let mut input = far.input;
                let (mut random, mut next) = (Random::new(5, 1), 0_u64);
                while drops.load(SeqCst) < 1000 {
                    let patience = random.below(4);
                    let give_up = async {
                        for _ in 0..patience {
                            yield_now().await;
                        }
                        None
                    };
                    match or(async { Some(input.read_u64().await) }, give_up).await {
                        Some(number) => {
                            assert_eq!(number?, next);
                            next += 1;
                        }
                        None => drop(drops.fetch_add(1, SeqCst)),
                    }
                }
                is_over.store(true, SeqCst);
                while let Ok(number) = input.read_u64().await {
                    assert_eq!(number, next);
                    next += 1;
                }
                Result::Ok(next)
            })
        });
        let Connection { mut output, socket, .. } = near;
        let mut number = 0_u64;
        while !stop.load(SeqCst) {
            for byte in number.to_be_bytes() {
                output.write_u8(byte).await?;
                output.flush().await?;
            }
            number += 1;
        }
        output.finish().await?;
        assert_eq!(reading.join().unwrap()?, number);
        socket.close().await
    });
}
