//! Waiting for a descriptor that is no socket of the library's.

use std::io::{PipeReader, Write, pipe};

use forebay::{Interest, Result, SelectorManager};

use crate::ledger::Ledger;
use crate::support::{Driven, Event, Operation};
use crate::table::{Row, Scene, Word};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("forebay::ready", |_, reader| Box::pin(forebay::ready(reader, Interest::READABLE))),
        row("forebay::SelectorManager::ready", |selector, reader| {
            Box::pin(selector.ready(reader, Interest::READABLE))
        }),
    ]
}

type Waiting = for<'a> fn(&'a SelectorManager, &'a PipeReader) -> Operation<'a, Result<Interest>>;

/// A wait that was cut takes nothing: the next one finds the same.
fn row(path: &'static str, wait: Waiting) -> Row {
    let scene = Scene::new("for a pipe", 2, move |trial| {
        trial.on_a_selector(async |selector| {
            let (reader, mut writer) = pipe().unwrap();
            let mut far = writer.try_clone().unwrap();
            let mut world = Event::new(move || writer.write_all(b"!").unwrap());
            let before = Ledger::of(&selector);
            let driven = trial.drive(wait(&selector, &reader), &mut world).await;
            if !trial.forgets() {
                let is_watched = |worker: &forebay::WorkerStats| worker.watched > 0;
                assert!(!selector.worker_stats().iter().any(is_watched), "it is still watched");
            }
            let outcome = match driven {
                Driven::Ready(outcome) => outcome,
                Driven::Cut => {
                    trial.assert_released(&selector, &before);
                    trial.complete(wait(&selector, &reader), &mut world).await
                }
            };
            assert_eq!(outcome.unwrap(), Interest::READABLE);
            far.flush().unwrap();
        });
    });
    Row { path, words: &[Word::Releases], scenes: vec![scene] }
}
