//! Unix datagrams. A send to a full queue waits.

use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use forebay::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, IncomingUnixDatagrams, SelectorManager,
    UnixAddress, UnixDatagram,
};

use super::{Ends, LOSSLESS, RELEASES, Socket, closed, opening, receiving, row, sending};
use crate::support::Trial;
use crate::table::Row;
use crate::unix::unused_name;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("forebay::BoundUnixDatagramSocket::closed", RELEASES, 2, bound_closed),
        row("forebay::BoundUnixDatagramSocket::receive", LOSSLESS, 2, |trial| {
            receiving(trial, Socket::Bound, |ends: &mut UnixEnds| Box::pin(ends.bound.receive()));
        }),
        row("forebay::BoundUnixDatagramSocket::send", LOSSLESS, 1, |trial| {
            sending(trial, |ends: &UnixEnds| Box::pin(ends.bound.send("one", &ends.peer_address)));
        }),
        row("forebay::BoundUnixDatagramSocket::receive_with_fds", LOSSLESS, 2, |trial| {
            receiving(trial, Socket::Bound, |ends: &mut UnixEnds| {
                Box::pin(async { ends.bound.receive_with_fds().await.map(without) })
            });
        }),
        row("forebay::BoundUnixDatagramSocket::send_with_fds", LOSSLESS, 1, |trial| {
            sending(trial, |ends: &UnixEnds| {
                let (fds, to) = ([ends.peer.as_fd()], &ends.peer_address);
                Box::pin(async move { ends.bound.send_with_fds("one", &fds, to).await })
            });
        }),
        row("forebay::ConnectedUnixDatagramSocket::receive_with_fds", LOSSLESS, 2, |trial| {
            receiving(trial, Socket::Connected, |ends: &mut UnixEnds| {
                Box::pin(async { ends.connected.receive_with_fds().await.map(without) })
            });
        }),
        row("forebay::ConnectedUnixDatagramSocket::send_with_fds", LOSSLESS, 2, |trial| {
            sending(trial, |ends: &UnixEnds| {
                Box::pin(async { ends.connected.send_with_fds("one", &[ends.peer.as_fd()]).await })
            });
        }),
        row("forebay::ConnectedUnixDatagramSocket::closed", RELEASES, 2, connected_closed),
        row("forebay::ConnectedUnixDatagramSocket::receive", LOSSLESS, 2, |trial| {
            receiving(trial, Socket::Connected, |ends: &mut UnixEnds| {
                Box::pin(ends.connected.receive())
            });
        }),
        row("forebay::ConnectedUnixDatagramSocket::send", LOSSLESS, 2, |trial| {
            sending(trial, |ends: &UnixEnds| Box::pin(ends.connected.send("one")));
        }),
        row("forebay::IncomingUnixDatagrams::next", LOSSLESS, 2, next),
        row("forebay::UnixDatagramBuilder::bind", RELEASES, 0, binding),
        row("forebay::UnixDatagramBuilder::connect", RELEASES, 0, connecting),
    ]
}

struct UnixEnds {
    bound: BoundUnixDatagramSocket,
    connected: ConnectedUnixDatagramSocket,
    incoming: IncomingUnixDatagrams,
    peer: StdDatagram,
    peer_address: UnixAddress,
}

/// A name that is used once.
fn address() -> UnixAddress {
    UnixAddress::Abstract(unused_name().into_bytes())
}

fn of_std(address: &UnixAddress) -> SocketAddr {
    let UnixAddress::Abstract(name) = address else { unreachable!("made so") };
    SocketAddr::from_abstract_name(name).unwrap()
}

impl Ends for UnixEnds {
    type Datagram = UnixDatagram;

    async fn open(selector: &SelectorManager) -> Self {
        let peer_address = address();
        let peer = StdDatagram::bind_addr(&of_std(&peer_address)).unwrap();
        peer.set_nonblocking(true).unwrap();
        let builder = || selector.unix().datagram().descriptors_max(1);
        let bound = builder().bind(address()).await.unwrap();
        let connected = builder().local_address(address()).connect(&peer_address).await.unwrap();
        Self { incoming: bound.incoming(), bound, connected, peer, peer_address }
    }

    fn payload(datagram: &UnixDatagram) -> &[u8] {
        &datagram.payload
    }

    fn peer_sends(&self, to: Socket) -> Box<dyn FnOnce()> {
        let peer = self.peer.try_clone().unwrap();
        let to = of_std(match to {
            Socket::Bound => self.bound.local_address(),
            Socket::Connected => self.connected.local_address(),
        });
        Box::new(move || assert_eq!(peer.send_to_addr(b"one", &to).unwrap(), 3))
    }

    fn fill(&self) -> usize {
        std::iter::repeat_with(|| self.connected.try_send("full").unwrap())
            .take_while(|sent| *sent)
            .count()
    }

    fn arrived_at_peer(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        let mut buffer = [0; 10];
        while let Ok(length) = self.peer.recv(&mut buffer) {
            counts.0 += usize::from(&buffer[..length] == b"one");
            counts.1 += 1;
        }
        counts
    }
}

/// The datagram, without the descriptors that it does not have.
fn without((datagram, fds): (UnixDatagram, Vec<OwnedFd>)) -> UnixDatagram {
    assert_eq!(fds.len(), 0);
    datagram
}

fn next(trial: &Trial) {
    receiving(trial, Socket::Bound, |ends: &mut UnixEnds| {
        Box::pin(async { ends.incoming.next().await.expect("open") })
    });
}

fn bound_closed(trial: &Trial) {
    closed(
        trial,
        |ends: &UnixEnds| ends.bound.close(),
        |ends| ends.bound.is_closed(),
        |ends| Box::pin(ends.bound.closed()),
    );
}

fn connected_closed(trial: &Trial) {
    closed(
        trial,
        |ends: &UnixEnds| ends.connected.close(),
        |ends| ends.connected.is_closed(),
        |ends| Box::pin(ends.connected.closed()),
    );
}

fn binding(trial: &Trial) {
    opening(trial, |selector| {
        Box::pin(async {
            let _socket = selector.unix().datagram().bind(address()).await?;
            Ok(selector.stats().sockets)
        })
    });
}

fn connecting(trial: &Trial) {
    opening(trial, |selector| {
        Box::pin(async move {
            let peer = address();
            let _peer = StdDatagram::bind_addr(&of_std(&peer)).unwrap();
            let _socket = selector.unix().datagram().connect(peer).await?;
            Ok(selector.stats().sockets)
        })
    });
}
