//! Datagrams, of every protocol: a call that is cut has received and sent nothing, or it is ready.

mod udp;
mod unix;

use std::fmt::Debug;

use forebay::{Result, SelectorManager};
use futures_lite::future::poll_once;

use crate::ledger::Ledger;
use crate::support::{Driven, Event, Operation, Still, Trial};
use crate::table::{Row, Scene, Word};

pub(crate) fn rows() -> Vec<Row> {
    udp::rows().into_iter().chain(unix::rows()).collect()
}

/// A row with one scene.
fn row(path: &'static str, words: &'static [Word], waits_min: usize, attempt: fn(&Trial)) -> Row {
    let scene = Scene::new("with a peer of the system", waits_min, attempt);
    Row { path, words, scenes: vec![scene] }
}

const LOSSLESS: &[Word] = &[Word::Lossless];
const RELEASES: &[Word] = &[Word::Releases];
const RESUMES: &[Word] = &[Word::Resumes];

/// The sockets of a trial, and a peer that is none of ours.
trait Ends: Sized {
    type Datagram: Debug;

    async fn open(selector: &SelectorManager) -> Self;

    fn payload(datagram: &Self::Datagram) -> &[u8];

    /// Returns a call by which the peer sends `one` to a socket.
    fn peer_sends(&self, to: Socket) -> Box<dyn FnOnce()>;

    /// Sends until the peer has no room, if a send ever waits for that. Returns how many it holds.
    fn fill(&self) -> usize;

    /// Receives what has arrived at the peer. Returns how many are `one`, and how many there are.
    fn arrived_at_peer(&self) -> (usize, usize);
}

/// One of the two sockets of a trial.
#[derive(Debug, Clone, Copy)]
enum Socket {
    Bound,
    Connected,
}

type Receive<E> = for<'a> fn(&'a mut E) -> Operation<'a, Result<<E as Ends>::Datagram>>;

/// A datagram that comes while the call is cut is the next call's.
fn receiving<E: Ends>(trial: &Trial, at: Socket, receive: Receive<E>) {
    trial.on_a_selector(async |selector| {
        let mut ends = E::open(&selector).await;
        let peer_sends = ends.peer_sends(at);
        let before = Ledger::of(&selector);
        let mut world = Event::new(peer_sends);
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
        assert_eq!(E::payload(&received.unwrap()), b"one");
        assert!(poll_once(receive(&mut ends)).await.is_none(), "it came once");
    });
}

type Call<E, T> = for<'a> fn(&'a E) -> Operation<'a, T>;

/// To a full peer, where that makes a send wait. A call that is cut has sent nothing.
fn sending<E: Ends>(trial: &Trial, send: Call<E, Result<()>>) {
    trial.on_a_selector(async |selector| {
        let ends = E::open(&selector).await;
        let held = ends.fill();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| assert_eq!(ends.arrived_at_peer(), (0, held)));
        let outcome = match trial.drive(send(&ends), &mut world).await {
            Driven::Ready(outcome) => outcome,
            Driven::Cut => {
                if !world.has_happened() {
                    trial.assert_released(&selector, &before);
                    world.happen();
                }
                assert_eq!(ends.arrived_at_peer(), (0, 0));
                trial.complete(send(&ends), &mut world).await
            }
        };
        outcome.unwrap();
        assert_eq!(ends.arrived_at_peer(), (1, 1));
    });
}

fn closed<E: Ends>(trial: &Trial, close: fn(&E), is_closed: fn(&E) -> bool, closed: Call<E, ()>) {
    trial.on_a_selector(async |selector| {
        let ends = E::open(&selector).await;
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

/// The call returns how many sockets there are while it has its own.
fn opening(trial: &Trial, open: Call<SelectorManager, Result<u64>>) {
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
