//! Threads for calls that block.
//!
//! A selector has two pools of them. Its own calls (look-ups, files of roots, paths of sockets) end by
//! themselves, and may wait for each other. The calls that users provide (readers, writers, functions) may
//! block forever: no call waits for another, and a call beyond the limit is refused at once.

mod call;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use forebay_io::seam::unpoisoned;
use forebay_io::{Error, ErrorKind, Result};

pub(crate) use self::call::run;
use super::contain::caught;
use crate::lock::lock;

/// The number of threads for the selector's own calls.
const OWN_THREADS_MAX: usize = 16;

/// The number of the selector's own calls that may wait for one of these threads.
const OWN_WAITING_MAX: usize = 1024;

/// An idle thread ends after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// A call that may block. Its thread is free before the result is handed over, because the caller may make
/// the next call at once and must find a thread.
trait Job: Send {
    /// Makes the call and keeps its result. An abandoned result is dropped here.
    fn call(&mut self);

    /// Hands the result to the caller.
    fn hand_over(self: Box<Self>);
}

/// The function that a thread runs.
type Body = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads that start on demand and end when idle.
///
/// Its threads are never joined: a look-up may hang for as long as the resolver does, and neither `close`
/// nor the end of the program waits for it. Dropping the pool closes it.
///
/// Invariants: `busy <= threads_max`; `waiting + busy <= threads_max + waiting_max`; while jobs wait, there
/// is a thread.
pub(crate) struct BlockingPool(Arc<PoolState>);

struct PoolState {
    threads_max: usize,
    /// The number of jobs that may wait while every thread is busy. If zero, a job gets a thread or is
    /// refused.
    waiting_max: usize,
    idle_limit: Duration,
    /// Starts a detached thread; a test uses a function that fails.
    start: fn(String, Body) -> io::Result<()>,
    state: Mutex<State>,
    /// Signalled for one job, and for closing. Used with `state`.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Job>>,
    threads: usize,
    /// The number of threads that are in a call.
    busy: usize,
    /// The number of threads that are handing over a result.
    parting: usize,
    /// The number of threads ever started, used for the next one's name.
    started: u64,
    closed: bool,
}

/// The state of the pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockingStats {
    /// The number of threads, including idle ones.
    pub(crate) threads: usize,
    /// The number of jobs that no thread has taken yet.
    pub(crate) waiting: usize,
}

impl BlockingPool {
    /// Makes a pool for calls that end by themselves. No thread is started yet.
    pub(crate) fn for_own_calls() -> Self {
        Self::with(OWN_THREADS_MAX, OWN_WAITING_MAX, IDLE_LIMIT, start_detached)
    }

    /// Makes a pool for at most `calls_max` calls that may block forever.
    pub(crate) fn for_user_calls(calls_max: usize) -> Self {
        Self::with(calls_max, 0, IDLE_LIMIT, start_detached)
    }

    fn with(
        threads_max: usize,
        waiting_max: usize,
        idle_limit: Duration,
        start: fn(String, Body) -> io::Result<()>,
    ) -> Self {
        Self(Arc::new(PoolState {
            threads_max,
            waiting_max,
            idle_limit,
            start,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Refuses new jobs and drops waiting ones; running ones continue.
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

    /// Returns the numbers of threads and waiting jobs.
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

impl PoolState {
    /// Queues a job. If a job panics, only that job ends; its thread continues.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Closed`]: the pool was closed.
    /// - [`ErrorKind::Exhausted`]: the limit of running and waiting jobs is reached, or the system starts
    ///   no thread and the job must not wait for a running one.
    ///
    /// The error comes with the job, which has not run and is to be dropped while no lock is held.
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

    /// Starts one more thread, unless all threads exist and jobs may wait. (Jobs that may not wait have
    /// been counted: if all threads exist and too few are idle, some are handing over.) Runs under the
    /// lock: a failure must return the job, so no other job may be queued behind it meanwhile.
    fn start_thread(self: &Arc<Self>, operation: &'static str, state: &mut State) -> Result<()> {
        if state.threads >= self.threads_max && self.waiting_max > 0 {
            return Ok(());
        }
        let shared = Arc::clone(self);
        let name = format!("forebay-blocking-{}", state.started + 1);
        (self.start)(name, Box::new(move || shared.work())).map_err(|error| {
            Error::new(ErrorKind::Exhausted, operation)
                .with_detail("no thread could be started")
                .with_cause(error)
        })?;
        state.threads += 1;
        state.started += 1;
        Ok(())
    }

    /// Runs jobs until the thread has been idle for too long or the pool is closed. A thread counts as idle
    /// from its start, so that it is available for the job it was started for.
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
            let (woken, timeout) = unpoisoned(self.changed.wait_timeout(state, self.idle_limit));
            state = woken;
            // A job may have arrived together with the end of the wait.
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

    /// Returns how many jobs must end before another one has a thread.
    fn ahead_of_the_next(&self, threads_max: usize) -> usize {
        (self.waiting.len() + self.busy + 1).saturating_sub(threads_max)
    }
}

fn start_detached(name: String, body: Body) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(body).map(drop)
}
