//! The signals of the process, as events of a selector's worker.
//!
//! ```text
//!   kernel ─► signal-hook's handler ─► a byte into a pair of sockets ─► the worker's poll ─► WatchedSignal
//!                                                                                              │ wakes
//!                                                                       ctrl_c(), Signals::next() ◄─┘
//! ```
//!
//! A selector has one pair for each kind that it watches, from the first call until it closes. So a call
//! that waits costs no descriptor, and a signal that comes between two calls is not lost.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

use forebay_io::seam::{Waiters, WakeList, wait_in};
use forebay_io::{Error, Result};
use signal_hook::SigId;
use signal_hook::consts::signal as number;
use signal_hook::low_level::{pipe, unregister};

use super::closing::closed;
use crate::host::{Direction, Progress, Ready};
use crate::interrupted::uninterrupted;
use crate::lock::lock;
use crate::worker::Worker;

/// A kind of signal that a program can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignalKind {
    /// `SIGCHLD`: a child process has stopped or ended.
    Child,
    /// `SIGHUP`: the terminal was closed; for servers, by convention, that their configuration is to be read
    /// again.
    Hangup,
    /// `SIGINT`: Ctrl-C; see [`ctrl_c`](crate::ctrl_c).
    Interrupt,
    /// `SIGQUIT`: Ctrl-\.
    Quit,
    /// `SIGTERM`: the program is asked to end, by a service manager for instance.
    Terminate,
    /// `SIGUSR1`.
    User1,
    /// `SIGUSR2`.
    User2,
    /// `SIGWINCH`: the size of the terminal's window has changed.
    WindowChange,
}

impl SignalKind {
    fn number(self) -> i32 {
        match self {
            Self::Child => number::SIGCHLD,
            Self::Hangup => number::SIGHUP,
            Self::Interrupt => number::SIGINT,
            Self::Quit => number::SIGQUIT,
            Self::Terminate => number::SIGTERM,
            Self::User1 => number::SIGUSR1,
            Self::User2 => number::SIGUSR2,
            Self::WindowChange => number::SIGWINCH,
        }
    }
}

/// The signals of one kind that arrive from now on. Returned by [`signal`](crate::signal) and
/// [`SelectorManager::signal`](crate::SelectorManager::signal).
///
/// Each value gets every signal. Signals that arrive while none is awaited count as one, as they do for the
/// system itself.
pub struct Signals {
    kind: SignalKind,
    watched: Arc<WatchedSignal>,
    seen: u64,
}

impl Signals {
    /// Waits for the next signal; returns `None` once the selector is being closed.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a dropped call has taken no signal.
    pub async fn next(&mut self) -> Option<SignalKind> {
        self.seen = self.watched.after(self.seen).await?;
        Some(self.kind)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The kinds of signals that a selector watches.
#[derive(Default)]
pub(super) struct WatchedSignals(Mutex<Kinds>);

#[derive(Default)]
struct Kinds {
    list: Vec<(SignalKind, Arc<WatchedSignal>)>,
    is_closed: bool,
}

impl WatchedSignals {
    /// Returns the signals of this kind from now on, which `worker` watches if none does yet.
    pub(super) fn listen(&self, kind: SignalKind, worker: &Arc<Worker>) -> Result<Signals> {
        let watched = self.get_or_watch(kind, worker, "signal")?;
        watched.collect_early();
        let seen = lock(&watched.state).arrived;
        Ok(Signals { kind, watched, seen })
    }

    /// Waits for an interrupt that no earlier wait of this kind has reported. The interrupt is watched from
    /// the call on.
    pub(super) fn interrupt(
        &self,
        worker: &Arc<Worker>,
    ) -> impl Future<Output = Result<()>> + Send + Sync + use<> {
        let watched = self.get_or_watch(SignalKind::Interrupt, worker, "ctrl_c").map(|watched| {
            let reported = lock(&watched.state).reported;
            (watched, reported)
        });
        async move {
            let (watched, reported) = watched?;
            match watched.after(reported).await {
                Some(arrived) => {
                    let mut state = lock(&watched.state);
                    state.reported = state.reported.max(arrived);
                    Ok(())
                }
                None => Err(closed("ctrl_c")),
            }
        }
    }

    /// Ends all waits, and stops watching.
    pub(super) fn close(&self) {
        let mut kinds = lock(&self.0);
        kinds.is_closed = true;
        let watched = std::mem::take(&mut kinds.list);
        drop(kinds);
        for (_, watched) in watched {
            watched.close();
        }
    }

    fn get_or_watch(
        &self,
        kind: SignalKind,
        worker: &Arc<Worker>,
        operation: &'static str,
    ) -> Result<Arc<WatchedSignal>> {
        let mut kinds = lock(&self.0);
        if kinds.is_closed {
            return Err(closed(operation));
        }
        if let Some((_, watched)) = kinds.list.iter().find(|(known, _)| *known == kind) {
            return Ok(Arc::clone(watched));
        }
        let watched =
            WatchedSignal::new(kind, worker).map_err(|error| Error::from_io(operation, error))?;
        kinds.list.push((kind, Arc::clone(&watched)));
        drop(kinds);
        // From here on the worker is driven. Nothing can have been lost: an action that has run has written
        // its byte.
        watched.collect();
        Ok(watched)
    }
}

/// The signals of one kind, counted since the selector watches them.
struct WatchedSignal {
    state: Mutex<State>,
    /// The waker that the readiness of the pair keeps.
    waker: Waker,
}

struct State {
    /// The number of arrivals. What arrives before it is collected counts as one.
    arrived: u64,
    /// The last arrival that a call of `ctrl_c` has reported.
    reported: u64,
    /// The waits, each with the last arrival that it knows.
    waiters: Waiters<u64>,
    /// `None` once the selector is being closed.
    pair: Option<Arc<Pair>>,
}

/// A pair of sockets: the action of the signal writes into one, and the worker watches the other.
///
/// The action goes first ([`Drop`]), which closes the socket that it owns: a byte into a pair whose other
/// end is closed would be a `SIGPIPE`. Then the registration goes, before the socket that it watches.
struct Pair {
    ready: Arc<dyn Ready>,
    input: UnixStream,
    action: SigId,
}

impl WatchedSignal {
    fn new(kind: SignalKind, worker: &Arc<Worker>) -> io::Result<Arc<Self>> {
        let (input, output) = UnixStream::pair()?;
        input.set_nonblocking(true)?;
        let ready = worker.watch_borrowed(input.as_fd())?;
        // The action owns the other socket until it is removed. Removing it does not bring the system's
        // default action back: signal-hook's handler stays.
        let action = pipe::register(kind.number(), output)?;
        let pair = Arc::new(Pair { ready, input, action });
        Ok(Arc::new_cyclic(|weak| Self {
            state: Mutex::new(State {
                arrived: 0,
                reported: 0,
                waiters: Waiters::default(),
                pair: Some(pair),
            }),
            waker: Waker::from(Arc::new(Collector(Weak::clone(weak)))),
        }))
    }

    /// Takes what has arrived, wakes the waits for it, and has the worker call this again for what arrives
    /// later.
    ///
    /// The worker's thread runs it and not a call that waits, because such a call may be dropped between its
    /// wake-up and its poll, and the others would not hear of the signal.
    fn collect(&self) {
        let Some(pair) = lock(&self.state).pair.clone() else { return };
        let mut cx = Context::from_waker(&self.waker);
        let mut has_arrived = false;
        let mut take = || pair.take().map(|count| Progress { count, drained: false });
        while let Poll::Ready(Ok(Progress { count: 1.., .. })) =
            pair.ready.poll_io(&mut cx, Direction::Read, &mut take)
        {
            has_arrived = true;
        }
        if has_arrived {
            self.note_arrival();
        }
    }

    /// Takes what has arrived, also if the worker has not seen it yet.
    fn collect_early(&self) {
        let Some(pair) = lock(&self.state).pair.clone() else { return };
        let mut has_arrived = false;
        while let Ok(1..) = uninterrupted(|| pair.take()) {
            has_arrived = true;
        }
        if has_arrived {
            self.note_arrival();
        }
    }

    fn note_arrival(&self) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        state.arrived += 1;
        let arrived = state.arrived;
        state.waiters.release(&mut after, |seen| *seen < arrived);
        drop(state);
        after.run();
    }

    /// Waits for an arrival after the one with this number, and returns its number; `None` once the selector
    /// is being closed.
    async fn after(&self, seen: u64) -> Option<u64> {
        let check = move |state: &mut State| match &state.pair {
            _ if state.arrived > seen => Some(Some(state.arrived)),
            Some(_) => None,
            None => Some(None),
        };
        wait_in(&self.state, |state| &mut state.waiters, seen, check).await
    }

    fn close(&self) {
        let mut after = WakeList::new();
        let mut state = lock(&self.state);
        let pair = state.pair.take();
        state.waiters.release(&mut after, |_| true);
        drop(state);
        drop(pair);
        after.run();
    }
}

impl Pair {
    /// Takes some of the bytes that the action has written.
    fn take(&self) -> io::Result<usize> {
        (&self.input).read(&mut [0; 64])
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        unregister(self.action);
    }
}

/// Collects when the worker has seen that a signal has arrived.
struct Collector(Weak<WatchedSignal>);

impl Wake for Collector {
    fn wake(self: Arc<Self>) {
        if let Some(watched) = self.0.upgrade() {
            watched.collect();
        }
    }
}
