//! Waiting in a list of waiters that is part of a locked state.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{WaiterKey, Waiters};
use crate::lock::lock;
use crate::sync::Mutex;

/// Calls `look` until it has an answer, at most twice: first without a waker, because usually there is an
/// answer and no waker need be cloned; then with one, to be left under the lock under which `look` has found
/// no answer. So no change in between is missed, and the waker is cloned before locking.
///
/// `look` returns the waker that was replaced or not needed, which is dropped here, after unlocking.
#[inline]
pub(crate) fn poll_look<R>(
    cx: &Context<'_>,
    mut look: impl FnMut(Option<Waker>) -> (Poll<R>, Option<Waker>),
) -> Poll<R> {
    let (answer, _) = look(None);
    if answer.is_ready() {
        return answer;
    }
    let (answer, replaced) = look(Some(cx.waker().clone()));
    drop(replaced);
    answer
}

/// Waits until `check` returns an answer, as a waiter for `until` in the list that `waiters` selects.
///
/// A dropped wait removes itself. `check` runs under the lock and must not be user code. The future may be
/// polled again after its answer: it checks again.
pub fn wait_in<'a, S, T, R>(
    state: &'a Mutex<S>,
    waiters: impl Fn(&mut S) -> &mut Waiters<T> + Send + Unpin + 'a,
    until: T,
    check: impl FnMut(&mut S) -> Option<R> + Send + Unpin + 'a,
) -> impl Future<Output = R> + Send + 'a
where
    S: Send,
    T: Copy + Send + Unpin + 'a,
    R: Send + 'a,
{
    ListWait { state, waiters, until, check, key: None }
}

struct ListWait<'a, S, T, W, C>
where
    W: Fn(&mut S) -> &mut Waiters<T>,
{
    state: &'a Mutex<S>,
    waiters: W,
    until: T,
    check: C,
    key: Option<WaiterKey>,
}

impl<S, T, W, C, R> ListWait<'_, S, T, W, C>
where
    T: Copy,
    W: Fn(&mut S) -> &mut Waiters<T>,
    C: FnMut(&mut S) -> Option<R>,
{
    /// Checks once under the lock. The returned waker is to be dropped after unlocking.
    fn look(&mut self, leave: Option<Waker>) -> (Poll<R>, Option<Waker>) {
        let mut state = lock(self.state);
        match ((self.check)(&mut state), leave) {
            (Some(answer), unused) => (Poll::Ready(answer), unused),
            (None, Some(waker)) => {
                let replaced = (self.waiters)(&mut state).put(&mut self.key, self.until, waker);
                (Poll::Pending, replaced)
            }
            (None, None) => (Poll::Pending, None),
        }
    }
}

impl<S, T, W, C, R> Future for ListWait<'_, S, T, W, C>
where
    T: Copy + Unpin,
    W: Fn(&mut S) -> &mut Waiters<T> + Unpin,
    C: FnMut(&mut S) -> Option<R> + Unpin,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        poll_look(cx, |leave| self.look(leave))
    }
}

impl<S, T, W, C> Drop for ListWait<'_, S, T, W, C>
where
    W: Fn(&mut S) -> &mut Waiters<T>,
{
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = (self.waiters)(&mut lock(self.state)).remove(key);
            drop(removed);
        }
    }
}
