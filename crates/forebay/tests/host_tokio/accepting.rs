//! Listeners: several tasks accept from one.

use std::net::TcpStream;

use forebay::Result;

use crate::support::in_each;

const TASKS: usize = 4;
const EACH: usize = 25;

/// Every task gets its share: a wake-up of one that has gone is passed on.
#[test]
fn several_tasks_accept_from_one_listener() {
    in_each("several_tasks_accept_from_one_listener", async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let port = server.local_address().port().unwrap();
        let accepting: Vec<_> = (0..TASKS)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        server.accept().await?;
                    }
                    Result::Ok(())
                })
            })
            .collect();
        let abandoned = {
            let server = server.clone();
            tokio::spawn(async move { server.accept().await.map(drop) })
        };
        tokio::task::yield_now().await;
        abandoned.abort();
        abandoned.await.ok();
        let dialling = tokio::task::spawn_blocking(move || {
            let dial = |_| TcpStream::connect(("127.0.0.1", port)).unwrap();
            (0..TASKS * EACH).map(dial).collect::<Vec<_>>()
        });
        for task in accepting {
            task.await.unwrap()?;
        }
        drop(dialling.await.unwrap());
        Ok(())
    });
}

#[test]
fn closing_a_listener_ends_every_accept() {
    in_each("closing_a_listener_ends_every_accept", async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let accepting: Vec<_> = (0..TASKS)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { server.accept().await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        server.close();
        for task in accepting {
            assert!(task.await.unwrap().is_err_and(|error| error.is_closed()));
        }
        Ok(())
    });
}
