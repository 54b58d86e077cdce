use super::*;
use crate::seam::ThreadTurns;

fn lane(capacity: usize) -> Lane {
    Lane::new(capacity, Cause::default())
}

/// Accepts these bytes past the sender's queue, or not.
fn accept(lane: &Lane, bytes: &[u8]) -> bool {
    let mut after = WakeList::new();
    let accepted = lane.accept(bytes.len(), &mut |queue| queue.push_slice(bytes), &mut after);
    after.run();
    accepted
}

fn send(lane: &Lane, queue: &mut SendQueue) -> Poll<Result<()>> {
    let mut after = WakeList::new();
    let sent = lane.poll_send(&mut Context::from_waker(Waker::noop()), queue, &mut after);
    after.run();
    sent
}

fn receive(lane: &Lane) -> Vec<u8> {
    let mut slice = [0; 64];
    let mut inlet = Inlet::slice(&mut slice);
    match lane.poll_receive(&mut Context::from_waker(Waker::noop()), &mut inlet) {
        Poll::Ready(Ok(count)) => slice[..count].to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_item_goes_past_the_queue_only_if_all_of_it_fits() {
    let lane = lane(4);
    assert!(!accept(&lane, b"12345"));
    assert!(accept(&lane, b"123"));
    assert!(!accept(&lane, b"45"));
    assert!(accept(&lane, b"4"));
    assert_eq!(lane.take_accepted(), 4);
    assert_eq!(lane.take_accepted(), 0);
    assert_eq!(receive(&lane), b"1234");
}

/// The reader has taken what was sent of an item, and its sender has not come yet with the rest.
#[test]
fn no_item_comes_between_the_parts_of_another() {
    let lane = lane(4);
    let mut queue = SendQueue::default();
    queue.push_slice(b"123456");
    assert!(send(&lane, &mut queue).is_pending());
    assert_eq!(receive(&lane), b"1234");
    assert!(!accept(&lane, b"x"));
    assert!(send(&lane, &mut queue).is_ready());
    assert!(accept(&lane, b"x"));
    assert_eq!(receive(&lane), b"56x");
}

#[test]
fn nothing_goes_past_the_queue_behind_an_end() {
    let mut after = WakeList::new();
    let ended = lane(4);
    ended.end(&mut after).expect("an open lane");
    assert!(!accept(&ended, b"x"));

    let unread = lane(4);
    drop(unread.reader_gone(None, &mut after));
    assert!(!accept(&unread, b"x"));

    let aborted = lane(4);
    aborted.abort(&Error::new(ErrorKind::Cancelled, "test"), &mut after);
    assert!(!accept(&aborted, b"x"));
    after.run();
}

#[test]
fn a_turn_lets_a_limited_number_of_items_past_the_queue() {
    let _turns = ThreadTurns::enter();
    let lane = lane(4096);
    let accepted = (0..4096).take_while(|_| accept(&lane, b"x")).count();
    assert_eq!(accepted, usize::from(ITEMS_MAX));
    drop(ThreadTurns::end_turn());
    assert!(accept(&lane, b"x"));
}
