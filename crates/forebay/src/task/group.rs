//! The live tasks of a selector: which may begin, where, which are left, and a close that waits for them.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;

use forebay_io::seam::{Waiters, WakeList, wait_in};

use super::control::Control;
use super::live::Live;
use super::pulse::Pulse;
use crate::lock::lock;
use crate::sync::{Mutex, thread_local};

thread_local! {
    /// The task that is being polled on this thread: the address of its group, and its number there.
    static CURRENT: Cell<Option<(usize, u64)>> = const { Cell::new(None) };
}

/// The owner of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskKind {
    /// A user's task, refused as soon as its selector begins to close.
    Users,
    /// A task of the selector itself, which ends by itself within a limit. It may begin while the selector
    /// closes.
    Own,
}

/// The kinds of tasks that may still begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Accepts {
    #[default]
    All,
    Own,
    Nothing,
}

/// The live tasks of a selector.
///
/// A task is accepted and listed in one step, under the lock under which a close refuses more. So each task
/// is either refused, or listed when the close looks for what is left.
#[derive(Debug)]
pub(crate) struct Tasks {
    state: Mutex<State>,
    /// Of each worker.
    pulses: Box<[Arc<Pulse>]>,
}

#[derive(Debug, Default)]
struct State {
    accepts: Accepts,
    live: Live<ListedTask>,
    /// The number of live tasks of each worker, up to the last worker that has had one.
    loads: Vec<usize>,
    /// The number of users' tasks, and of those among them that are closing the selector.
    users: usize,
    closing_users: usize,
    /// The number of all tasks that are closing the selector.
    closers: usize,
    waiters: Waiters<Left>,
}

#[derive(Debug)]
struct ListedTask {
    control: Arc<Control>,
    kind: TaskKind,
    /// The number of calls of `close` that this task is in.
    closes: u32,
}

/// The condition that a close waits for: none of these tasks is left.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// The selector's own tasks count too.
    own_too: bool,
    /// For a close that is called from a task: tasks that wait for the same do not count.
    spares_closers: bool,
}

impl State {
    fn holds(&self, left: Left) -> bool {
        let (live, closers) = if left.own_too {
            (self.live.len(), self.closers)
        } else {
            (self.users, self.closing_users)
        };
        live <= if left.spares_closers { closers } else { 0 }
    }

    fn release_waiters(&mut self, after: &mut WakeList) {
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.release(after, |left| self.holds(*left));
        self.waiters = waiters;
    }

    fn add_load(&mut self, worker: u16) {
        let index = usize::from(worker);
        if self.loads.len() <= index {
            self.loads.resize(index + 1, 0);
        }
        self.loads[index] += 1;
    }

    /// Counts a task among those that close the selector, or removes it from the count.
    fn count_closer(&mut self, kind: TaskKind, change: fn(usize, usize) -> usize) {
        self.closers = change(self.closers, 1);
        if kind == TaskKind::Users {
            self.closing_users = change(self.closing_users, 1);
        }
    }
}

impl Tasks {
    /// Makes the list of the tasks of this many workers.
    pub(crate) fn for_workers(count: u16) -> Self {
        Self { state: Mutex::default(), pulses: (0..count).map(|_| Arc::default()).collect() }
    }

    /// Returns the poll that a worker is in.
    pub(crate) fn pulse(&self, worker: u16) -> &Arc<Pulse> {
        &self.pulses[usize::from(worker)]
    }

    /// Returns the place at which this task was started, the first time that it is reported to block.
    pub(crate) fn blocks(&self, number: u64) -> Option<&'static Location<'static>> {
        let mut state = lock(&self.state);
        let control = &state.live.get_mut(number)?.control;
        control.blocks().then(|| control.place())
    }

    /// Lists a task that is about to begin on the worker with this index. Returns `None` if it is refused.
    #[track_caller]
    pub(crate) fn list(self: &Arc<Self>, kind: TaskKind, worker: u16) -> Option<Listing> {
        let control = Arc::new(Control::new(worker));
        let mut state = lock(&self.state);
        match state.accepts {
            Accepts::All => {}
            Accepts::Own if kind == TaskKind::Own => {}
            Accepts::Own | Accepts::Nothing => return None,
        }
        state.users += usize::from(kind == TaskKind::Users);
        state.add_load(worker);
        let task = ListedTask { control: Arc::clone(&control), kind, closes: 0 };
        let number = state.live.insert(task);
        drop(state);
        Some(Listing { control, tasks: Arc::clone(self), number })
    }

    /// Refuses users' tasks from now on.
    pub(crate) fn refuse_users(&self) {
        let mut state = lock(&self.state);
        if state.accepts == Accepts::All {
            state.accepts = Accepts::Own;
        }
    }

    /// Refuses every task from now on, if there is none. Returns `false` if there is one.
    pub(crate) fn refuse_all(&self) -> bool {
        self.refuse_all_if(Left { own_too: true, spares_closers: false })
    }

    fn refuse_all_if(&self, left: Left) -> bool {
        let mut state = lock(&self.state);
        let is_over = state.holds(left);
        if is_over {
            state.accepts = Accepts::Nothing;
        }
        is_over
    }

    /// Returns the number of live tasks.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).live.len()
    }

    /// Calls with the number of live tasks of each worker, as far as one has had any.
    pub(crate) fn with_loads<T>(&self, look: impl FnOnce(&[usize]) -> T) -> T {
        look(&lock(&self.state).loads)
    }

    /// Returns the number of live tasks of one worker.
    pub(crate) fn len_at(&self, worker: u16) -> usize {
        lock(&self.state).loads.get(usize::from(worker)).copied().unwrap_or(0)
    }

    /// Records that the current task, if it is one of these, waits for the others to end.
    pub(crate) fn closer(&self) -> Closer<'_> {
        let current = CURRENT.with(Cell::get).filter(|(tasks, _)| *tasks == self.address());
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        let task = current.and_then(|(_, number)| {
            let listed = state.live.get_mut(number)?;
            listed.closes += 1;
            let (kind, is_first) = (listed.kind, listed.closes == 1);
            if is_first {
                state.count_closer(kind, usize::saturating_add);
            }
            Some(number)
        });
        // Others may have waited only for this task.
        state.release_waiters(&mut after);
        drop(state);
        after.run();
        Closer { tasks: self, task }
    }

    fn remove(&self, number: u64) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        let listed = state.live.remove(number);
        if let Some(listed) = &listed {
            state.users -= usize::from(listed.kind == TaskKind::Users);
            state.loads[usize::from(listed.control.worker())] -= 1;
            if listed.closes > 0 {
                state.count_closer(listed.kind, usize::saturating_sub);
            }
        }
        state.release_waiters(&mut after);
        drop(state);
        // The last reference may drop the task's waker, and with it the task's memory.
        drop(listed);
        after.run();
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// A task's entry among the live ones, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Listing {
    control: Arc<Control>,
    tasks: Arc<Tasks>,
    number: u64,
}

impl Listing {
    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Begins a poll of this task as another thread sees it, with everything that the poll drops.
    #[inline]
    pub(super) fn begin_poll(&self) {
        self.tasks.pulse(self.control.worker()).begin(self.number);
    }

    /// Ends the poll.
    #[inline]
    pub(super) fn end_poll(&self) {
        self.tasks.pulse(self.control.worker()).end();
    }

    /// Polls this task's future, during which it is the current task.
    pub(super) fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        let here = (self.tasks.address(), self.number);
        let before = CURRENT.with(|current| current.replace(Some(here)));
        let polled = poll();
        CURRENT.with(|current| current.set(before));
        polled
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.tasks.remove(self.number);
    }
}

/// A call of `close`. It waits for all tasks to end or, if called from one of them, for all the others.
pub(crate) struct Closer<'a> {
    tasks: &'a Tasks,
    /// The number of the task that made the call. The task may have ended, because a close can be moved to
    /// another one.
    task: Option<u64>,
}

impl Closer<'_> {
    /// Waits until the others that are users' have ended.
    pub(crate) async fn users_ended(&self) {
        self.ended(self.left(false)).await;
    }

    /// Waits until all the others have ended, and refuses every further task.
    pub(crate) async fn others_ended(&self) {
        let left = self.left(true);
        while !self.tasks.refuse_all_if(left) {
            self.ended(left).await;
        }
    }

    fn left(&self, own_too: bool) -> Left {
        Left { own_too, spares_closers: self.task.is_some() }
    }

    async fn ended(&self, left: Left) {
        wait_in(
            &self.tasks.state,
            |state| &mut state.waiters,
            left,
            |state| state.holds(left).then_some(()),
        )
        .await;
    }

    /// Aborts the other tasks that are users'. Tasks that close the selector too are spared if this call
    /// comes from a task, and not otherwise: they may have more to do than to close.
    pub(crate) fn abort_users(&self) {
        let spares_closers = self.task.is_some();
        let others: Vec<_> = lock(&self.tasks.state)
            .live
            .values()
            .filter(|task| task.kind == TaskKind::Users && !(spares_closers && task.closes > 0))
            .map(|task| Arc::clone(&task.control))
            .collect();
        for control in others {
            control.abort();
        }
    }
}

impl Drop for Closer<'_> {
    fn drop(&mut self) {
        let Some(number) = self.task else { return };
        let mut state = lock(&self.tasks.state);
        if let Some(listed) = state.live.get_mut(number) {
            listed.closes -= 1;
            let (kind, is_last) = (listed.kind, listed.closes == 0);
            if is_last {
                state.count_closer(kind, usize::saturating_sub);
            }
        }
    }
}
