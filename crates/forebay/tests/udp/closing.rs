//! A close ends every call, and leaves nothing.

use forebay::{ErrorKind, SelectorManager};
use forebay_testing::{counted_alone, run, socket_descriptors, until};
use futures_lite::future::{block_on, poll_once};

#[test]
fn a_close_ends_what_waits() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let local = socket.local_address();
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let socket = socket.clone();
                selector.spawn_value(async move { socket.receive().await })
            })
            .collect();
        let closed = selector.spawn_value({
            let socket = socket.clone();
            async move { socket.closed().await }
        });
        forebay::yield_now().await;
        socket.close();
        for waiting in waiting {
            let error = waiting.await?.unwrap_err();
            assert!(error.is_closed(), "{error}");
            assert!(error.to_string().contains(&local.to_string()), "{error}");
        }
        closed.await?;
        for error in [
            socket.send("late", local).await.unwrap_err(),
            socket.try_send("late", local).unwrap_err(),
            socket.try_receive().unwrap_err(),
            socket.dropped_datagrams().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
        assert!(socket.is_closed());
        Ok(())
    });
}

#[test]
fn a_closing_selector_ends_a_receive_and_the_wait_for_the_end() {
    let selector = SelectorManager::new();
    let socket = block_on(selector.udp().bind("127.0.0.1:0")).unwrap();
    let waiting = std::thread::spawn({
        let socket = socket.clone();
        move || block_on(socket.receive())
    });
    block_on(selector.close());
    assert!(waiting.join().unwrap().unwrap_err().is_closed());
    block_on(socket.closed());
    let error = block_on(selector.udp().bind("127.0.0.1:0")).unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[test]
fn the_last_handle_closes() {
    counted_alone("the_last_handle_closes", || {
        run(async |selector| {
            let before = socket_descriptors().len();
            let socket = selector.udp().bind("127.0.0.1:0").await?;
            let mut incoming = socket.incoming();
            assert!(poll_once(incoming.next()).await.is_none());
            assert_eq!(socket_descriptors().len(), before + 1);
            drop(socket);
            assert_eq!(socket_descriptors().len(), before + 1);
            drop(incoming);
            until(|| socket_descriptors().len() == before).await;
            assert_eq!(selector.stats().sockets, 0);
            Ok(())
        });
    });
}

/// A dropped receive takes nothing with it.
#[test]
fn a_dropped_receive_loses_nothing() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        for number in 0..200_u8 {
            assert!(poll_once(socket.receive()).await.is_none());
            socket.send([number], socket.local_address()).await?;
            // May have arrived already, or not.
            let received = match poll_once(socket.receive()).await {
                Some(received) => received?,
                None => socket.receive().await?,
            };
            assert_eq!(received.payload, [number][..]);
        }
        Ok(())
    });
}
