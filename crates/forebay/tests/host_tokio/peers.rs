//! Peers that do what is rare, while the reader is on another thread.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{Random, descriptors, dial, reset, unix::abstract_name};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::SockRef;
use tokio::task::spawn_blocking;

use crate::support::{in_each, pair};

async fn to_std(selector: &SelectorManager) -> Result<(Connection, TcpStream)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let peer = dial(server.port());
    Ok((server.accept().await?.connection()?, peer))
}

/// The short receive clears the readiness; what is behind it must be noticed all the same.
#[test]
fn a_reset_behind_a_short_receive_is_noticed() {
    in_each("a_reset_behind_a_short_receive_is_noticed", async |selector| {
        for round in 0..200 {
            let (it, mut peer) = to_std(selector).await?;
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
        let (it, mut peer) = to_std(selector).await?;
        let mut input = it.input;
        let reading = tokio::spawn(async move {
            for number in 0..LINES {
                // An urgent byte that another one follows too soon is an ordinary one (`tcp(7)`).
                let line = input.read_line().await?.map(|line| line.replace('!', ""));
                assert_eq!(line, Some(format!("line {number}")));
            }
            assert_eq!(input.read_line().await?, None);
            Result::Ok(())
        });
        let writing = spawn_blocking(move || {
            let mut random = Random::new(11, 0);
            for number in 0..LINES {
                let line = format!("line {number}\n");
                let (head, tail) = line.split_at(random.below(line.len() + 1));
                peer.write_all(head.as_bytes()).unwrap();
                if random.below(3) == 0 {
                    SockRef::from(&peer).send_out_of_band(b"!").unwrap();
                }
                peer.write_all(tail.as_bytes()).unwrap();
                if random.below(20) == 0 {
                    std::thread::yield_now();
                }
            }
            peer
        });
        let peer = writing.await.unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        reading.await.unwrap()
    });
}

/// Another handle of the socket that came to be since.
fn other_handle(before: &[(String, String)]) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let is_new = |it: &&(String, String)| it.1.starts_with("socket:") && !before.contains(it);
    let now = descriptors();
    let (number, _) = now.iter().find(is_new).unwrap();
    pidfd_getfd(&this, number.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap()
}

/// On a Unix socket `accept` finds nothing forever behind it, and one event alone tells.
#[test]
fn a_listener_that_is_shut_down_elsewhere_ends_its_accepts() {
    in_each("a_listener_that_is_shut_down_elsewhere_ends_its_accepts", async |selector| {
        for round in 0..20 {
            let before = descriptors();
            let server = if round % 4 < 2 {
                selector.unix().bind(abstract_name(&format!("host-tokio-{round}"))).await?
            } else {
                selector.tcp().bind("127.0.0.1:0").await?
            };
            let also = other_handle(&before);
            let accepting: Vec<_> = (0..3)
                .map(|_| {
                    let server = server.clone();
                    tokio::spawn(async move { server.accept().await.map(drop) })
                })
                .collect();
            if round % 2 == 0 {
                tokio::task::yield_now().await;
            }
            shutdown(&also, Shutdown::Read).unwrap();
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
