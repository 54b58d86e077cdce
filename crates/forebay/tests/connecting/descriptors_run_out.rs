//! By a clock that stands still: what ends the pause of a listener that found no descriptor
//! left.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ErrorKind, JoinHandle, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{alone, lock, until_that, watched};
use futures_lite::future::yield_now;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors that the process may have.
const LIMIT: u64 = 64;
const CLIENTS: usize = 12;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A server by a clock of the test's, with clients in its backlog.
struct Scene {
    selector: SelectorManager,
    clock: TestClock,
    server: ServerSocket,
    clients: Vec<TcpStream>,
    /// The reports: accepting pauses, each time.
    told: Arc<Mutex<Vec<String>>>,
    /// Descriptors that are not the selector's: all that were left.
    others: Vec<File>,
}

impl Scene {
    async fn set(selector: SelectorManager, clock: TestClock, told: Told) -> Result<Self> {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let dial = |_| TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let clients = (0..CLIENTS).map(dial).collect();
        let others = take_all_descriptors();
        Ok(Self { selector, clock, server, clients, told, others })
    }

    fn pauses(&self) -> usize {
        lock(&self.told).len()
    }

    fn accepted(&self) -> u64 {
        self.selector.stats().accepted
    }

    /// Echoes to every client that the server accepts, in a task.
    fn serve(&self) {
        let (selector, server) = (self.selector.clone(), self.server.clone());
        let serving = self.selector.spawn(async move {
            loop {
                selector.spawn(echo(server.accept().await?)).detach();
            }
        });
        serving.detach();
    }

    /// Accepts one, in a task.
    fn accept(&self) -> JoinHandle<Result<Socket>> {
        let server = self.server.clone();
        self.selector.spawn_value(async move { server.accept().await })
    }

    /// Lets everything happen that does not need the time to go on.
    async fn settle(&self) {
        for _ in 0..1000 {
            yield_now().await;
        }
    }
}

type Told = Arc<Mutex<Vec<String>>>;

fn take_all_descriptors() -> Vec<File> {
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    setrlimit(Resource::Nofile, limit).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

async fn echo(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}

/// Runs a test in a process of its own, which runs out of descriptors.
fn scene<F: Future<Output = Result<()>>>(
    test: &str,
    body: impl FnOnce(Scene) -> F + Send + 'static,
) {
    alone(test, || {
        watched(|| {
            let (clock, told) = (TestClock::new(), Told::default());
            let notes = Arc::clone(&told);
            let builder = SelectorManager::builder().workers(1).clock(clock.clone()).on_task_error(
                move |error| {
                    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                    lock(&notes).push(error.to_string());
                },
            );
            builder
                .run(async |selector| body(Scene::set(selector, clock, told).await?).await)
                .unwrap();
        });
    });
}

async fn is_answered(scene: &Scene, client: &mut TcpStream) -> bool {
    let sent = scene.selector.stats().sent_bytes;
    client.write_all(b"ping").unwrap();
    scene.settle().await;
    if scene.selector.stats().sent_bytes == sent {
        return false;
    }
    let mut answer = [0; 4];
    client.read_exact(&mut answer).unwrap();
    &answer == b"ping"
}

#[test]
fn pauses_double_up_to_a_second_and_each_is_reported() {
    scene("pauses_double_up_to_a_second_and_each_is_reported", async |scene| {
        scene.serve();
        scene.settle().await;
        let mut pause = Duration::from_millis(5);
        for pauses in 1..=12 {
            assert_eq!(scene.pauses(), pauses);
            let told = lock(&scene.told)[pauses - 1].clone();
            assert!(told.contains(&format!("{pause:?}")), "pause {pauses}: {told}");
            assert!(told.contains(&scene.server.local_address().to_string()), "{told}");
            // A moment before its end nothing is tried.
            let moment = Duration::from_nanos(1);
            scene.clock.advance(pause.saturating_sub(moment));
            scene.settle().await;
            assert_eq!(scene.pauses(), pauses);
            scene.clock.advance(moment);
            scene.settle().await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        assert_eq!(scene.accepted(), 0);
        assert_eq!(scene.selector.stats().task_errors, 13);
        Ok(())
    });
}

/// A descriptor that was released outside the library is found at the end of the pause, and the next
/// trouble begins with a short pause again.
#[test]
fn a_descriptor_of_somebody_else_is_found_when_the_pause_is_over() {
    scene("a_descriptor_of_somebody_else_is_found_when_the_pause_is_over", async |mut scene| {
        scene.serve();
        for _ in 0..12 {
            scene.settle().await;
            scene.clock.advance(LONGEST_PAUSE);
        }
        scene.settle().await;
        let pauses = scene.pauses();
        drop(scene.others.split_off(scene.others.len() - 3));
        scene.settle().await;
        assert_eq!((scene.accepted(), scene.pauses()), (0, pauses));

        scene.clock.advance(LONGEST_PAUSE);
        until_that("three are accepted", || scene.accepted() == 3).await;
        scene.settle().await;
        assert_eq!((scene.accepted(), scene.pauses()), (3, pauses + 1));
        assert!(lock(&scene.told)[pauses].contains("5ms"), "{:?}", lock(&scene.told)[pauses]);

        scene.others.clear();
        scene.clock.advance(Duration::from_millis(5));
        until_that("all are accepted", || scene.accepted() == CLIENTS as u64).await;
        let mut clients = std::mem::take(&mut scene.clients);
        for client in &mut clients {
            assert!(is_answered(&scene, client).await);
        }
        Ok(())
    });
}

/// The clock stands still all the time, so it is the closing alone that ends each pause. The clients
/// keep their own descriptors, so that those of the server's sockets are the only ones freed.
#[test]
fn a_socket_of_ours_that_is_closed_ends_the_pause_at_once() {
    scene("a_socket_of_ours_that_is_closed_ends_the_pause_at_once", async |mut scene| {
        drop(scene.others.split_off(scene.others.len() - 2));
        scene.serve();
        until_that("two are accepted", || scene.accepted() == 2).await;
        scene.settle().await;
        assert_eq!((scene.accepted(), scene.pauses()), (2, 1));

        let mut clients = std::mem::take(&mut scene.clients);
        for gone in 0..CLIENTS - 2 {
            // The clients that were accepted go on being served, and no others are.
            assert!(is_answered(&scene, &mut clients[gone]).await);
            assert!(is_answered(&scene, &mut clients[gone + 1]).await);
            let accepted = gone as u64 + 2;
            assert_eq!(scene.accepted(), accepted);
            clients[gone].shutdown(Shutdown::Both).unwrap();
            until_that("the next is accepted", || scene.accepted() > accepted).await;
            scene.settle().await;
        }
        assert!(scene.pauses() < CLIENTS, "{} pauses", scene.pauses());
        Ok(())
    });
}

/// Two listeners pause, and both go on.
#[test]
fn every_listener_that_pauses_is_told() {
    scene("every_listener_that_pauses_is_told", async |mut scene| {
        let other = scene.others.pop().unwrap();
        drop(other);
        let second = scene.selector.tcp().bind("127.0.0.1:0").await?;
        // Their backlogs hold no client of another test, and there is one descriptor for two sockets.
        drop(scene.others.split_off(scene.others.len() - 2));
        let _client = TcpStream::connect(("127.0.0.1", second.port())).unwrap();
        let only = scene.server.accept().await?;
        let first = scene.accept();
        let second = scene.selector.spawn_value(async move { second.accept().await });
        scene.settle().await;
        assert!(!first.is_finished() && !second.is_finished());
        only.abort();
        until_that("one of them has it", || first.is_finished() || second.is_finished()).await;
        let (done, waiting) = if first.is_finished() { (first, second) } else { (second, first) };
        scene.settle().await;
        assert!(!waiting.is_finished());
        done.await??.abort();
        waiting.await??.abort();
        Ok(())
    });
}

/// Closed while it pauses, by itself or with its selector, without waiting for the pause to end.
#[test]
fn a_listener_that_pauses_can_be_closed() {
    scene("a_listener_that_pauses_can_be_closed", async |scene| {
        let waiting = [scene.accept(), scene.accept()];
        scene.settle().await;
        assert_eq!(scene.pauses(), 1);
        scene.server.close();
        for accept in waiting {
            assert!(accept.await?.is_err_and(|error| error.is_closed()));
        }
        Ok(())
    });
}

#[test]
fn a_listener_that_pauses_is_closed_with_its_selector() {
    scene("a_listener_that_pauses_is_closed_with_its_selector", async |scene| {
        let waiting = [scene.accept(), scene.accept()];
        scene.settle().await;
        assert_eq!(scene.pauses(), 1);
        scene.selector.close().await;
        for accept in waiting {
            assert!(accept.await?.is_err_and(|error| error.is_closed()));
        }
        Ok(())
    });
}
