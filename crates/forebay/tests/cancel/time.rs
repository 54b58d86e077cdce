//! Waiting for a moment, by a clock that the test owns.

use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{ByteReadChannel, Error, Interval, Result, SelectorManager, race};

use crate::incoming::{Incoming, Source, single};
use crate::ledger::Ledger;
use crate::support::{Alarm, Driven, Event, Operation, Trial, World, assert_same, turn};
use crate::table::{Row, Scene, Word};
use crate::yields;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
        sleeps("forebay::sleep", |_| Box::pin(forebay::sleep(HOUR))),
        sleeps("forebay::SelectorManager::sleep", |selector| Box::pin(selector.sleep(HOUR))),
        limits("forebay::timeout", |_, read| Box::pin(forebay::timeout(HOUR, read))),
        limits("forebay::SelectorManager::timeout", |selector, read| {
            Box::pin(selector.timeout(HOUR, read))
        }),
        limits("forebay::within", |_, read| {
            Box::pin(async { said(forebay::within(HOUR, read).await) })
        }),
        limits("forebay::SelectorManager::within", |selector, read| {
            Box::pin(async { said(selector.within(HOUR, read).await) })
        }),
        limits("forebay::race", |_, read| {
            Box::pin(async { said(race(read, forebay::sleep(HOUR)).await.left()) })
        }),
    ];
    rows.push(Row {
        path: "forebay::yield_now",
        words: &[Word::Releases],
        scenes: vec![yields::yielding()],
    });
    rows.push(Row {
        path: "forebay::Interval::tick",
        words: &[Word::Lossless],
        scenes: vec![
            Scene::new("of the selector", 2, |trial| {
                ticking(|selector| selector.interval(HOUR), trial);
            }),
            Scene::new("of the current selector", 2, |trial| {
                ticking(|_| forebay::interval(HOUR), trial);
            }),
            yields::overdue(),
        ],
    });
    rows
}

/// The hour is over.
fn hour(clock: &TestClock) -> Event<impl FnOnce() + use<>> {
    let clock = clock.clone();
    Event::new(move || clock.advance(HOUR))
}

type Sleeping = fn(&SelectorManager) -> Operation<'_, ()>;

fn sleeps(path: &'static str, sleep: Sleeping) -> Row {
    let scene = Scene::new("for an hour", 2, move |trial| {
        trial.by_a_clock(async |selector, clock| {
            let before = Ledger::of(&selector);
            let mut world = hour(&clock);
            if let Driven::Cut = trial.drive(sleep(&selector), &mut world).await {
                trial.assert_released(&selector, &before);
                trial.complete(sleep(&selector), &mut hour(&clock)).await;
            }
            if !trial.forgets() {
                before.assert_unchanged(&selector);
            }
        });
    });
    Row { path, words: &[Word::Releases], scenes: vec![scene] }
}

/// A tick that was not returned comes again.
fn ticking(interval: fn(&SelectorManager) -> Interval, trial: &Trial) {
    trial.by_a_clock(async |selector, clock| {
        let start = clock.now();
        let mut interval = interval(&selector);
        let mut world = hour(&clock);
        let due = match trial.drive(Box::pin(interval.tick()), &mut world).await {
            Driven::Ready(due) => due,
            Driven::Cut => trial.complete(Box::pin(interval.tick()), &mut world).await,
        };
        assert_eq!(due - start, HOUR, "the first tick");
        let due = trial.complete(Box::pin(interval.tick()), &mut hour(&clock)).await;
        assert_eq!(due - start, 2 * HOUR, "the second tick");
    });
}

type Read<'a> = Operation<'a, Result<u32>>;
type Limiting = for<'a> fn(&'a SelectorManager, Read<'a>) -> Read<'a>;

/// A read with a limit: the bytes come in time, or the hour is over after half of them. The timer
/// goes with the future, and the read inside it loses nothing.
fn limits(path: &'static str, limiting: Limiting) -> Row {
    let scenes = [("in time", false), ("too late", true)]
        .map(|(name, late)| Scene::new(name, 3, move |trial| limited(limiting, late, trial)));
    Row { path, words: &[Word::Releases], scenes: scenes.into() }
}

fn limited(limiting: Limiting, late: bool, trial: &Trial) {
    const STREAM: &[u8] = b"\0\0\x04\0and more";
    trial.by_a_clock(async |selector, clock| {
        let (mut input, incoming) =
            Incoming::open(Source::Pipe(1), &selector, single(STREAM)).await;
        let mut world = Late { incoming, clock: late.then_some(clock) };
        let before = Ledger::of(&selector);
        let read = limiting(&selector, Box::pin(input.read_u32()));
        let mut left = STREAM;
        match trial.drive(read, &mut world).await {
            Driven::Ready(Ok(number)) => {
                assert_eq!((number, late), (1024, false));
                left = &STREAM[4..];
            }
            Driven::Ready(Err(error)) => assert!(late && error.is_timeout(), "{error}"),
            // The pipe keeps the waker of its last reader, and one only.
            Driven::Cut => {}
        }
        if !trial.forgets() {
            before.assert_unchanged(&selector);
        }
        assert_left(&mut input, &mut world.incoming, left, trial).await;
    });
}

async fn assert_left(
    input: &mut ByteReadChannel,
    world: &mut Incoming,
    left: &[u8],
    trial: &Trial,
) {
    let rest = Box::pin(input.read_remaining(usize::MAX));
    let rest = trial.complete(rest, world).await.unwrap();
    assert_same(rest.as_slice(), left, "the rest");
}

fn said(answer: Option<Result<u32>>) -> Result<u32> {
    answer.unwrap_or_else(|| Err(Error::new(forebay::ErrorKind::TimedOut, "within")))
}

/// A peer that falls silent after two bytes, until the hour is over.
struct Late {
    incoming: Incoming,
    clock: Option<TestClock>,
}

impl World for Late {
    fn polled(&mut self) {
        self.incoming.polled();
    }

    async fn step(&mut self, alarm: &Alarm) {
        match &self.clock {
            Some(clock) if self.incoming.sent == 2 => {
                clock.advance(HOUR);
                while !alarm.rang() {
                    turn().await;
                }
            }
            _ => self.incoming.step(alarm).await,
        }
    }
}
