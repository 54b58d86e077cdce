//! A process without a descriptor for one moment: the call that needs one says so, and the next one works.

#![cfg(target_os = "linux")]

use std::any::Any;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use forebay::{
    BoundDatagramSocket, BoundUnixDatagramSocket, ConnectedDatagramSocket,
    ConnectedUnixDatagramSocket, ErrorKind, Result, SelectorManager, ServerSocket, Socket,
};
use forebay_testing::{
    Child, NoDescriptors, alone, descriptors, in_host, role, run_on_one_worker, say, settle, skip,
    socket_descriptors, unix::Directory,
};

use super::inherited_by_name::PARENT;

/// Asserts that a call fails for want of a descriptor, leaves nothing behind, and works when there is one again.
async fn refused_once<T>(name: &str, call: impl AsyncFn() -> Result<T>) -> Result<T> {
    settle().await;
    let before = socket_descriptors();
    let full = NoDescriptors::but(0);
    let refused = call().await;
    drop(full);
    let error = refused.err().unwrap_or_else(|| panic!("{name} needs none"));
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{name}: {error}");
    assert_eq!(socket_descriptors(), before, "{name}");
    call().await
}

#[test]
fn datagram_sockets_are_opened_when_there_is_a_descriptor_again() {
    alone("datagram_sockets_are_opened_when_there_is_a_descriptor_again", || {
        run_on_one_worker(async |selector| {
            let directory = Directory::new();
            let [server, client] = ["server", "client"].map(|name| directory.join(name));
            // The worker has all the descriptors that it needs.
            forebay::yield_now().await;
            let udp = || async { selector.udp().bind("127.0.0.1:0").await };
            let udp = refused_once("bind", async || udp().await).await?;
            let to = udp.local_address();
            let connected = refused_once("connect", async || selector.udp().connect(to).await);
            connected.await?.send("one").await?;
            assert_eq!(udp.receive().await?.payload, "one");

            let builder = || selector.unix().datagram();
            let unix = refused_once("bind", async || builder().bind(&server).await).await?;
            let connected = refused_once("connect", async || {
                builder().local_address(&client).connect(&server).await
            });
            let connected = connected.await?;
            connected.send("one").await?;
            assert_eq!(unix.receive().await?.payload, "one");
            drop(connected);
            assert!(!client.exists());
            Ok(())
        });
    });
}

#[test]
fn another_descriptor_is_given_when_there_is_one_again() {
    alone("another_descriptor_is_given_when_there_is_one_again", || {
        run_on_one_worker(async |selector| {
            let directory = Directory::new();
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let socket = selector.tcp().connect(server.local_address()).await?;
            let udp = selector.udp().bind("127.0.0.1:0").await?;
            let udp_connected = selector.udp().connect(udp.local_address()).await?;
            let unix = selector.unix().datagram().bind(directory.join("unix")).await?;
            let unix_connected = selector.unix().datagram().connect(unix.local_address()).await?;
            refused_once("listener", async || server.try_clone_fd()).await?;
            refused_once("connection", async || socket.try_clone_fd()).await?;
            refused_once("UDP", async || udp.try_clone_fd()).await?;
            refused_once("UDP with a peer", async || udp_connected.try_clone_fd()).await?;
            refused_once("Unix datagrams", async || unix.try_clone_fd()).await?;
            refused_once("Unix datagrams with a peer", async || unix_connected.try_clone_fd())
                .await?;
            // Nothing has changed for the sockets.
            udp_connected.send("one").await?;
            assert_eq!(udp.receive().await?.payload, "one");
            unix_connected.send("one").await?;
            assert_eq!(unix.receive().await?.payload, "one");
            socket.abort();
            Ok(())
        });
    });
}

/// A socket of another program, which costs this one no descriptor unless it is of UDP.
#[test]
fn sockets_are_taken_over_with_a_descriptor_or_without() {
    alone("sockets_are_taken_over_with_a_descriptor_or_without", || {
        run_on_one_worker(async |selector| {
            let from_udp = |socket: &UdpSocket| OwnedFd::from(socket.try_clone().unwrap());
            let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
            let at = bound.local_addr().unwrap();
            // The clone is made before, and closed by the call that fails.
            let needs_one = |fd| BoundDatagramSocket::from_fd(selector.udp(), fd);
            let (first, second) = (from_udp(&bound), from_udp(&bound));
            let before = descriptors().len();
            let full = NoDescriptors::but(0);
            let error = needs_one(first).unwrap_err();
            drop(full);
            assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
            assert_eq!(descriptors().len(), before - 1);
            let taken = needs_one(second)?;
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"one", at).unwrap();
            assert_eq!(taken.receive().await?.payload, "one");

            let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
            connected.connect(at).unwrap();
            let fd = from_udp(&connected);
            let full = NoDescriptors::but(0);
            let refused = ConnectedDatagramSocket::from_fd(selector.udp(), fd);
            drop(full);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Exhausted);

            let directory = Directory::new();
            let (one, other) = UnixDatagram::pair().unwrap();
            let unix = UnixDatagram::bind(directory.join("unix")).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let builder = || selector.unix().datagram();
            let full = NoDescriptors::but(0);
            let taken: Vec<Box<dyn Any>> = vec![
                Box::new(ConnectedUnixDatagramSocket::from_fd(builder(), one.into())?),
                Box::new(BoundUnixDatagramSocket::from_fd(builder(), unix.into())?),
                Box::new(ServerSocket::from_fd(selector.tcp(), listener.into())?),
            ];
            let connection = Socket::from_fd(selector.tcp(), client.into());
            drop(full);
            connection?.abort();
            drop((taken, other));
            Ok(())
        });
    });
}

/// The child: takes the socket of its parent when it can.
fn take_when_there_is_one() {
    in_host(async |selector: SelectorManager| {
        let take = || BoundDatagramSocket::from_env(selector.udp(), "dns");
        let wrong = || BoundDatagramSocket::from_env(selector.udp().ttl(0), "dns");
        forebay::yield_now().await;
        let full = NoDescriptors::but(0);
        let refused = take();
        drop(full);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
        // An option that the system refuses does not cost the socket, either.
        let error = wrong().unwrap_err();
        assert!(error.to_string().contains("ttl"), "{error}");
        let taken = take()?;
        assert_eq!(take().unwrap_err().kind(), ErrorKind::NotFound);
        say(&taken.local_address().to_string());
        say(&String::from_utf8_lossy(&taken.receive().await?.payload));
        Result::Ok(())
    })
    .unwrap();
}

#[test]
fn a_socket_of_the_service_manager_stays_for_the_next_call() {
    if role().is_some() {
        return take_when_there_is_one();
    }
    let test = "a_socket_of_the_service_manager_stays_for_the_next_call";
    if Command::new("python3").arg("--version").output().is_err() {
        return skip(test, "python3 is missing");
    }
    let parent = ["python3", "-c", PARENT, "dns=udp=127.0.0.1"];
    let mut child = Child::start_under(&parent, test, "takes");
    let address = child.hear().unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"one", address).unwrap();
    assert_eq!(child.hear().as_deref(), Some("one"));
    child.end();
}
