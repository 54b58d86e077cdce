//! UDP. A send on the loopback never waits, and an address need not be looked up.

use std::net::UdpSocket;

use forebay::{
    BoundDatagramSocket, ConnectedDatagramSocket, Datagram, DatagramBatch, IncomingDatagrams,
    Result, SelectorManager,
};
use socket2::SockRef;

use super::{Ends, LOSSLESS, RELEASES, RESUMES, Socket, closed, opening, receiving, row, sending};
use crate::ledger::Ledger;
use crate::support::{Driven, Operation, Still, Trial};
use crate::table::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("forebay::BoundDatagramSocket::closed", RELEASES, 2, bound_closed),
        row("forebay::BoundDatagramSocket::receive", LOSSLESS, 2, |trial| {
            receiving(trial, Socket::Bound, |ends: &mut UdpEnds| Box::pin(ends.bound.receive()));
        }),
        row("forebay::BoundDatagramSocket::receive_batch", LOSSLESS, 2, bound_receive_batch),
        row("forebay::BoundDatagramSocket::reply", LOSSLESS, 0, reply),
        row("forebay::BoundDatagramSocket::send", LOSSLESS, 0, |trial| {
            sending(trial, |ends: &UdpEnds| {
                let to = ends.peer.local_addr().unwrap();
                Box::pin(ends.bound.send("one", to))
            });
        }),
        row("forebay::BoundDatagramSocket::send_batch", RESUMES, 0, |trial| {
            sending_batch(trial, |ends, batch| Box::pin(ends.bound.send_batch(batch)));
        }),
        row("forebay::ConnectedDatagramSocket::closed", RELEASES, 2, connected_closed),
        row("forebay::ConnectedDatagramSocket::receive", LOSSLESS, 2, |trial| {
            receiving(trial, Socket::Connected, |ends: &mut UdpEnds| {
                Box::pin(ends.connected.receive())
            });
        }),
        row(
            "forebay::ConnectedDatagramSocket::receive_batch",
            LOSSLESS,
            2,
            connected_receive_batch,
        ),
        row("forebay::ConnectedDatagramSocket::send", LOSSLESS, 0, |trial| {
            sending(trial, |ends: &UdpEnds| Box::pin(ends.connected.send("one")));
        }),
        row("forebay::ConnectedDatagramSocket::send_batch", RESUMES, 0, |trial| {
            sending_batch(trial, |ends, batch| Box::pin(ends.connected.send_batch(batch)));
        }),
        row("forebay::IncomingDatagrams::next", LOSSLESS, 2, next),
        row("forebay::UdpBuilder::bind", RELEASES, 0, binding),
        row("forebay::UdpBuilder::connect", RELEASES, 0, connecting),
    ]
}

struct UdpEnds {
    bound: BoundDatagramSocket,
    connected: ConnectedDatagramSocket,
    incoming: IncomingDatagrams,
    /// The datagrams of a batch so far, which a call that is cut must not have touched.
    received: Vec<Datagram>,
    peer: UdpSocket,
}

impl Ends for UdpEnds {
    type Datagram = Datagram;

    async fn open(selector: &SelectorManager) -> Self {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        SockRef::from(&peer).set_recv_buffer_size(1 << 20).unwrap();
        peer.set_nonblocking(true).unwrap();
        let bound = selector.udp().bind("127.0.0.1:0").await.unwrap();
        let connected = selector.udp().connect(peer.local_addr().unwrap()).await.unwrap();
        Self { incoming: bound.incoming(), bound, connected, received: Vec::new(), peer }
    }

    fn payload(datagram: &Datagram) -> &[u8] {
        &datagram.payload
    }

    fn peer_sends(&self, to: Socket) -> Box<dyn FnOnce()> {
        let peer = self.peer.try_clone().unwrap();
        let to = match to {
            Socket::Bound => self.bound.local_address(),
            Socket::Connected => self.connected.local_address(),
        };
        Box::new(move || assert_eq!(peer.send_to(b"one", to).unwrap(), 3))
    }

    fn fill(&self) -> usize {
        0
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

fn next(trial: &Trial) {
    receiving(trial, Socket::Bound, |ends: &mut UdpEnds| {
        Box::pin(async { ends.incoming.next().await.expect("open") })
    });
}

/// Takes the one datagram out again, whose vector is empty before.
fn only(ends: &mut UdpEnds, count: usize) -> Datagram {
    assert_eq!((count, ends.received.len()), (1, 1));
    ends.received.pop().expect("it was appended")
}

fn bound_receive_batch(trial: &Trial) {
    receiving(trial, Socket::Bound, |ends: &mut UdpEnds| {
        Box::pin(async {
            assert_eq!(ends.received, []);
            let count = ends.bound.receive_batch(&mut ends.received, 10).await?;
            Ok(only(ends, count))
        })
    });
}

fn connected_receive_batch(trial: &Trial) {
    receiving(trial, Socket::Connected, |ends: &mut UdpEnds| {
        Box::pin(async {
            assert_eq!(ends.received, []);
            let count = ends.connected.receive_batch(&mut ends.received, 10).await?;
            Ok(only(ends, count))
        })
    });
}

fn reply(trial: &Trial) {
    sending(trial, |ends: &UdpEnds| {
        Box::pin(async {
            ends.peer.send_to(b"question", ends.bound.local_address()).unwrap();
            let question = ends.bound.try_receive()?.expect("it is here");
            ends.bound.reply(&question, "one").await
        })
    });
}

type SendBatch = for<'a> fn(&'a UdpEnds, &'a mut DatagramBatch) -> Operation<'a, Result<()>>;

/// More than a thread sends in a turn, so that the call gives way. What was sent has left the batch.
fn sending_batch(trial: &Trial, send: SendBatch) {
    const COUNT: usize = 600;
    trial.on_a_selector(async |selector| {
        let ends = UdpEnds::open(&selector).await;
        let to = ends.peer.local_addr().unwrap();
        let mut batch = DatagramBatch::new();
        // Of two lengths in turn, so that each leaves alone.
        for number in 0..COUNT {
            batch.push(vec![7; 1 + number % 2 * 3], to);
        }
        let arrived_at_peer = || ends.arrived_at_peer().1;
        let mut arrived = 0;
        let before = Ledger::of(&selector);
        let outcome = match trial.drive(send(&ends, &mut batch), &mut Still).await {
            Driven::Ready(outcome) => outcome,
            Driven::Cut => {
                // It gave way: its waker is among those of the next turn.
                before.assert_unchanged(&selector);
                arrived += arrived_at_peer();
                assert_eq!(arrived, COUNT - batch.len());
                trial.complete(send(&ends, &mut batch), &mut Still).await
            }
        };
        outcome.unwrap();
        assert!(batch.is_empty());
        assert!(arrived + arrived_at_peer() <= COUNT, "none is sent twice");
    });
}

fn bound_closed(trial: &Trial) {
    closed(
        trial,
        |ends: &UdpEnds| ends.bound.close(),
        |ends| ends.bound.is_closed(),
        |ends| Box::pin(ends.bound.closed()),
    );
}

fn connected_closed(trial: &Trial) {
    closed(
        trial,
        |ends: &UdpEnds| ends.connected.close(),
        |ends| ends.connected.is_closed(),
        |ends| Box::pin(ends.connected.closed()),
    );
}

/// By a name, so that it may wait for a look-up.
fn binding(trial: &Trial) {
    opening(trial, |selector| {
        Box::pin(async {
            let _socket = selector.udp().bind("localhost:0").await?;
            Ok(selector.stats().sockets)
        })
    });
}

fn connecting(trial: &Trial) {
    opening(trial, |selector| {
        Box::pin(async {
            let _socket = selector.udp().connect("localhost:9").await?;
            Ok(selector.stats().sockets)
        })
    });
}
