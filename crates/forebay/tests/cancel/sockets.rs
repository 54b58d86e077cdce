//! Binding, connecting, accepting, and waiting for the end of a socket.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{CloseReason, Incoming, Result, SelectorManager, ServerSocket, Socket};

use crate::ledger::Ledger;
use crate::names;
use crate::support::{Alarm, Driven, Event, Operation, Still, Trial, World, until};
use crate::table::{Row, Scene, Word};
use crate::yields;

/// The default limit on connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Attempt = fn(&Trial);

pub(crate) fn rows() -> Vec<Row> {
    let rows: [(_, _, _, Attempt); 7] = [
        // On a busy machine a look-up may have its answer before it is waited for.
        ("forebay::TcpBuilder::bind", "to a name", 0, binding),
        ("forebay::TcpBuilder::connect", "to a name where nobody accepts", 1, connecting),
        ("forebay::ServerSocket::accept", "with nobody there", 2, accepting),
        ("forebay::ServerSocket::closed", "of a listener", 2, listener_closed),
        ("forebay::Socket::closed", "of a connection", 2, socket_closed),
        ("forebay::Socket::peer_finished", "of a connection", 2, peer_finished),
        ("forebay::Incoming::next", "with nobody there", 2, next_of_incoming),
    ];
    let mut rows = rows.map(|(path, name, waits_min, attempt)| {
        let scenes = vec![Scene::new(name, waits_min, attempt)];
        Row { path, words: &[Word::Releases], scenes }
    });
    rows[1].scenes.push(names::connecting_to_parts());
    rows[2].scenes.push(yields::crowded());
    rows.into()
}

/// A look-up ends by itself; once there is a socket that waits, the time is up.
struct NameAndTime {
    selector: SelectorManager,
    clock: TestClock,
}

impl World for NameAndTime {
    async fn step(&mut self, alarm: &Alarm) {
        until(|| alarm.rang() || self.selector.stats().sockets > 0).await;
        if !alarm.rang() {
            self.clock.advance(CONNECT_TIMEOUT);
        }
        alarm.wait().await;
    }
}

fn binding(trial: &Trial) {
    trial.by_a_clock(async |selector, clock| {
        let mut world = NameAndTime { selector: selector.clone(), clock };
        let before = Ledger::of(&selector);
        let operation = Box::pin(selector.tcp().bind("localhost:0"));
        let server = match trial.drive(operation, &mut world).await {
            Driven::Ready(server) => server,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                let again = Box::pin(selector.tcp().bind("localhost:0"));
                trial.complete(again, &mut Still).await
            }
        };
        let server = server.unwrap();
        assert_eq!(selector.stats().sockets, 1);
        drop(TcpStream::connect(("localhost", server.port())).unwrap());
        until_idle(&selector).await;
    });
}

/// Connecting waits for the look-up, and then for a listener that has no room for it.
fn connecting(trial: &Trial) {
    trial.by_a_clock(async |selector, clock| {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let first = TcpStream::connect(address).unwrap();
        let name = ("localhost", address.port());

        let mut world = NameAndTime { selector: selector.clone(), clock };
        let before = Ledger::of(&selector);
        let operation = Box::pin(selector.tcp().connect(name));
        match trial.drive(operation, &mut world).await {
            Driven::Ready(outcome) => assert!(outcome.is_err_and(|error| error.is_timeout())),
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                let (_first, _) = listener.accept().unwrap();
                let again = Box::pin(selector.tcp().connect(name));
                let socket = trial.complete(again, &mut Still).await.unwrap();
                drop(listener.accept().unwrap());
                socket.close().await.unwrap();
            }
        }
        drop(first);
        until_idle(&selector).await;
    });
}

pub(crate) async fn until_idle(selector: &SelectorManager) {
    until(|| selector.stats().tasks == 0).await;
}

fn accepting(trial: &Trial) {
    accepting_by(trial, |server, _| Box::pin(server.accept()));
}

fn next_of_incoming(trial: &Trial) {
    accepting_by(trial, |_, incoming| {
        Box::pin(async { incoming.next().await.expect("the listener is open") })
    });
}

type Accept = for<'a> fn(&'a ServerSocket, &'a mut Incoming) -> Operation<'a, Result<Socket>>;

/// A wait that was cut has accepted nothing: the connection is the next call's.
fn accepting_by(trial: &Trial, accept: Accept) {
    trial.on_a_selector(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
        let mut incoming = server.incoming();
        let before = Ledger::of(&selector);
        let address = server.local_address().as_inet().unwrap();
        let mut client = None;
        let mut world = Event::new(|| client = Some(TcpStream::connect(address).unwrap()));
        let accepted = match trial.drive(accept(&server, &mut incoming), &mut world).await {
            Driven::Ready(accepted) => accepted,
            Driven::Cut => {
                if !world.has_happened() {
                    trial.assert_released(&selector, &before);
                } else if !trial.forgets() {
                    trial.assert_no_waker_is_kept();
                }
                assert_eq!(selector.stats().accepted, 0);
                trial.complete(accept(&server, &mut incoming), &mut world).await
            }
        };
        let accepted = accepted.unwrap();
        let client: TcpStream = client.unwrap();
        assert_eq!(accepted.remote_address(), client.local_addr().unwrap().into());
        drop(client);
        accepted.close().await.unwrap();
    });
}

fn listener_closed(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| server.close());
        if let Driven::Cut = trial.drive(Box::pin(server.closed()), &mut world).await {
            if !server.is_closed() {
                trial.assert_released(&selector, &before);
            }
            trial.complete(Box::pin(server.closed()), &mut world).await;
        }
        assert!(server.is_closed());
    });
}

fn socket_closed(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = selector.tcp().connect(address).await.unwrap();
        let _peer = listener.accept().unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| socket.abort());
        let reason = match trial.drive(Box::pin(socket.closed()), &mut world).await {
            Driven::Ready(reason) => reason,
            Driven::Cut => {
                if !socket.is_closed() {
                    trial.assert_released(&selector, &before);
                }
                trial.complete(Box::pin(socket.closed()), &mut world).await
            }
        };
        assert_eq!(reason, CloseReason::Local);
    });
}

fn peer_finished(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = selector.tcp().connect(address).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| peer.shutdown(Shutdown::Write).unwrap());
        let finished = match trial.drive(Box::pin(socket.peer_finished()), &mut world).await {
            Driven::Ready(finished) => finished,
            Driven::Cut => {
                if !world.has_happened() {
                    trial.assert_released(&selector, &before);
                }
                trial.complete(Box::pin(socket.peer_finished()), &mut world).await
            }
        };
        finished.unwrap();
        assert!(!socket.is_closed());
    });
}
