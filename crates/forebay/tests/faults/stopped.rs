//! A stop of this whole process (`SIGSTOP`), over which a limit passes: what has arrived meanwhile, and a connection
//! that was made, count before the limit does. The child is stopped; its parent plays the peer.
//!
//! The limits are of real time, for the stop is too. They are long enough for the parent to stop the child before.

#![cfg(target_os = "linux")]

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use forebay::{Result, SelectorManager, within};
use forebay_testing::{
    Child, Host, Names, Silent, connecting_to, on_one_port, role, run_on_a_worker, say,
    unix::Directory, wait_for, watched,
};

/// The limit of each call.
const LIMIT: Duration = Duration::from_secs(4);
/// The datagrams that arrive during a stop, for which a Unix socket's queue has room.
const DATAGRAMS: u8 = 10;

/// Stops the child now, lets `peer` act and the child's limit pass, and continues it.
fn stop_beyond_the_limit(child: &Child, peer: impl FnOnce()) {
    let since = Instant::now();
    child.stop();
    assert!(since.elapsed() < LIMIT, "this machine is too busy to tell");
    peer();
    thread::sleep((LIMIT + Duration::from_millis(500)).saturating_sub(since.elapsed()));
    child.go_on();
}

// ---- datagrams ----------------------------------------------------------------------------------

/// The child: receives by a limit, first of UDP and then of a Unix socket.
fn receive_by_a_limit(path: &str) {
    let path = path.to_owned();
    run_on_a_worker(async move |selector| {
        let udp = selector.udp().bind("127.0.0.1:0").await?;
        let unix = selector.unix().datagram().bind(path).await?;
        say(&udp.local_address().to_string());
        let mut received = Vec::new();
        let first = within(LIMIT, udp.receive()).await.expect("a datagram is here")?;
        received.extend_from_slice(&first.payload);
        while let Some(next) = udp.try_receive()? {
            received.extend_from_slice(&next.payload);
        }
        say(&format!("{received:?}"));
        received.clear();
        let first = within(LIMIT, unix.receive()).await.expect("a datagram is here")?;
        received.extend_from_slice(&first.payload);
        while let Some(next) = unix.try_receive()? {
            received.extend_from_slice(&next.payload);
        }
        say(&format!("{received:?}"));
        Ok(())
    });
}

#[test]
fn datagrams_that_came_during_a_stop_are_received_before_the_limit() {
    if let Some(path) = role() {
        return receive_by_a_limit(&path);
    }
    watched(|| {
        let directory = Directory::new();
        let path = directory.join("server");
        let test = "datagrams_that_came_during_a_stop_are_received_before_the_limit";
        let mut child = Child::start(test, path.to_str().unwrap());
        let address: SocketAddr = child.hear().unwrap().parse().unwrap();
        let expected = format!("{:?}", (0..DATAGRAMS).collect::<Vec<_>>());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        stop_beyond_the_limit(&child, || {
            for number in 0..DATAGRAMS {
                udp.send_to(&[number], address).unwrap();
            }
        });
        assert_eq!(child.hear(), Some(expected.clone()));
        let unix = UnixDatagram::unbound().unwrap();
        stop_beyond_the_limit(&child, || {
            for number in 0..DATAGRAMS {
                unix.send_to(&[number], &path).unwrap();
            }
        });
        assert_eq!(child.hear(), Some(expected));
        child.end();
    });
}

// ---- connecting ---------------------------------------------------------------------------------

/// The child: connects to a name with these addresses.
fn connect_by_a_limit(addresses: &str) {
    let (hosts, port) = addresses.rsplit_once(' ').unwrap();
    let names = Names::of(hosts.split(' ').map(|host| host.parse::<std::net::IpAddr>().unwrap()));
    let port: u16 = port.parse().unwrap();
    let selector = SelectorManager::builder().resolver(names);
    let connected = Host::Own.run(selector, async |selector: SelectorManager| {
        say("begins");
        let tcp = selector.tcp().connect_timeout(LIMIT);
        let socket = tcp.connect(("name.test", port)).await?;
        say(&socket.remote_address().to_string());
        socket.abort();
        Result::Ok(())
    });
    connected.unwrap();
}

/// The system answers the next attempt of the handshake, a second or three after the first.
#[test]
fn a_connection_that_was_made_during_a_stop_is_in_time() {
    if let Some(addresses) = role() {
        return connect_by_a_limit(&addresses);
    }
    watched(|| {
        let silent = Silent::at(([127, 0, 0, 2], 0).into()).unwrap();
        let addresses = format!("127.0.0.2 {}", silent.port());
        let address = ([127, 0, 0, 2], silent.port()).into();
        let others = connecting_to(address);
        let test = "a_connection_that_was_made_during_a_stop_is_in_time";
        let mut child = Child::start(test, &addresses);
        assert_eq!(child.hear().as_deref(), Some("begins"));
        wait_for(|| connecting_to(address) > others);
        stop_beyond_the_limit(&child, || {
            // Its own clients, and then the child.
            for _ in 0..=silent.waiting() {
                silent.accept();
            }
        });
        assert_eq!(child.hear(), Some(format!("127.0.0.2:{}", silent.port())));
        child.end();
    });
}

/// The next address of a race is tried before the limit ends it, although both are due.
#[test]
fn a_race_that_was_stopped_tries_its_next_address_before_it_gives_up() {
    if let Some(addresses) = role() {
        return connect_by_a_limit(&addresses);
    }
    watched(|| {
        enum Peer {
            Silent { _it: Silent },
            Answers { _it: TcpListener },
        }
        let (_peers, port) = on_one_port(["127.0.0.2", "127.0.0.3"], |index, address| {
            if index == 0 {
                let it = Silent::at(address)?;
                let port = it.port();
                return Ok((Peer::Silent { _it: it }, port));
            }
            let it = TcpListener::bind(address)?;
            let port = it.local_addr()?.port();
            Ok((Peer::Answers { _it: it }, port))
        });
        let test = "a_race_that_was_stopped_tries_its_next_address_before_it_gives_up";
        let mut child = Child::start(test, &format!("127.0.0.2 127.0.0.3 {port}"));
        assert_eq!(child.hear().as_deref(), Some("begins"));
        stop_beyond_the_limit(&child, || {});
        assert_eq!(child.hear(), Some(format!("127.0.0.3:{port}")));
        child.end();
    });
}
