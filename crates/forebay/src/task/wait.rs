//! Waiting in a list of waiters that is part of a locked state.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{WaiterKey, Waiters};

use crate::lock::lock;
use crate::sync::Mutex;

/// Waits until `check` returns an answer, as a waiter for `until` in the list that `waiters` selects.
///
/// The waker is cloned before locking, and `check` is called again under the lock that stores it, so that
/// no wake-up is lost. A dropped wait removes itself. `check` runs under the lock and must not be user
/// code.
pub(crate) fn wait_in<'a, S, T, R>(
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
    fn look(&mut self, leave: Option<Waker>) -> (Option<R>, Option<Waker>) {
        let mut state = lock(self.state);
        let answer = (self.check)(&mut state);
        match leave {
            Some(waker) if answer.is_none() => {
                let replaced = (self.waiters)(&mut state).put(&mut self.key, self.until, waker);
                (None, replaced)
            }
            unused => (answer, unused),
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
        let (answer, _) = self.look(None);
        if let Some(answer) = answer {
            return Poll::Ready(answer);
        }
        let (answer, replaced) = self.look(Some(cx.waker().clone()));
        drop(replaced);
        answer.map_or(Poll::Pending, Poll::Ready)
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
