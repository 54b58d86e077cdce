//! The share of a turn that datagrams have.

use std::cell::Cell;
use std::task::{Context, Poll};

use forebay_io::seam::Share;

/// The datagrams that one thread receives and sends in a turn before the tasks that do give way.
const CALLS_MAX: u16 = 256;

thread_local! {
    /// For all datagram sockets together: a flood to one of them must not hold up the others' tasks, nor
    /// those of connections. Without a destructor, so it is there for as long as its thread.
    static SHARE: Cell<Share> = const { Cell::new(Share::of_calls(CALLS_MAX)) };
}

/// Gives way to the next turn if this turn's share is used up.
#[inline]
pub(in crate::net) fn poll(cx: &Context<'_>) -> Poll<()> {
    if is_known_to_be_left() { Poll::Ready(()) } else { poll_anew(cx) }
}

/// Returns `true` if something of this turn's share is left.
pub(in crate::net) fn is_left() -> bool {
    is_known_to_be_left() || renewed(|share| share.has_room(1), |is_left| *is_left)
}

/// Counts a datagram of this length. Something of the share was left for it.
#[inline]
pub(in crate::net) fn spend(bytes: usize) {
    SHARE.with(|kept| {
        let mut share = kept.get();
        share.take(bytes);
        kept.set(share);
    });
}

#[inline]
fn is_known_to_be_left() -> bool {
    SHARE.with(|kept| kept.get().is_left())
}

/// Begins the share of another turn, or gives way.
#[cold]
fn poll_anew(cx: &Context<'_>) -> Poll<()> {
    renewed(|share| share.poll_left(cx), Poll::is_ready)
}

/// Asks the share whether something is left, and renews it if so.
fn renewed<T>(ask: impl FnOnce(&mut Share) -> T, is_left: impl FnOnce(&T) -> bool) -> T {
    SHARE.with(|kept| {
        let mut share = kept.get();
        let answer = ask(&mut share);
        if is_left(&answer) {
            share.renew();
        }
        kept.set(share);
        answer
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use forebay_io::seam::ThreadTurns;
    use forebay_testing::counted_waker;

    use super::*;

    /// Spends until nothing is known to be left.
    fn spend_all(cx: &Context<'_>, bytes: usize) -> usize {
        let mut count = 0;
        while poll(cx).is_ready() {
            spend(bytes);
            count += 1;
        }
        count
    }

    #[test]
    fn a_turn_has_one_share_and_the_next_turn_another() {
        let (waker, woken) = counted_waker();
        let cx = Context::from_waker(&waker);
        let _turns = ThreadTurns::enter();
        for turn in 0..3 {
            assert!(is_left());
            assert_eq!(spend_all(&cx, 10), 256);
            assert!(!is_left() && poll(&cx).is_pending(), "until the turn has changed");
            assert_eq!(woken.count(), 2 * turn);
            ThreadTurns::end_turn().into_iter().for_each(std::task::Waker::wake);
            assert_eq!(woken.count(), 2 * turn + 2);
        }
        assert_eq!(spend_all(&cx, 64 * 1024), 4, "a share has bytes, too");
    }

    #[test]
    fn a_share_that_is_left_over_does_not_make_the_next_one_longer() {
        let (waker, _) = counted_waker();
        let cx = Context::from_waker(&waker);
        let _turns = ThreadTurns::enter();
        for _ in 0..200 {
            assert!(poll(&cx).is_ready());
            spend(10);
        }
        ThreadTurns::end_turn();
        assert_eq!(spend_all(&cx, 10), 256);
    }

    /// In a thread of its own, which has no share yet.
    #[test]
    fn a_thread_without_turns_gives_way_once_for_each_share() {
        let counting = thread::spawn(|| {
            let (waker, woken) = counted_waker();
            let cx = Context::from_waker(&waker);
            for round in 1..4 {
                assert_eq!(spend_all(&cx, 10), 256);
                assert_eq!(woken.count(), round);
            }
        });
        counting.join().expect("the test succeeds");
    }
}
