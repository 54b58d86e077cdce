//! Datagrams over Unix sockets: a call that is cut has received and sent nothing, or it is ready.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use forebay::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, IncomingUnixDatagrams, Result,
    SelectorManager, UnixAddress, UnixDatagram,
};
use futures_lite::future::poll_once;

use crate::ledger::Ledger;
use crate::support::{Driven, Event, Operation, Still, Trial};
use crate::table::{Row, Scene, Word};
use crate::unix::unused_name;

type Attempt = fn(&Trial);

pub(crate) fn rows() -> Vec<Row> {
    const LOSSLESS: &[Word] = &[Word::Lossless];
    const RELEASES: &[Word] = &[Word::Releases];
    let rows: [(_, _, _, Attempt); 9] = [
        ("forebay::BoundUnixDatagramSocket::closed", RELEASES, 2, bound_closed),
        ("forebay::BoundUnixDatagramSocket::receive", LOSSLESS, 2, bound_receive),
        ("forebay::BoundUnixDatagramSocket::send", LOSSLESS, 1, bound_send),
        ("forebay::ConnectedUnixDatagramSocket::closed", RELEASES, 2, connected_closed),
        ("forebay::ConnectedUnixDatagramSocket::receive", LOSSLESS, 2, connected_receive),
        ("forebay::ConnectedUnixDatagramSocket::send", LOSSLESS, 2, connected_send),
        ("forebay::IncomingUnixDatagrams::next", LOSSLESS, 2, next),
        ("forebay::UnixDatagramBuilder::bind", RELEASES, 0, binding),
        ("forebay::UnixDatagramBuilder::connect", RELEASES, 0, connecting),
    ];
    let row = |(path, words, waits_min, attempt)| {
        let scene = Scene::new("with a peer of the system", waits_min, attempt);
        Row { path, words, scenes: vec![scene] }
    };
    rows.map(row).into()
}

/// The sockets of a trial, and a peer that is none of ours.
struct Ends {
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

impl Ends {
    async fn open(selector: &SelectorManager) -> Self {
        let peer_address = address();
        let peer = StdDatagram::bind_addr(&of_std(&peer_address)).unwrap();
        peer.set_nonblocking(true).unwrap();
        let builder = || selector.unix().datagram();
        let bound = builder().bind(address()).await.unwrap();
        let connected = builder().local_address(address()).connect(&peer_address).await.unwrap();
        Self { incoming: bound.incoming(), bound, connected, peer, peer_address }
    }

    /// Fills the peer's queue, and returns how many it holds.
    fn fill(&self) -> usize {
        std::iter::repeat_with(|| self.connected.try_send("full").unwrap())
            .take_while(|sent| *sent)
            .count()
    }
}

/// Returns how many are `one`, of all that have arrived.
fn arrived(peer: &StdDatagram) -> (usize, usize) {
    let mut counts = (0, 0);
    let mut buffer = [0; 10];
    while let Ok(length) = peer.recv(&mut buffer) {
        counts.0 += usize::from(&buffer[..length] == b"one");
        counts.1 += 1;
    }
    counts
}

type Receive = for<'a> fn(&'a mut Ends) -> Operation<'a, Result<UnixDatagram>>;

/// A datagram that comes while the call is cut is the next call's.
fn receiving(trial: &Trial, is_bound: bool, receive: Receive) {
    trial.on_a_selector(async |selector| {
        let mut ends = Ends::open(&selector).await;
        let to = if is_bound { ends.bound.local_address() } else { ends.connected.local_address() };
        let to = of_std(to);
        let peer = ends.peer.try_clone().unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| assert_eq!(peer.send_to_addr(b"one", &to).unwrap(), 3));
        let received = match trial.drive(receive(&mut ends), &mut world).await {
            Driven::Ready(received) => received,
            Driven::Cut => {
                if !world.has_happened() {
                    before.assert_unchanged(&selector);
                }
                if !trial.forgets() {
                    trial.assert_no_waker_is_kept();
                }
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

type Send = for<'a> fn(&'a Ends) -> Operation<'a, Result<()>>;

/// To a full queue. A call that is cut has sent nothing.
fn sending(trial: &Trial, send: Send) {
    trial.on_a_selector(async |selector| {
        let ends = Ends::open(&selector).await;
        let held = ends.fill();
        let peer = ends.peer.try_clone().unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| assert_eq!(arrived(&peer), (0, held)));
        let outcome = match trial.drive(send(&ends), &mut world).await {
            Driven::Ready(outcome) => outcome,
            Driven::Cut => {
                if !world.has_happened() {
                    trial.assert_released(&selector, &before);
                    world.happen();
                }
                assert_eq!(arrived(&ends.peer), (0, 0));
                trial.complete(send(&ends), &mut world).await
            }
        };
        outcome.unwrap();
        assert_eq!(arrived(&ends.peer), (1, 1));
    });
}

fn bound_send(trial: &Trial) {
    sending(trial, |ends| Box::pin(ends.bound.send("one", &ends.peer_address)));
}

fn connected_send(trial: &Trial) {
    sending(trial, |ends| Box::pin(ends.connected.send("one")));
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

type Open = for<'a> fn(&'a SelectorManager, &'a UnixAddress) -> Operation<'a, Result<u64>>;

fn opening(trial: &Trial, open: Open) {
    trial.on_a_selector(async |selector| {
        let peer = address();
        let _peer = StdDatagram::bind_addr(&of_std(&peer)).unwrap();
        let before = Ledger::of(&selector);
        let opened = match trial.drive(open(&selector, &peer), &mut Still).await {
            Driven::Ready(opened) => opened,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                trial.complete(open(&selector, &peer), &mut Still).await
            }
        };
        assert_eq!(opened.unwrap(), 1, "sockets");
        assert_eq!(selector.stats().sockets, 0);
    });
}

fn binding(trial: &Trial) {
    opening(trial, |selector, _| {
        Box::pin(async {
            let _socket = selector.unix().datagram().bind(address()).await?;
            Ok(selector.stats().sockets)
        })
    });
}

fn connecting(trial: &Trial) {
    opening(trial, |selector, peer| {
        Box::pin(async move {
            let _socket = selector.unix().datagram().connect(peer).await?;
            Ok(selector.stats().sockets)
        })
    });
}
