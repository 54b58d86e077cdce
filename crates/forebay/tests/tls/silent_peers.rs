//! Peers that connect to a TLS server and then say nothing, or half a `ClientHello`: thousands of them
//! keep no client out, cost no processor time, and are gone at the handshake's deadline.

#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use forebay::{ErrorKind, Result, SelectorManager, ServerSocket, TlsConfig, Trust};
use forebay_testing::{
    Child, dial, processor_time_here, report, role, say, settle, size, tls::Configs, until,
    watched, watched_for,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const NAME: &str = "thousands_of_silent_peers_keep_nobody_out";
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(6);
/// An honest handshake may take so many times as long as on an empty server, and this besides.
const FACTOR: u32 = 10;
const BESIDES: Duration = Duration::from_millis(500);
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

/// As many descriptors as a test may have.
fn raise_descriptors() {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(20_000).min(20_000);
    let limit = Rlimit { current: Some(most), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// The child: connects as often as it is told, says that much, and waits.
fn peers(role: &str) {
    raise_descriptors();
    let (said, port) = role.split_once(' ').unwrap();
    let said = if said == "half" { HALF_A_HELLO } else { b"" };
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    let count: usize = line.trim().parse().unwrap();
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let connect = |_| {
        let mut peer = TcpStream::connect(address).unwrap();
        peer.write_all(said).unwrap();
        peer
    };
    let peers: Vec<_> = (0..count).map(connect).collect();
    say("connected");
    // All of them are reset, or ended.
    let ended = peers.iter().filter(|peer| !matches!(peer.take(99).read(&mut [0; 99]), Ok(1..)));
    let ended = ended.count();
    say(&ended.to_string());
}

async fn serve(server: ServerSocket) -> Result<()> {
    let mut incoming = server.incoming();
    while let Some(socket) = incoming.next().await {
        let socket = socket?;
        forebay::spawn(async move {
            let mut it = socket.connection()?;
            it.input.copy_to(&mut it.output).await?;
            socket.close().await
        })
        .detach();
    }
    Ok(())
}

/// Returns the time that an honest client takes to be secure and to hear an echo.
async fn honest(selector: &SelectorManager, port: u16, client: &TlsConfig) -> Result<Duration> {
    let since = Instant::now();
    let socket = selector.tcp().connect(("127.0.0.1", port)).await?.tls(client).await?;
    let mut it = socket.connection()?;
    it.output.write_str("hello\n").await?;
    assert_eq!(it.input.read_line().await?.as_deref(), Some("hello"));
    Ok(since.elapsed())
}

async fn among(selector: SelectorManager, said: &str, count: usize) -> Result<()> {
    let configs =
        Configs::with(|it| it.session_cache(0), |it| it.handshake_timeout(HANDSHAKE_TIMEOUT));
    let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    let port = server.port();
    let _serving = selector.spawn(serve(server));
    honest(&selector, port, &configs.client).await?;
    let alone = honest(&selector, port, &configs.client).await?;

    let mut child = Child::start(NAME, &format!("{said} {port}"));
    let (mut child, heard) = selector
        .spawn_blocking(move || {
            child.tell(&count.to_string());
            let heard = child.hear();
            (child, heard)
        })
        .await?;
    assert_eq!(heard.as_deref(), Some("connected"));
    until(|| selector.stats().accepted >= count as u64).await;
    let among = honest(&selector, port, &configs.client).await?;
    assert!(among < alone * FACTOR + BESIDES, "{among:?} among them, {alone:?} without");

    let (before, since) = (processor_time_here(), Instant::now());
    selector.sleep(Duration::from_secs(1)).await;
    let (used, passed) = (processor_time_here().saturating_sub(before), since.elapsed());
    assert!(used < passed / 4, "{used:?} of processor time in {passed:?} in which nothing happens");

    let ended: usize = selector.spawn_blocking(move || child.hear_number()).await?;
    assert_eq!(ended, count, "all are gone at the deadline");
    until(|| selector.stats().sockets <= 1).await;
    report(&format!(
        "tls_silent_peers: {count} peers that say {said}: an honest handshake takes {among:?} among \
         them and {alone:?} without; {used:?} of processor time in {passed:?} of silence; all gone \
         after {HANDSHAKE_TIMEOUT:?}"
    ));
    Ok(())
}

#[test]
fn thousands_of_silent_peers_keep_nobody_out() {
    if let Some(role) = role() {
        return peers(&role);
    }
    raise_descriptors();
    let count = size("FOREBAY_PEERS", 300, 1_000);
    watched_for(Duration::from_secs(240), move || {
        std::thread::scope(|scope| {
            for said in ["nothing", "half"] {
                scope.spawn(move || {
                    let builder =
                        SelectorManager::builder().on_task_error(|_| ()).handshakes_max(2 * count);
                    builder.run(async |selector| among(selector, said, count).await).unwrap();
                });
            }
        });
    });
}

#[test]
fn of_too_many_handshakes_the_oldest_ends_and_silent_peers_do_not_count() {
    const MOST: usize = 4;
    watched(|| {
        let builder =
            SelectorManager::builder().workers(1).on_task_error(|_| ()).handshakes_max(MOST);
        builder
            .run(async |selector| {
                let configs = Configs::new();
                let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
                let mut accepted = Vec::new();
                let mut peers = Vec::new();
                for at in 0..20 {
                    let mut peer = dial(server.port());
                    if at % 2 == 1 {
                        peer.write_all(HALF_A_HELLO).unwrap();
                    }
                    peers.push(peer);
                    let socket = server.accept().await?;
                    accepted.push(selector.spawn_value(async move { socket.handshake().await }));
                    settle().await;
                }
                // Ten have begun, one after the other, and four of them may.
                until(|| accepted.iter().filter(|it| it.is_finished()).count() == 10 - MOST).await;
                for (at, handshake) in accepted.into_iter().enumerate() {
                    let is_oldest = at % 2 == 1 && at < 2 * (10 - MOST);
                    assert_eq!(handshake.is_finished(), is_oldest, "the {at}th");
                    if is_oldest {
                        let error = handshake.await?.unwrap_err();
                        let expected = ErrorKind::LimitExceeded { limit: MOST as u64 };
                        assert_eq!(error.kind(), expected, "{error}");
                        assert!(error.to_string().contains("handshakes_max"), "{error}");
                    }
                }
                Ok::<_, forebay::Error>(())
            })
            .unwrap();
    });
}

/// By a reset, or by the end in the middle: no call waits for a peer that is gone.
#[test]
fn a_peer_that_accepts_and_closes_is_told_long_before_the_deadline() {
    watched(|| {
        forebay::run(async |selector| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let trust = Trust::verifier(|_| Ok(()));
            let client =
                TlsConfig::client().trust(trust).handshake_timeout(Duration::from_secs(3600));
            let client = client.build()?;
            for reads in [false, true] {
                let socket = selector.tcp().connect(listener.local_addr().unwrap()).await?;
                let (mut peer, _) = listener.accept().unwrap();
                let closing = selector.spawn_blocking(move || {
                    if reads {
                        peer.read_exact(&mut [0; 100]).unwrap();
                    }
                });
                let error = socket.tls(&client).await.unwrap_err();
                assert!(error.is_reset() || error.tls_fault().is_some(), "{error}");
                closing.await?;
            }
            Result::Ok(())
        })
        .unwrap();
    });
}
