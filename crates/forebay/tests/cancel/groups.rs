//! Waiting for a group of tasks, for a place in it, and for its request to stop.

use std::sync::mpsc::channel;
use std::time::Duration;

use forebay::{JoinHandle, SelectorManager, StopRequested, TaskGroup};
use futures_lite::future::pending;

use crate::support::{Driven, Event, Still, Trial, now, turn, until};
use crate::table::{Row, Scene, Word};

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn rows() -> Vec<Row> {
    let row = |path, run: fn(&Trial)| Row {
        path,
        words: &[Word::Releases],
        scenes: vec![Scene::new("and then again", 2, run)],
    };
    vec![
        row("forebay::TaskGroup::join", joined),
        row("forebay::TaskGroup::join_within", joined_within),
        row("forebay::TaskGroup::place", placed),
        row("forebay::TaskGroup::stop_requested", |trial| {
            stopped(
                &async |_: &_, group: &TaskGroup| [group.stop_requested(), group.stop_requested()],
                trial,
            );
        }),
        row("forebay::stop_requested", |trial| stopped(&of_a_task, trial)),
    ]
}

/// A task that ends when it is asked to.
fn obedient(group: &TaskGroup) -> JoinHandle<()> {
    group.spawn(async {
        forebay::stop_requested().await;
        Ok(())
    })
}

fn joined(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let group = selector.group();
        let task = obedient(&group);
        turn().await;
        let mut world = Event::new(|| group.stop());
        if let Driven::Cut = trial.drive(Box::pin(group.join()), &mut world).await {
            if !trial.forgets() {
                trial.assert_no_waker_is_kept();
            }
            world.happen();
            trial.complete(Box::pin(group.join()), &mut Still).await;
        }
        assert!(task.is_finished() && group.is_empty());
    });
}

/// A wait that was cut has aborted no task; the next one has the whole time again.
fn joined_within(trial: &Trial) {
    trial.by_a_clock(async |selector, clock| {
        let group = selector.group();
        let task = group.spawn(pending());
        turn().await;
        let hour = || Event::new(|| clock.advance(HOUR));
        let outcome = trial.drive(Box::pin(group.join_within(HOUR)), &mut hour()).await;
        let left = match outcome {
            Driven::Ready(left) => left,
            Driven::Cut => {
                if !trial.forgets() {
                    trial.assert_no_waker_is_kept();
                    assert_eq!(selector.stats().timers, 0, "timers after the cut");
                }
                turn().await;
                assert!(!task.is_finished());
                trial.complete(Box::pin(group.join_within(HOUR)), &mut hour()).await
            }
        };
        assert_eq!(left, 1);
        until(|| group.is_empty() && task.is_finished()).await;
    });
}

/// A wait that was cut has taken no place, also if there was one for it already.
fn placed(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let group = selector.group().limit(1);
        let first = now(group.place()).spawn(pending());
        let mut world = Event::new(|| first.abort());
        let place = match trial.drive(Box::pin(group.place()), &mut world).await {
            Driven::Ready(place) => place,
            Driven::Cut => {
                if !trial.forgets() {
                    trial.assert_no_waker_is_kept();
                }
                world.happen();
                trial.complete(Box::pin(group.place()), &mut Still).await
            }
        };
        assert!(group.is_empty());
        drop(place);
    });
}

/// Two waits that a task of the group has made.
async fn of_a_task(_: &SelectorManager, group: &TaskGroup) -> Waits {
    let (give, given) = channel();
    let making = group.spawn(async move {
        give.send([forebay::stop_requested(), forebay::stop_requested()]).unwrap();
        Ok(())
    });
    making.await.unwrap();
    given.recv().unwrap()
}

type Waits = [StopRequested; 2];

fn stopped(waits: &impl AsyncFn(&SelectorManager, &TaskGroup) -> Waits, trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let group = selector.group();
        let [first, second] = waits(&selector, &group).await;
        let mut world = Event::new(|| group.stop());
        if let Driven::Cut = trial.drive(Box::pin(first), &mut world).await {
            if !trial.forgets() {
                trial.assert_no_waker_is_kept();
            }
            trial.complete(Box::pin(second), &mut world).await;
        }
        assert!(world.has_happened());
    });
}
