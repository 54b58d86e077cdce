//! Closing and dropping behind a slow link: a peer that reads slowly but steadily gets everything, one
//! that stops reading is given up after the silence, and one that goes on for too long at the total.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use forebay::testing::TestClock;
use forebay::{Connection, Error, Result, SelectorManager};
use forebay_testing::{
    Cable, End, MIB, MOMENT, PLUG, on_a_cable, pattern, role, say, settle, size, skip, until,
    watched, watched_for,
};

const PORT: u16 = 9000;
/// 4 MB, closed and dropped at once, take 42 seconds at this rate.
const RATE: &str = "1600kbit";
const WATCH: Duration = Duration::from_secs(240);

/// The child that sends: it closes one connection, drops another with its writer, and on a third drops
/// the writer alone, all at once.
fn serve(role: &str) {
    let bytes: usize = role.parse().unwrap();
    watched_for(WATCH, move || {
        let reported = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reported);
        let builder = SelectorManager::builder().on_task_error(move |error: &Error| {
            told.lock().unwrap().push(error.to_string());
        });
        builder.run(async move |selector: SelectorManager| {
            let server = selector.tcp().bind((End::Left.address(), PORT)).await?;
            say("listening");
            let data = Bytes::from(pattern(bytes));
            let mut closing = Vec::new();
            for way in ["close", "drop"] {
                let Connection { socket, mut output, input } =
                    server.accept().await?.connection()?;
                output.write_bytes(data.clone()).await?;
                closing.push(selector.spawn(async move {
                    if way == "close" {
                        return socket.close().await;
                    }
                    drop((output, input, socket));
                    Ok(())
                }));
            }
            // A reader that is still there, behind a writer that is not.
            let Connection { mut input, mut output, socket: _socket } =
                server.accept().await?.connection()?;
            output.write_bytes(data).await?;
            drop(output);
            let end = input.read_line().await;
            for closing in closing {
                closing.await?;
            }
            until(|| selector.stats().background_closes == 0).await;
            let lost = selector.stats().unacknowledged;
            let reported = reported.lock().unwrap();
            say(&format!("{end:?}, {lost} lost, reported: {reported:?}"));
            Result::Ok(())
        })
    })
    .unwrap();
}

/// The child that reads, three times at once.
fn fetch() {
    let reading: Vec<_> = (0..3)
        .map(|_| {
            let mut peer = TcpStream::connect((End::Left.address(), PORT)).unwrap();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let end = peer.read_to_end(&mut bytes).map(drop).map_err(|error| error.kind());
                (bytes.len(), end)
            })
        })
        .collect();
    let came: Vec<_> = reading.into_iter().map(|it| it.join().unwrap()).collect();
    say(&format!("{came:?}"));
}

/// Limits the rate at which the left end sends; false where the system cannot.
fn slow_down(cable: &Cable) -> bool {
    let shape = ["qdisc", "add", "dev", PLUG, "root", "tbf", "rate", RATE, "burst", "4kb"];
    Command::new("ip")
        .args(["netns", "exec", cable.name(End::Left), "tc"])
        .args(shape)
        .args(["limit", "40kb"])
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn a_slow_but_steady_peer_gets_everything() {
    const NAME: &str = "a_slow_but_steady_peer_gets_everything";
    match role().as_deref() {
        Some("fetch") => return fetch(),
        Some(bytes) => return serve(bytes),
        None => {}
    }
    on_a_cable(NAME, WATCH, move |cable| {
        if !slow_down(cable) {
            return skip(NAME, "no tc with tbf");
        }
        let bytes: usize = size("FOREBAY_SLOW_LINK_BYTES", 300_000, 1_000_000);
        let mut left = cable.start(End::Left, NAME, &bytes.to_string());
        assert_eq!(left.hear().as_deref(), Some("listening"));
        let mut right = cable.start(End::Right, NAME, "fetch");
        let all = format!("({bytes}, Ok(()))");
        assert_eq!(right.hear().unwrap(), format!("[{all}, {all}, {all}]"));
        assert_eq!(left.hear().unwrap(), "Ok(None), 0 lost, reported: []");
        left.end();
        right.end();
    });
}

// ---- by a clock that the test owns --------------------------------------------------------------

const SILENCE: Duration = Duration::from_secs(10);
const TOTAL: Duration = Duration::from_secs(300);
/// The number of bytes that the peer reads at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// A selector with the default limits, and what it reports.
fn with_defaults(
    test: impl AsyncFnOnce(SelectorManager, TestClock, Arc<Mutex<Vec<String>>>) -> Result<()>
    + Send
    + 'static,
) {
    watched(|| {
        let (clock, reported) = (TestClock::new(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&reported);
        let builder = SelectorManager::builder().clock(clock.clone());
        let builder = builder.on_task_error(move |error: &Error| {
            told.lock().unwrap().push(error.to_string());
        });
        builder.run(async |selector| test(selector, clock, reported).await)
    })
    .unwrap();
}

/// A dropped connection with far more to send than the kernel takes, and its peer. A Unix socket,
/// because there what the peer reads makes room at once: TCP's own timers are those of the system.
async fn dropped_pair(selector: &SelectorManager, name: &str) -> Result<UnixStream> {
    let path = std::env::temp_dir().join(format!("forebay-{name}-{}", std::process::id()));
    let server = selector.unix().bind(&path).await?;
    let peer = UnixStream::connect(&path).unwrap();
    let socket = server.accept().await?;
    let mut output = socket.open_write_channel()?;
    output.write_bytes(pattern(8 * MIB).into()).await?;
    drop((output, socket));
    until(|| selector.stats().background_closes == 1).await;
    Ok(peer)
}

/// Lets the time go on in small steps, at each of which the close can look.
async fn go_on(clock: &TestClock, time: Duration, step: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = step.min(left);
        clock.advance(step);
        settle().await;
        left -= step;
    }
}

#[test]
fn a_peer_that_stops_reading_is_given_up_after_the_silence_and_reported() {
    with_defaults(async |selector, clock, reported| {
        let mut peer = dropped_pair(&selector, "stops").await?;
        // It reads for a while, and then no more.
        for _ in 0..30 {
            let mut piece = vec![0; PIECE_BYTES];
            peer.read_exact(&mut piece).unwrap();
            go_on(&clock, SILENCE / 2, SILENCE / 16).await;
        }
        assert_eq!(selector.stats().background_closes, 1, "given up although it read");
        assert_eq!(reported.lock().unwrap().len(), 0);
        // Our system may still have room that it said nothing of, and the last look finds it.
        go_on(&clock, SILENCE * 3, SILENCE / 16).await;
        until(|| selector.stats().sockets == 0).await;
        assert_eq!(selector.stats().unacknowledged, 1);
        let reported = reported.lock().unwrap();
        let expected = "the peer has acknowledged nothing for 10s, and not everything before that";
        assert!(reported.iter().any(|it| it.contains(expected)), "{reported:?}");
        Ok(())
    });
}

/// This process was held up for longer than the silence, and its peer read all along.
#[test]
fn a_stall_of_our_own_is_not_the_peers_silence() {
    with_defaults(async |selector, clock, _| {
        let path = std::env::temp_dir().join(format!("forebay-stall-{}", std::process::id()));
        let server = selector.unix().bind(&path).await?;
        for dropped in ["the writer", "the connection"] {
            let mut peer = UnixStream::connect(&path).unwrap();
            let Connection { socket, mut output, input: _input } =
                server.accept().await?.connection()?;
            output.write_bytes(pattern(4 * MIB).into()).await?;
            drop(output);
            let kept = (dropped == "the writer").then_some(socket);
            settle().await;
            for _ in 0..3 {
                peer.read_exact(&mut vec![0; 64 * 1024]).unwrap();
                clock.advance(SILENCE * 2);
                settle().await;
                assert_eq!(selector.stats().unacknowledged, 0, "{dropped} was dropped");
            }
            let reading = thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
            until(|| reading.is_finished()).await;
            assert_eq!(reading.join().unwrap(), 4 * MIB - 3 * 64 * 1024);
            drop(kept);
        }
        Ok(())
    });
}

#[test]
fn a_peer_that_reads_for_ever_is_given_up_at_the_total() {
    with_defaults(async |selector, clock, reported| {
        let mut peer = dropped_pair(&selector, "steady").await?;
        let began = selector.now();
        // Every nine seconds it takes a little.
        while selector.now() - began < TOTAL * 29 / 30 {
            let mut piece = vec![0; PIECE_BYTES];
            peer.read_exact(&mut piece).unwrap();
            go_on(&clock, SILENCE * 9 / 10, SILENCE / 16).await;
            let (gone, told) = (selector.now() - began, reported.lock().unwrap().clone());
            assert_eq!(selector.stats().background_closes, 1, "after {gone:?}: {told:?}");
        }
        let mut piece = vec![0; PIECE_BYTES];
        peer.read_exact(&mut piece).unwrap();
        go_on(&clock, SILENCE, MOMENT * 100).await;
        until(|| selector.stats().sockets == 0).await;
        let reported = reported.lock().unwrap();
        let expected = "the peer has not acknowledged everything after 300s";
        assert!(reported.iter().any(|it| it.contains(expected)), "{reported:?}");
        Ok(())
    });
}
