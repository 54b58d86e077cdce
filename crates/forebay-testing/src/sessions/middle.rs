//! An attacker's place between two sides, which passes on what it likes.

use std::pin::pin;

use forebay_io::{ByteReadChannel, ByteWriteChannel};
use forebay_tls::TlsConfig;
use futures_lite::future::{or, poll_once, zip};

use super::sides::{Raw, Side, handshake, side_and_raw};

/// The place between a client and a server.
pub struct Middle {
    /// The client's bytes, and the bytes for it.
    pub client: Raw,
    /// The server's bytes, and the bytes for it.
    pub server: Raw,
}

/// Makes two sides that have not begun, and the middle between them.
pub fn with_middle() -> (Side, Middle, Side) {
    let (client, left) = side_and_raw();
    let (server, right) = side_and_raw();
    (client, Middle { client: left, server: right }, server)
}

/// Makes the same, with the handshake passed on.
pub async fn opened_with_middle(client: &TlsConfig, server: &TlsConfig) -> (Side, Middle, Side) {
    let (left, mut middle, right) = with_middle();
    let both = async {
        let (ours, theirs) = zip(handshake(&left, client), handshake(&right, server)).await;
        ours.expect("the client's handshake");
        theirs.expect("the server's handshake");
    };
    or(both, middle.pass_on(1 << 20)).await;
    (left, middle, right)
}

impl Middle {
    /// Passes everything on, in pieces of at most this many bytes, until it is dropped.
    pub async fn pass_on(&mut self, piece: usize) {
        let Self { client, server } = self;
        zip(
            pass(&mut client.input, &mut server.output, piece),
            pass(&mut server.input, &mut client.output, piece),
        )
        .await;
    }

    /// Returns the bytes that the server has sent.
    pub async fn sent_by_server(&mut self) -> Vec<u8> {
        arrived(&mut self.server.input).await
    }

    /// Returns the bytes that the client has sent.
    pub async fn sent_by_client(&mut self) -> Vec<u8> {
        arrived(&mut self.client.input).await
    }

    pub async fn give_client(&mut self, bytes: &[u8]) {
        self.client.output.write_all(bytes).await.expect("the client's transport is open");
    }

    pub async fn give_server(&mut self, bytes: &[u8]) {
        self.server.output.write_all(bytes).await.expect("the server's transport is open");
    }
}

impl Raw {
    /// Returns the bytes that have arrived by now.
    pub async fn arrived(&mut self) -> Vec<u8> {
        arrived(&mut self.input).await
    }
}

/// Passes pieces on until the end, and the end; a piece is passed on when the one before was read.
async fn pass(input: &mut ByteReadChannel, output: &mut ByteWriteChannel, piece: usize) {
    while let Ok(Some(chunk)) = input.read_chunk().await {
        for piece in chunk.chunks(piece) {
            if output.write_all(piece).await.is_err() {
                return;
            }
            futures_lite::future::yield_now().await;
        }
    }
    output.finish().await.ok();
}

/// Returns the result of a call that waits for no event, even if it gives way first.
pub async fn soon<T>(call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    match poll_once(call.as_mut()).await {
        None => poll_once(call).await,
        answer => answer,
    }
}

async fn arrived(input: &mut ByteReadChannel) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(Some(chunk))) = soon(input.read_chunk()).await {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}
