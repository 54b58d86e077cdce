//! The share of a turn that an outbox sends before it gives way.

use super::*;
use crate::turn::ThreadTurns;

const SHARE_BYTES: usize = 256 * 1024;

fn end_turn() {
    ThreadTurns::end_turn().into_iter().for_each(Waker::wake);
}

fn accept_value(bench: &Bench, bytes: usize) {
    let mut value = Bytes::from(vec![1; bytes]);
    assert!(bench.outbox.accept_bytes(true, &mut value).expect("open"));
}

#[test]
fn a_large_value_is_sent_a_share_a_turn() {
    let _turns = ThreadTurns::enter();
    let bench = Bench::prompt(usize::MAX);
    accept_value(&bench, 3 * SHARE_BYTES - 1);
    for sent in [SHARE_BYTES, 2 * SHARE_BYTES, 3 * SHARE_BYTES - 1] {
        assert_eq!(lock(&bench.hand).sent.len(), sent);
        bench.outbox.advance();
        assert_eq!(lock(&bench.hand).sent.len(), sent, "no more in this turn");
        end_turn();
    }
    assert!(!ThreadTurns::is_next_due(), "nothing more to do");
}

/// Each send is a call, however small.
#[test]
fn sixteen_sends_are_a_share() {
    let _turns = ThreadTurns::enter();
    let bench = Bench::prompt(usize::MAX);
    for _ in 0..20 {
        assert!(bench.write(b"x").expect("open"));
        bench.outbox.advance();
    }
    assert_eq!(lock(&bench.hand).sent.len(), 16);
    end_turn();
    assert_eq!(lock(&bench.hand).sent.len(), 20);
}

#[test]
fn the_end_mark_follows_what_gave_way() {
    let _turns = ThreadTurns::enter();
    let bench = Bench::prompt(usize::MAX);
    accept_value(&bench, SHARE_BYTES + 1);
    bench.outbox.finish();
    assert_eq!(lock(&bench.hand).ends, 0);
    end_turn();
    let peer = lock(&bench.hand);
    assert_eq!((peer.sent.len(), peer.ends), (SHARE_BYTES + 1, 1));
}

/// Without turns, nothing would wake the outbox later, so it goes on at once.
#[test]
fn without_turns_everything_is_sent_at_once() {
    let bench = Bench::prompt(usize::MAX);
    accept_value(&bench, 3 * SHARE_BYTES);
    assert_eq!(lock(&bench.hand).sent.len(), 3 * SHARE_BYTES);
}

#[test]
fn a_writer_gives_way_when_another_full_queue_would_exceed_its_share() {
    let _turns = ThreadTurns::enter();
    let cx = Context::from_waker(Waker::noop());
    let mut pace = WriterPace::default();
    let most = (SHARE_BYTES - HIGH_WATER_BYTES) as u64;
    pace.count(most);
    assert!(pace.poll(&cx, true).is_ready());
    pace.count(most + 1);
    assert!(pace.poll(&cx, true).is_pending());
    end_turn();
    assert!(pace.poll(&cx, true).is_ready(), "another turn");
}
