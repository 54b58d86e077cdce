//! Calls that `tokio::select!` drops: none loses, doubles or reorders a byte.

use std::time::Duration;

use forebay::Result;
use forebay_testing::Random;

use crate::support::{in_each, pair};

#[test]
fn a_dropped_read_loses_nothing() {
    in_each("a_dropped_read_loses_nothing", async |selector| {
        const LINES: usize = 2000;
        let (near, mut far) = pair(selector).await?;
        let writing = tokio::spawn(async move {
            let mut near = near;
            let mut random = Random::new(7, 0);
            for number in 0..LINES {
                let line = format!("{number} {}\n", "x".repeat(random.below(300)));
                let (head, tail) = line.split_at(random.below(line.len()));
                near.output.write_str(head).await?;
                near.output.flush().await?;
                tokio::task::yield_now().await;
                near.output.write_str(tail).await?;
            }
            near.socket.close().await
        });
        let (mut dropped, mut number) = (0, 0);
        while number < LINES {
            tokio::select! {
                biased;
                line = far.input.read_line() => {
                    let line = line?.expect("a line");
                    assert_eq!(line.split(' ').next(), Some(number.to_string().as_str()));
                    number += 1;
                }
                () = tokio::task::yield_now() => dropped += 1,
            }
        }
        assert!(dropped > 0, "no call was dropped");
        assert_eq!(far.input.read_line().await?, None);
        writing.await.unwrap()
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    in_each("a_dropped_accept_loses_no_connection", async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let address = server.local_address();
        let connecting = {
            let selector = selector.clone();
            tokio::spawn(async move {
                let mut held = Vec::new();
                for _ in 0..200 {
                    held.push(selector.tcp().connect(&address).await?);
                    tokio::task::yield_now().await;
                }
                Result::Ok(held)
            })
        };
        let mut accepted = 0;
        while accepted < 200 {
            tokio::select! {
                biased;
                socket = server.accept() => { socket?; accepted += 1; }
                () = tokio::task::yield_now() => {}
            }
        }
        connecting.await.unwrap()?;
        Ok(())
    });
}

#[test]
fn a_timeout_of_either_kind_leaves_the_channel_whole() {
    in_each("a_timeout_of_either_kind_leaves_the_channel_whole", async |selector| {
        let (mut near, mut far) = pair(selector).await?;
        near.output.write_str("half").await?;
        let moment = Duration::from_millis(5);
        assert!(tokio::time::timeout(moment, far.input.read_line()).await.is_err());
        assert!(
            selector
                .timeout(moment, far.input.read_line())
                .await
                .is_err_and(|error| error.is_timeout())
        );
        assert!(selector.within(moment, far.input.read_line()).await.is_none());
        near.output.write_str(" a line\n").await?;
        assert_eq!(far.input.read_line().await?.as_deref(), Some("half a line"));
        Ok(())
    });
}
