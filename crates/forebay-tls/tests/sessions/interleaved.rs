//! Reads and writes of both sides in any order, bytes that arrive in any pieces: what is read is what
//! was written.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use forebay_testing::{
    from_environment, scrambled, seed,
    sessions::{BOTH, Middle, Side, Version, client, opened_with_middle, server},
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Op {
    Write {
        by_client: bool,
        bytes: usize,
        shared: bool,
    },
    Flush {
        by_client: bool,
    },
    Read {
        by_client: bool,
        bytes: usize,
    },
    ReadExact {
        by_client: bool,
        bytes: usize,
    },
    /// The middle passes this many bytes on.
    Pass {
        to_client: bool,
        bytes: usize,
    },
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..50_usize, 3 => 1..3000_usize, 2 => 16_380..16_390_usize, 1 => 1..70_000_usize]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (any::<bool>(), lengths(), any::<bool>())
            .prop_map(|(by_client, bytes, shared)| Op::Write { by_client, bytes, shared }),
        any::<bool>().prop_map(|by_client| Op::Flush { by_client }),
        (any::<bool>(), lengths()).prop_map(|(by_client, bytes)| Op::Read { by_client, bytes }),
        (any::<bool>(), lengths())
            .prop_map(|(by_client, bytes)| Op::ReadExact { by_client, bytes }),
        (any::<bool>(), lengths()).prop_map(|(to_client, bytes)| Op::Pass { to_client, bytes }),
        (any::<bool>(), lengths()).prop_map(|(to_client, bytes)| Op::Pass { to_client, bytes }),
    ];
    proptest::collection::vec(op, 1..60)
}

/// One look, with a waker that wakes nothing; and a second poll, because a call that would be ready may give way first.
fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..2).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// One direction as the test knows it.
#[derive(Default)]
struct Way {
    written: Vec<u8>,
    read: usize,
    held: Vec<u8>,
}

impl Way {
    fn check(&mut self, read: &[u8]) {
        assert!(
            self.written[self.read..].starts_with(read),
            "at {} of {}",
            self.read,
            self.written.len()
        );
        self.read += read.len();
    }
}

struct Run {
    client: Side,
    middle: Middle,
    server: Side,
    forth: Way,
    back: Way,
}

impl Run {
    fn side(&mut self, client: bool) -> (&mut Side, &mut Way, &mut Way) {
        let Self { client: left, server: right, forth, back, .. } = self;
        if client { (left, forth, back) } else { (right, back, forth) }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Write { by_client, bytes, shared } => {
                let (side, way, _) = self.side(by_client);
                let data = scrambled(way.written.len() + bytes, 0).split_off(way.written.len());
                let written = if shared {
                    once(side.output.write_bytes(Bytes::from(data.clone())))
                } else {
                    once(side.output.write_all(&data))
                };
                if let Some(outcome) = written {
                    outcome.expect("the session is fine");
                    way.written.extend_from_slice(&data);
                }
            }
            Op::Flush { by_client } => {
                once(self.side(by_client).0.output.flush());
            }
            Op::Read { by_client, bytes } => {
                let (side, _, way) = self.side(by_client);
                let mut slice = vec![0; bytes];
                if let Some(count) = once(side.input.read(&mut slice)) {
                    way.check(&slice[..count.expect("the session is fine")]);
                }
            }
            Op::ReadExact { by_client, bytes } => {
                let (side, _, way) = self.side(by_client);
                let mut slice = vec![0; bytes];
                if let Some(outcome) = once(side.input.read_exact(&mut slice)) {
                    outcome.expect("the session is fine");
                    way.check(&slice);
                }
            }
            Op::Pass { to_client, bytes } => self.pass(to_client, bytes),
        }
    }

    fn pass(&mut self, to_client: bool, bytes: usize) {
        let Middle { client, server } = &mut self.middle;
        let (from, to, way) = if to_client {
            (&mut server.input, &mut client.output, &mut self.back)
        } else {
            (&mut client.input, &mut server.output, &mut self.forth)
        };
        if way.held.is_empty()
            && let Some(Ok(Some(chunk))) = once(from.read_chunk())
        {
            way.held.extend_from_slice(&chunk);
        }
        let passed: Vec<u8> = way.held.drain(..bytes.min(way.held.len())).collect();
        once(to.write_all(&passed)).expect("it is roomy").expect("it is open");
    }

    /// Everything that was written is passed on and read.
    fn settle(&mut self) {
        for by_client in [true, false] {
            let mut looks = 0;
            loop {
                self.apply(&Op::Flush { by_client });
                self.pass(!by_client, usize::MAX);
                self.apply(&Op::Read { by_client: !by_client, bytes: 100_000 });
                let (_, way, _) = self.side(by_client);
                if way.read == way.written.len() {
                    break;
                }
                looks += 1;
                assert!(looks < 10_000, "{} of {}", way.read, way.written.len());
            }
        }
    }
}

fn check(version: Version, ops: &[Op]) {
    let (client, middle, server) =
        futures_lite::future::block_on(opened_with_middle(&client(version), &server(version)));
    let mut run = Run { client, middle, server, forth: Way::default(), back: Way::default() };
    for op in ops {
        run.apply(op);
    }
    run.settle();
}

#[test]
fn what_is_read_is_what_was_written() {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed("what_is_read_is_what_was_written").to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let cases = u32::try_from(from_environment("FOREBAY_CASES", 150)).expect("a number of cases");
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, rng).run(&ops(), |ops| {
        for version in BOTH {
            check(version, &ops);
        }
        Ok(())
    });
    outcome.expect("both directions, byte for byte");
}
