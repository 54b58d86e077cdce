//! One look-up, and the calls that share it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use forebay_io::Result;
use forebay_io::seam::{WaiterKey, Waiters, WakeList};

use crate::lock::lock;
use crate::sync::Mutex;
use crate::task::caught;

/// A name has at most this many addresses; further ones are ignored. An answer of DNS, 64 KiB at most, holds no
/// more than this.
pub(super) const ADDRESSES_MAX: usize = 4096;

/// The future that finds the addresses.
pub(super) type LookUpWork = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The look-ups in flight, by name. Locked before the state of a look-up, never inside.
#[derive(Default)]
pub(super) struct LookUpTable(Mutex<HashMap<Box<str>, Arc<LookUp>>>);

impl LookUpTable {
    /// Joins the look-up of a name, or makes one. `work` makes its future, under the table's lock: it must not run
    /// the program's code.
    pub(super) fn join(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce(&Weak<LookUp>) -> LookUpWork,
    ) -> LookingUp {
        let mut table = lock(&self.0);
        let look_up = table.entry(name.into()).or_insert_with(|| {
            Arc::new_cyclic(|look_up| LookUp {
                name: name.into(),
                table: Arc::downgrade(self),
                state: Mutex::new(State { work: Some(work(look_up)), ..State::default() }),
            })
        });
        lock(&look_up.state).callers += 1;
        LookingUp { look_up: Arc::clone(look_up), waiter: None, taken: 0, is_over: false }
    }

    /// Removes a look-up, unless another one of its name has taken its place.
    fn remove(table: &mut HashMap<Box<str>, Arc<LookUp>>, look_up: &LookUp) -> Option<Arc<LookUp>> {
        let is_listed = |listed: &Arc<LookUp>| std::ptr::eq(&raw const **listed, look_up);
        table.get(&look_up.name).is_some_and(is_listed).then(|| table.remove(&look_up.name))?
    }
}

/// A look-up, shared by its callers and, while it runs there, a thread of the system's resolver.
pub(super) struct LookUp {
    name: Box<str>,
    table: Weak<LookUpTable>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order in which they were found, each once, with port 0.
    found: Vec<SocketAddr>,
    seen: HashSet<SocketAddr>,
    end: Option<Result<()>>,
    /// Taken out while a caller polls it.
    work: Option<LookUpWork>,
    /// The work was woken since it was taken out.
    is_woken: bool,
    /// A call of the system's resolver has begun, which runs to its end.
    runs: bool,
    callers: usize,
    waiters: Waiters<()>,
}

impl LookUp {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds addresses, and wakes the callers.
    pub(super) fn add(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        for address in addresses {
            // Locked for each: the iterator is the program's code.
            let mut state = lock(&self.state);
            if state.end.is_some() || state.found.len() == ADDRESSES_MAX {
                break;
            }
            if state.seen.insert(address) {
                state.found.push(address);
            }
        }
        self.wake_callers(|_| ());
    }

    /// Notes that a call of the system's resolver begins. Returns `false` if no caller is left.
    pub(super) fn begins_to_run(&self) -> bool {
        let mut state = lock(&self.state);
        state.runs = state.end.is_none() && state.callers > 0;
        state.runs
    }

    /// Ends the look-up. Only the first result counts. A call that comes later begins another one.
    pub(super) fn end(&self, result: Result<()>) {
        let table = self.table.upgrade();
        let listed = table.map(|table| LookUpTable::remove(&mut lock(&table.0), self));
        let mut work = None;
        self.wake_callers(|state| {
            state.end.get_or_insert(result);
            state.runs = false;
            work = state.work.take();
        });
        discard(work);
        drop(listed);
    }

    fn wake_callers(&self, change: impl FnOnce(&mut State)) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        change(&mut state);
        state.waiters.release(&mut after, |()| true);
        drop(state);
        after.run();
    }

    /// Polls the work, unless another caller does so at this moment.
    fn poll_work(self: &Arc<Self>) {
        let work = {
            let mut state = lock(&self.state);
            // A caller that finds the work taken out must not take back a wake-up that came meanwhile.
            state.is_woken &= state.work.is_none();
            state.work.take()
        };
        let Some(mut work) = work else { return };
        let waker = Waker::from(Arc::clone(self));
        let polled = caught(|| work.as_mut().poll(&mut Context::from_waker(&waker)));
        match polled {
            Ok(Poll::Pending) => self.put_back(work),
            Ok(Poll::Ready(result)) => {
                discard(Some(work));
                self.end(result);
            }
            Err(panicked) => {
                discard(Some(work));
                self.end(Err(panicked));
            }
        }
    }

    /// Leaves the work to the next poll. A wake-up that came meanwhile has perhaps woken only callers that found
    /// no work to poll, so it is passed on.
    fn put_back(&self, work: LookUpWork) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        let spare = if state.end.is_some() { Some(work) } else { state.work.replace(work) };
        if state.is_woken {
            state.waiters.release(&mut after, |()| true);
        }
        drop(state);
        after.run();
        discard(spare);
    }
}

/// Wakes every caller, because the one that would poll the work may be dropped, or busy elsewhere.
impl Wake for LookUp {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_callers(|state| state.is_woken = true);
    }
}

/// Drops the program's future, with its panic contained.
fn discard(work: Option<LookUpWork>) {
    caught(|| drop(work)).ok();
}

/// A caller's part in a look-up. Dropping it leaves the look-up, and ends it with the last caller.
pub(crate) struct LookingUp {
    look_up: Arc<LookUp>,
    waiter: Option<WaiterKey>,
    /// The number of addresses that this caller has.
    taken: usize,
    is_over: bool,
}

impl LookingUp {
    /// Returns the next addresses as soon as there are any, each with port 0; `None` at the end, also behind an
    /// error.
    pub(crate) fn poll_part(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Vec<SocketAddr>>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let look = self.look(Some(cx.waker().clone()));
        if look.is_ready() {
            return look;
        }
        self.look_up.poll_work();
        self.look(None)
    }

    /// Takes what is new. If nothing is, `waker` is left.
    fn look(&mut self, waker: Option<Waker>) -> Poll<Option<Result<Vec<SocketAddr>>>> {
        let mut state = lock(&self.look_up.state);
        let new = state.found.get(self.taken..).unwrap_or_default();
        if !new.is_empty() {
            let new = new.to_vec();
            self.taken += new.len();
            drop(state);
            return Poll::Ready(Some(Ok(new)));
        }
        if let Some(end) = state.end.clone() {
            drop(state);
            self.is_over = true;
            return Poll::Ready(end.err().map(Err));
        }
        let replaced = waker.and_then(|waker| state.waiters.put(&mut self.waiter, (), waker));
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for LookingUp {
    fn drop(&mut self) {
        let table = self.look_up.table.upgrade();
        let (waker, removed, work) = {
            let mut listed = table.as_ref().map(|table| lock(&table.0));
            let mut state = lock(&self.look_up.state);
            state.callers -= 1;
            let waker = self.waiter.take().and_then(|key| state.waiters.remove(key));
            if state.callers > 0 || state.runs {
                (waker, None, None)
            } else {
                let listed = listed.as_mut();
                let removed = listed.and_then(|it| LookUpTable::remove(it, &self.look_up));
                (waker, removed, state.work.take())
            }
        };
        drop((waker, removed));
        discard(work);
    }
}
