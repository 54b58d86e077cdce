//! Every writing call in every order, against a peer that takes what the test allows it: an item is
//! accepted whole by the poll that returns, or not at all.

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use forebay_io::seam::{WorkerStage, end_poll};
use forebay_io::{ByteWriteChannel, Error, Packet, Result, write_fmt, write_line};
use forebay_testing::{
    KIB, MIB,
    channels::{Recorder, TestSchedule, ledgered},
    poll_once, property, scrambled, sizes,
};
use proptest::collection::vec;
use proptest::prelude::*;

const HIGH_WATER: usize = 64 * KIB;

/// The bytes that a worker's thread may accept besides the queue.
const STAGE: usize = 9 * KIB;

#[derive(Debug, Clone)]
enum Op {
    Str(usize),
    Strs(usize, usize),
    All(usize),
    Bytes(usize),
    Packet(usize),
    With(usize),
    WithError(usize),
    Fmt(u32),
    Line(String),
    U8(u8),
    I16Le(i16),
    U32(u32),
    F64(f64),
    Flush,
}

#[derive(Debug, Clone)]
enum Call {
    /// Polled so often, then dropped if it is not ready.
    Cut(Op, usize),
    /// Polled to its end, the peer taking so much whenever it must wait.
    Whole(Op, usize),
    /// The peer takes so much.
    Allow(usize),
    TurnEnds,
    /// The poll of the task is over; only a worker's thread cares.
    PollEnds,
    ManualFlush,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let op = prop_oneof![
        3 => sizes().prop_map(Op::Str),
        1 => (sizes(), sizes()).prop_map(|(one, two)| Op::Strs(one - 1, two - 1)),
        3 => sizes().prop_map(|len| Op::All(len - 1)),
        1 => Just(Op::All(MIB)),
        2 => sizes().prop_map(|len| Op::Bytes(len - 1)),
        1 => Just(Op::Bytes(3 * MIB)),
        1 => sizes().prop_map(Op::Packet),
        2 => sizes().prop_map(|len| Op::With(len - 1)),
        1 => sizes().prop_map(Op::WithError),
        1 => any::<u32>().prop_map(Op::Fmt),
        1 => "[a-zé]{0,20}".prop_map(Op::Line),
        1 => any::<u8>().prop_map(Op::U8),
        1 => any::<i16>().prop_map(Op::I16Le),
        1 => any::<u32>().prop_map(Op::U32),
        1 => any::<f64>().prop_map(Op::F64),
        1 => Just(Op::Flush),
    ];
    let call = prop_oneof![
        3 => (op.clone(), 0..4_usize).prop_map(|(op, polls)| Call::Cut(op, polls)),
        4 => (op, sizes()).prop_map(|(op, grant)| Call::Whole(op, grant)),
        2 => sizes().prop_map(Call::Allow),
        2 => Just(Call::TurnEnds),
        2 => Just(Call::PollEnds),
        1 => Just(Call::ManualFlush),
    ];
    vec(call, 0..40)
}

fn text(len: usize, seed: usize) -> String {
    (0..len).map(|at| char::from(b'a' + ((at + seed) % 26) as u8)).collect()
}

/// The bytes that the peer gets if the call is accepted.
fn item(op: &Op, seed: usize) -> Vec<u8> {
    match op {
        Op::Str(len) => text(*len, seed).into_bytes(),
        Op::Strs(one, two) => (text(*one, seed) + &text(*two, seed + 1)).into_bytes(),
        Op::All(len) | Op::Bytes(len) | Op::With(len) => scrambled(*len, seed),
        Op::Packet(len) => scrambled(*len, seed)[1..].to_vec(),
        Op::WithError(_) | Op::Flush => Vec::new(),
        Op::Fmt(number) => format!("{number:>12}").into_bytes(),
        Op::Line(line) => format!("{line}\n").into_bytes(),
        Op::U8(number) => vec![*number],
        Op::I16Le(number) => number.to_le_bytes().to_vec(),
        Op::U32(number) => number.to_be_bytes().to_vec(),
        Op::F64(number) => number.to_be_bytes().to_vec(),
    }
}

async fn call(output: &mut ByteWriteChannel, op: &Op, seed: usize) -> Result<()> {
    match op {
        Op::Str(len) => output.write_str(&text(*len, seed)).await,
        Op::Strs(one, two) => {
            let (one, two) = (text(*one, seed), text(*two, seed + 1));
            output.write_strs(&[&one, &two]).await
        }
        Op::All(len) => output.write_all(&scrambled(*len, seed)).await,
        Op::Bytes(len) => output.write_bytes(Bytes::from(scrambled(*len, seed))).await,
        Op::Packet(len) => {
            let mut packet = Packet::from(scrambled(*len, seed));
            packet.read_u8().expect("it has a first byte");
            output.write_packet(packet).await
        }
        Op::With(len) => {
            let bytes = scrambled(*len, seed);
            output.write_with(|out| out.put_slice(&bytes)).await
        }
        Op::WithError(len) => {
            let called_off = output
                .write_with(|out| {
                    out.put_slice(&scrambled(*len, seed));
                    Err(Error::other("called off"))
                })
                .await;
            assert_eq!(called_off.expect_err("called off").to_string(), "called off");
            Ok(())
        }
        Op::Fmt(number) => write_fmt!(output, "{number:>12}").await,
        Op::Line(line) => write_line!(output, "{line}").await,
        Op::U8(number) => output.write_u8(*number).await,
        Op::I16Le(number) => output.write_i16_le(*number).await,
        Op::U32(number) => output.write_u32(*number).await,
        Op::F64(number) => output.write_f64(*number).await,
        Op::Flush => output.flush().await,
    }
}

/// Calls it, and says whether it was accepted.
fn accepted(
    output: &mut ByteWriteChannel,
    (peer, turns): (&Recorder, &TestSchedule),
    (op, seed): (&Op, usize),
    (polls, mut grant): (usize, Option<usize>),
) -> bool {
    let mut call = pin!(call(output, op, seed));
    for _ in 0..polls {
        match poll_once(call.as_mut()) {
            Poll::Ready(result) => {
                result.expect("nothing is wrong with the peer");
                return true;
            }
            Poll::Pending => {
                if let Some(grant) = &mut grant {
                    peer.allow(*grant);
                    turns.end();
                    // From a trickle to a flood, so that three megabytes need no million steps.
                    *grant *= 2;
                }
            }
        }
    }
    assert!(grant.is_none(), "never accepted");
    false
}

/// Runs the calls on a thread that is a worker's, and so stages bursts, or on one that is none.
fn check(calls: &[Call], by_worker: bool) {
    let _stage = by_worker.then(WorkerStage::enter);
    let peer = Recorder::limited(0);
    let (mut output, turns) = peer.channel();
    let mut oracle = Vec::new();
    for (seed, step) in calls.iter().enumerate() {
        match step {
            Call::Allow(count) => peer.allow(*count),
            Call::TurnEnds => turns.end(),
            Call::PollEnds => end_poll(),
            Call::ManualFlush => output.manual_flush(),
            Call::Cut(op, polls) => {
                if accepted(&mut output, (&peer, &turns), (op, seed), (*polls, None)) {
                    oracle.extend(item(op, seed));
                }
            }
            Call::Whole(op, grant) => {
                let polls = (100, Some(*grant));
                if accepted(&mut output, (&peer, &turns), (op, seed), polls) {
                    oracle.extend(item(op, seed));
                }
                if matches!(op, Op::Flush) {
                    assert_eq!(peer.sent_len(), oracle.len(), "flushed, and not sent");
                }
            }
        }
        // Counting settles a stage, so that a worker's bursts are looked at between polls only.
        if !by_worker || matches!(step, Call::PollEnds) {
            assert_eq!(peer.sent_len() + output.queued(), oracle.len(), "half an item is in");
            assert!(output.queued() < HIGH_WATER + STAGE + 3 * MIB, "accepted above the mark");
        }
    }
    // Dropped like any channel: the rest follows, then one end mark.
    drop(output);
    peer.allow(usize::MAX);
    turns.end();
    assert!(peer.sent() == oracle, "bytes lost, doubled or out of order");
    assert_eq!((peer.ended(), turns.background_closes()), (1, 0));
    assert!(peer.aborted().is_none());
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn an_item_is_written_whole_or_not_at_all() {
    property("write model", 250, &calls(), |calls| ledgered(|_| check(&calls, false)));
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn a_worker_that_stages_bursts_keeps_every_item_whole_and_in_order() {
    property("write model, staged", 250, &calls(), |calls| ledgered(|_| check(&calls, true)));
}
