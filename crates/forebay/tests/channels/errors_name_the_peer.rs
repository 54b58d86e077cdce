//! The errors of a connection's channels name the peer, whatever carries the bytes.

#![cfg(target_os = "linux")]

use forebay::{
    Connection, Error, LineOptions, Result, SelectorManager, SocketAddress, UnixAddress,
};
use forebay_testing::{MIB, Transport, on_every_transport, report};

/// The name by which an error of this side knows the peer: of a Unix socket's peer without an address it is
/// this side's, and in memory there is none.
fn peer_of(side: &Connection) -> Option<String> {
    let named =
        |address: &SocketAddress| !matches!(address, SocketAddress::Unix(UnixAddress::Unnamed));
    let (remote, local) = (side.socket.remote_address(), side.socket.local_address());
    [remote, local].into_iter().find(named).map(|address| address.to_string())
}

fn assert_named<T>(outcome: Result<T>, peer: Option<&String>) -> Error {
    let error = outcome.err().unwrap();
    report(&format!("{error:?}"));
    assert_eq!(error.address(), peer.map(String::as_str), "{error}");
    error
}

/// The connected side and the accepted one, each in turn as the one whose calls fail.
async fn both_ways(
    selector: &SelectorManager,
    transport: Transport,
    test: impl AsyncFn(Connection, Connection, Option<String>) -> Result<()>,
) -> Result<()> {
    let (near, far) = transport.pair(selector).await?;
    let peer = peer_of(&near);
    assert_eq!(peer.is_some(), transport != Transport::Memory);
    test(near, far, peer).await?;
    let (near, far) = transport.pair(selector).await?;
    let peer = peer_of(&far);
    assert_eq!(peer.is_some(), transport != Transport::Memory);
    test(far, near, peer).await
}

#[test]
fn of_a_read() {
    on_every_transport(async |selector, transport| {
        both_ways(&selector, transport, async |mut near, mut far, peer| {
            far.output.write_all(b"too long\n\xffbad\n\0\0").await?;
            far.output.finish().await?;
            near.input.set_line_options(LineOptions::new().limit(4));
            let error = assert_named(near.input.read_line().await, peer.as_ref());
            assert!(error.is_line_too_long());
            assert_named(near.input.read_line().await, peer.as_ref());
            assert!(near.input.skip_line().await?);
            assert_named(near.input.read_line().await, peer.as_ref());
            assert!(near.input.skip_line().await?);
            assert_named(near.input.read_packet(2 * MIB).await, peer.as_ref());
            assert_named(near.input.read_packet(3).await, peer.as_ref());
            assert_named(near.input.read_exact(&mut [0; 3]).await, peer.as_ref());
            assert_named(near.input.read_u32().await, peer.as_ref());
            assert_named(near.input.read_remaining(1).await, peer.as_ref());
            Ok(())
        })
        .await
    });
}

#[test]
fn of_a_write() {
    on_every_transport(async |selector, transport| {
        both_ways(&selector, transport, async |mut near, _far, peer| {
            let long = "x".repeat(MIB);
            let error = near.output.write_strs(&[&long, "x"]).await;
            assert!(assert_named(error, peer.as_ref()).is_limit());
            let error = near.output.write_with(|out| out.put_str(&"x".repeat(MIB + 1))).await;
            assert!(assert_named(error, peer.as_ref()).is_limit());
            near.output.finish().await?;
            assert_named(near.output.write_str("late").await, peer.as_ref());
            Ok(())
        })
        .await
    });
}

#[test]
fn of_a_channel_that_is_open_and_of_a_socket_that_is_closed() {
    on_every_transport(async |selector, transport| {
        both_ways(&selector, transport, async |mut near, far, peer| {
            assert_named(near.socket.open_read_channel(), peer.as_ref());
            assert_named(near.socket.open_write_channel(), peer.as_ref());
            drop(far);
            near.socket.close().await?;
            assert_named(near.socket.open_read_channel(), peer.as_ref());
            assert_named(near.input.read_u8().await, peer.as_ref());
            assert_named(near.output.write_str("late").await, peer.as_ref());
            Ok(())
        })
        .await
    });
}

#[test]
fn of_a_connection_that_was_reset_or_aborted() {
    on_every_transport(async |selector, transport| {
        both_ways(&selector, transport, async |mut near, mut far, peer| {
            let far_peer = peer_of(&far);
            transport.reset_by_peer(&mut near, &far).await?;
            assert_named(near.input.read_u8().await, peer.as_ref());
            assert_named(near.output.write_str("late").await, peer.as_ref());
            assert_named(far.input.read_u8().await, far_peer.as_ref());
            assert_named(far.output.write_str("late").await, far_peer.as_ref());
            Ok(())
        })
        .await
    });
}

/// A writer that was cut off in the middle of a message, and its peer.
#[test]
fn of_half_a_message() {
    on_every_transport(async |selector, transport| {
        both_ways(&selector, transport, async |mut near, _far, peer| {
            near.output.abort_on_drop();
            near.output.write_str("half a mess").await?;
            assert_named(near.socket.close().await, peer.as_ref());
            assert_named(near.output.write_str("late").await, peer.as_ref());
            Ok(())
        })
        .await
    });
}
