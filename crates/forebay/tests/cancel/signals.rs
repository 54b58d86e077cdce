//! Waiting for a signal of the process.

use forebay::{Result, SelectorManager, SignalKind};
use rustix::process::Signal;

use crate::ledger::Ledger;
use crate::support::{Driven, Event, Operation, Trial, poll_once};
use crate::table::{Row, Scene, Word};

pub(crate) fn rows() -> Vec<Row> {
    let ctrl_c = |path, wait| Row {
        path,
        words: &[Word::Lossless],
        scenes: vec![Scene::new("and then again", 2, move |trial| interrupted(wait, trial))],
    };
    vec![
        ctrl_c("forebay::ctrl_c", |_| Box::pin(forebay::ctrl_c())),
        ctrl_c("forebay::SelectorManager::ctrl_c", |selector| Box::pin(selector.ctrl_c())),
        Row {
            path: "forebay::Signals::next",
            words: &[Word::Lossless],
            scenes: vec![Scene::new("and then again", 2, signalled)],
        },
    ]
}

/// Sends this thread a signal, whose handler has run when this returns.
fn raise(signal: Signal) {
    signal_hook::low_level::raise(signal.as_raw()).unwrap();
}

type Waiting = fn(&SelectorManager) -> Operation<'_, Result<()>>;

/// A Ctrl-C that was not returned is returned by the next call, and once.
fn interrupted(wait: Waiting, trial: &Trial) {
    trial.on_a_selector(async |selector| {
        // From here on it is handled, and watched.
        drop(wait(&selector));
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| raise(Signal::INT));
        if let Driven::Cut = trial.drive(wait(&selector), &mut world).await {
            trial.assert_released(&selector, &before);
            trial.complete(wait(&selector), &mut world).await.unwrap();
        }
        assert!(world.has_happened());
        assert_waits(wait(&selector));
    });
}

/// So is any other signal.
fn signalled(trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let mut signals = selector.signal(SignalKind::User1).unwrap();
        let before = Ledger::of(&selector);
        let mut world = Event::new(|| raise(Signal::USR1));
        let next = match trial.drive(Box::pin(signals.next()), &mut world).await {
            Driven::Ready(next) => next,
            Driven::Cut => {
                trial.assert_released(&selector, &before);
                trial.complete(Box::pin(signals.next()), &mut world).await
            }
        };
        assert_eq!(next, Some(SignalKind::User1));
        assert_waits(signals.next());
    });
}

#[track_caller]
fn assert_waits<T>(future: impl Future<Output = T>) {
    assert!(poll_once(future).is_none(), "a signal came twice");
}
