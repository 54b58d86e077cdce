//! How fast a listener accepts: its share of a turn, and its pauses.

use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::selector::{Shared, turn, wake_next_turn};
use crate::time::Sleep;

/// Connections accepted in one turn before an accepting task gives way.
const ACCEPTS_MAX: u32 = 64;
/// The first pause after the machine ran out of something.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Pauses double up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How fast a listener accepts.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    turn: Option<u64>,
    accepted: u32,
    /// The machine ran out of something: no attempt before this.
    not_before: Option<Instant>,
    pause: Option<Duration>,
}

impl Pace {
    /// Gives way once this turn's share is used up.
    pub(super) fn poll_share(&self, cx: &mut Context<'_>) -> Poll<()> {
        let now = turn();
        let mut state = lock(&self.0);
        if now != state.turn {
            (state.turn, state.accepted) = (now, 0);
        }
        if state.accepted < ACCEPTS_MAX {
            return Poll::Ready(());
        }
        if now.is_none() {
            state.accepted = 0;
        }
        drop(state);
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    pub(super) fn accepted_one(&self) {
        let mut state = lock(&self.0);
        state.accepted += 1;
        state.pause = None;
    }

    /// The machine ran out of something: how long to let it be.
    pub(super) fn pause(&self, selector: &Shared) -> Sleep {
        let mut state = lock(&self.0);
        let pause = state.pause.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        state.pause = Some(pause);
        state.not_before = selector.timers().now().checked_add(pause);
        drop(state);
        selector.sleep(pause)
    }

    /// What is left of a pause that another `accept`, or a dropped one, has begun.
    pub(super) fn pause_left(&self, selector: &Shared) -> Option<Sleep> {
        let not_before = lock(&self.0).not_before?;
        let left = not_before.saturating_duration_since(selector.timers().now());
        if left.is_zero() {
            lock(&self.0).not_before = None;
            return None;
        }
        Some(selector.sleep(left))
    }
}
