//! 500 clients come to a listener with room for eight, and without a call of `accept`.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ErrorKind, Result, SelectorManager, Socket};
use forebay_testing::{dial, report, until, until_at_rest, watched};

const CLIENTS: u64 = 500;
const BACKLOG: u32 = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time is the test's, so that those who find no room wait no longer than it takes to see it. On one worker the
/// clients begin in the order in which they are spawned, so they are accepted in it, too.
#[test]
fn those_who_find_no_room_time_out_and_the_listener_recovers() {
    watched(|| {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().workers(1).clock(clock.clone());
        builder.run(async |selector| crowd(selector, clock).await).unwrap();
    });
}

async fn crowd(selector: SelectorManager, clock: TestClock) -> Result<()> {
    let server = selector.tcp().backlog(BACKLOG).bind("127.0.0.1:0").await?;
    let address = server.local_address();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let connecting =
                selector.tcp().connect_timeout(CONNECT_TIMEOUT).connect(address.clone());
            selector.spawn_value(connecting)
        })
        .collect();
    // All have a socket, and those for which there is room are connected.
    until(|| {
        let stats = selector.stats();
        stats.sockets == 1 + CLIENTS && stats.connected >= u64::from(BACKLOG)
    })
    .await;
    clock.advance(CONNECT_TIMEOUT);

    let mut connected: Vec<Socket> = Vec::new();
    let mut late = 0;
    for client in clients {
        match client.await? {
            Ok(socket) => connected.push(socket),
            Err(error) if error.kind() == ErrorKind::TimedOut => late += 1,
            Err(error) => return Err(error),
        }
    }
    report(&format!("{} of {CLIENTS} connected, {late} timed out", connected.len()));
    assert!(connected.len() >= BACKLOG as usize && late > 0);

    // The clients that found room are served, and so is a later one.
    for client in connected {
        let accepted = server.accept().await?;
        assert_eq!(accepted.remote_address(), client.local_address());
        drop((accepted, client));
    }
    let peer = selector.spawn_blocking({
        let port = server.port();
        move || {
            let mut peer = dial(port);
            peer.write_all(b"late\n").unwrap();
            let mut answer = [0; 5];
            peer.read_exact(&mut answer).unwrap();
            answer
        }
    });
    // A half-open connection of a client that has given up may still come before it.
    loop {
        let mut it = server.accept().await?.connection()?;
        if let Ok(Some(line)) = it.input.read_line().await {
            it.output.write_strs(&[&line, "\n"]).await?;
            it.output.flush().await?;
            break;
        }
    }
    assert_eq!(&peer.await?, b"late\n");
    server.close();
    until_at_rest(&selector, 0).await;
    Ok(())
}
