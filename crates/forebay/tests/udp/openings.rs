//! Sockets that are open for datagrams before they are in the state that their calls rely on.

#![cfg(target_os = "linux")]

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forebay::{BoundDatagramSocket, ConnectedDatagramSocket, ErrorKind};
use forebay_testing::{Child, role, run, watched};
use nix::sys::socket::sockopt::{ReceiveTimestampns, UdpGroSegment};
use nix::sys::socket::{getsockopt, setsockopt};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, ip_mtu_discover, set_ip_mtu_discover};

use super::trains::send_train_to;

/// The sockets that a test opens while datagrams come, where nothing makes them come in the right moment.
const OPENINGS: usize = 3000;
/// The sockets for each of which datagrams have come in the right moment.
const MET: usize = 5;

/// Holds up a thread that has given a socket its address, or an option, before it can do anything else with it.
const HOLD_UP: [&str; 9] = [
    "strace",
    "-f",
    "--seccomp-bpf",
    "-o",
    "/dev/null",
    "-e",
    "trace=bind,setsockopt",
    "-e",
    "inject=bind,setsockopt:delay_exit=10000",
];

/// Runs a test in a child whose sockets stay for a while as each step of opening them has left them; here, if there is
/// no such `strace`, and then by chance.
fn held_up(test: &'static str, body: fn()) {
    if role().is_some() || !Child::can_trace(&HOLD_UP) {
        return body();
    }
    watched(move || Child::start_under(&HOLD_UP, test, "held up").end());
}

/// A thread that sends to an address until it is dropped.
struct Flood {
    rounds: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(send: impl Fn() + Send + 'static) -> Self {
        let (rounds, is_over) = (Arc::<AtomicUsize>::default(), Arc::new(AtomicBool::new(false)));
        let (counted, over) = (Arc::clone(&rounds), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !over.load(SeqCst) {
                send();
                counted.fetch_add(1, SeqCst);
                if role().is_some() {
                    // So that the queue is not full before the last step.
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        Self { rounds, is_over, thread: Some(thread) }
    }

    /// Opens sockets, and tries each, until enough of them have been sent to before they were open.
    async fn meets<S>(
        &self,
        open: impl AsyncFn(usize) -> forebay::Result<S>,
        check: impl AsyncFn(usize, S) -> forebay::Result<()>,
    ) -> forebay::Result<()> {
        let is_held_up = role().is_some();
        let (mut opening, mut met) = (0, 0);
        while if is_held_up { met < MET } else { opening < OPENINGS } {
            let before = self.rounds.load(SeqCst);
            let opened = opened(open(opening).await);
            // One round may have begun before the socket had its address, and end behind that.
            met += usize::from(self.rounds.load(SeqCst) > before + 1);
            if let Some(socket) = opened {
                check(opening, socket).await?;
            }
            opening += 1;
        }
        Ok(())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        self.thread.take().map(JoinHandle::join);
    }
}

/// An address of the loopback at which nothing listens.
fn free(ip: &str) -> SocketAddr {
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// `None` if a process that another test is starting still has the descriptors of this one.
fn opened<S>(opened: forebay::Result<S>) -> Option<S> {
    match opened {
        Err(error) if error.kind() == ErrorKind::AddressInUse => None,
        opened => Some(opened.unwrap()),
    }
}

/// Also one that arrives as soon as the socket has its address.
#[test]
fn a_train_that_comes_first_comes_apart() {
    held_up("a_train_that_comes_first_comes_apart", || {
        run(async |selector| {
            let at = free("127.7.8.1");
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            let flood = Flood::start(move || {
                send_train_to(&peer, at, &[7; 200], 100).ok();
            });
            let open = async |_| selector.udp().bind(at).await;
            let check = async |opening, socket: BoundDatagramSocket| {
                let mut datagram = socket.receive().await?;
                // Those that came before it was open, and some more.
                for _ in 0..100 {
                    assert_eq!(datagram.payload.len(), 100, "{opening}");
                    let Some(next) = socket.try_receive()? else { break };
                    datagram = next;
                }
                Ok(())
            };
            flood.meets(open, check).await
        });
    });
}

/// The system delivers only the peer's datagrams once the socket is connected. Before that, it is bound.
#[test]
fn a_connected_socket_receives_from_its_peer_alone() {
    held_up("a_connected_socket_receives_from_its_peer_alone", || {
        run(async |selector| {
            let at = free("127.7.8.2");
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
            let remote = peer.local_addr().unwrap();
            let flood = Flood::start(move || {
                peer.send_to(b"peer", at).ok();
                stranger.send_to(b"stranger", at).ok();
            });
            let open = async |opening| {
                let builder = selector.udp().local_address(at).packet_info(opening % 2 == 1);
                builder.connect(remote).await
            };
            let check = async |opening, socket: ConnectedDatagramSocket| {
                let mut received = Vec::new();
                received.push(socket.receive().await?);
                socket.receive_batch(&mut received, 5).await?;
                received.extend(std::iter::from_fn(|| socket.try_receive().unwrap()).take(100));
                assert!(received.iter().all(|it| it.payload == "peer"), "{opening}: {received:?}");
                Ok(())
            };
            flood.meets(open, check).await
        });
    });
}

#[test]
fn a_peer_is_named_by_the_address_that_it_has() {
    run(async |selector| {
        let peer = UdpSocket::bind("0.0.0.0:0").unwrap();
        let socket = selector.udp().connect(peer.local_addr().unwrap()).await?;
        let port = peer.local_addr().unwrap().port();
        peer.send_to(b"hello", socket.local_address()).unwrap();
        let expected = SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(socket.receive().await?.address, expected);
        assert_eq!(socket.remote_address(), expected);
        Ok(())
    });
}

/// With another descriptor of it, a program can let the system join datagrams.
#[test]
fn a_train_comes_apart_where_another_descriptor_has_it_joined() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let other = socket.try_clone_fd()?;
        setsockopt(&other, UdpGroSegment, &true).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        send_train_to(&peer, socket.local_address(), &[7; 200], 100).unwrap();
        for _ in 0..2 {
            assert_eq!(socket.receive().await?.payload.len(), 100);
        }
        Ok(())
    });
}

/// Those that the program has set itself, and those that another program has set on its socket.
#[test]
fn options_of_the_program_are_left_alone() {
    run(async |selector| {
        let set = |fd: rustix::fd::BorrowedFd<'_>| {
            set_ip_mtu_discover(fd, Ipv4PathMtuDiscovery::DO)?;
            Ok(setsockopt(&fd, ReceiveTimestampns, &true)?)
        };
        let check = |fd: rustix::fd::OwnedFd| {
            assert_eq!(ip_mtu_discover(&fd).unwrap(), Ipv4PathMtuDiscovery::DO);
            assert!(getsockopt(&fd, ReceiveTimestampns).unwrap());
            fd
        };
        let socket = selector.udp().configure(set).bind("127.0.0.1:0").await?;
        check(socket.try_clone_fd()?);
        let socket = selector.udp().configure(set).connect(socket.local_address()).await?;
        check(socket.try_clone_fd()?);

        let foreign = UdpSocket::bind("127.0.0.1:0").unwrap();
        set(foreign.as_fd()).unwrap();
        let socket = BoundDatagramSocket::from_fd(selector.udp(), foreign.into())?;
        let fd = check(socket.try_clone_fd()?);
        assert!(!getsockopt(&fd, UdpGroSegment).unwrap(), "the other program takes them for one");
        let foreign = UdpSocket::bind("127.0.0.1:0").unwrap();
        foreign.connect(socket.local_address()).unwrap();
        set(foreign.as_fd()).unwrap();
        setsockopt(&foreign, UdpGroSegment, &true).unwrap();
        let socket = ConnectedDatagramSocket::from_fd(selector.udp(), foreign.into())?;
        let fd = check(socket.try_clone_fd()?);
        assert!(getsockopt(&fd, UdpGroSegment).unwrap());
        Ok(())
    });
}
