//! Peers that send their `ClientHello` one byte at a time, so that something always comes: the
//! handshake's deadline is for all of it, and meanwhile no other peer waits for them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use forebay::{ErrorKind, Result, SelectorManager, ServerSocket, TlsConfig};
use forebay_testing::{dial, report, run, tls::Configs};
use futures_lite::future::zip;

const PEERS: usize = 20;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);
/// Between a peer's byte and its next.
const PAUSE: Duration = Duration::from_millis(50);
/// The beginning of a record of 512 bytes, which would take 25 seconds.
const HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
const HELLO_LENGTH: usize = 5 + 512;

/// Sends every peer's next byte until no connection takes one. Returns how many the last peer sent.
fn drip(mut peers: Vec<TcpStream>) -> usize {
    for peer in &peers {
        peer.set_nodelay(true).unwrap();
    }
    for at in 0..HELLO_LENGTH {
        let byte = [HELLO.get(at).copied().unwrap_or(0)];
        peers.retain_mut(|peer| peer.write_all(&byte).is_ok());
        if peers.is_empty() {
            return at;
        }
        thread::sleep(PAUSE);
    }
    HELLO_LENGTH
}

/// A client that does as it should, and its server.
async fn honest(
    selector: &SelectorManager,
    server: &ServerSocket,
    client: &TlsConfig,
) -> Result<()> {
    let connecting = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        let mut it = plain.tls(client).await?.connection()?;
        it.output.write_str("hello\n").await?;
        it.output.finish().await
    };
    let serving = async {
        let mut it = server.accept().await?.connection()?;
        assert_eq!(it.input.read_line().await?.as_deref(), Some("hello"));
        it.output.finish().await
    };
    let (connected, done) = zip(connecting, serving).await;
    connected.and(done)
}

#[test]
fn peers_that_drip_their_handshake_are_gone_at_its_deadline() {
    run(async |selector| {
        let configs = Configs::with(|it| it, |it| it.handshake_timeout(HANDSHAKE_TIMEOUT));
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
        let peers: Vec<_> = (0..PEERS).map(|_| dial(server.port())).collect();
        let since = Instant::now();
        let mut handshakes = Vec::new();
        for _ in 0..PEERS {
            let socket = server.accept().await?;
            handshakes.push(selector.spawn_value(async move { socket.handshake().await }));
        }
        let are_gone = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&are_gone);
        let dripping = selector.spawn_blocking(move || {
            let bytes = drip(peers);
            told.store(true, SeqCst);
            bytes
        });
        let mut honest_ones = 0;
        while !are_gone.load(SeqCst) {
            honest(&selector, &server, &configs.client).await?;
            honest_ones += 1;
            selector.sleep(PAUSE).await;
        }
        let (bytes, took) = (dripping.await?, since.elapsed());
        assert!(honest_ones > 0 && (2..HELLO_LENGTH).contains(&bytes), "{honest_ones}, {bytes}");
        for handshake in handshakes {
            let error = handshake.await?.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        }
        assert!(took >= HANDSHAKE_TIMEOUT, "{took:?}");
        report(&format!(
            "tls_dripping_peers: {PEERS} peers were sent away after {bytes} bytes in {took:.1?} \
             (deadline {HANDSHAKE_TIMEOUT:?}), {honest_ones} honest ones served meanwhile"
        ));
        Ok(())
    });
}
