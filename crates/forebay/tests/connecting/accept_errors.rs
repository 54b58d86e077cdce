//! Errors that the system may answer to `accept`, made by `strace`, before a client is
//! accepted after all.

#![cfg(target_os = "linux")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{Child, dial, listener, report, role, say, settle, skip, until, watched};

/// The machine has run out of something.
const OF_THE_MACHINE: [&str; 4] = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"];
/// A peer was gone before it was accepted, or its network was; or a signal came.
const OF_ONE_PEER: [&str; 8] = [
    "ECONNABORTED",
    "EPROTO",
    "EINTR",
    "ENETDOWN",
    "ENETUNREACH",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "ECONNRESET",
];
/// Connections that a listener takes from its backlog before it lets others run.
const SHARE: usize = 64;

/// Runs the child of a test under `strace`, which has `accept4` fail so often with this error, and
/// gives what the child says.
fn answered(test: &'static str, error: &str, times: usize) -> Option<String> {
    if !Child::can_trace(&[
        "strace",
        "-o",
        "/dev/null",
        "-e",
        "inject=accept4:error=EPERM:when=1..2",
    ]) {
        skip(test, "strace is missing, may not trace, or cannot inject");
        return None;
    }
    let inject = format!("inject=accept4:error={error}:when=1..{times}");
    let role = error.to_owned();
    let said = watched(move || {
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject];
        let mut child = Child::start_under(&strace, test, &role);
        let said = child.hear();
        child.end();
        said
    });
    Some(said.expect("the child says something"))
}

/// Runs on a selector whose time stands still, with the reports of it.
fn by_a_clock(
    body: impl AsyncFnOnce(SelectorManager, TestClock, Arc<Mutex<Vec<ErrorKind>>>) -> Result<()>,
) {
    let (clock, told) = (TestClock::new(), Arc::<Mutex<Vec<_>>>::default());
    let notes = Arc::clone(&told);
    let builder = SelectorManager::builder()
        .clock(clock.clone())
        .on_task_error(move |error| notes.lock().unwrap().push(error.kind()));
    builder.run(async |selector| body(selector, clock, told).await).unwrap();
}

async fn is_usable(socket: Socket, mut client: &std::net::TcpStream) -> Result<bool> {
    std::io::Write::write_all(&mut client, b"ping").unwrap();
    let mut answer = [0; 4];
    socket.open_read_channel()?.read_exact(&mut answer).await?;
    Ok(&answer == b"ping")
}

// ---- the machine's troubles ---------------------------------------------------------------------

#[test]
fn what_concerns_the_machine_makes_accepting_pause_and_go_on() {
    const NAME: &str = "what_concerns_the_machine_makes_accepting_pause_and_go_on";
    if role().is_some() {
        return pause_and_go_on();
    }
    for error in OF_THE_MACHINE {
        let Some(said) = answered(NAME, error, 5) else { return };
        report(&format!("{error} five times: {said}"));
        assert_eq!(said, "accepted after pauses of 5, 10, 20 and 40 ms");
    }
}

/// The child. The first failure is tried again at once, because a descriptor may have been freed
/// meanwhile; each of the other four begins a pause.
fn pause_and_go_on() {
    by_a_clock(async |selector, clock, told| {
        let server = listener(&selector).await?;
        let client = dial(server.port());
        let accepting = selector.spawn_value(async move { server.accept().await });
        for (pauses, millis) in [5, 10, 20, 40].into_iter().enumerate() {
            until(|| told.lock().unwrap().len() == pauses + 1).await;
            let (moment, pause) = (Duration::from_nanos(1), Duration::from_millis(millis));
            clock.advance(pause.saturating_sub(moment));
            settle().await;
            assert_eq!(told.lock().unwrap().len(), pauses + 1, "tried again before {pause:?}");
            clock.advance(moment);
        }
        assert!(is_usable(accepting.await??, &client).await?);
        assert_eq!(*told.lock().unwrap(), [ErrorKind::Exhausted; 4]);
        say("accepted after pauses of 5, 10, 20 and 40 ms");
        Ok(())
    });
}

/// Between finding no descriptor and waiting for one lies an attempt: the time stands still, so a
/// pause would never end.
#[test]
fn trouble_that_is_over_at_once_makes_no_pause() {
    const NAME: &str = "trouble_that_is_over_at_once_makes_no_pause";
    if role().is_some() {
        return accept_at_once();
    }
    for error in OF_THE_MACHINE {
        let Some(said) = answered(NAME, error, 1) else { return };
        assert_eq!(said, "accepted at once", "{error}");
    }
}

// ---- a peer's troubles --------------------------------------------------------------------------

#[test]
fn what_concerns_one_peer_is_passed_over_at_once_and_in_silence() {
    const NAME: &str = "what_concerns_one_peer_is_passed_over_at_once_and_in_silence";
    if role().is_some() {
        return accept_at_once();
    }
    for error in OF_ONE_PEER {
        let Some(said) = answered(NAME, error, 2) else { return };
        report(&format!("{error} twice: {said}"));
        assert_eq!(said, "accepted at once");
    }
}

/// The child: the time stands still, and nothing is reported, so nothing is printed.
fn accept_at_once() {
    by_a_clock(async |selector, _, told| {
        let server = listener(&selector).await?;
        let client = dial(server.port());
        assert!(is_usable(server.accept().await?, &client).await?);
        assert!(told.lock().unwrap().is_empty());
        assert_eq!((selector.stats().task_errors, selector.stats().timers), (0, 0));
        say("accepted at once");
        Ok(())
    });
}

/// Peers that come and go faster than they are accepted leave room for other tasks.
#[test]
fn a_flood_of_them_leaves_room_for_others() {
    const NAME: &str = "a_flood_of_them_leaves_room_for_others";
    const TIMES: usize = 1000;
    if role().is_some() {
        return count_turns();
    }
    let Some(said) = answered(NAME, "ECONNABORTED", TIMES) else { return };
    let turns: usize = said.parse().unwrap();
    report(&format!("{turns} turns of others during {TIMES} ECONNABORTED"));
    assert!(turns >= TIMES / SHARE, "{turns}");
}

fn count_turns() {
    by_a_clock(async |selector, _, _| {
        let server = listener(&selector).await?;
        let client = dial(server.port());
        let accepting = selector.spawn_value(async move { server.accept().await });
        let mut turns = 0;
        until(|| {
            turns += 1;
            accepting.is_finished()
        })
        .await;
        assert!(is_usable(accepting.await??, &client).await?);
        say(&turns.to_string());
        Ok(())
    });
}
