//! Look-ups of names, and connecting to what they find.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{FoundAddresses, Resolver, Result, SelectorManager, SocketAddress};
use forebay_testing::{ByHand, on_one_port};

use crate::ledger::Ledger;
use crate::sockets::until_idle;
use crate::support::{Alarm, Driven, Operation, Still, Trial, World, turn, until};
use crate::table::{Row, Scene, Word};

const NAME: &str = "name.test:80";

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("forebay::Resolver::resolve", |selector| Box::pin(selector.resolve(NAME))),
        row("forebay::SelectorManager::resolve", |selector| Box::pin(selector.resolve(NAME))),
        row("forebay::SocketAddress::resolve", |_| {
            Box::pin(async {
                let found = SocketAddress::resolve(NAME).await?;
                Ok(found.iter().filter_map(SocketAddress::as_inet).collect())
            })
        }),
        row("forebay::resolve", |_| Box::pin(forebay::resolve(NAME))),
        Row {
            path: "forebay::FoundAddresses::ask_system",
            words: &[Word::Releases],
            // On a busy machine it may have its answer before it is waited for.
            scenes: vec![Scene::new("by a resolver", 0, asking_the_system)],
        },
    ]
}

type Resolving = for<'a> fn(&'a SelectorManager) -> Operation<'a, Result<Vec<SocketAddr>>>;

/// An answer in two parts, and then its end.
struct Parts {
    resolver: ByHand,
    step: usize,
}

impl World for Parts {
    async fn step(&mut self, _: &Alarm) {
        self.step += 1;
        match self.step {
            1 => self.resolver.add(["192.0.2.1"]),
            2 => self.resolver.add(["192.0.2.2", "2001:db8::1"]),
            _ => self.resolver.end(Ok(())),
        }
        turn().await;
    }
}

fn row(path: &'static str, resolve: Resolving) -> Row {
    let scene = Scene::new("in parts", 3, move |trial| {
        let resolver = ByHand::new();
        let builder = SelectorManager::builder().resolver(resolver.clone());
        trial.run_on(builder, async |selector| {
            let mut world = Parts { resolver: resolver.clone(), step: 0 };
            let before = Ledger::of(&selector);
            let found = match trial.drive(resolve(&selector), &mut world).await {
                Driven::Ready(found) => found,
                Driven::Cut => {
                    trial.assert_released(&selector, &before);
                    assert!(trial.forgets() || resolver.running() == 0, "it is still asked");
                    let mut world = Parts { resolver: resolver.clone(), step: 0 };
                    trial.complete(resolve(&selector), &mut world).await
                }
            };
            assert_eq!(found.unwrap().len(), 3);
        });
    });
    Row { path, words: &[Word::Releases], scenes: vec![scene] }
}

struct AsksTheSystem;

impl Resolver for AsksTheSystem {
    async fn resolve(&self, _: &str, found: &FoundAddresses) -> Result<()> {
        found.ask_system().await
    }
}

fn asking_the_system(trial: &Trial) {
    let builder = SelectorManager::builder().resolver(AsksTheSystem);
    trial.run_on(builder, async |selector| {
        let before = Ledger::of(&selector);
        let operation = Box::pin(selector.resolve("localhost:80"));
        let found = match trial.drive(operation, &mut Still).await {
            Driven::Ready(found) => found,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                trial.complete(Box::pin(selector.resolve("localhost:80")), &mut Still).await
            }
        };
        assert!(!found.unwrap().is_empty());
    });
}

// ---- connecting ---------------------------------------------------------------------------------

/// Parts of which the first addresses are silent, and the last one answers; and the time between two attempts.
struct Race {
    selector: SelectorManager,
    clock: TestClock,
    resolver: ByHand,
    step: u64,
}

impl World for Race {
    async fn step(&mut self, alarm: &Alarm) {
        self.step += 1;
        match self.step {
            1 => self.resolver.add(["127.0.0.2", "127.0.0.3"]),
            2 => self.clock.advance(Duration::from_millis(50)),
            3 | 5 => self.clock.advance(Duration::from_millis(250)),
            4 => self.resolver.add(["127.0.0.4"]),
            _ => return alarm.wait().await,
        }
        // What the step has led to, unless the operation is not polled any more.
        let attempts = self.step.saturating_sub(2);
        until(|| alarm.rang() || self.selector.stats().sockets >= attempts).await;
    }
}

/// A connect that is cut off anywhere leaves no look-up, no attempt and no timer.
pub(crate) fn connecting_to_parts() -> Scene {
    Scene::new("to a name in parts", 4, |trial| {
        let resolver = ByHand::new();
        let clock = TestClock::new();
        let builder = SelectorManager::builder().workers(1).clock(clock.clone());
        trial.run_on(builder.resolver(resolver.clone()), async |selector| {
            let peers = Peers::new();
            let address = peers.listener.local_addr().unwrap();
            let port = address.port();
            let world = || Race {
                selector: selector.clone(),
                clock: clock.clone(),
                resolver: resolver.clone(),
                step: 0,
            };
            let before = Ledger::of(&selector);
            let connecting = || Box::pin(selector.tcp().connect(("name.test", port)));
            let socket = match trial.drive(connecting(), &mut world()).await {
                Driven::Ready(socket) => socket,
                Driven::Cut => {
                    trial.assert_released(&selector, &before);
                    assert!(trial.forgets() || resolver.running() == 0, "it is still asked");
                    trial.complete(connecting(), &mut world()).await
                }
            };
            let socket = socket.unwrap();
            assert_eq!(socket.remote_address(), address.into());
            drop(peers);
            socket.abort();
            until_idle(&selector).await;
        });
    })
}

/// The peers at one port.
struct Peers {
    listener: TcpListener,
    /// Their queues are full.
    _silent: Vec<(socket2::Socket, Option<TcpStream>)>,
}

impl Peers {
    fn new() -> Self {
        let hosts = ["127.0.0.4", "127.0.0.2", "127.0.0.3"];
        let (mut opened, _) = on_one_port(hosts, |_, address| {
            let listener =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            listener.bind(&address.into())?;
            let port = listener.local_addr()?.as_socket().map_or(0, |address| address.port());
            Ok((listener, port))
        });
        let silent = opened.split_off(1).into_iter().map(|listener| {
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap().as_socket().unwrap();
            (listener, TcpStream::connect(address).ok())
        });
        let silent = silent.collect();
        let listener = opened.remove(0);
        listener.listen(16).unwrap();
        Self { listener: listener.into(), _silent: silent }
    }
}
