//! tokio-tungstenite's client and server.

use forebay::SelectorManager;
use forebay_interop::{TRANSPORTS, bounded, pair};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_echoed_and_the_close_is_answered() {
    let selector = SelectorManager::new();
    for transport in TRANSPORTS {
        let (client, server) = bounded(pair(&selector, transport)).await;
        let serving = tokio::spawn(async move {
            let mut socket = tokio_tungstenite::accept_async(server).await.unwrap();
            while let Some(message) = socket.next().await {
                if let echoed @ (Message::Text(_) | Message::Binary(_)) = message.unwrap() {
                    socket.send(echoed).await.unwrap();
                }
            }
        });
        let url = "ws://localhost/";
        let (mut socket, _) = bounded(tokio_tungstenite::client_async(url, client)).await.unwrap();
        for size in [0, 1, 1000, 1_000_000] {
            let sent = Message::binary(vec![7; size]);
            bounded(socket.send(sent.clone())).await.unwrap();
            let received = bounded(socket.next()).await.unwrap().unwrap();
            assert!(received == sent, "{transport:?}: {size}");
        }
        bounded(socket.close(None)).await.unwrap();
        while let Some(message) = bounded(socket.next()).await {
            assert!(message.unwrap().is_close());
        }
        bounded(serving).await.unwrap();
    }
}
