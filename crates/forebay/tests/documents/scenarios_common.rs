//! The behaviour that Ktor's own tests of its sockets pin (ktor-network, common), restated.
//!
//! Each test is named after its row, and its comment holds the row's id. Rows that wait:
//!
//! - `UDPSocketTest#testBroadcastFails`, `#testClose`, `#testInvokeOnClose`,
//!   `#testOutgoingInvokeOnClose`, `#testOutgoingInvokeOnClosed`, `#testSendReceive`,
//!   `#testSendReceiveLarge`: for UDP sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use forebay::{
    Address, ByteReadChannel, CloseReason, Connection, Error, Result, SelectorManager,
    ServerSocket, Socket, SocketAddress, ToAddress, UnixAddress,
};
use forebay_testing::{
    connected, settle,
    unix::{Directory, abstract_name},
    watched,
};
use futures_lite::future::{poll_once, yield_now, zip};

/// The bytes of an address, as Ktor's `resolveAddress` gives them.
fn octets(address: &SocketAddress) -> Vec<u8> {
    match address.ip().unwrap() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A last line that must have its end: Ktor's `readLineStrict`.
async fn read_line_strict(input: &mut ByteReadChannel) -> Result<String> {
    input.read_line().await?.ok_or_else(|| Error::other("the end, and no line"))
}

// ---- addresses -----------------------------------------------------------------------------------------

/// `InetSocketAddressTest#testResolveAddress`
#[test]
fn inet_socket_address_test_resolve_address() {
    let v4: SocketAddress = "127.0.0.1:8080".parse().unwrap();
    assert_eq!(octets(&v4), [127, 0, 0, 1]);
    let v6: SocketAddress = "[::1]:8080".parse().unwrap();
    assert_eq!(octets(&v6), [&[0; 15][..], &[1]].concat());
    // Host and port apart name the same address, which needs no look-up.
    for (host, address) in [("127.0.0.1", v4), ("::1", v6)] {
        let pair: Address = (host, 8080).to_address().unwrap();
        assert_eq!(pair, address.to_address().unwrap());
        assert_eq!(address.port(), Some(8080));
    }
}

/// `InetSocketAddressTest#construct from IPv4 byte array`
#[test]
fn inet_socket_address_construct_from_ipv4_byte_array() {
    let bytes = [127, 0, 0, 1];
    let address = SocketAddress::from((bytes, 8080));
    assert_eq!(address.port(), Some(8080));
    assert_eq!(octets(&address), bytes);
    assert_eq!(address, SocketAddress::from((Ipv4Addr::LOCALHOST, 8080)));
}

/// `InetSocketAddressTest#construct from IPv6 byte array`
#[test]
fn inet_socket_address_construct_from_ipv6_byte_array() {
    let mut bytes = [0; 16];
    bytes[15] = 1;
    let address = SocketAddress::from((bytes, 8080));
    assert_eq!(address.port(), Some(8080));
    assert_eq!(octets(&address), bytes);
    assert_eq!(address, SocketAddress::from((Ipv6Addr::LOCALHOST, 8080)));
}

// ---- TCP -----------------------------------------------------------------------------------------------

/// `TCPSocketTest#testEcho`
#[test]
fn tcp_socket_test_echo() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let client = selector.tcp().connect(server.local_address()).await?;
            see_echo(&selector, server, client).await
        })
        .unwrap();
    });
}

/// Checks what `testEcho` and `testEchoOverUnixSockets` say of a server and its client.
async fn see_echo(selector: &SelectorManager, server: ServerSocket, client: Socket) -> Result<()> {
    let accepting = server.clone();
    let handler = selector.spawn_value(async move {
        let socket = accepting.accept().await?;
        let mut input = socket.open_read_channel()?;
        let name = read_line_strict(&mut input).await?;
        let mut output = socket.open_write_channel()?;
        output.write_str("Hello From Server\n").await?;
        output.flush().await?;
        socket.close().await?;
        Result::Ok(name)
    });

    let mut output = client.open_write_channel()?;
    output.write_str("Hello, world\n").await?;
    output.flush().await?;
    output.finish().await?;
    assert!(output.is_closed_for_write());

    assert_eq!(handler.await??, "Hello, world");
    let mut input = client.open_read_channel()?;
    assert_eq!(read_line_strict(&mut input).await?, "Hello From Server");
    client.close().await?;
    server.close();
    assert!(client.is_closed() && server.is_closed());
    Ok(())
}

/// `TCPSocketTest#testEchoByteArray`
#[test]
fn tcp_socket_test_echo_byte_array() {
    const SIZES: [usize; 8] = [0, 1, 4095, 4096, 4097, 40_960, 10 * 4 * (1024 + 8), 8_388_608];
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let accepting = server.clone();
            let handler = selector.spawn(async move {
                loop {
                    let Connection { mut input, mut output, socket } =
                        match accepting.accept().await {
                            Ok(socket) => socket.connection()?,
                            Err(error) if error.is_closed() => return Ok(()),
                            Err(error) => return Err(error),
                        };
                    let all = input.read_remaining(8_388_608).await?;
                    output.write_packet(all).await?;
                    output.finish().await?;
                    socket.close().await?;
                }
            });
            for size in SIZES {
                let content: Vec<u8> = (0..=255).cycle().take(size).collect();
                let socket = selector.tcp().connect(server.local_address()).await?;
                let Connection { mut input, mut output, socket } = socket.connection()?;
                output.write_all(&content).await?;
                output.finish().await?;
                let response = input.read_remaining(size).await?;
                assert!(response.as_slice() == content, "{size} bytes differ");
                socket.close().await?;
            }
            server.close();
            handler.await
        })
        .unwrap();
    });
}

/// `TCPSocketTest#testReadFromCancelledSocket`: cancelling the socket's scope is aborting it here.
#[test]
fn tcp_socket_test_read_from_cancelled_socket() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (client, _server, _listener) = connected(&selector).await?;
            let Connection { mut input, socket, .. } = client;
            socket.abort();
            let error = input.read_u8().await.unwrap_err();
            assert!(error.is_closed(), "{error}");
            socket.close().await?;

            // Cancelling the task that reads is the other half of what Ktor's scope does.
            let (client, _server, _listener) = connected(&selector).await?;
            let Connection { mut input, socket, .. } = client;
            let reader = selector.spawn_value(async move { input.read_u8().await });
            yield_now().await;
            reader.abort();
            assert!(reader.await.is_err_and(|error| error.is_cancelled()));
            socket.close().await
        })
        .unwrap();
    });
}

/// `TCPSocketTest#testDisconnect`
#[test]
fn tcp_socket_test_disconnect() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (mut client, mut server, listener) = connected(&selector).await?;
            // The server waits before the client goes.
            assert!(poll_once(server.input.read_u8()).await.is_none());
            let closing = client.socket.clone();
            let (received, closed) = zip(server.input.read_u8(), closing.close()).await;
            closed?;
            let error = received.unwrap_err();
            assert!(error.is_end(), "{error}");
            assert!(server.input.is_closed_for_read());

            server.socket.close().await?;
            listener.close();
            client.socket.closed().await;
            server.socket.closed().await;
            listener.closed().await;
            assert!(client.socket.is_closed());
            // Nothing is left to read, which an open channel finds out by reading.
            assert!(client.input.read_u8().await.is_err());
            assert_eq!(client.input.buffered(), 0);
            assert!(client.output.is_closed_for_write());
            assert!(server.socket.is_closed());
            assert!(server.output.is_closed_for_write());
            assert!(listener.is_closed());
            assert_eq!(client.socket.closed().await, CloseReason::Local);
            Result::Ok(())
        })
        .unwrap();
    });
}

/// Asserts that a closed accept says `Closed`, and nothing of descriptors.
fn assert_closed_politely<T>(accepted: Result<T>) {
    let error = accepted.map(drop).unwrap_err();
    assert!(error.is_closed(), "{error}");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(this) = cause {
        let text = this.to_string().to_lowercase();
        assert!(!text.contains("descriptor"), "{text}");
        cause = this.source();
    }
}

/// `TCPSocketTest#testAcceptErrorOnSocketClose`
#[test]
fn tcp_socket_test_accept_error_on_socket_close() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let accepting = server.clone();
            let accepted = selector.spawn_value(async move { accepting.accept().await });
            settle().await;
            assert!(!accepted.is_finished(), "there is no client to accept");
            server.close();
            assert_closed_politely(accepted.await?);

            // `awaitClosed` too, on a socket without a single call of `accept`.
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let waiting = server.clone();
            let closed = selector.spawn_value(async move { waiting.closed().await });
            settle().await;
            assert!(!closed.is_finished());
            server.close();
            closed.await
        })
        .unwrap();
    });
}

/// `TCPSocketTest#testAcceptErrorOnImmediateSocketClose`
#[test]
fn tcp_socket_test_accept_error_on_immediate_socket_close() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let accepting = server.clone();
            let accepted = selector.spawn_value(async move { accepting.accept().await });
            server.close();
            assert_closed_politely(accepted.await?);
            assert_closed_politely(server.accept().await);
            Result::Ok(())
        })
        .unwrap();
        // And from another thread, at whatever moment of the wait it comes.
        for _ in 0..500 {
            let selector = SelectorManager::new();
            let accepted = selector.block_on(async {
                let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
                let closing = server.clone();
                let closer = std::thread::spawn(move || closing.close());
                let accepted = server.accept().await;
                closer.join().unwrap();
                accepted
            });
            assert_closed_politely(accepted);
        }
    });
}

/// `TCPSocketTest#testAwaitClosedDoesNotDeadLock`
#[test]
fn tcp_socket_test_await_closed_does_not_dead_lock() {
    const LIMIT: Duration = Duration::from_secs(2);
    watched(|| {
        let serving = SelectorManager::new();
        let server = serving.block_on(serving.tcp().bind("127.0.0.1:0")).unwrap();
        let address = server.local_address();
        // Accepts and closes, on the thread of another selector.
        let handler = serving.spawn(async move {
            loop {
                server.accept().await?.close().await?;
            }
        });
        forebay::run(async |selector: SelectorManager| {
            for number in 0..256 {
                let socket = selector.tcp().connect(&address).await?;
                let output = socket.open_write_channel()?;
                let closed = async {
                    socket.close().await?;
                    Result::Ok(socket.closed().await)
                };
                let reason = selector.timeout(LIMIT, closed).await;
                assert_eq!(reason?, CloseReason::Local, "connection {number}");
                drop(output);
            }
            Result::Ok(())
        })
        .unwrap();
        handler.abort();
        serving.block_on(serving.close());
    });
}

/// `TCPSocketTest#testAutoFlush`. Its second half wraps the channel in one that counts, which must flush as well. Here
/// every channel counts; what wraps one is `share()`.
#[test]
fn tcp_socket_test_auto_flush() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let (mut client, mut server, _listener) = connected(&selector).await?;
            client.output.write_str("Hello, world\n").await?;
            assert_eq!(read_line_strict(&mut server.input).await?, "Hello, world");
            assert_eq!(client.output.counted(), 13);
            client.output.write_str("Hello again\n").await?;
            assert_eq!(read_line_strict(&mut server.input).await?, "Hello again");
            assert_eq!((client.output.counted(), server.input.counted()), (25, 25));

            // Without it nothing leaves until it is asked for.
            client.output.manual_flush();
            client.output.write_str("Hello at last\n").await?;
            for _ in 0..100 {
                yield_now().await;
                assert!(poll_once(server.input.read_line()).await.is_none());
            }
            assert_eq!(client.output.queued(), 14);
            client.output.flush().await?;
            assert_eq!(read_line_strict(&mut server.input).await?, "Hello at last");

            // The other direction, whose channel is wrapped.
            let shared = server.output.share();
            shared.write_str("Hello back\n").await?;
            assert_eq!(read_line_strict(&mut client.input).await?, "Hello back");
            assert_eq!((shared.counted(), client.input.counted()), (11, 11));
            Result::Ok(())
        })
        .unwrap();
    });
}

// ---- Unix sockets --------------------------------------------------------------------------------------

/// `UnixSocketTest#testEchoOverUnixSockets`; the path is removed by the server, not by the test. And
/// the same at an abstract name, which Ktor does not know.
#[test]
fn unix_socket_test_echo_over_unix_sockets() {
    watched(|| {
        forebay::run(async |selector: SelectorManager| {
            let directory = Directory::new();
            let path = directory.join("ktor-echo-test");
            let mut addresses = vec![UnixAddress::Path(path.clone())];
            if cfg!(any(target_os = "linux", target_os = "android")) {
                addresses.push(abstract_name("ktor-echo-test"));
            }
            for address in addresses {
                let server = selector.unix().bind(address).await?;
                let client = selector.unix().connect(server.local_address()).await?;
                see_echo(&selector, server, client).await?;
                assert!(!path.exists());
            }
            Result::Ok(())
        })
        .unwrap();
    });
}
