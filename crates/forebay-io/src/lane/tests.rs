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

fn failure() -> Error {
    Error::new(ErrorKind::Cancelled, "test")
}

/// Calls `end` with a list of what is to be woken, and wakes it.
fn ended_by<R>(end: impl FnOnce(&mut WakeList) -> R) -> R {
    let mut after = WakeList::new();
    let result = end(&mut after);
    after.run();
    result
}

fn receive_error(lane: &Lane) -> Option<Error> {
    let mut slice = [0; 64];
    let mut inlet = Inlet::slice(&mut slice);
    match lane.poll_receive(&mut Context::from_waker(Waker::noop()), &mut inlet) {
        Poll::Ready(received) => received.err(),
        Poll::Pending => None,
    }
}

#[test]
fn a_failure_takes_the_place_of_an_end_that_has_not_come() {
    let open = lane(4);
    assert!(accept(&open, b"123"));
    assert!(open.fail_at_end(&failure()));
    assert!(!open.fail_at_end(&failure()), "one is enough");
    assert!(accept(&open, b"4"), "the end has not come yet");
    ended_by(|after| open.end(after)).expect("nobody has given up");
    assert_eq!(receive(&open), b"1234");
    assert_eq!(receive_error(&open).map(|error| error.kind()), Some(ErrorKind::Cancelled));
    assert!(!open.has_ended());

    let ended = lane(4);
    ended_by(|after| ended.end(after)).expect("nobody has given up");
    assert!(ended.has_ended() && !ended.fail_at_end(&failure()));

    let unread = lane(4);
    drop(ended_by(|after| unread.reader_gone(None, after)));
    assert!(unread.cause().is_none() && !unread.fail_at_end(&failure()));

    let aborted = lane(4);
    ended_by(|after| aborted.abort(&failure(), after));
    assert!(!aborted.fail_at_end(&failure()));
}

/// The reader of such a lane would take a reset for the end that was sent before, or the other way round.
#[test]
fn a_writer_that_goes_is_a_failure_only_of_a_lane_that_both_sides_use() {
    let ended = lane(4);
    ended_by(|after| ended.end(after)).expect("nobody has given up");
    ended_by(|after| ended.writer_gone(after));
    assert!(ended.cause().is_none());
    assert_eq!(receive(&ended), b"");

    let unread = lane(4);
    drop(ended_by(|after| unread.reader_gone(None, after)));
    ended_by(|after| unread.writer_gone(after));
    assert!(unread.cause().is_none());

    let open = lane(4);
    ended_by(|after| open.writer_gone(after));
    assert!(receive_error(&open).is_some_and(|error| error.is_reset()));
}

#[test]
fn a_lane_tells_what_it_holds() {
    let lane = lane(10);
    assert_eq!((lane.queued(), lane.free_space()), (0, 10));
    assert!(accept(&lane, b"123"));
    assert_eq!((lane.queued(), lane.free_space()), (3, 7));
    assert!(!lane.has_ended() && !lane.is_reader_gone());
    drop(ended_by(|after| lane.reader_gone(None, after)));
    assert!(lane.is_reader_gone());
    assert_eq!((lane.queued(), lane.free_space()), (0, 10));
}

/// Counts the wake-ups of the reader, the writer and the watcher by one step.
fn woken_by(step: impl FnOnce(&Lane, &mut WakeList)) -> [usize; 3] {
    let lane = lane(2);
    let (wakers, woken): (Vec<_>, Vec<_>) =
        (0..3).map(|_| forebay_testing::counted_waker()).unzip();
    let mut slice = [0; 8];
    let mut inlet = Inlet::slice(&mut slice);
    assert!(lane.poll_receive(&mut Context::from_waker(&wakers[0]), &mut inlet).is_pending());
    // A lane with a reader and a writer that both wait is one that has just been emptied.
    lock(&lane.state).writer = Some(wakers[1].clone());
    lane.watch(&wakers[2]);
    ended_by(|after| step(&lane, after));
    [woken[0].count(), woken[1].count(), woken[2].count()]
}

#[test]
fn each_step_wakes_the_sides_that_it_concerns() {
    assert_eq!(woken_by(|_, _| ()), [0, 0, 0]);
    assert_eq!(woken_by(Lane::wake), [1, 1, 1]);
    assert_eq!(woken_by(|lane, after| lane.end(after).expect("open")), [1, 0, 1]);
    assert_eq!(woken_by(|lane, after| lane.abort(&failure(), after)), [1, 0, 1]);
    assert_eq!(woken_by(Lane::writer_gone), [1, 0, 1]);
    assert_eq!(woken_by(|lane, after| drop(lane.reader_gone(None, after))), [0, 1, 1]);
}
