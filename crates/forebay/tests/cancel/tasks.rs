//! Waiting for tasks, and for the end of a selector.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use forebay::{ByteReadChannel, JoinHandle, SelectorManager, pipe};

use crate::support::{Driven, Event, Still, Trial, now, until};
use crate::table::{Row, Scene, Word};

/// The default limit on a closing selector's wait for its tasks.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn rows() -> Vec<Row> {
    let close = [("while a task ends", false), ("while a task does not end", true)]
        .map(|(name, endless)| Scene::new(name, 2, move |trial| closing(endless, trial)));
    vec![
        row("forebay::spawn", (), |_| spawned(|task| forebay::spawn(task.and_nothing()))),
        row("forebay::SelectorManager::spawn", (), |selector| {
            spawned(|task| selector.spawn(task.and_nothing()))
        }),
        row("forebay::spawn_here", (), |_| spawned(|task| forebay::spawn_here(task.and_nothing()))),
        row("forebay::SelectorManager::spawn_here", (), |selector| {
            spawned(|task| selector.spawn_here(task.and_nothing()))
        }),
        row("forebay::spawn_value", 42, |_| spawned(|task| forebay::spawn_value(task.and_value()))),
        row("forebay::SelectorManager::spawn_value", 42, |selector| {
            spawned(|task| selector.spawn_value(task.and_value()))
        }),
        row("forebay::spawn_blocking", 42, |_| {
            blocking(|function| forebay::spawn_blocking(function))
        }),
        row("forebay::SelectorManager::spawn_blocking", 42, |selector| {
            blocking(|function| selector.spawn_blocking(function))
        }),
        row("forebay::TaskGroup::spawn", (), |selector| {
            spawned(|task| selector.group().spawn(task.and_nothing()))
        }),
        row("forebay::TaskPlace::spawn", (), |selector| {
            let place = now(selector.group().limit(1).place());
            spawned(|task| place.spawn(task.and_nothing()))
        }),
        Row {
            path: "forebay::SelectorManager::close",
            words: &[Word::Resumes],
            scenes: close.into(),
        },
    ]
}

/// A task that goes on when it is told to, and notes its end.
struct Task {
    signal: ByteReadChannel,
    ended: Arc<AtomicBool>,
}

impl Task {
    async fn and_nothing(mut self) -> forebay::Result<()> {
        self.signal.read_u8().await?;
        self.ended.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn and_value(self) -> i32 {
        self.and_nothing().await.unwrap();
        42
    }
}

struct Started<T> {
    handle: JoinHandle<T>,
    go_on: Box<dyn FnOnce()>,
    ended: Arc<AtomicBool>,
}

fn spawned<T>(spawn: impl FnOnce(Task) -> JoinHandle<T>) -> Started<T> {
    let (signal, mut output) = pipe(1);
    let ended = Arc::new(AtomicBool::new(false));
    let handle = spawn(Task { signal, ended: Arc::clone(&ended) });
    let go_on = Box::new(move || now(output.write_u8(1)).unwrap());
    Started { handle, go_on, ended }
}

type Function = Box<dyn FnOnce() -> i32 + Send>;

fn blocking(spawn: impl FnOnce(Function) -> JoinHandle<i32>) -> Started<i32> {
    let (sender, receiver) = channel();
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let handle = spawn(Box::new(move || {
        receiver.recv().unwrap();
        told.store(true, Ordering::SeqCst);
        42
    }));
    Started { handle, go_on: Box::new(move || sender.send(()).unwrap()), ended }
}

fn row<T>(path: &'static str, value: T, start: fn(&SelectorManager) -> Started<T>) -> Row
where
    T: Copy + Debug + PartialEq + Send + Sync + 'static,
{
    let scenes = vec![
        Scene::new("by reference, then again", 2, move |trial| awaited(start, value, trial)),
        Scene::new("by value", 2, move |trial| detached(start, value, trial)),
    ];
    Row { path, words: &[Word::Releases], scenes }
}

/// A wait that was cut leaves the handle as it was.
fn awaited<T>(start: fn(&SelectorManager) -> Started<T>, value: T, trial: &Trial)
where
    T: Copy + Debug + PartialEq,
{
    trial.on_a_selector(async |selector| {
        let Started { mut handle, go_on, ended } = start(&selector);
        let mut world = Event::new(go_on);
        let outcome = match trial.drive(Box::pin(&mut handle), &mut world).await {
            Driven::Ready(outcome) => outcome,
            Driven::Cut => trial.complete(Box::pin(&mut handle), &mut world).await,
        };
        assert_eq!(outcome.unwrap(), value);
        assert!(ended.load(Ordering::SeqCst));
    });
}

/// A handle that is dropped lets its task go on.
fn detached<T>(start: fn(&SelectorManager) -> Started<T>, value: T, trial: &Trial)
where
    T: Copy + Debug + PartialEq,
{
    trial.on_a_selector(async |selector| {
        let Started { handle, go_on, ended } = start(&selector);
        let mut world = Event::new(go_on);
        match trial.drive(Box::pin(handle), &mut world).await {
            Driven::Ready(outcome) => assert_eq!(outcome.unwrap(), value),
            Driven::Cut => world.happen(),
        }
        until(|| ended.load(Ordering::SeqCst) && selector.stats().tasks == 0).await;
    });
}

/// From the first poll on the selector is closing; calling it again waits for the end.
fn closing(endless: bool, trial: &Trial) {
    trial.by_a_clock(async |selector, clock| {
        let Started { mut handle, go_on, ended } =
            spawned(|task| selector.spawn(task.and_nothing()));
        let time_is_up = || clock.advance(DRAIN_TIMEOUT);
        let mut world: Event<Box<dyn FnOnce()>> =
            if endless { Event::new(Box::new(time_is_up)) } else { Event::new(go_on) };
        if let Driven::Cut = trial.drive(Box::pin(selector.close()), &mut world).await {
            if !trial.forgets() {
                trial.assert_no_waker_is_kept();
                assert_eq!(selector.stats().timers, 0, "timers after the cut");
            }
            let refused = now(selector.spawn(async { Ok(()) }));
            assert!(refused.is_err_and(|error| error.is_closed()));
            let again = Box::pin(selector.close());
            if endless {
                trial.complete(again, &mut Event::new(time_is_up)).await;
            } else {
                world.happen();
                trial.complete(again, &mut Still).await;
            }
        }
        assert_eq!(selector.stats().tasks, 0);
        let outcome = now(&mut handle);
        assert_eq!(ended.load(Ordering::SeqCst), !endless);
        assert_eq!(outcome.is_err_and(|error| error.is_cancelled()), endless);
    });
}
