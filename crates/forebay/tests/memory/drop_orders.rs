//! A selector, a socket and its two channels are dropped in all 24 orders: by the main thread, by a
//! task, and while either unwinds from a panic. A read is pending then, and so is a write; bytes are
//! in flight both ways. Each time all of it ends soon, and nothing is left.

#![cfg(target_os = "linux")]

use std::io::{ErrorKind as IoKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use forebay::{SelectorManager, Socket};
use forebay_testing::{
    alone,
    drop_orders::{
        Arrival, ENDS_WITHIN, Peer, Peers, all_end_soon_and_leave_nothing,
        no_peer_that_never_reads_holds_a_socket_for_ever,
    },
};
use socket2::{Domain, Type};

/// The standard library's sockets.
struct Plain {
    listener: TcpListener,
    address: SocketAddr,
}

impl Plain {
    fn new() -> Self {
        let listener = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_tcp_mss(1400).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(16).unwrap();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }
}

impl Peers for Plain {
    type Peer = PlainPeer;

    async fn connect(&self, selector: &SelectorManager) -> (Socket, PlainPeer) {
        let socket = selector.tcp().connect(self.address).await.unwrap();
        (socket, PlainPeer(self.listener.accept().unwrap().0))
    }
}

struct PlainPeer(TcpStream);

impl Peer for PlainPeer {
    async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn read_to_end(&mut self) -> (Vec<u8>, Arrival) {
        self.0.set_read_timeout(Some(ENDS_WITHIN)).unwrap();
        let (bytes, error) = forebay_testing::read_to_end(&mut self.0);
        let Some(error) = error else { return (bytes, Arrival::Everything) };
        assert_eq!(error.kind(), IoKind::ConnectionReset, "after {} bytes", bytes.len());
        (bytes, Arrival::Reset)
    }
}

#[test]
fn every_order_ends_soon_and_leaves_nothing() {
    alone("every_order_ends_soon_and_leaves_nothing", || {
        all_end_soon_and_leave_nothing("drop_orders", (5, 40), Plain::new);
    });
}

#[test]
fn a_peer_that_never_reads_holds_no_socket_for_ever() {
    alone("a_peer_that_never_reads_holds_no_socket_for_ever", || {
        no_peer_that_never_reads_holds_a_socket_for_ever(Plain::new);
    });
}
