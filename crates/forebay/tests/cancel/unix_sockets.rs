//! Binding and connecting Unix sockets, where that waits.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use forebay::UnixAddress;
use forebay::testing::TestClock;
use rustix::fs::{FlockOperation, flock};
use socket2::{Domain, SockAddr, Type};

use crate::ledger::Ledger;
use crate::sockets::until_idle;
use crate::support::{Alarm, Driven, Event, Still, Trial, World};
use crate::table::{Row, Scene, Word};
use crate::unix::unused_name;

/// The default limit on connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn rows() -> Vec<Row> {
    let rows: [(_, _, _, fn(&Trial)); 2] = [
        ("forebay::UnixBuilder::bind", "to a path that may be stale", 1, binding),
        ("forebay::UnixBuilder::connect", "where nobody accepts", 2, connecting),
    ];
    rows.map(|(path, name, waits_min, attempt)| Row {
        path,
        words: &[Word::Releases],
        scenes: vec![Scene::new(name, waits_min, attempt)],
    })
    .into()
}

/// A directory of its own.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// It waits for a thread, and then until another program unlocks the directory.
fn binding(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let directory = Scratch(std::env::temp_dir().join(unused_name()));
        std::fs::create_dir(&directory.0).unwrap();
        let path = directory.0.join("stale");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let lock = File::open(&directory.0).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let before = Ledger::of(&selector);
        let bind = || Box::pin(selector.unix().replace_stale().bind(path.as_path()));
        let mut world = Event::new(|| flock(&lock, FlockOperation::Unlock).unwrap());
        let server = match trial.drive(bind(), &mut world).await {
            Driven::Ready(server) => server,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                world.happen();
                if trial.forgets() {
                    // The listener that was made for it lives as long as it is remembered: forever.
                    return;
                }
                trial.complete(bind(), &mut Still).await
            }
        };
        drop(std::os::unix::net::UnixStream::connect(&path).unwrap());
        drop(server.unwrap());
        assert!(!path.exists(), "the path is left behind");
        until_idle(&selector).await;
    });
}

/// The next attempt is made, and then the time is up.
struct PauseAndTime(TestClock, Option<Duration>);

impl World for PauseAndTime {
    async fn step(&mut self, alarm: &Alarm) {
        let step = self.1.take().unwrap_or(CONNECT_TIMEOUT);
        self.0.advance(step);
        alarm.wait().await;
    }
}

/// A full backlog brings no event, so it is tried again and again (`UnixBuilder::connect`).
fn connecting(trial: &Trial) {
    trial.by_a_clock(async |selector, clock| {
        let name = unused_name();
        let listener = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let address = SockAddr::unix(format!("\0{name}")).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let first = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        first.connect(&address).unwrap();

        let name = UnixAddress::Abstract(name.into_bytes());
        let before = Ledger::of(&selector);
        let mut world = PauseAndTime(clock, Some(Duration::from_millis(1)));
        match trial.drive(Box::pin(selector.unix().connect(&name)), &mut world).await {
            Driven::Ready(outcome) => assert!(outcome.is_err_and(|error| error.is_timeout())),
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                let _first = listener.accept().unwrap();
                let again = Box::pin(selector.unix().connect(&name));
                let socket = trial.complete(again, &mut Still).await.unwrap();
                drop(listener.accept().unwrap());
                socket.close().await.unwrap();
            }
        }
        drop(first);
        until_idle(&selector).await;
    });
}
