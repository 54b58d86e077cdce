//! Flushing, finishing, closing: what has begun goes on without its future.

use std::time::Duration;

use forebay::{Result, SelectorManager, Socket};

use crate::outgoing::{End, Full, Outgoing, Sink};
use crate::support::{Alarm, Driven, Operation, Trial, World, assert_same, now, until};
use crate::table::{Row, Scene, Word};

/// Longer than anything here takes.
const AMPLE: Duration = Duration::from_secs(60);

/// The call that closes.
type Close = for<'a> fn(&'a Socket) -> Operation<'a, Result<()>>;

/// The step that follows the cut.
#[derive(Debug, Clone, Copy)]
enum NextStep {
    /// Nothing: it goes on by itself.
    Nothing,
    /// The same call is made again.
    Again,
    /// The channel is dropped.
    Dropped,
}

const AFTERWARDS: [(NextStep, &str); 3] = [
    (NextStep::Nothing, "by itself"),
    (NextStep::Again, "then again"),
    (NextStep::Dropped, "then the channel is dropped"),
];

pub(crate) fn rows() -> Vec<Row> {
    let over_all = |attempt: fn(Sink, NextStep, &Trial)| {
        let mut scenes = Vec::new();
        for sink in [Sink::Pipe(1), Sink::Tcp, Sink::Unix, Sink::Memory, Sink::Tls] {
            for (then, name) in AFTERWARDS {
                let run = move |trial: &Trial| attempt(sink, then, trial);
                scenes.push(Scene::new(format!("{sink}, {name}"), 2, run));
            }
        }
        scenes
    };
    let close = |close: Close| {
        let mut scenes = Vec::new();
        for sink in [Sink::Tcp, Sink::Unix, Sink::Memory, Sink::Tls] {
            for (then, name) in AFTERWARDS {
                let run = move |trial: &Trial| closing(sink, close, then, trial);
                scenes.push(Scene::new(format!("{sink}, {name}"), 2, run));
            }
        }
        scenes
    };
    [
        ("forebay_io::ByteWriteChannel::flush", over_all(flushing)),
        ("forebay_io::ByteWriteChannel::finish", over_all(finishing)),
        ("forebay::Socket::close", close(|socket| Box::pin(socket.close()))),
        ("forebay::Socket::close_within", close(|socket| Box::pin(socket.close_within(AMPLE)))),
    ]
    .map(|(path, scenes)| Row { path, words: &[Word::Resumes], scenes })
    .into()
}

/// A cut flush leaves no waiter, and what it waited for happens: everything is sent.
fn flushing(sink: Sink, then: NextStep, trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let Full { mut output, socket, mut world, filler } = Full::open(sink, &selector).await;
        match trial.drive(Box::pin(output.flush()), &mut world).await {
            Driven::Ready(flushed) => flushed.unwrap(),
            Driven::Cut => {
                assert_no_waiter(trial);
                match then {
                    NextStep::Nothing => {}
                    NextStep::Again => {
                        let again = Box::pin(output.flush());
                        trial.complete(again, &mut world).await.unwrap();
                    }
                    NextStep::Dropped => {
                        drop((output, socket));
                        return assert_arrives(world, &filler).await;
                    }
                }
            }
        }
        world.take_up_to(filler.len()).await;
        assert_eq!(output.queued(), 0);
        now(output.finish()).unwrap();
        assert_arrives(world, &filler).await;
    });
}

/// From the first poll on the channel is finishing, and the end mark comes behind everything.
fn finishing(sink: Sink, then: NextStep, trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let Full { mut output, socket, mut world, filler } = Full::open(sink, &selector).await;
        match trial.drive(Box::pin(output.finish()), &mut world).await {
            Driven::Ready(finished) => finished.unwrap(),
            Driven::Cut => {
                assert_no_waiter(trial);
                assert_closed(&now(output.write_u8(b'!')));
                match then {
                    NextStep::Nothing => {}
                    NextStep::Again => {
                        let again = Box::pin(output.finish());
                        trial.complete(again, &mut world).await.unwrap();
                    }
                    NextStep::Dropped => {
                        drop((output, socket));
                        return assert_arrives(world, &filler).await;
                    }
                }
            }
        }
        assert_eq!(world.take_all().await, End::Finished);
        // Perhaps the third such answer in a row, which gives way.
        assert_closed(&output.write_u8(b'!').await);
        output.finish().await.unwrap();
        assert_arrives(world, &filler).await;
    });
}

/// From the first poll on the connection is closing: the peer gets everything and the end mark, and
/// once it has ended too, the descriptor is released.
fn closing(sink: Sink, close: Close, then: NextStep, trial: &Trial) {
    trial.on_a_selector(async |selector| {
        let full = Full::open(sink, &selector).await;
        let (mut output, filler) = (full.output, full.filler);
        let socket = full.socket.unwrap();
        let mut world = Polite(Some(full.world), Vec::new());
        match trial.drive(close(&socket), &mut world).await {
            Driven::Ready(closed) => closed.unwrap(),
            Driven::Cut => {
                assert_no_waiter(trial);
                assert_closed(&now(output.write_u8(b'!')));
                match then {
                    NextStep::Nothing => {}
                    NextStep::Again => {
                        let again = close(&socket);
                        trial.complete(again, &mut world).await.unwrap();
                    }
                    NextStep::Dropped => drop((output, socket)),
                }
            }
        }
        world.see_it_off().await;
        assert_same(&world.1, &filler, "what the peer received");
        assert_released(&selector).await;
    });
}

/// A peer that hangs up once everything and the end mark have come.
struct Polite(Option<Outgoing>, Vec<u8>);

impl Polite {
    async fn see_it_off(&mut self) {
        if let Some(mut peer) = self.0.take() {
            assert_eq!(peer.take_all().await, End::Finished);
            self.1.clone_from(&peer.taken);
            peer.hang_up();
        }
    }
}

impl World for Polite {
    async fn step(&mut self, alarm: &Alarm) {
        let Some(peer) = &mut self.0 else { return alarm.wait().await };
        peer.step(alarm).await;
        if peer.has_ended() {
            self.see_it_off().await;
            alarm.wait().await;
        }
    }
}

/// The peer gets exactly this and the end mark.
async fn assert_arrives(mut world: Outgoing, filler: &[u8]) {
    assert_eq!(world.take_all().await, End::Finished);
    assert_same(&world.taken, filler, "what the peer received");
    world.hang_up();
}

async fn assert_released(selector: &SelectorManager) {
    until(|| {
        let stats = selector.stats();
        (stats.sockets, stats.tasks, stats.background_closes) == (0, 0, 0)
    })
    .await;
}

fn assert_no_waiter(trial: &Trial) {
    if !trial.forgets() {
        trial.assert_no_waker_is_kept();
    }
}

fn assert_closed(written: &Result<()>) {
    assert!(written.as_ref().is_err_and(forebay::Error::is_closed), "{written:?}");
}
