//! `peer_finished` and `closed` over TLS: the end mark is `close_notify`, whatever TCP says. An end of the
//! connection without it is no clean end, and with it the peer has ended although the connection goes on.

#![cfg(all(target_os = "linux", feature = "tls"))]

use forebay::{
    CloseReason, Connection, EndWithoutNotify, Error, ErrorKind, Result, SelectorManager, Socket,
    TlsConfig,
};
use forebay_testing::{
    KIB,
    foreign::{Given, Place, Tool},
    report, run, settle,
    tls::{Configs, secure_pair},
    watched,
};
use futures_lite::future::{block_on, poll_once, yield_now, zip};

/// More than is decrypted ahead of a reader.
const MUCH: usize = 300 * KIB;

/// The transport below a secure connection.
#[derive(Debug, Clone, Copy)]
enum Carrier {
    Tcp,
    Unix,
    Memory,
}

const CARRIERS: [Carrier; 3] = [Carrier::Tcp, Carrier::Unix, Carrier::Memory];

/// A secure connection that is tested, and what passes its peer's records on, which the test holds in its
/// hand: it can pass on the end mark of one floor without that of the other.
async fn through_hands(
    selector: &SelectorManager,
    configs: &Configs,
    carrier: Carrier,
) -> Result<(Connection, Connection, Connection, Connection)> {
    let (near, mut left) = pair(selector, carrier).await?;
    let (far, mut right) = pair(selector, carrier).await?;
    let mut secured = Box::pin(async {
        let (mut near, mut far) = (near, far);
        let (ours, theirs) = zip(near.tls(&configs.client), far.accept_tls(&configs.server)).await;
        ours?;
        theirs?;
        Result::Ok((near, far))
    });
    loop {
        if let Some(secured) = poll_once(&mut secured).await {
            let (near, far) = secured?;
            // What the handshake leaves behind: the last of the client's words.
            carry(&mut left, &mut right).await?;
            carry(&mut right, &mut left).await?;
            return Ok((near, left, right, far));
        }
        carry(&mut left, &mut right).await?;
        carry(&mut right, &mut left).await?;
        yield_now().await;
    }
}

/// Carries what is there. Returns the number of bytes.
async fn carry(from: &mut Connection, to: &mut Connection) -> Result<usize> {
    let mut count = 0;
    while let Some(Ok(Some(chunk))) = poll_once(from.input.read_chunk()).await {
        to.output.write_all(&chunk).await?;
        to.output.flush().await?;
        count += chunk.len();
    }
    Ok(count)
}

/// Carries what is on the way. The thread that notices it may be another one, which the machine holds up.
async fn carry_on(from: &mut Connection, to: &mut Connection) -> Result<()> {
    while carry(from, to).await? == 0 {
        yield_now().await;
    }
    Ok(())
}

async fn pair(selector: &SelectorManager, carrier: Carrier) -> Result<(Connection, Connection)> {
    use forebay_testing::Transport;
    match carrier {
        Carrier::Tcp => Transport::Tcp.pair(selector).await,
        Carrier::Unix => Transport::Unix.pair(selector).await,
        Carrier::Memory => Transport::Memory.pair(selector).await,
    }
}

fn configs() -> Configs {
    Configs::with(|client| client.server_name("localhost"), |server| server)
}

fn assert_without_notify<T: std::fmt::Debug>(carrier: Carrier, outcome: Result<T>) {
    let error = outcome.expect_err("the peer has not said that it ends");
    assert!(matches!(error.kind(), ErrorKind::EndedWithoutNotify), "over {carrier:?}: {error}");
}

/// The records are in the kernel, and the worker has not looked there since.
#[test]
fn a_look_sees_a_close_notify_although_the_connection_goes_on() {
    let configs = configs();
    run(async move |selector| {
        for carrier in CARRIERS {
            let (mut it, mut left, mut right, mut far) =
                through_hands(&selector, &configs, carrier).await?;
            assert!(!it.socket.has_peer_finished(), "over {carrier:?}");
            far.output.write_str("one\n").await?;
            settle().await;
            carry_on(&mut right, &mut left).await?;
            assert!(!it.socket.has_peer_finished(), "over {carrier:?}: bytes are no end");
            far.output.finish().await?;
            settle().await;
            assert!(!it.socket.has_peer_finished(), "over {carrier:?}: it is on the way");
            loop {
                let carried = poll_once(carry(&mut right, &mut left)).await;
                if carried.expect("the worker looks nowhere in between")? > 0 {
                    break;
                }
                yield_now().await;
            }
            assert!(it.socket.has_peer_finished(), "over {carrier:?}");
            assert_eq!(it.input.read_line().await?.as_deref(), Some("one"));
            assert_eq!(it.input.read_line().await?, None);

            let (mut it, mut left, ..) = through_hands(&selector, &configs, carrier).await?;
            left.output.finish().await?;
            assert!(it.socket.has_peer_finished(), "over {carrier:?}: the connection has ended");
            assert_without_notify(carrier, it.input.read_line().await);
        }
        Ok(())
    });
}

#[test]
fn a_close_notify_is_the_end_although_the_connection_goes_on() {
    let configs = configs();
    run(async move |selector| {
        for carrier in CARRIERS {
            for is_early in [false, true] {
                let (mut it, mut left, mut right, mut far) =
                    through_hands(&selector, &configs, carrier).await?;
                let waits = |socket: &Socket| {
                    let socket = socket.clone();
                    selector.spawn_value(async move { socket.peer_finished().await })
                };
                let early = is_early.then(|| waits(&it.socket));
                settle().await;
                far.output.write_str("one\ntwo\nhalf").await?;
                far.output.finish().await?;
                settle().await;
                carry_on(&mut right, &mut left).await?;
                let finished = early.unwrap_or_else(|| waits(&it.socket));
                // What was written and the `close_notify` may come one by one.
                while !finished.is_finished() {
                    carry(&mut right, &mut left).await?;
                    yield_now().await;
                }
                finished.await??;
                it.socket.peer_finished().await?;
                assert!(poll_once(it.socket.closed()).await.is_none(), "one direction is open");
                it.output.write_str("answer\n").await?;
                it.output.finish().await?;
                assert_eq!(it.socket.closed().await, CloseReason::Ended, "over {carrier:?}");
                for line in ["one", "two", "half"] {
                    assert_eq!(it.input.read_line().await?.as_deref(), Some(line));
                }
                assert_eq!(it.input.read_line().await?, None);
                settle().await;
                carry_on(&mut left, &mut right).await?;
                assert_eq!(far.input.read_line().await?.as_deref(), Some("answer"));
            }
        }
        Ok(())
    });
}

#[test]
fn an_end_without_close_notify_is_no_clean_end() {
    let configs = configs();
    run(async move |selector| {
        for carrier in CARRIERS {
            for is_read in [false, true] {
                let (mut it, mut left, mut right, mut far) =
                    through_hands(&selector, &configs, carrier).await?;
                far.output.write_str("one\nhalf").await?;
                far.output.flush().await?;
                settle().await;
                carry_on(&mut right, &mut left).await?;
                let socket = it.socket.clone();
                let finished = selector.spawn_value(async move { socket.peer_finished().await });
                settle().await;
                assert!(!finished.is_finished(), "over {carrier:?}");
                left.output.finish().await?;
                if is_read {
                    assert_eq!(it.input.read_line().await?.as_deref(), Some("one"));
                    assert_without_notify(carrier, it.input.read_line().await);
                }
                assert_without_notify(carrier, finished.await?);
                assert_without_notify(carrier, it.socket.peer_finished().await);
                it.output.finish().await?;
                assert_eq!(it.socket.closed().await, CloseReason::Failed, "over {carrier:?}");
                if !is_read {
                    assert_eq!(it.input.read_line().await?.as_deref(), Some("one"));
                    assert_without_notify(carrier, it.input.read_line().await);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn an_end_without_close_notify_is_one_where_that_was_asked_for() {
    let as_end = EndWithoutNotify::AsEnd;
    let client = |client: forebay::TlsClientBuilder| {
        client.server_name("localhost").end_without_notify(as_end)
    };
    let configs = Configs::with(client, |server| server);
    run(async move |selector| {
        for carrier in CARRIERS {
            let (mut it, mut left, _right, _far) =
                through_hands(&selector, &configs, carrier).await?;
            left.output.finish().await?;
            it.socket.peer_finished().await?;
            it.output.finish().await?;
            assert_eq!(it.socket.closed().await, CloseReason::Ended, "over {carrier:?}");
        }
        Ok(())
    });
}

/// The unread input is more than is decrypted ahead: the end is seen once the reader has come near.
#[test]
fn an_end_far_behind_is_seen_when_the_reader_comes_near() {
    let configs = configs();
    run(async move |selector| {
        let (mut it, far) = secure_pair(&selector, &configs).await?;
        let socket = it.socket.clone();
        let finished = selector.spawn_value(async move { socket.peer_finished().await });
        let Connection { output: mut from_far, socket: far, .. } = far;
        let sending = selector.spawn(async move {
            from_far.write_all(&vec![b'a'; MUCH]).await?;
            from_far.finish().await
        });
        settle().await;
        assert!(!finished.is_finished());
        let mut read = 0;
        while !finished.is_finished() {
            read += it.input.read(&mut [0; 100]).await?;
            settle_a_little().await;
        }
        finished.await??;
        report(&format!("tls_end_marks: seen after {read} of {MUCH} bytes were read"));
        read += it.input.read_remaining(MUCH).await?.len();
        assert_eq!(read, MUCH);
        sending.await?;
        drop(far);
        Ok(())
    });
}

async fn settle_a_little() {
    yield_now().await;
}

/// The bytes of what is read beside a task that waits for the end are those that were sent.
#[test]
fn nothing_is_lost_or_doubled_beside_a_wait_for_the_end() {
    let configs = configs();
    run(async move |selector| {
        for piece in [1, 100, 5_000, 70_000] {
            let (mut it, far) = secure_pair(&selector, &configs).await?;
            let socket = it.socket.clone();
            let beside = std::thread::spawn(move || block_on(socket.peer_finished()));
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let socket = it.socket.clone();
                    selector.spawn_value(async move { socket.peer_finished().await })
                })
                .collect();
            let data = forebay_testing::pattern(MUCH);
            let Connection { output: mut from_far, socket: _far, .. } = far;
            let sent = data.clone();
            let sending = selector.spawn(async move {
                for part in sent.chunks(piece * 3 + 1) {
                    from_far.write_all(part).await?;
                }
                from_far.finish().await
            });
            let (mut read, mut buffer) = (Vec::new(), vec![0; piece]);
            loop {
                match it.input.read(&mut buffer).await? {
                    0 => break,
                    count => read.extend_from_slice(&buffer[..count]),
                }
            }
            assert!(read == data, "{} bytes of {MUCH} in pieces of {piece}", read.len());
            sending.await?;
            for finished in waiting {
                finished.await??;
            }
            forebay_testing::until(|| beside.is_finished()).await;
            beside.join().unwrap()?;
        }
        Ok(())
    });
}

/// Python's `unwrap` sends a `close_notify` and waits for ours, and `--do cut` closes without one.
#[test]
fn python_that_cuts_is_no_clean_end() {
    let test = "python_that_cuts_is_no_clean_end";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let given = Given { more: &["--do", "cut", "--bytes", "100"], ..Given::default() };
        let Some((mut server, port)) = Tool::Python.server(test, &place, &given) else { return };
        let config = TlsConfig::client().trust(place.authority.trust()).build().unwrap();
        let outcome: Result<(Error, CloseReason)> = selector.block_on(async {
            let socket = server.connect(&selector, port).await?.tls(&config).await?;
            let mut output = socket.open_write_channel()?;
            output.write_str("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
            output.flush().await?;
            let error = socket.peer_finished().await.expect_err("it does not say that it ends");
            output.finish().await.ok();
            Ok((error, socket.closed().await))
        });
        let (error, reason) = outcome.unwrap();
        assert!(matches!(error.kind(), ErrorKind::EndedWithoutNotify), "{error}");
        assert_eq!(reason, CloseReason::Failed);
        assert!(server.end_well().contains("cut"));
    });
}
