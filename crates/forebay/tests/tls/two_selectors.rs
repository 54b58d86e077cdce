//! Secure sockets and configurations that two selectors share: a handshake is made, and its
//! connection used and ended, wherever a task waits for it; a session that is kept belongs to its
//! configuration; and each selector ends alone.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::thread;

use forebay::{Connection, Result, SelectorManager, ServerSocket, Socket, TlsConfig};
use forebay_testing::{
    KIB, pattern, report,
    tls::{Configs, listen, listen_plainly},
    wait_for, watched,
};
use futures_lite::future::{block_on, zip};

// ---- sockets in the hands of others -------------------------------------------------------------

/// The users of what belongs to another selector.
#[derive(Debug, Clone, Copy)]
enum Elsewhere {
    /// Tasks of a second selector.
    Tasks,
    /// Threads of their own, each in another executor.
    Threads,
}

impl Elsewhere {
    /// Runs both there at the same time.
    fn run(
        self,
        other: &SelectorManager,
        near: impl Future<Output = Result<()>> + Send + 'static,
        far: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        match self {
            Self::Tasks => {
                let (near, far) = (other.spawn(near), other.spawn(far));
                let (near, far) = other.block_on(zip(near, far));
                near.and(far).unwrap();
            }
            Self::Threads => {
                let near = thread::spawn(move || block_on(near));
                let far = block_on(far);
                near.join().unwrap().and(far).unwrap();
            }
        }
    }
}

/// The way in which they leave the connection.
#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Drop,
}

/// Sends as much as waits for the other side, and reads as much.
async fn exchange(connection: Connection, end: End) -> Result<()> {
    let Connection { mut input, mut output, socket } = connection;
    let data = pattern(300 * KIB);
    let mut read = vec![0; data.len()];
    let (wrote, filled) = zip(output.write_all(&data), input.read_exact(&mut read)).await;
    wrote.and(filled)?;
    assert!(read == data, "other bytes");
    output.finish().await?;
    // The other side has said that it ends.
    assert_eq!(input.read_line().await?, None);
    match end {
        End::Close => socket.close().await,
        End::Drop => Ok(()),
    }
}

fn is_at_rest(selector: &SelectorManager, sockets: u64) -> bool {
    let stats = selector.stats();
    (stats.sockets, stats.tasks, stats.timers, stats.background_closes) == (sockets, 0, 0, 0)
}

#[test]
fn a_secure_socket_works_wherever_it_is_waited_for() {
    for elsewhere in [Elsewhere::Tasks, Elsewhere::Threads] {
        for end in [End::Close, End::Drop] {
            for promised in [true, false] {
                watched(move || used(elsewhere, end, promised));
            }
        }
    }
}

/// Everything after the TCP connection is done elsewhere; the server's side is secured by its
/// listener, or there as well.
fn used(elsewhere: Elsewhere, end: End, promised: bool) {
    let (owner, other) = (SelectorManager::new(), SelectorManager::new());
    let configs = Configs::new();
    let listener = if promised { listen(&owner, &configs.server) } else { listen_plainly(&owner) };
    let connecting = owner.tcp().connect(listener.local_address());
    let (near, far) = owner.block_on(zip(connecting, listener.accept()));
    let (near, far) = (near.unwrap(), far.unwrap());
    let Configs { client, server } = configs;
    let visiting = async move { exchange(near.tls(&client).await?.connection()?, end).await };
    let serving = async move {
        let far = if promised { far } else { far.accept_tls(&server).await? };
        far.handshake().await?;
        exchange(far.connection()?, end).await
    };
    elsewhere.run(&other, visiting, serving);
    // What is left of the connection is its own selector's, and not for long.
    wait_for(|| is_at_rest(&owner, 1) && is_at_rest(&other, 0));
    assert_eq!(owner.stats().unacknowledged, 0, "{elsewhere:?}, {end:?}");
    let sent = u64::try_from(600 * KIB).unwrap();
    assert!(owner.stats().sent_bytes > sent && other.stats().sent_bytes == 0);
}

#[test]
fn a_handshake_elsewhere_is_told_when_its_own_selector_closes() {
    watched(|| {
        let (owner, other) = (SelectorManager::new(), SelectorManager::new());
        let configs = Configs::new();
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let plain = owner.block_on(owner.tcp().connect(silent.local_addr().unwrap())).unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let client = configs.client;
        let shaking = other.spawn_value(async move {
            begun.send(()).unwrap();
            plain.tls(&client).await.map(drop)
        });
        has_begun.recv().unwrap();
        owner.block_on(owner.close());
        let error = other.block_on(shaking).unwrap().unwrap_err();
        assert!(error.is_closed(), "{error}");
        wait_for(|| is_at_rest(&owner, 0) && is_at_rest(&other, 0));
    });
}

// ---- configurations that are shared -------------------------------------------------------------

/// Greets every client, and sends lines back.
fn serve(selector: &SelectorManager, listener: ServerSocket) {
    let accepting = selector.spawn(async move {
        loop {
            let socket = listener.accept().await?;
            let session = async move {
                let Connection { mut input, mut output, socket } = socket.connection()?;
                output.write_str("hello\n").await?;
                input.copy_to(&mut output).await?;
                socket.close().await
            };
            forebay::spawn(session).detach();
        }
    });
    accepting.detach();
}

/// A listener on a selector of its own, with this configuration.
struct Served {
    selector: SelectorManager,
    port: u16,
}

impl Served {
    fn new(config: &TlsConfig) -> Self {
        // A client that is refused is told so by its own call, too.
        let selector = SelectorManager::builder().on_task_error(|_| ()).build().unwrap();
        let listener = listen(&selector, config);
        let port = listener.port();
        serve(&selector, listener);
        Self { selector, port }
    }
}

/// A connection that was greeted.
async fn greeted(
    by: &SelectorManager,
    port: u16,
    config: &TlsConfig,
) -> Result<(Socket, Connection)> {
    let socket = by.tcp().connect(("127.0.0.1", port)).await?.tls(config).await?;
    let mut connection = socket.connection()?;
    assert_eq!(connection.input.read_line().await?.as_deref(), Some("hello"));
    Ok((socket, connection))
}

async fn echoes(connection: &mut Connection) -> Result<()> {
    connection.output.write_str("still here\n").await?;
    assert_eq!(connection.input.read_line().await?.as_deref(), Some("still here"));
    Ok(())
}

/// Visits, and returns true if its session was a resumed one.
fn visit(by: &SelectorManager, port: u16, config: &TlsConfig) -> Result<bool> {
    by.block_on(async {
        let (socket, mut connection) = greeted(by, port, config).await?;
        echoes(&mut connection).await?;
        Ok(socket.tls_info().unwrap().is_resumed())
    })
}

#[test]
fn a_session_belongs_to_its_configuration_on_whichever_selector() {
    for version in ["1.2", "1.3"] {
        for tickets in [false, true] {
            watched(move || {
                let make = || {
                    Configs::with(
                        |client| client.versions([version]),
                        |server| server.versions([version]).tickets(tickets),
                    )
                };
                let (ours, theirs) = (make(), make());
                let (one, two) = (Served::new(&ours.server), Served::new(&ours.server));
                let strange = Served::new(&theirs.server);
                let (left, right) = (SelectorManager::new(), SelectorManager::new());

                let told = [(&left, &one), (&left, &two), (&right, &one), (&right, &two)]
                    .map(|(by, at)| visit(by, at.port, &ours.client).unwrap());
                assert_eq!(told, [false, true, true, true], "{version}, tickets: {tickets}");
                // All servers have one name, and what is kept of one is no reason to believe another.
                for _ in 0..2 {
                    for (by, config, served) in [
                        (&left, &ours.client, &strange),
                        (&right, &ours.client, &strange),
                        (&left, &theirs.client, &one),
                        (&right, &theirs.client, &two),
                    ] {
                        let error = visit(by, served.port, config).unwrap_err();
                        assert!(error.tls_fault().is_some(), "{error}");
                    }
                    assert!(visit(&left, two.port, &ours.client).unwrap());
                    visit(&right, strange.port, &theirs.client).unwrap();
                }
                report(&format!(
                    "tls_two_selectors: TLS {version}, tickets: {tickets}: resumed on two selectors by \
                     clients on two: {told:?}; never with another configuration"
                ));
            });
        }
    }
}

#[test]
fn a_selector_that_closes_leaves_the_connections_of_another_alone() {
    watched(|| {
        let configs = Configs::new();
        let (one, two) = (Served::new(&configs.server), Served::new(&configs.server));
        let (left, right) = (SelectorManager::new(), SelectorManager::new());
        let connect = |by: &SelectorManager, at: &Served| {
            by.block_on(greeted(by, at.port, &configs.client)).unwrap().1
        };
        let mut to_one = connect(&left, &one);
        let mut to_two = connect(&left, &two);
        let mut from_right = connect(&right, &two);

        // A server's.
        one.selector.block_on(one.selector.close());
        let told = left.block_on(to_one.input.read_line());
        assert_eq!(told.unwrap(), None, "its server has said that it ends");
        left.block_on(echoes(&mut to_two)).unwrap();
        assert!(visit(&left, two.port, &configs.client).unwrap(), "it is still kept");

        // A client's.
        left.block_on(left.close());
        let error = right.block_on(echoes(&mut to_two)).unwrap_err();
        assert!(error.is_closed(), "{error}");
        right.block_on(echoes(&mut from_right)).unwrap();
        assert!(visit(&right, two.port, &configs.client).unwrap(), "it is still kept");
        drop((to_one, to_two));
        wait_for(|| is_at_rest(&one.selector, 0) && is_at_rest(&left, 0));
    });
}
