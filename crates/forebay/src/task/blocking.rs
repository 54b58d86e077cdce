//! Threads for calls that block.
//!
//! A selector has two pools of them. Its own calls (look-ups, files of roots, paths of sockets) end by
//! themselves: they may wait for each other. Those that users hand over (readers, writers, functions)
//! may block forever: nothing waits for them, and one too many is refused at once.

mod call;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};

pub(crate) use self::call::run;
use super::contain::caught;
use crate::lock::lock;

/// Threads for the selector's own calls.
const OWN_THREADS_MAX: usize = 16;

/// The selector's own calls that may wait for one of these threads.
const OWN_WAITING_MAX: usize = 1024;

/// An idle thread ends after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// A call that may block. Its thread is free for another one before the result is handed over: the
/// caller may make the next call at once, and must find a thread.
trait Job: Send {
    /// Makes the call, and keeps its result. What is abandoned is dropped here.
    fn call(&mut self);

    /// Gives the result to the caller.
    fn hand_over(self: Box<Self>);
}

/// What a thread runs.
type Body = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads that start on demand and end when idle.
///
/// Its threads are never joined: a look-up may hang for as long as the resolver likes, and neither
/// `close` nor the end of the program waits for it. Dropping the pool closes it.
///
/// `busy <= threads_max`, `waiting + busy <= threads_max + waiting_max`; while jobs wait, there is a
/// thread.
pub(crate) struct BlockingPool(Arc<Shared>);

struct Shared {
    threads_max: usize,
    /// Jobs that may wait while every thread is busy. With none of them a job has a thread, or is
    /// refused.
    waiting_max: usize,
    idle_limit: Duration,
    /// Starts a detached thread; a test puts a failing one here.
    start: fn(String, Body) -> io::Result<()>,
    state: Mutex<State>,
    /// Signalled for one job, and for closing. Its partner is `state`.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Job>>,
    threads: usize,
    /// Threads that are in a call.
    busy: usize,
    /// Threads that hand over a result.
    parting: usize,
    /// Threads ever started: the number in the next one's name.
    started: u64,
    closed: bool,
}

/// What the pool is doing at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockingStats {
    /// Threads alive, idle ones too.
    pub(crate) threads: usize,
    /// Jobs that no thread has taken yet.
    pub(crate) waiting: usize,
}

impl BlockingPool {
    /// Makes a pool for calls that end by themselves. None of its threads is started yet.
    pub(crate) fn for_own_calls() -> Self {
        Self::with(OWN_THREADS_MAX, OWN_WAITING_MAX, IDLE_LIMIT, start_detached)
    }

    /// Makes a pool for at most so many calls that may block forever.
    pub(crate) fn for_user_calls(calls_max: usize) -> Self {
        Self::with(calls_max, 0, IDLE_LIMIT, start_detached)
    }

    fn with(
        threads_max: usize,
        waiting_max: usize,
        idle_limit: Duration,
        start: fn(String, Body) -> io::Result<()>,
    ) -> Self {
        Self(Arc::new(Shared {
            threads_max,
            waiting_max,
            idle_limit,
            start,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Refuses new jobs and drops those that wait; running ones run on.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut state = lock(&self.0.state);
            state.closed = true;
            mem::take(&mut state.waiting)
        };
        self.0.changed.notify_all();
        for job in waiting {
            drop(caught(|| drop(job)));
        }
    }

    /// How many threads and waiting jobs there are.
    pub(crate) fn stats(&self) -> BlockingStats {
        let state = lock(&self.0.state);
        BlockingStats { threads: state.threads, waiting: state.waiting.len() }
    }
}

impl Drop for BlockingPool {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingPool").field(&self.stats()).finish()
    }
}

impl Shared {
    /// Queues a job. One that panics ends alone: its thread goes on.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`]: the pool was closed.
    /// - [`ErrorKind::Exhausted`]: as many jobs as may run and wait are there already, or the system
    ///   starts no thread and the job could not wait for one that runs.
    ///
    /// With the job, which has not run, to be dropped where no lock is held.
    fn enqueue(
        self: &Arc<Self>,
        operation: &'static str,
        job: Box<dyn Job>,
    ) -> std::result::Result<(), (Error, Box<dyn Job>)> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err((Error::new(ErrorKind::Closed, operation), job));
        }
        if state.ahead_of_the_next(self.threads_max) > self.waiting_max {
            return Err((self.full(operation), job));
        }
        state.waiting.push_back(job);
        let idle = state.idle();
        if state.waiting.len() <= idle {
            self.changed.notify_one();
        } else if let Err(error) = self.start_thread(operation, &mut state)
            && (state.threads == 0 || state.waiting.len() > idle + self.waiting_max)
            && let Some(job) = state.waiting.pop_back()
        {
            return Err((error, job));
        }
        Ok(())
    }

    /// Starts one thread more, but for jobs that may wait. (Where they may not, they have been counted:
    /// if all threads are there and not enough are idle, some are handing over.) Under the lock: a
    /// failure must give the job back, and none may have been queued behind it meanwhile.
    fn start_thread(self: &Arc<Self>, operation: &'static str, state: &mut State) -> Result<()> {
        if state.threads >= self.threads_max && self.waiting_max > 0 {
            return Ok(());
        }
        let shared = Arc::clone(self);
        let name = format!("forebay-blocking-{}", state.started + 1);
        (self.start)(name, Box::new(move || shared.work())).map_err(|error| {
            Error::new(ErrorKind::Exhausted, operation)
                .with_detail(format!("no thread could be started: {error}"))
                .with_cause(error)
        })?;
        state.threads += 1;
        state.started += 1;
        Ok(())
    }

    /// The life of one thread. It counts as idle from its start, so that the job it was started
    /// for is the one it is counted on for.
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.busy += 1;
                drop(state);
                state = self.run(job);
                continue;
            }
            if state.closed {
                break;
            }
            let (woken, timeout) = self
                .changed
                .wait_timeout(state, self.idle_limit)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            // A job may have come together with the end of the wait.
            if timeout.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    fn run(&self, mut job: Box<dyn Job>) -> MutexGuard<'_, State> {
        drop(caught(|| job.call()));
        let mut state = lock(&self.state);
        state.busy -= 1;
        state.parting += 1;
        drop(state);
        drop(caught(|| job.hand_over()));
        let mut state = lock(&self.state);
        state.parting -= 1;
        state
    }

    fn full(&self, operation: &'static str) -> Error {
        let Self { threads_max, waiting_max, .. } = self;
        Error::new(ErrorKind::Exhausted, operation).with_detail(if *waiting_max == 0 {
            format!(
                "{threads_max} calls that may block forever are under way already \
                 (SelectorBuilder::blocking_max sets this)"
            )
        } else {
            format!("{waiting_max} calls wait already for the selector's {threads_max} threads")
        })
    }
}

impl State {
    fn idle(&self) -> usize {
        self.threads - self.busy - self.parting
    }

    /// How many jobs would have to end before another one had a thread.
    fn ahead_of_the_next(&self, threads_max: usize) -> usize {
        (self.waiting.len() + self.busy + 1).saturating_sub(threads_max)
    }
}

fn start_detached(name: String, body: Body) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(body).map(drop)
}
