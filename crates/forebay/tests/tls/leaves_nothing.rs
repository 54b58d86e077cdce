//! Whatever becomes of a handshake, nothing of it is left: no descriptor, no task, no timer, no memory.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind as IoKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{
    CloseReason, Error, ErrorKind, Result, SelectorManager, ServerSocket, TlsConfig, Trust,
};
use forebay_testing::{
    DRAIN_TIMEOUT, MOMENT, await_no_worker, connection_between, counted_alone, descriptors, dial,
    just_before, just_before_silence, lock, other_end, past_silence, read_to_end, settle,
    tls::{Configs, secure_pair},
    until, until_at_rest, wait_for, watched, with_clock, with_clock_on_a_worker,
};
use futures_lite::future::{poll_once, yield_now, zip};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The beginning of a record of 512 bytes with a `ClientHello` in it.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

fn by_a_clock(
    test: impl AsyncFnOnce(SelectorManager, TestClock, Configs) -> Result<()> + Send + 'static,
) {
    with_clock(async move |selector, clock| test(selector, clock, Configs::new()).await);
}

async fn listener(selector: &SelectorManager, configs: &Configs) -> Result<ServerSocket> {
    selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)
}

/// Only the listener is left.
async fn assert_released(selector: &SelectorManager) {
    until(|| {
        let it = selector.stats();
        (it.tasks, it.sockets, it.timers, it.background_closes, it.blocks) == (0, 1, 0, 0, 0)
    })
    .await;
}

fn assert_reset(peer: &mut TcpStream) {
    let (received, end) = read_to_end(peer);
    assert_eq!((received.len(), end.map(|it| it.kind())), (0, Some(IoKind::ConnectionReset)));
}

/// Bytes that have arrived at our end and that we have not received.
fn unread_by_us(peer: &TcpStream) -> usize {
    other_end(peer).map_or(0, |it| it.unread)
}

// ---- before and in the handshake ------------------------------------------------------------------

#[test]
fn a_connection_dropped_before_its_first_use_has_begun_nothing() {
    by_a_clock(async |selector, _, configs| {
        let server = listener(&selector, &configs).await?;
        let mut peer = dial(server.port());
        let socket = server.accept().await?;
        settle().await;
        let stats = selector.stats();
        assert_eq!((stats.tasks, stats.timers, stats.blocks), (0, 0, 0));
        drop(socket);
        let (received, end) = read_to_end(&mut peer);
        assert!(received.is_empty() && end.is_none());
        drop(peer);
        assert_released(&selector).await;
        Ok(())
    });
}

#[test]
fn a_silent_peer_is_reset_at_the_handshake_timeout() {
    for said in [&b""[..], HALF_A_HELLO] {
        by_a_clock(async move |selector, clock, configs| {
            let server = listener(&selector, &configs).await?;
            let mut peer = dial(server.port());
            peer.write_all(said).unwrap();
            let socket = server.accept().await?;
            let mut input = socket.open_read_channel()?;
            settle().await;
            clock.advance(just_before(HANDSHAKE_TIMEOUT));
            assert!(poll_once(input.read_u8()).await.is_none());
            clock.advance(MOMENT);
            let error = input.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(error.to_string().contains("handshake_timeout"), "{error}");
            assert_eq!(socket.handshake().await.unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(socket.closed().await, CloseReason::Failed);
            assert_reset(&mut peer);
            assert_eq!(selector.stats().sockets, 1, "only the listener has a descriptor");
            drop((input, socket));
            assert_released(&selector).await;
            Ok(())
        });
    }
}

#[test]
fn a_handshake_that_is_refused_leaves_nothing() {
    by_a_clock(async |selector, _, configs| {
        let server = listener(&selector, &configs).await?;
        let stranger = Configs::new();
        for _ in 0..20 {
            let connecting = async {
                let plain = selector.tcp().connect(server.local_address()).await?;
                plain.tls(&stranger.client).await
            };
            let accepting = async { server.accept().await?.handshake().await };
            let (connected, accepted) = zip(connecting, accepting).await;
            assert!(connected.is_err() && accepted.is_err());
        }
        assert_released(&selector).await;
        Ok(())
    });
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Close,
    Abort,
    Drop,
    /// More of the handshake has arrived, and was not read.
    DropWithInput,
}

/// The other side of the handshake never comes.
#[test]
fn a_handshake_that_is_given_up_leaves_nothing() {
    for way in [Way::Close, Way::Abort, Way::Drop, Way::DropWithInput] {
        // By a worker in any case: input stays unread while this thread waits for it.
        with_clock_on_a_worker(async move |selector, _| {
            let configs = Configs::new();
            let server = listener(&selector, &configs).await?;
            let mut peer = dial(server.port());
            peer.write_all(HALF_A_HELLO).unwrap();
            let socket = server.accept().await?;
            let mut input = socket.open_read_channel()?;
            assert!(poll_once(input.read_u8()).await.is_none());
            settle().await;
            assert_eq!(unread_by_us(&peer), 0, "{way:?}");
            match way {
                Way::Close => drop(socket.close().await),
                Way::Abort => socket.abort(),
                Way::Drop => {}
                Way::DropWithInput => {
                    peer.write_all(b"more of it").unwrap();
                    // The worker does not run meanwhile, so it stays unread.
                    wait_for(|| unread_by_us(&peer) > 0);
                }
            }
            if matches!(way, Way::Close | Way::Abort) {
                let error = input.read_u8().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Closed, "{way:?}: {error}");
                assert_eq!(socket.closed().await, CloseReason::Local, "{way:?}");
            }
            drop((input, socket));
            assert_reset(&mut peer);
            assert_released(&selector).await;
            Ok(())
        });
    }
}

/// The handshake is done, and the peer has said something that stays unread: it is still the kernel's,
/// or our session has opened it. The peer is told of an end all the same, and not of a reset.
#[test]
fn a_connection_that_is_dropped_with_input_leaves_nothing() {
    for is_opened in [false, true] {
        by_a_clock(async move |selector, _, configs| {
            let (mut near, mut far) = secure_pair(&selector, &configs).await?;
            if is_opened {
                // In one piece, whichever thread writes.
                near.output.manual_flush();
                near.output.write_str("read\n").await?;
                near.output.write_str("never read\n").await?;
                near.output.flush().await?;
                assert_eq!(far.input.read_line().await?.as_deref(), Some("read"));
                assert_eq!(far.input.buffered(), "never read\n".len());
            } else {
                near.output.write_str("never read\n").await?;
                near.output.flush().await?;
                let (from, to) = (near.socket.local_address(), near.socket.remote_address());
                let (from, to) = (from.as_inet().unwrap(), to.as_inet().unwrap());
                wait_for(|| connection_between(to, from).is_some_and(|it| it.unread > 0));
                assert_eq!(far.input.buffered(), 0);
            }
            drop(far);
            assert_eq!(near.input.read_line().await?, None);
            drop(near);
            until_at_rest(&selector, 0).await;
            let stats = selector.stats();
            assert_eq!((stats.timers, stats.unacknowledged), (0, 0));
            Ok(())
        });
    }
}

#[test]
fn a_clone_that_closes_ends_the_handshake_of_another() {
    by_a_clock(async |selector, _, configs| {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = selector.tcp().connect(silent.local_addr().unwrap()).await?;
        let also = socket.clone();
        let closing = async {
            yield_now().await;
            also.close().await
        };
        let (outcome, _) = zip(socket.tls(&configs.client), closing).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Closed);
        drop((socket, also));
        until_at_rest(&selector, 0).await;
        assert_eq!(selector.stats().timers, 0);
        Ok(())
    });
}

// ---- the selector ---------------------------------------------------------------------------------

#[test]
fn a_selector_closes_in_the_middle_of_handshakes_and_of_transfers() {
    counted_alone("a_selector_closes_in_the_middle_of_handshakes_and_of_transfers", || {
        let before = descriptors().len();
        let selector = SelectorManager::builder().drain(Duration::ZERO, 0).build().unwrap();
        let configs = Configs::new();
        let ends = selector.block_on(async {
            let server = listener(&selector, &configs).await?;
            let mut peers = Vec::new();
            let mut ends = Vec::new();
            for at in 0..20 {
                let mut peer = dial(server.port());
                if at % 2 == 0 {
                    peer.write_all(HALF_A_HELLO).unwrap();
                }
                let socket = server.accept().await?;
                ends.push(selector.spawn_value(async move { socket.handshake().await.err() }));
                peers.push(peer);
            }
            for _ in 0..5 {
                let (mut near, mut far) = secure_pair(&selector, &configs).await?;
                ends.push(selector.spawn_value(async move {
                    let data = vec![7; 1 << 20];
                    loop {
                        if let Err(error) = near.output.write_all(&data).await {
                            return Some(error);
                        }
                    }
                }));
                ends.push(
                    selector.spawn_value(async move { far.input.discard(u64::MAX).await.err() }),
                );
            }
            settle().await;
            selector.close().await;
            drop(peers);
            Result::Ok(ends)
        });
        for end in ends.unwrap() {
            // Aborted with its selector, or told.
            let told = futures_lite::future::block_on(end);
            let error = told.ok().map(|told| told.expect("nothing has come to its end"));
            // The other end, which the selector closes as well, may be the first to go.
            let is_expected = |error: &Error| error.is_closed() || error.is_reset();
            assert!(error.as_ref().is_none_or(is_expected), "{error:?}");
        }
        let stats = selector.stats();
        assert_eq!((stats.sockets, stats.tasks, stats.timers, stats.blocks), (0, 0, 0, 0));
        drop(selector);
        // A worker's thread may need a moment more than the close.
        await_no_worker(before);
    });
}

#[test]
fn a_close_in_the_handshake_waits_for_what_was_written_and_not_for_ever() {
    by_a_clock(async |selector, clock, configs| {
        let server = listener(&selector, &configs).await?;
        let mut peer = dial(server.port());
        let socket = server.accept().await?;
        let mut output = socket.open_write_channel()?;
        output.write_str("whom nobody hears\n").await?;
        let closing = selector.spawn(async move { socket.close().await });
        until(|| selector.stats().background_closes == 1).await;
        just_before_silence(&clock, DRAIN_TIMEOUT).await;
        assert!(!closing.is_finished());
        past_silence(&clock);
        assert_eq!(closing.await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_reset(&mut peer);
        drop(output);
        assert_released(&selector).await;
        Ok(())
    });
}

// ---- panics ---------------------------------------------------------------------------------------

#[test]
fn a_handler_that_panics_resets_both_directions_and_nobody_else() {
    watched(|| {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let tell = Arc::clone(&told);
        // The panic prints where it was raised, which takes a second on a busy machine.
        let builder = SelectorManager::builder()
            .blocked_after(None)
            .on_task_error(move |error| lock(&tell).push(error.to_string()));
        builder
            .run(async |selector| {
                let configs = Configs::new();
                let (mut other, mut others_far) = secure_pair(&selector, &configs).await?;
                let (mut near, mut far) = secure_pair(&selector, &configs).await?;
                selector
                    .spawn(async move {
                        far.output.write_str("half of an ans").await?;
                        let _line = far.input.read_line().await?;
                        panic!("in the middle of an answer");
                    })
                    .detach();
                near.output.write_str("go\n").await?;
                let error = near.input.read_remaining(1 << 20).await.unwrap_err();
                assert!(error.is_reset(), "it must not pass for a whole answer: {error}");
                until(|| near.socket.is_closed()).await;
                other.output.write_str("still here\n").await?;
                assert_eq!(others_far.input.read_line().await?.as_deref(), Some("still here"));
                Result::Ok(())
            })
            .unwrap();
        let told = lock(&told);
        assert_eq!(told.len(), 1, "{told:?}");
    });
}

/// The verifier runs in the task that makes the handshake: the client's own, or for what a listener
/// secures, one of the selector's.
#[test]
fn a_verifier_that_panics_ends_its_handshake_alone() {
    watched(|| {
        let builder = SelectorManager::builder().on_task_error(|_| ());
        builder
            .run(async |selector| {
                let configs = Configs::new();
                let server = listener(&selector, &configs).await?;
                let calls = Arc::<AtomicUsize>::default();
                let counted = Arc::clone(&calls);
                let trust = Trust::verifier(move |_| {
                    assert!(counted.fetch_add(1, SeqCst) > 0, "the verifier panics");
                    Ok(())
                });
                let client = TlsConfig::client().trust(trust).build()?;
                let connect = || {
                    let (selector, client) = (selector.clone(), client.clone());
                    let address = server.local_address();
                    selector.clone().spawn_value(async move {
                        let plain = selector.tcp().connect(address).await?;
                        plain.tls(&client).await
                    })
                };
                let accept = async || server.accept().await?.handshake().await;
                let (connected, accepted) = zip(connect(), accept()).await;
                let error: Error = connected.unwrap_err();
                assert!(error.to_string().contains("the verifier panics"), "{error}");
                assert!(accepted.unwrap_err().is_reset());
                // The same configuration goes on.
                let (connected, accepted) = zip(connect(), accept()).await;
                drop((connected??, accepted?));
                assert_released(&selector).await;
                Ok::<_, Error>(())
            })
            .unwrap();
    });
}

#[test]
fn a_writer_dropped_by_a_panic_resets() {
    watched(|| {
        let builder = SelectorManager::builder().on_task_error(|_| ());
        builder
            .run(async |selector| {
                let (mut near, far) = secure_pair(&selector, &Configs::new()).await?;
                let (socket, mut output) = (far.socket, far.output);
                let writing = selector.spawn_value(async move {
                    output.write_str("half").await.unwrap();
                    panic!("with a writer in hand");
                });
                assert!(writing.await.is_err());
                let error = near.input.read_remaining(99).await.unwrap_err();
                assert!(error.is_reset(), "{error}");
                assert!(socket.is_closed());
                Result::Ok(())
            })
            .unwrap();
    });
}
