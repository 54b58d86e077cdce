//! A TLS 1.3 server sends session tickets behind its handshake (RFC 8446, section 4.6.1), and a client
//! that only writes never reads them. They are no sign that the server still sends: when everything
//! is acknowledged, such a client is gone, however long the server stays.

use std::time::Duration;

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{report, tls::Configs, until_that, watched};

/// Far more than the test may take: no close is to wait for this.
const DRAIN: Duration = Duration::from_secs(3600);
const LIMIT: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    DropLastHandle,
}

async fn write_and_go(selector: &SelectorManager, end: End) -> Result<()> {
    let peers = SelectorManager::new();
    let configs = Configs::new();
    let server = peers.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
    let address = server.local_address();
    // The peer takes everything, and stays.
    let staying = peers.spawn_value(async move {
        let mut peer: Connection = server.accept().await?.connection()?;
        let said = peer.input.read_remaining(100).await?;
        assert_eq!(said.as_slice(), b"all there is");
        Result::Ok(peer)
    });
    let plain = selector.tcp().connect(address).await?;
    let mut client = plain.tls(&configs.client).await?.connection()?;
    drop(plain);
    client.output.write_str("all there is").await?;
    match end {
        End::Close => client.socket.close().await?,
        End::DropLastHandle => drop(client),
    }
    // It is the peer's own end that is not awaited.
    let peer = staying.await??;
    until_that("the client is gone", || selector.stats().sockets == 0).await;
    assert_eq!(selector.stats().unacknowledged, 0, "{end:?}");
    drop(peer);
    peers.close().await;
    Ok(())
}

#[test]
fn a_client_with_unread_tickets_does_not_wait_for_its_server_to_end() {
    for end in [End::Close, End::DropLastHandle] {
        watched(move || {
            SelectorManager::builder()
                .drain(DRAIN, LIMIT)
                .run(async |selector| write_and_go(&selector, end).await)
                .unwrap();
        });
        report(&format!("{end:?}: gone while its server stays"));
    }
}
