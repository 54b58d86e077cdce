//! Calls that could go on and give way to others instead: they return Pending and wake themselves.

use std::net::TcpStream;
use std::time::Duration;

use forebay::{ByteReadChannel, LineOptions, Result};

use crate::incoming::Source;
use crate::ledger::Ledger;
use crate::outgoing::pattern;
use crate::reads::{Call, Read, Scratch, call, scenes};
use crate::support::{Driven, Operation, Still, Trial, assert_same, now, poll_once, turn};
use crate::table::{Scene, Word};

const KIB: usize = 1024;
/// More than a connection may take of one turn.
const MUCH_BYTES: usize = 600 * KIB;
/// Connections accepted in one turn before an accepting task gives way.
const ACCEPTS_MAX: usize = 64;
const HOUR: Duration = Duration::from_secs(3600);

/// Gathering more than a connection may take of one turn.
fn gathering(call: Call) -> Vec<Scene> {
    let pieces = vec![pattern(0, MUCH_BYTES).to_vec(), b"and more".to_vec()];
    let what = "of 600 KiB in one go ";
    let read = Read { what, word: Word::Lossless, waits_min: 2, pieces, call };
    scenes(read, &[Source::Tcp])
}

pub(crate) fn exact() -> Vec<Scene> {
    gathering(call!(|input, _| {
        let mut slice = vec![0; MUCH_BYTES];
        input.read_exact(&mut slice).await?;
        Ok(slice)
    }))
}

pub(crate) fn packet() -> Vec<Scene> {
    gathering(call!(|input, _| Ok(input.read_packet(MUCH_BYTES).await?.as_slice().to_vec())))
}

pub(crate) fn remaining() -> Vec<Scene> {
    gathering(call!(|input, _| Ok(input.read_remaining(usize::MAX).await?.as_slice().to_vec())))
}

/// The third answer in a row that a line is too long.
pub(crate) fn equal_answers(
    ask: for<'a> fn(&'a mut ByteReadChannel) -> Operation<'a, Result<bool>>,
) -> Scene {
    Scene::new("for the third time too long", 1, move |trial| {
        trial.on_a_selector(async |_| {
            let mut input = ByteReadChannel::from("too long\nand more\n");
            input.set_line_options(LineOptions::new().limit(3));
            for _ in 0..2 {
                assert!(now(ask(&mut input)).is_err_and(|error| error.is_line_too_long()));
            }
            let answer = match trial.drive(ask(&mut input), &mut Still).await {
                Driven::Ready(answer) => answer,
                Driven::Cut => trial.complete(ask(&mut input), &mut Still).await,
            };
            assert!(answer.is_err_and(|error| error.is_line_too_long()));
            let rest = now(input.read_remaining(usize::MAX)).unwrap();
            assert_same(rest.as_slice(), b"too long\nand more\n", "the rest");
        });
    })
}

/// A tick that was due when it was asked for: the worker brings it in its next turn.
pub(crate) fn overdue() -> Scene {
    Scene::new("overdue", 1, |trial| {
        trial.by_a_clock(async |selector, clock| {
            let start = clock.now();
            let mut interval = selector.interval(HOUR);
            clock.advance(HOUR);
            let due = match trial.drive(Box::pin(interval.tick()), &mut Still).await {
                Driven::Ready(due) => due,
                Driven::Cut => trial.complete(Box::pin(interval.tick()), &mut Still).await,
            };
            assert_eq!(due - start, HOUR);
        });
    })
}

/// A task that lets others run.
pub(crate) fn yielding() -> Scene {
    Scene::new("for one turn", 1, |trial| {
        trial.on_a_selector(async |selector| {
            let before = Ledger::of(&selector);
            if let Driven::Cut = trial.drive(Box::pin(forebay::yield_now()), &mut Still).await {
                before.assert_unchanged(&selector);
                trial.complete(Box::pin(forebay::yield_now()), &mut Still).await;
            }
        });
    })
}

/// One connection more than is accepted in one turn.
pub(crate) fn crowded() -> Scene {
    Scene::new("for the 65th time in a turn", 1, |trial: &Trial| {
        trial.on_a_selector(async |selector| {
            let server = selector.tcp().bind("127.0.0.1:0").await.unwrap();
            let address = server.local_address().as_inet().unwrap();
            let client = |_| TcpStream::connect(address).unwrap();
            let clients: Vec<_> = (0..2 * ACCEPTS_MAX).map(client).collect();
            let mut accepted = Vec::new();
            let mut in_this_turn = 0;
            while in_this_turn < ACCEPTS_MAX {
                let Some(socket) = poll_once(server.accept()) else {
                    // A connection may reach the listener later than its client.
                    turn().await;
                    in_this_turn = 0;
                    continue;
                };
                accepted.push(socket.unwrap());
                in_this_turn += 1;
            }
            let before = Ledger::of(&selector);
            let last = match trial.drive(Box::pin(server.accept()), &mut Still).await {
                Driven::Ready(last) => last,
                Driven::Cut => {
                    before.assert_unchanged(&selector);
                    trial.complete(Box::pin(server.accept()), &mut Still).await
                }
            };
            accepted.push(last.unwrap());
            drop(clients);
            for socket in accepted {
                socket.close().await.unwrap();
            }
        });
    })
}
