//! Handshakes.

use std::pin::Pin;
use std::sync::LazyLock;

use forebay::{
    Connection, Identity, Result, SelectorManager, ServerSocket, Socket, TlsConfig, Trust,
};
use futures_lite::future::zip;

use crate::support::{Alarm, Driven, Operation, Trial, World, now, until};
use crate::table::{Row, Scene, Word};

pub(crate) fn rows() -> Vec<Row> {
    let rows: [(_, _, _, _, fn(&Trial)); 5] = [
        ("forebay::Socket::tls", "as a client", Word::Aborts, 1, connecting),
        ("forebay::Socket::accept_tls", "as a server", Word::Aborts, 2, accepting),
        ("forebay::Socket::handshake", "of a listener's connection", Word::Releases, 1, promised),
        ("forebay::Connection::tls", "in the middle", Word::Aborts, 1, upgrading),
        ("forebay::Connection::accept_tls", "in the middle", Word::Aborts, 2, being_upgraded),
    ];
    rows.map(|(path, name, word, waits_min, attempt)| Row {
        path,
        words: if word == Word::Aborts { &[Word::Aborts] } else { &[Word::Releases] },
        scenes: vec![Scene::new(name, waits_min, attempt)],
    })
    .into()
}

/// A client's configuration, and a server's that it believes.
static CONFIGS: LazyLock<(TlsConfig, TlsConfig)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    let trust = Trust::roots_pem(made.cert.pem()).unwrap();
    let server = TlsConfig::server(Identity::from_pem(pem).unwrap()).build().unwrap();
    (TlsConfig::client().trust(trust).server_name("localhost").build().unwrap(), server)
});

/// A secure connection in memory, with room for so many bytes.
pub(crate) async fn secure_pair(
    selector: &SelectorManager,
    bytes: usize,
) -> (Connection, Connection) {
    let (mut near, mut far) = selector.duplex(bytes);
    let (client, server) = &*CONFIGS;
    let (connected, accepted) = zip(near.tls(client), far.accept_tls(server)).await;
    connected.and(accepted).unwrap();
    (near, far)
}

/// A peer that begins its side of the handshake when it is time, and goes on with it.
struct Peer {
    task: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    selector: SelectorManager,
}

impl Peer {
    fn new(
        selector: &SelectorManager,
        handshake: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        // Whether it succeeds is told by the side under test.
        let task = Box::pin(async { drop(handshake.await) });
        Self { task: Some(task), selector: selector.clone() }
    }
}

impl World for Peer {
    async fn step(&mut self, alarm: &Alarm) {
        if let Some(task) = self.task.take() {
            self.selector.spawn_value(task).detach();
        }
        alarm.wait().await;
    }
}

async fn plain(selector: &SelectorManager) -> (Socket, Socket, ServerSocket) {
    let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
    let connecting = selector.tcp().connect(server.local_address());
    let (near, far) = zip(connecting, server.accept()).await;
    (near.unwrap(), far.unwrap(), server)
}

fn connecting(trial: &Trial) {
    of_a_socket(
        trial,
        |socket| Box::pin(async { socket.tls(&CONFIGS.0).await }),
        |socket| Box::pin(async { socket.accept_tls(&CONFIGS.1).await }),
    );
}

fn accepting(trial: &Trial) {
    of_a_socket(
        trial,
        |socket| Box::pin(async { socket.accept_tls(&CONFIGS.1).await }),
        |socket| Box::pin(async { socket.tls(&CONFIGS.0).await }),
    );
}

type Call = for<'a> fn(&'a Socket) -> Pin<Box<dyn Future<Output = Result<Socket>> + Send + 'a>>;

/// A handshake that was cut has reset the connection, and every later call says so.
fn of_a_socket(trial: &Trial, call: Call, answer: Call) {
    trial.on_a_selector(async |selector| {
        let (near, far, _server) = plain(&selector).await;
        let peer = far.clone();
        let mut world = Peer::new(&selector, async move { answer(&peer).await.map(drop) });
        let operation: Operation<'_, _> = Box::pin(call(&near));
        match trial.drive(operation, &mut world).await {
            Driven::Ready(secured) => assert!(secured.unwrap().tls_info().is_some()),
            // The forgotten handshake holds the connection forever, unless another handle ends it.
            Driven::Cut if trial.forgets() => near.abort(),
            Driven::Cut => {
                trial.assert_no_waker_is_kept();
                assert!(near.is_closed(), "it is not reset");
                assert!(near.open_write_channel().is_err());
                assert!(now(call(&near)).is_err());
                drop(world);
                drop(far);
                until(|| selector.stats().sockets == 1 && selector.stats().tasks == 0).await;
            }
        }
    });
}

fn upgrading(trial: &Trial) {
    of_a_connection(
        trial,
        |it| Box::pin(async { it.tls(&CONFIGS.0).await }),
        |it| Box::pin(async { it.accept_tls(&CONFIGS.1).await }),
    );
}

fn being_upgraded(trial: &Trial) {
    of_a_connection(
        trial,
        |it| Box::pin(async { it.accept_tls(&CONFIGS.1).await }),
        |it| Box::pin(async { it.tls(&CONFIGS.0).await }),
    );
}

type Upgrade =
    for<'a> fn(&'a mut Connection) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Nothing is ever said in the clear behind an upgrade that was cut.
fn of_a_connection(trial: &Trial, call: Upgrade, answer: Upgrade) {
    trial.on_a_selector(async |selector| {
        let (left, right, _server) = plain(&selector).await;
        let (mut near, mut far) = (left.connection().unwrap(), right.connection().unwrap());
        drop((left, right));
        let mut world = Peer::new(&selector, async move { answer(&mut far).await });
        let operation: Operation<'_, _> = Box::pin(call(&mut near));
        match trial.drive(operation, &mut world).await {
            Driven::Ready(secured) => {
                secured.unwrap();
                assert!(near.socket.tls_info().is_some());
            }
            // A write would now wait for a handshake that makes no progress.
            Driven::Cut if trial.forgets() => near.socket.abort(),
            Driven::Cut => {
                trial.assert_no_waker_is_kept();
                assert!(near.socket.is_closed(), "it is not reset");
                assert!(now(near.output.write_str("in the clear")).is_err());
                assert!(now(near.input.read_u8()).is_err());
                drop(world);
                until(|| selector.stats().sockets == 1 && selector.stats().tasks == 0).await;
            }
        }
    });
}

/// Waiting for a handshake does not drive it: it goes on when the wait is cut.
fn promised(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let (client, config) = &*CONFIGS;
        let server = selector.tcp().bind("127.0.0.1:0").await.unwrap().tls(config).unwrap();
        let connecting = selector.tcp().connect(server.local_address());
        let (peer, accepted) = zip(connecting, server.accept()).await;
        let (peer, accepted) = (peer.unwrap(), accepted.unwrap());
        let mut world = Peer::new(&selector, async move { peer.tls(client).await.map(drop) });
        let info = match trial.drive(Box::pin(accepted.handshake()), &mut world).await {
            Driven::Ready(info) => info,
            Driven::Cut => {
                if !trial.forgets() {
                    trial.assert_no_waker_is_kept();
                }
                assert!(!accepted.is_closed(), "it was reset");
                trial.complete(Box::pin(accepted.handshake()), &mut world).await
            }
        };
        assert_eq!(info.unwrap().server_name(), Some("localhost"));
    });
}
