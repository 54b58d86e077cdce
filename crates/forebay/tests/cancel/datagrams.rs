//! Datagrams: a call that is cut has received and sent nothing, or it is ready.

use std::net::UdpSocket;

use forebay::{
    BoundDatagramSocket, ConnectedDatagramSocket, Datagram, DatagramBatch, IncomingDatagrams,
    Result, SelectorManager,
};
use futures_lite::future::poll_once;
use socket2::SockRef;

use crate::ledger::Ledger;
use crate::support::{Driven, Event, Operation, Still, Trial};
use crate::table::{Row, Scene, Word};

type Attempt = fn(&Trial);

pub(crate) fn rows() -> Vec<Row> {
    // A send on a loopback never waits, and an address need not be looked up.
    let rows: [(_, _, _, Attempt); 14] = [
        ("forebay::BoundDatagramSocket::closed", Word::Releases, 2, bound_closed),
        ("forebay::BoundDatagramSocket::receive", Word::Lossless, 2, bound_receive),
        ("forebay::BoundDatagramSocket::receive_batch", Word::Lossless, 2, bound_receive_batch),
        ("forebay::BoundDatagramSocket::reply", Word::Lossless, 0, reply),
        ("forebay::BoundDatagramSocket::send", Word::Lossless, 0, bound_send),
        ("forebay::BoundDatagramSocket::send_batch", Word::Resumes, 0, bound_send_batch),
        ("forebay::ConnectedDatagramSocket::closed", Word::Releases, 2, connected_closed),
        ("forebay::ConnectedDatagramSocket::receive", Word::Lossless, 2, connected_receive),
        (
            "forebay::ConnectedDatagramSocket::receive_batch",
            Word::Lossless,
            2,
            connected_receive_batch,
        ),
        ("forebay::ConnectedDatagramSocket::send", Word::Lossless, 0, connected_send),
        ("forebay::ConnectedDatagramSocket::send_batch", Word::Resumes, 0, connected_send_batch),
        ("forebay::IncomingDatagrams::next", Word::Lossless, 2, next),
        ("forebay::UdpBuilder::bind", Word::Releases, 0, binding),
        ("forebay::UdpBuilder::connect", Word::Releases, 0, connecting),
    ];
    let row = |(path, word, waits_min, attempt)| {
        let words: &'static [Word] = match word {
            Word::Releases => &[Word::Releases],
            Word::Resumes => &[Word::Resumes],
            _ => &[Word::Lossless],
        };
        Row { path, words, scenes: vec![Scene::new("on the loopback", waits_min, attempt)] }
    };
    rows.map(row).into()
}

/// The sockets of a trial, and a peer that is none of ours.
struct Ends {
    bound: BoundDatagramSocket,
    connected: ConnectedDatagramSocket,
    incoming: IncomingDatagrams,
    /// The datagrams of a batch so far, which a call that is cut must not have touched.
    received: Vec<Datagram>,
    peer: UdpSocket,
}

impl Ends {
    async fn open(selector: &SelectorManager) -> Self {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        SockRef::from(&peer).set_recv_buffer_size(1 << 20).unwrap();
        peer.set_nonblocking(true).unwrap();
        let bound = selector.udp().bind("127.0.0.1:0").await.unwrap();
        let connected = selector.udp().connect(peer.local_addr().unwrap()).await.unwrap();
        Self { incoming: bound.incoming(), bound, connected, received: Vec::new(), peer }
    }

    fn arrived_at_peer(&self) -> usize {
        std::iter::repeat_with(|| self.peer.recv(&mut [0; 10]).ok())
            .take_while(Option::is_some)
            .count()
    }
}

type Receive = for<'a> fn(&'a mut Ends) -> Operation<'a, Result<Datagram>>;

/// A datagram that comes while the call is cut is the next call's.
fn receiving(trial: &Trial, is_bound: bool, receive: Receive) {
    trial.on_a_selector(async |selector| {
        let mut ends = Ends::open(&selector).await;
        let to = if is_bound { ends.bound.local_address() } else { ends.connected.local_address() };
        let peer = ends.peer.try_clone().unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| assert_eq!(peer.send_to(b"one", to).unwrap(), 3));
        let received = match trial.drive(receive(&mut ends), &mut world).await {
            Driven::Ready(received) => received,
            Driven::Cut => {
                if !world.has_happened() {
                    before.assert_unchanged(&selector);
                }
                if !trial.forgets() {
                    trial.assert_no_waker_is_kept();
                }
                assert_eq!(ends.received, []);
                trial.complete(receive(&mut ends), &mut world).await
            }
        };
        assert_eq!(received.unwrap().payload, "one");
        assert!(poll_once(receive(&mut ends)).await.is_none(), "it came once");
    });
}

fn bound_receive(trial: &Trial) {
    receiving(trial, true, |ends| Box::pin(ends.bound.receive()));
}

fn connected_receive(trial: &Trial) {
    receiving(trial, false, |ends| Box::pin(ends.connected.receive()));
}

fn next(trial: &Trial) {
    receiving(trial, true, |ends| Box::pin(async { ends.incoming.next().await.expect("open") }));
}

/// Takes the one datagram out again.
fn only(ends: &mut Ends, count: usize) -> Datagram {
    assert_eq!(count, 1);
    ends.received.pop().expect("it was appended")
}

fn bound_receive_batch(trial: &Trial) {
    receiving(trial, true, |ends| {
        Box::pin(async {
            let count = ends.bound.receive_batch(&mut ends.received, 10).await?;
            Ok(only(ends, count))
        })
    });
}

fn connected_receive_batch(trial: &Trial) {
    receiving(trial, false, |ends| {
        Box::pin(async {
            let count = ends.connected.receive_batch(&mut ends.received, 10).await?;
            Ok(only(ends, count))
        })
    });
}

type Send = for<'a> fn(&'a Ends) -> Operation<'a, Result<()>>;

/// A call that is cut has sent nothing.
fn sending(trial: &Trial, send: Send) {
    trial.on_a_selector(async |selector| {
        let ends = Ends::open(&selector).await;
        let before = Ledger::of(&selector);
        let outcome = match trial.drive(send(&ends), &mut Still).await {
            Driven::Ready(outcome) => outcome,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                assert_eq!(ends.arrived_at_peer(), 0);
                trial.complete(send(&ends), &mut Still).await
            }
        };
        outcome.unwrap();
        assert_eq!(ends.arrived_at_peer(), 1);
    });
}

fn bound_send(trial: &Trial) {
    sending(trial, |ends| {
        let to = ends.peer.local_addr().unwrap();
        Box::pin(ends.bound.send("one", to))
    });
}

fn connected_send(trial: &Trial) {
    sending(trial, |ends| Box::pin(ends.connected.send("one")));
}

fn reply(trial: &Trial) {
    sending(trial, |ends| {
        Box::pin(async {
            ends.peer.send_to(b"question", ends.bound.local_address()).unwrap();
            let question = ends.bound.try_receive()?.expect("it is here");
            ends.bound.reply(&question, "one").await
        })
    });
}

/// More than a thread sends in a turn, so that the call gives way. What was sent has left the batch.
fn sending_batch(trial: &Trial, send: SendBatch) {
    const COUNT: usize = 600;
    trial.on_a_selector(async |selector| {
        let ends = Ends::open(&selector).await;
        let to = ends.peer.local_addr().unwrap();
        let mut batch = DatagramBatch::new();
        // Of two lengths in turn, so that each leaves alone.
        for number in 0..COUNT {
            batch.push(vec![7; 1 + number % 2 * 3], to);
        }
        let mut arrived = 0;
        let before = Ledger::of(&selector);
        let outcome = match trial.drive(send(&ends, &mut batch), &mut Still).await {
            Driven::Ready(outcome) => outcome,
            Driven::Cut => {
                // It gave way: its waker is among those of the next turn.
                before.assert_unchanged(&selector);
                arrived += ends.arrived_at_peer();
                assert_eq!(arrived, COUNT - batch.len());
                trial.complete(send(&ends, &mut batch), &mut Still).await
            }
        };
        outcome.unwrap();
        assert!(batch.is_empty());
        assert!(arrived + ends.arrived_at_peer() <= COUNT, "none is sent twice");
    });
}

type SendBatch = for<'a> fn(&'a Ends, &'a mut DatagramBatch) -> Operation<'a, Result<()>>;

fn bound_send_batch(trial: &Trial) {
    sending_batch(trial, |ends, batch| Box::pin(ends.bound.send_batch(batch)));
}

fn connected_send_batch(trial: &Trial) {
    sending_batch(trial, |ends, batch| Box::pin(ends.connected.send_batch(batch)));
}

type Close = fn(&Ends);
type Closed = for<'a> fn(&'a Ends) -> Operation<'a, ()>;

fn closed(trial: &Trial, close: Close, is_closed: fn(&Ends) -> bool, closed: Closed) {
    trial.on_a_selector(async |selector| {
        let ends = Ends::open(&selector).await;
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| close(&ends));
        if let Driven::Cut = trial.drive(closed(&ends), &mut world).await {
            if !is_closed(&ends) {
                trial.assert_released(&selector, &before);
            }
            trial.complete(closed(&ends), &mut world).await;
        }
        assert!(is_closed(&ends));
    });
}

fn bound_closed(trial: &Trial) {
    closed(
        trial,
        |ends| ends.bound.close(),
        |ends| ends.bound.is_closed(),
        |ends| Box::pin(ends.bound.closed()),
    );
}

fn connected_closed(trial: &Trial) {
    closed(
        trial,
        |ends| ends.connected.close(),
        |ends| ends.connected.is_closed(),
        |ends| Box::pin(ends.connected.closed()),
    );
}

type Open = for<'a> fn(&'a SelectorManager) -> Operation<'a, Result<u64>>;

/// By a name, so that it may wait for a look-up.
fn opening(trial: &Trial, open: Open) {
    trial.on_a_selector(async |selector| {
        let before = Ledger::of(&selector);
        let opened = match trial.drive(open(&selector), &mut Still).await {
            Driven::Ready(opened) => opened,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                trial.complete(open(&selector), &mut Still).await
            }
        };
        assert_eq!(opened.unwrap(), 1, "sockets");
        assert_eq!(selector.stats().sockets, 0);
    });
}

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
