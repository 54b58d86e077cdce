//! The live tasks of a selector, or of a group of its tasks: which may begin, where, which are left, a
//! request that they stop, and a close that waits for them.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use forebay_io::seam::{WaiterKey, Waiters, WakeList, wait_in};

use super::control::Control;
use super::live::Live;
use super::pulse::Pulse;
use crate::lock::lock;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, thread_local};

thread_local! {
    /// The task that is being polled on this thread.
    static CURRENT: Cell<Option<Listing>> = const { Cell::new(None) };
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

/// The live tasks of a selector, or of a group. A task of a group is listed by both.
///
/// A task is accepted and listed in one step, under the lock under which a close refuses more. So each task
/// is either refused, or listed when the close looks for what is left. A group refuses no task.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    state: Mutex<State>,
    /// The tasks are asked to stop. Set once, under the lock.
    stop: AtomicBool,
    /// Of each worker, and one of all guests, whose polls are not watched. A group has none: its tasks are
    /// seen as those of their selector.
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
    /// The largest number of users' tasks for which there is a place; `None` without a limit.
    places_max: Option<usize>,
    /// The places that are taken by no task yet.
    places_taken: usize,
    waiters: Waiters<Awaited>,
    /// The waits for a request to stop that no task's own waker answers. They have a list of their own,
    /// because every task that ends looks through the other one.
    stop_waiters: Waiters<()>,
}

#[derive(Debug)]
struct ListedTask {
    control: Arc<Control>,
    kind: TaskKind,
    /// The number of calls of `close` that this task is in.
    closes: u32,
}

/// The condition that a call waits for.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    Ended(Left),
    Place,
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
    fn holds(&self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::Ended(left) => self.have_ended(left),
            Awaited::Place => {
                self.places_max.is_none_or(|max| self.users + self.places_taken < max)
            }
        }
    }

    fn have_ended(&self, left: Left) -> bool {
        let (live, closers) = if left.own_too {
            (self.live.len(), self.closers)
        } else {
            (self.users, self.closing_users)
        };
        live <= if left.spares_closers { closers } else { 0 }
    }

    fn release_waiters(&mut self, after: &mut WakeList) {
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.release(after, |awaited| self.holds(*awaited));
        self.waiters = waiters;
    }

    fn insert(&mut self, control: &Arc<Control>, kind: TaskKind) -> u64 {
        self.users += usize::from(kind == TaskKind::Users);
        self.add_load(control.worker());
        self.live.insert(ListedTask { control: Arc::clone(control), kind, closes: 0 })
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
        Self { pulses: (0..=count).map(|_| Arc::default()).collect(), ..Self::default() }
    }

    /// Returns the poll that a worker is in.
    pub(crate) fn pulse(&self, worker: u16) -> &Arc<Pulse> {
        &self.pulses[usize::from(worker).min(self.pulses.len() - 1)]
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
        let number = state.insert(&control, kind);
        drop(state);
        let entry = Entry { tasks: Arc::clone(self), number };
        Some(Listing { control, entry, group: None })
    }

    /// Lists a user's task that another list has accepted, as a task of this group.
    fn add(self: &Arc<Self>, control: &Arc<Control>) -> Entry {
        let number = lock(&self.state).insert(control, TaskKind::Users);
        Entry { tasks: Arc::clone(self), number }
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
        let is_over = state.have_ended(left);
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

    /// Limits the number of places for users' tasks.
    pub(crate) fn set_places_max(&self, max: usize) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        state.places_max = Some(max);
        state.release_waiters(&mut after);
        drop(state);
        after.run();
    }

    /// Waits until there is a place for one more of the users' tasks, and takes it.
    pub(crate) async fn place(self: &Arc<Self>) -> Place {
        let take = |state: &mut State| state.holds(Awaited::Place).then(|| state.places_taken += 1);
        wait_in(&self.state, |state| &mut state.waiters, Awaited::Place, take).await;
        Place(Arc::clone(self))
    }

    /// Asks the tasks to stop: every wait for that request ends, also a later one.
    pub(crate) fn request_stop(&self) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        if self.stop.swap(true, Ordering::AcqRel) {
            return;
        }
        let controls: Vec<_> = state.live.values().map(|task| Arc::clone(&task.control)).collect();
        state.stop_waiters.release(&mut after, |()| true);
        drop(state);
        for control in controls {
            control.wake();
        }
        after.run();
    }

    /// Returns `true` if the tasks are asked to stop.
    pub(crate) fn is_stop_requested(&self) -> bool {
        // Pairs with the swap in `request_stop`. A task that reads `false` here is woken after that.
        self.stop.load(Ordering::Acquire)
    }

    /// Returns `true` if this waker wakes the current task and that task is one of these: then a request to
    /// stop wakes it by itself.
    pub(super) fn wakes_by_itself(&self, waker: &Waker) -> bool {
        with_current(|listing| listing.number_in(self).is_some() && listing.control.wakes_by(waker))
            .unwrap_or(false)
    }

    /// Leaves a waker for a request to stop, unless that was made already.
    pub(super) fn put_stop_waiter(&self, key: &mut Option<WaiterKey>, waker: Waker) {
        let mut state = lock(&self.state);
        let unneeded = if self.is_stop_requested() {
            Some(waker)
        } else {
            state.stop_waiters.put(key, (), waker)
        };
        drop(state);
        drop(unneeded);
    }

    pub(super) fn remove_stop_waiter(&self, key: WaiterKey) {
        let removed = lock(&self.state).stop_waiters.remove(key);
        drop(removed);
    }

    /// Records that the current task, if it is one of these, waits for the others to end.
    pub(crate) fn closer(&self) -> Closer<'_> {
        let current = with_current(|listing| listing.number_in(self)).flatten();
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        let task = current.and_then(|number| {
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
}

/// A place for one more task, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Tasks>);

impl Place {
    /// Returns the tasks among which the place is.
    pub(crate) fn tasks(&self) -> &Arc<Tasks> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut after = WakeList::new();
        let mut state = lock(&self.0.state);
        state.places_taken -= 1;
        state.release_waiters(&mut after);
        drop(state);
        after.run();
    }
}

/// A number in a list of tasks, removed from it when this is dropped.
#[derive(Debug)]
struct Entry {
    tasks: Arc<Tasks>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tasks.remove(self.number);
    }
}

/// A task's entries among the live ones, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Listing {
    control: Arc<Control>,
    // Removed first: after a wait for its group, a task is not left in its selector's statistics either.
    entry: Entry,
    group: Option<Entry>,
}

impl Listing {
    /// Makes this task, which has not begun, one of a group's too.
    pub(crate) fn join_group(&mut self, group: &Arc<Tasks>) {
        self.group = Some(group.add(&self.control));
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Returns the number of this task among `tasks`, if it is one of them.
    fn number_in(&self, tasks: &Tasks) -> Option<u64> {
        let mut entries = std::iter::once(&self.entry).chain(&self.group);
        entries.find(|entry| std::ptr::eq(&raw const *entry.tasks, tasks)).map(|entry| entry.number)
    }

    /// Begins a poll of this task as another thread sees it, with everything that the poll drops.
    #[inline]
    pub(super) fn begin_poll(&self) {
        self.entry.tasks.pulse(self.control.worker()).begin(self.entry.number);
    }

    /// Ends the poll.
    #[inline]
    pub(super) fn end_poll(&self) {
        self.entry.tasks.pulse(self.control.worker()).end();
    }

    /// Polls a task's future, during which it is the current task. The listing is moved to the thread
    /// meanwhile: a clone would make all workers count references to the same group at every poll.
    pub(super) fn poll<T>(listing: &mut Option<Self>, poll: impl FnOnce() -> T) -> T {
        let before = CURRENT.with(|current| current.replace(listing.take()));
        let polled = poll();
        *listing = CURRENT.with(|current| current.replace(before));
        polled
    }
}

/// Returns the lists that the current task is in: its selector's, and its group's. Both are `None` outside
/// a task, and the second one in a task without a group.
pub(crate) fn current_lists() -> (Option<Arc<Tasks>>, Option<Arc<Tasks>>) {
    let lists = with_current(|listing| {
        let group = listing.group.as_ref().map(|entry| Arc::clone(&entry.tasks));
        (Some(Arc::clone(&listing.entry.tasks)), group)
    });
    lists.unwrap_or_default()
}

/// Looks at the current task, if there is one. `look` must not be user code.
fn with_current<T>(look: impl FnOnce(&Listing) -> T) -> Option<T> {
    let looked = CURRENT.try_with(|current| {
        let listing = current.take();
        let looked = listing.as_ref().map(look);
        current.set(listing);
        looked
    });
    looked.ok().flatten()
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
            Awaited::Ended(left),
            |state| state.have_ended(left).then_some(()),
        )
        .await;
    }

    /// Aborts the other tasks that are users', and returns their number. Tasks that close the selector too
    /// are spared if this call comes from a task, and not otherwise: they may have more to do than to close.
    pub(crate) fn abort_users(&self) -> usize {
        let spares_closers = self.task.is_some();
        let others: Vec<_> = lock(&self.tasks.state)
            .live
            .values()
            .filter(|task| task.kind == TaskKind::Users && !(spares_closers && task.closes > 0))
            .map(|task| Arc::clone(&task.control))
            .collect();
        for control in &others {
            control.abort();
        }
        others.len()
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
