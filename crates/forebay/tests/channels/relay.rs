//! Relays between two connections, over every pair of transports.

use std::io::Write;
use std::time::Duration;

use forebay::{Connection, Either, Result, SelectorManager, race, relay};
use forebay_testing::{
    Child, KIB, Log, MIB, Transport, assert_reset, connection_and_peer, counted_alone, role, run,
    say, scrambled, settle, size, skip, until_at_rest, watched,
};
use futures_lite::future::{try_zip, zip};
use socket2::SockRef;

use crate::files::TestFile;

/// The ends of a relay, and the two connections between them.
struct Ends {
    client: Connection,
    server: Connection,
    near: Connection,
    far: Connection,
}

impl Ends {
    /// The relay's connections are on one selector, those of the peers on another.
    async fn between(
        front: Transport,
        back: Transport,
        relays: &SelectorManager,
        peers: &SelectorManager,
    ) -> Result<Self> {
        let (client, near) = front.pair_between(peers, relays).await?;
        let (server, far) = back.pair_between(peers, relays).await?;
        Ok(Self { client, server, near, far })
    }
}

/// Runs a test over every pair of transports of which this holds, each on selectors of its own.
fn on_pairs(
    which: impl Fn(Transport, Transport) -> bool,
    test: impl AsyncFn(Ends, SelectorManager) -> Result<()> + Copy + Send + 'static,
) {
    for front in Transport::ALL {
        for back in Transport::ALL.into_iter().filter(|back| which(front, *back)) {
            run(async move |selector| {
                let relays = SelectorManager::new();
                let ends = Ends::between(front, back, &relays, &selector).await?;
                test(ends, relays.clone()).await?;
                until_at_rest(&relays, 0).await;
                relays.close().await;
                Ok(())
            });
        }
    }
}

/// Of the pairs between which the kernel moves the bytes.
fn are_plain(front: Transport, back: Transport) -> bool {
    [front, back].iter().all(|it| matches!(it, Transport::Tcp | Transport::Unix))
}

/// Sends these bytes and then the end.
async fn send(connection: &mut forebay::ByteWriteChannel, bytes: &[u8]) -> Result<()> {
    for piece in bytes.chunks(200 * KIB) {
        connection.write_all(piece).await?;
    }
    connection.finish().await
}

/// Receives exactly these bytes, and then the end.
async fn expect(input: &mut forebay::ByteReadChannel, bytes: &[u8]) -> Result<()> {
    let mut received = vec![0; bytes.len()];
    for piece in received.chunks_mut(MIB) {
        input.read_exact(piece).await?;
    }
    assert!(received == bytes, "the bytes arrive as they were sent");
    assert!(input.exhausted().await?, "and nothing behind them");
    Ok(())
}

fn start(
    selector: &SelectorManager,
    mut near: Connection,
    mut far: Connection,
) -> forebay::JoinHandle<Result<(u64, u64)>> {
    selector.spawn_value(async move { relay(&mut near, &mut far).await })
}

/// Bytes of any number, with a period that is a prime.
fn long(bytes: usize, seed: usize) -> Vec<u8> {
    scrambled(3_999_971, seed).into_iter().cycle().take(bytes).collect()
}

#[test]
fn bulk_goes_both_ways_at_once() {
    let bytes = size("FOREBAY_RELAY_KIB", 3 * KIB, 16 * KIB) * KIB + 123;
    on_pairs(
        |_, _| true,
        async move |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            let relaying = start(&relays, near, far);
            let (up, down) = (long(bytes, 1), long(bytes + 7, 2));
            let clients = try_zip(send(&mut client.output, &up), expect(&mut client.input, &down));
            let servers = try_zip(send(&mut server.output, &down), expect(&mut server.input, &up));
            try_zip(clients, servers).await?;
            assert_eq!(relaying.await??, (bytes as u64, bytes as u64 + 7));
            let stats = relays.stats();
            if stats.received_bytes > 0 {
                // Over TLS or with memory on one side there are other numbers of them.
                assert!(stats.received_bytes >= bytes as u64 && stats.sent_bytes >= bytes as u64);
            }
            Ok(())
        },
    );
}

#[test]
fn what_the_kernel_moves_is_counted() {
    on_pairs(are_plain, async |ends, relays| {
        let Ends { mut client, mut server, near, far } = ends;
        let relaying = start(&relays, near, far);
        let up = long(2 * MIB + 1, 3);
        try_zip(send(&mut client.output, &up), expect(&mut server.input, &up)).await?;
        send(&mut server.output, b"thanks").await?;
        expect(&mut client.input, b"thanks").await?;
        let all = up.len() as u64;
        assert_eq!(relaying.await??, (all, 6));
        let stats = relays.stats();
        assert_eq!((stats.received_bytes, stats.sent_bytes), (all + 6, all + 6));
        Ok(())
    });
}

#[test]
fn an_end_is_passed_on_and_the_other_direction_goes_on() {
    on_pairs(
        |_, _| true,
        async |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            let relaying = start(&relays, near, far);
            client.output.write_str("question").await?;
            client.output.finish().await?;
            expect(&mut server.input, b"question").await?;
            let answer = long(MIB, 5);
            let (one, other) = answer.split_at(5 * KIB);
            server.output.write_all(one).await?;
            let mut received = vec![0; one.len()];
            client.input.read_exact(&mut received).await?;
            assert!(received == one);
            try_zip(send(&mut server.output, other), expect(&mut client.input, other)).await?;
            assert_eq!(relaying.await??, (8, MIB as u64));
            Ok(())
        },
    );
}

/// The server has not read everything when the client is gone for good.
#[test]
fn a_client_that_has_left_is_no_failure() {
    on_pairs(
        |_, _| true,
        async |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            let relaying = start(&relays, near, far);
            let bytes = long(MIB, 10);
            let sent = async {
                client.output.write_all(&bytes).await?;
                client.socket.close().await
            };
            let (sent, received) = zip(sent, async {
                let mut first = vec![0; 100 * KIB];
                server.input.read_exact(&mut first).await?;
                for _ in 0..20 {
                    settle().await;
                }
                expect(&mut server.input, &bytes[first.len()..]).await?;
                server.output.finish().await
            })
            .await;
            sent?;
            received?;
            assert_eq!(relaying.await??, (bytes.len() as u64, 0));
            Ok(())
        },
    );
}

#[test]
fn bulk_goes_back_to_the_socket_that_it_came_from() {
    let plain = |it| matches!(it, Transport::Tcp | Transport::Unix);
    on_pairs(
        move |front, back| plain(front) && front == back,
        async |ends, _| {
            let Ends { mut client, mut near, .. } = ends;
            let bytes = long(6 * MIB, 11);
            let echo = near.input.copy_and_close(&mut near.output);
            let peer = try_zip(send(&mut client.output, &bytes), expect(&mut client.input, &bytes));
            let (copied, _) = try_zip(echo, peer).await?;
            assert_eq!(copied, bytes.len() as u64);
            Ok(())
        },
    );
}

/// The time at which a side is lost.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lost {
    BeforeAnyByte,
    InTheMiddle,
    BehindItsEnd,
}

#[test]
fn a_reset_of_one_side_is_a_reset_of_the_other() {
    let known = |front: Transport, back: Transport| front.knows_resets() && back.knows_resets();
    for when in [Lost::BeforeAnyByte, Lost::InTheMiddle, Lost::BehindItsEnd] {
        on_pairs(known, async move |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            let relaying = relays.spawn_value(async move {
                let (mut near, mut far) = (near, far);
                let passed = relay(&mut near, &mut far).await;
                // Dropped here, they would be reset by that.
                (passed, near, far)
            });
            let bytes = long(600 * KIB, 9);
            match when {
                Lost::BeforeAnyByte => settle().await,
                Lost::InTheMiddle => {
                    let mut received = vec![0; bytes.len()];
                    let send = async {
                        client.output.write_all(&bytes).await?;
                        client.output.flush().await
                    };
                    try_zip(send, server.input.read_exact(&mut received)).await?;
                }
                Lost::BehindItsEnd => {
                    client.output.write_str("question").await?;
                    client.output.finish().await?;
                    assert_eq!(server.input.read_packet(8).await?.as_slice(), b"question");
                    assert!(server.input.exhausted().await?);
                }
            }
            client.socket.abort();
            let (passed, _near, _far) = relaying.await?;
            assert!(passed.is_err_and(|error| error.is_reset()), "{when:?}");
            // The end mark has come before; the reset is met by a write.
            let lost = async {
                loop {
                    server.output.write_all(&[1; 4 * KIB]).await?;
                    server.output.flush().await?;
                    settle().await;
                }
            };
            let lost: Result<()> = lost.await;
            assert!(lost.is_err_and(|error| error.is_closed() || error.is_reset()), "{when:?}");
            if when != Lost::BehindItsEnd {
                assert!(server.input.read_u8().await.is_err_and(|error| !error.is_end()));
            }
            Ok(())
        });
    }
}

#[test]
fn a_limit_on_silence_resets_both_sides() {
    let plain = |it| matches!(it, Transport::Tcp);
    on_pairs(
        move |front, back| plain(front) && plain(back),
        async |ends, relays| {
            let Ends { mut client, server, near, far } = ends;
            far.socket.set_write_timeout(Duration::from_millis(50));
            let relaying = start(&relays, near, far);
            // The server reads nothing.
            let flood = async {
                loop {
                    client.output.write_all(&long(256 * KIB, 0)).await?;
                    client.output.flush().await?;
                }
            };
            let flooded: Result<()> = flood.await;
            assert!(flooded.is_err_and(|error| error.is_reset()));
            assert!(relaying.await?.is_err_and(|error| error.is_timeout()));
            drop(server);
            Ok(())
        },
    );
}

#[test]
fn a_reader_that_is_silent_for_too_long_resets_both_sides() {
    on_pairs(
        |_, back| back == Transport::Tcp,
        async |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            far.socket.set_read_timeout(Duration::from_millis(20));
            let relaying = relays.spawn_value(async move {
                let (mut near, mut far) = (near, far);
                (relay(&mut near, &mut far).await, near, far)
            });
            let (passed, near, far) = relaying.await?;
            // Both tell why, whichever of them a task looks at.
            let causes = [near.output, far.output].map(|output| output.closed_cause());
            for error in causes.into_iter().chain([passed.err()]) {
                assert!(error.is_some_and(|error| error.is_timeout()));
            }
            assert!(client.input.read_u8().await.is_err() && server.input.read_u8().await.is_err());
            Ok(())
        },
    );
}

#[test]
fn a_slow_reader_costs_bounded_memory() {
    on_pairs(are_plain, async |ends, relays| {
        let Ends { mut client, mut server, near, far } = ends;
        let relaying = start(&relays, near, far);
        let sent = long(4 * MIB, 4);
        let mut written = 0;
        let flood = async {
            for piece in sent.chunks(64 * KIB) {
                client.output.write_all(piece).await?;
                client.output.flush().await?;
                written += piece.len();
            }
            client.output.finish().await
        };
        // Until nothing moves any more.
        let stalled = async {
            let mut before = relays.stats();
            loop {
                for _ in 0..50 {
                    settle().await;
                    forebay::yield_now().await;
                }
                let now = relays.stats();
                if now.received_bytes == before.received_bytes && now.received_bytes > 0 {
                    return now;
                }
                before = now;
            }
        };
        let mut flood = std::pin::pin!(flood);
        let check = |held: u64| assert!(held <= 384 * KIB as u64, "the relay holds {held} bytes");
        if let Either::Right(stats) = race(flood.as_mut(), stalled).await {
            check(stats.received_bytes - stats.sent_bytes);
            assert!(stats.blocks <= 4, "{stats:?}");
            let (flooded, read) = zip(flood, expect(&mut server.input, &sent)).await;
            flooded?;
            read?;
        } else {
            // The kernel holds all of it.
            expect(&mut server.input, &sent).await?;
        }
        server.output.finish().await?;
        assert_eq!(relaying.await??.0, sent.len() as u64);
        Ok(())
    });
}

#[test]
fn single_bytes_pass() {
    on_pairs(
        |_, _| true,
        async |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            let relaying = start(&relays, near, far);
            for byte in 0..100 {
                client.output.write_u8(byte).await?;
                client.output.flush().await?;
                assert_eq!(server.input.read_u8().await?, byte);
                server.output.write_u8(!byte).await?;
                server.output.flush().await?;
                assert_eq!(client.input.read_u8().await?, !byte);
            }
            client.output.finish().await?;
            server.output.finish().await?;
            assert_eq!(relaying.await??, (100, 100));
            Ok(())
        },
    );
}

/// Leaves a relay in the middle of bulk, as often as it waits, and begins another one.
#[test]
fn a_dropped_relay_is_resumed_without_loss() {
    on_pairs(
        |_, _| true,
        async |ends, _| {
            let Ends { mut client, mut server, mut near, mut far } = ends;
            let bytes = long(2 * MIB, 6);
            let peers = try_zip(
                async {
                    send(&mut client.output, &bytes).await?;
                    expect(&mut client.input, b"done").await
                },
                async {
                    expect(&mut server.input, &bytes).await?;
                    send(&mut server.output, b"done").await
                },
            );
            let relaying = async {
                let mut dropped = 0;
                loop {
                    if let Some(outcome) = after_one_wait(relay(&mut near, &mut far)).await {
                        outcome?;
                        return Ok(dropped);
                    }
                    dropped += 1;
                }
            };
            let (dropped, _) = try_zip(relaying, peers).await?;
            assert!(dropped > 2, "{dropped}");
            Ok(())
        },
    );
}

/// Polls a future to its first wait, lets that pass, and drops the future.
async fn after_one_wait<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if waited {
            return std::task::Poll::Ready(None);
        }
        waited = true;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

#[test]
fn connections_that_are_dropped_in_the_middle_never_end_in_order() {
    let known = |front: Transport, back: Transport| front.knows_resets() && back.knows_resets();
    on_pairs(known, async |ends, relays| {
        let Ends { mut client, mut server, mut near, mut far } = ends;
        let flood = async {
            loop {
                client.output.write_all(&long(256 * KIB, 0)).await?;
            }
        };
        let sleeping = relays.clone();
        let relaying = relays.spawn_value(async move {
            // Until nothing moves any more, with bytes in the queue or in a pipe.
            cut_when_still(&sleeping, relay(&mut near, &mut far)).await;
        });
        let flooded: Result<()> = flood.await;
        assert!(flooded.is_err_and(|error| error.is_reset()));
        relaying.await?;
        let end = async {
            loop {
                server.input.read_chunk().await?.unwrap_or_else(|| panic!("a clean end"));
            }
        };
        let end: Result<()> = end.await;
        assert!(end.is_err_and(|error| error.is_reset()));
        Ok(())
    });
}

/// Polls a relay until it has not been woken for a while.
async fn cut_when_still(
    selector: &SelectorManager,
    relaying: impl Future<Output = Result<(u64, u64)>>,
) {
    let rest = Duration::from_millis(100);
    let mut relaying = std::pin::pin!(relaying);
    let mut polls = 0;
    let mut seen = 0;
    loop {
        let counted = std::future::poll_fn(|cx| {
            polls += 1;
            relaying.as_mut().poll(cx)
        });
        match race(counted, selector.sleep(rest)).await {
            Either::Left(ended) => panic!("the relay has ended: {ended:?}"),
            // At the beginning of the rest, and at its end.
            Either::Right(()) if polls == seen + 2 => return,
            Either::Right(()) => seen = polls,
        }
    }
}

#[test]
fn a_selector_that_closes_resets_both_sides() {
    // A pair in memory would be on the selector of the peers.
    let closes = |it| matches!(it, Transport::Tcp | Transport::Tls);
    on_pairs(
        move |front, back| closes(front) && closes(back),
        async |ends, relays| {
            let Ends { mut client, mut server, near, far } = ends;
            let relaying = start(&relays, near, far);
            client.output.write_all(&long(100 * KIB, 8)).await?;
            client.output.flush().await?;
            server.input.read_packet(100 * KIB).await?;
            relays.close().await;
            assert!(relaying.await?.is_err_and(|error| error.is_closed()));
            let ends = [client.input.read_u8().await, server.input.read_u8().await];
            for end in ends {
                assert_reset(Transport::Tcp, end);
            }
            Ok(())
        },
    );
}

#[test]
fn a_limit_of_a_copy_is_exact() {
    on_pairs(are_plain, async |ends, _| {
        let Ends { mut client, mut server, mut near, mut far } = ends;
        let bytes = long(2 * MIB + 999, 12);
        let count = MIB + 12_345;
        let copy = async {
            near.input.copy_exact_to(count as u64, &mut far.output).await?;
            assert_eq!(near.input.counted(), count as u64);
            far.output.finish().await?;
            expect(&mut near.input, &bytes[count..]).await
        };
        let peers =
            try_zip(send(&mut client.output, &bytes), expect(&mut server.input, &bytes[..count]));
        try_zip(copy, peers).await?;
        assert_eq!(far.output.counted(), count as u64);
        Ok(())
    });
}

/// The kernel stops in front of an urgent byte, as if there were nothing more.
#[test]
fn bulk_passes_beside_urgent_bytes() {
    run(async |selector| {
        let (mut near, mut peer) = connection_and_peer(&selector).await?;
        let (mut server, mut far) = Transport::Tcp.pair(&selector).await?;
        let mut bytes = long(3 * MIB, 13);
        bytes.retain(|byte| *byte != b'!');
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || {
            for piece in sent.chunks(300 * KIB) {
                peer.write_all(piece).unwrap();
                SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            }
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            peer
        });
        let relaying = async { near.input.copy_and_close(&mut far.output).await };
        let mut received = Vec::new();
        let receiving = async {
            while let Some(chunk) = server.input.read_chunk().await? {
                received.extend_from_slice(&chunk);
            }
            Ok(())
        };
        try_zip(relaying, receiving).await?;
        sender.join().unwrap();
        // An urgent byte that another one follows too soon is an ordinary one (`tcp(7)`).
        received.retain(|byte| *byte != b'!');
        assert!(received == bytes, "{} bytes of {}", received.len(), bytes.len());
        Ok(())
    });
}

/// Passes 8 MiB through a relay on one selector, and checks them.
async fn pass_bulk(selector: &SelectorManager, is_shared: bool) -> Result<()> {
    let (mut client, near) = Transport::Tcp.pair(selector).await?;
    let (mut server, far) = Transport::Tcp.pair(selector).await?;
    if is_shared {
        drop(near.socket.try_clone_fd()?);
    }
    let relaying = start(selector, near, far);
    let bytes = long(8 * MIB, 14);
    try_zip(send(&mut client.output, &bytes), expect(&mut server.input, &bytes)).await?;
    server.output.finish().await?;
    assert_eq!(relaying.await??.0, bytes.len() as u64);
    Ok(())
}

const EXCHANGES: usize = 100;

/// One message at a time, there and back.
#[cfg(target_os = "linux")]
async fn pass_messages(selector: &SelectorManager) -> Result<()> {
    let (mut client, near) = Transport::Tcp.pair(selector).await?;
    let (mut server, far) = Transport::Tcp.pair(selector).await?;
    let relaying = start(selector, near, far);
    let mut message = [7; 64];
    for _ in 0..EXCHANGES {
        client.output.write_all(&message).await?;
        server.input.read_exact(&mut message).await?;
        server.output.write_all(&message).await?;
        client.input.read_exact(&mut message).await?;
    }
    client.output.finish().await?;
    server.output.finish().await?;
    assert_eq!(relaying.await??, (EXCHANGES as u64 * 64, EXCHANGES as u64 * 64));
    Ok(())
}

/// Returns the number of ends of pipes that this process has open.
#[cfg(target_os = "linux")]
fn pipes() -> usize {
    let all = forebay_testing::descriptors();
    all.into_iter().filter(|(_, target)| target.starts_with("pipe:")).count()
}

/// The two descriptors of a pipe are not to be had, nor the one with which the selector asks whether it may use any: so
/// the bytes are copied, until there are descriptors again.
#[test]
#[cfg(target_os = "linux")]
fn bulk_is_copied_where_no_pipe_is_to_be_had() {
    counted_alone("bulk_is_copied_where_no_pipe_is_to_be_had", || {
        for has_asked in [false, true] {
            run(async move |selector| {
                let (mut client, mut near) = Transport::Tcp.pair(&selector).await?;
                let (mut server, far) = Transport::Tcp.pair(&selector).await?;
                if has_asked {
                    // A file needs the same permission, and no pipe.
                    let file = TestFile::new(b"a file");
                    near.output.write_file(&file.open(), ..).await?;
                    assert_eq!(client.input.read_packet(6).await?.as_slice(), b"a file");
                }
                // Everything that is opened at the first use is open by now.
                settle().await;
                let before = pipes();
                let none = forebay_testing::NoDescriptors::but(0);
                let relaying = start(&selector, near, far);
                let bytes = long(4 * MIB, 15);
                try_zip(send(&mut client.output, &bytes), expect(&mut server.input, &bytes))
                    .await?;
                server.output.finish().await?;
                assert_eq!(relaying.await??.0, bytes.len() as u64);
                drop(none);
                assert_eq!(pipes(), before, "none was to be had");
                pass_bulk(&selector, false).await?;
                assert!(pipes() > before, "the bulk went through a pipe");
                Ok(())
            });
        }
    });
}

/// No descriptor of a pipe stays open behind a selector, and no pipe with bytes in it is used again.
#[test]
#[cfg(target_os = "linux")]
fn pipes_are_closed_with_their_selector() {
    counted_alone("pipes_are_closed_with_their_selector", || {
        let before = pipes();
        run(async move |selector| {
            pass_bulk(&selector, false).await?;
            assert!(pipes() > before, "the bulk went through a pipe");
            {
                // The peer reads nothing, so a pipe is full when its connection is reset.
                let (mut client, mut near) = Transport::Tcp.pair(&selector).await?;
                let (_server, mut far) = Transport::Tcp.pair(&selector).await?;
                let flood = selector.spawn_value(async move {
                    while client.output.write_all(&long(256 * KIB, 0)).await.is_ok() {}
                });
                cut_when_still(&selector, relay(&mut near, &mut far)).await;
                drop((near, far));
                flood.await?;
            }
            pass_bulk(&selector, false).await
        });
        forebay_testing::await_that("the pipes are closed", || pipes() == before);
    });
}

/// Bulk is not received into memory, unless a descriptor is shared, which could be made blocking. Messages take the
/// calls that copying takes.
#[test]
#[cfg(target_os = "linux")]
fn bulk_is_spliced() {
    let test = "bulk_is_spliced";
    if let Some(role) = role() {
        forebay_testing::in_host(async |selector| match &*role {
            "messages" => pass_messages(&selector).await,
            role => pass_bulk(&selector, role == "shared").await,
        })
        .unwrap();
        return say("done");
    }
    for kind in ["plain", "shared", "messages"] {
        let log = Log::new(test);
        let strace = ["strace", "-f", "-o", log.path(), "-e", "trace=splice,recvfrom,sendto"];
        if !Child::can_trace(&strace) {
            return skip(test, "strace is missing, or may not trace");
        }
        let strace = strace.map(str::to_owned);
        watched(move || {
            let wrapper = strace.each_ref().map(String::as_str);
            let mut child = Child::start_under(&wrapper, test, kind);
            assert_eq!(child.hear().as_deref(), Some("done"));
            child.end();
        });
        let lines = log.lines();
        if kind == "messages" {
            let calls = |call| lines.iter().filter(|line| line.contains(call)).count();
            // The client, the server, and for each of them the relay.
            assert_eq!((calls("splice("), calls("sendto(")), (0, 4 * EXCHANGES));
            continue;
        }
        let moved = |call: &str| -> usize {
            let ends = lines.iter().filter(|line| line.contains(call));
            let counts =
                ends.filter_map(|line| line.rsplit(") = ").next()?.trim().parse::<usize>().ok());
            counts.sum()
        };
        // The client receives nothing but the end, and the server all of it.
        let (spliced, received) = (moved("splice"), moved("recvfrom"));
        if kind == "plain" {
            // Nearly all, but for what arrives in small pieces because the client is slow to send it.
            assert!(spliced > 4 * MIB, "{spliced} bytes spliced in and out, of 16 MiB");
            assert!(received + spliced / 2 < 17 * MIB, "{received} bytes received besides");
        } else {
            assert_eq!(spliced, 0);
            assert!(received >= 16 * MIB, "{received} bytes");
        }
    }
}
