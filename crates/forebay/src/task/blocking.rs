//! Threads for calls that block: name look-ups, files, standard input.

mod call;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use forebay_io::{Error, ErrorKind, Result};

pub(crate) use self::call::run;
use super::contain::caught;
use crate::lock::lock;

/// Threads at most, unless the constructor is told otherwise.
const THREADS_MAX: usize = 16;

/// Jobs that may wait for a thread.
const WAITING_MAX: usize = 1024;

/// An idle thread ends after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// A call that may block; it runs once, on a thread of the pool.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of threads that start on demand and end when idle.
///
/// Nobody ever joins them: a look-up may hang for as long as the resolver likes, and neither
/// `close` nor the end of the program waits for it. Dropping the pool closes it.
///
/// `busy <= threads <= threads_max`, `waiting <= WAITING_MAX`; while jobs wait, there is a thread.
pub(crate) struct BlockingPool(Arc<Shared>);

struct Shared {
    threads_max: usize,
    idle_limit: Duration,
    /// Starts a thread that nobody joins; a test puts a failing one here.
    start: fn(String, Job) -> io::Result<()>,
    state: Mutex<State>,
    /// Signalled for one job, and for closing. Its partner is `state`.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    busy: usize,
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
    /// Makes a pool of at most `threads_max` threads (at least one), none of them started.
    pub(crate) fn new(threads_max: usize) -> Self {
        Self::with(threads_max, IDLE_LIMIT, start_detached)
    }

    fn with(
        threads_max: usize,
        idle_limit: Duration,
        start: fn(String, Job) -> io::Result<()>,
    ) -> Self {
        Self(Arc::new(Shared {
            threads_max: threads_max.max(1),
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

impl Default for BlockingPool {
    fn default() -> Self {
        Self::new(THREADS_MAX)
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
    /// - [`ErrorKind::Exhausted`]: 1024 jobs wait already, or the system starts no thread and none
    ///   runs that would get to the job.
    ///
    /// With the job, which has not run, to be dropped where no lock is held.
    fn enqueue(self: &Arc<Self>, job: Job) -> std::result::Result<(), (Error, Job)> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err((Error::new(ErrorKind::Closed, "spawn_blocking"), job));
        }
        if state.waiting.len() >= WAITING_MAX {
            return Err((self.full(), job));
        }
        state.waiting.push_back(job);
        let idle = state.threads - state.busy;
        if state.waiting.len() <= idle {
            self.changed.notify_one();
        } else if state.threads < self.threads_max {
            // Started under the lock: a failure must give the job back, which nobody may have
            // queued behind or waited for meanwhile. It happens at most once per thread.
            if let Err(error) = self.start_thread(&mut state)
                && state.threads == 0
                && let Some(job) = state.waiting.pop_back()
            {
                return Err((error, job));
            }
        }
        Ok(())
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let shared = Arc::clone(self);
        let name = format!("forebay-blocking-{}", state.started + 1);
        (self.start)(name, Box::new(move || shared.work())).map_err(|error| {
            Error::new(ErrorKind::Exhausted, "spawn_blocking")
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
                drop(caught(job));
                state = lock(&self.state);
                state.busy -= 1;
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

    fn full(&self) -> Error {
        Error::new(ErrorKind::Exhausted, "spawn_blocking").with_detail(format!(
            "{WAITING_MAX} jobs wait already for the {} blocking threads",
            self.threads_max
        ))
    }
}

fn start_detached(name: String, body: Job) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(body).map(drop)
}
