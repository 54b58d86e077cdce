//! The connections of a listener as a stream.

use forebay::{Incoming, Result, SelectorManager};
use forebay_testing::{dial, listener, run};
use futures_lite::{Stream, StreamExt, future};

const CLIENTS: usize = 100;

fn is_an_unpinned_stream<S: Stream<Item = Result<forebay::Socket>> + Unpin>(stream: S) -> S {
    stream
}

/// By the inherent call and by the trait's, in turn: each connection comes once, in order.
#[test]
fn every_connection_comes_once() {
    run(async |selector| {
        let server = listener(&selector).await?;
        let mut incoming = is_an_unpinned_stream(server.incoming());
        let clients: Vec<_> = (0..CLIENTS).map(|_| dial(server.port())).collect();
        for (count, client) in clients.iter().enumerate() {
            let socket = if count % 2 == 0 {
                incoming.next().await
            } else {
                StreamExt::next(&mut incoming).await
            };
            let socket = socket.expect("the listener is open")?;
            assert_eq!(socket.remote_address(), client.local_addr().unwrap().into());
        }
        assert!(future::poll_once(incoming.next()).await.is_none());
        assert_eq!(selector.stats().accepted, CLIENTS as u64);
        Ok(())
    });
}

/// Waits for the end of the stream in a task, in either of two ways.
async fn ends_when(
    selector: &SelectorManager,
    incoming: Incoming,
    by_the_trait: bool,
    close: impl AsyncFnOnce(),
) -> Result<()> {
    let ended = selector.spawn_value(async move {
        let mut incoming = incoming;
        let served = if by_the_trait {
            (&mut incoming).filter_map(Result::ok).count().await
        } else {
            let mut served = 0;
            while let Some(socket) = incoming.next().await {
                drop(socket);
                served += 1;
            }
            served
        };
        // The end stays.
        assert!(incoming.next().await.is_none());
        assert!(StreamExt::next(&mut incoming).await.is_none());
        served
    });
    forebay_testing::until(|| selector.stats().accepted == 1).await;
    close().await;
    assert_eq!(ended.await?, 1);
    Ok(())
}

#[test]
fn it_ends_when_the_listener_is_closed() {
    for by_the_trait in [false, true] {
        run(async move |selector| {
            let server = listener(&selector).await?;
            let _client = dial(server.port());
            let incoming = server.incoming();
            ends_when(&selector, incoming, by_the_trait, async || server.close()).await
        });
    }
}

#[test]
fn it_ends_when_the_selector_is_closed() {
    for by_the_trait in [false, true] {
        run(async move |selector| {
            let server = listener(&selector).await?;
            let _client = dial(server.port());
            let incoming = server.incoming();
            ends_when(&selector, incoming, by_the_trait, async || selector.close().await).await
        });
    }
}

/// It is a handle: the listener lives as long as it does, and no longer.
#[test]
fn it_keeps_the_listener_open() {
    run(async |selector| {
        let server = listener(&selector).await?;
        let port = server.port();
        let mut incoming = server.incoming();
        drop(server);
        let _client = dial(port);
        let accepted = incoming.next().await.expect("the listener is open")?;
        assert_eq!(selector.stats().sockets, 2);
        drop(incoming);
        assert_eq!(selector.stats().sockets, 1);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        accepted.abort();
        Ok(())
    });
}

/// Streams and calls of one listener race for its connections, and each goes to one of them.
#[test]
fn several_share_a_listener() {
    run(async |selector| {
        let server = listener(&selector).await?;
        let accepting: Vec<_> = (0..4)
            .map(|_| {
                let incoming = server.incoming();
                selector.spawn_value(async move { incoming.filter_map(Result::ok).count().await })
            })
            .collect();
        let clients: Vec<_> = (0..CLIENTS).map(|_| dial(server.port())).collect();
        forebay_testing::until(|| selector.stats().accepted == CLIENTS as u64).await;
        server.close();
        let mut count = 0;
        for accepting in accepting {
            count += accepting.await?;
        }
        assert_eq!(count, clients.len());
        Ok(())
    });
}
