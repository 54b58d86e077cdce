//! A connection that is lost while something of the peer's is still in our kernel: that is read before
//! the loss is believed, and both halves and every call tell one cause.

#![cfg(all(target_os = "linux", feature = "tls"))]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;
mod vocabulary;

use forebay::{ByteReadChannel, Connection, Error};
use futures_lite::future::zip;
use support::{KIB, MIB, Transport, connection_between, on_transports, report, settle, until};

/// What is read before the loss, so that the receive window has grown to a megabyte or so.
const GROWING: usize = 16 * MIB;
/// What the peer sends behind that, as far as the window lets it.
const UNREAD: usize = 4 * MIB;
/// More than a reader may take in one turn.
const MORE_THAN_A_SHARE: usize = 300 * KIB;

/// Bytes that have arrived and that the process has not received.
fn unread(connection: &Connection) -> usize {
    let socket = &connection.socket;
    let (local, remote) = (socket.local_address(), socket.remote_address());
    let row = connection_between(local.as_inet().unwrap(), remote.as_inet().unwrap());
    row.map_or(0, |row| row.unread)
}

/// Reads to the end: how much that was, and how it ended.
async fn count_to_end(input: &mut ByteReadChannel) -> (usize, Option<Error>) {
    let (mut count, mut buffer) = (0, vec![0; 16 * KIB]);
    loop {
        match input.read(&mut buffer).await {
            Ok(0) => return (count, None),
            Ok(more) => count += more,
            Err(error) => return (count, Some(error)),
        }
    }
}

// ---- bytes first --------------------------------------------------------------------------------

#[test]
fn a_reader_gets_all_that_has_arrived_before_the_reset_that_the_writer_has_met() {
    on_transports(
        |transport| matches!(transport, Transport::Tcp | Transport::Tls),
        async |selector, transport| {
            let (mut near, mut far) = transport.pair(&selector).await?;
            let growing = async {
                far.output.write_all(&vec![b'a'; GROWING]).await?;
                far.output.flush().await
            };
            let (grown, discarded) = zip(growing, near.input.discard(GROWING as u64)).await;
            grown?;
            assert_eq!(discarded?, GROWING as u64);
            let Connection { output: mut from_far, socket: far, .. } = far;
            let sending = selector.spawn(async move {
                from_far.write_all(&vec![b'b'; UNREAD]).await?;
                from_far.finish().await
            });
            until(|| unread(&near) > MORE_THAN_A_SHARE).await;
            settle().await;
            let arrived = unread(&near);
            far.abort();
            drop(sending);
            near.output.write_str("to nobody").await.ok();
            let met = near.output.flush().await.unwrap_err();
            assert!(met.is_reset(), "{met}");

            let (read, error) = count_to_end(&mut near.input).await;
            let error = error.expect("no clean end behind a reset");
            assert!(error.is_reset(), "{error}");
            // Over TLS what arrived has headers, and may end in half a record.
            let least =
                if transport == Transport::Tls { arrived / 100 * 99 - 16 * KIB } else { arrived };
            report(&format!("tls_losses: {transport}: {read} bytes read of {arrived}"));
            assert!(read >= least, "over {transport}: {read} bytes read of {arrived}");
            Ok(())
        },
    );
}
