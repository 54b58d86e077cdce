//! Errors that are not awaited: counted by kind, and reported.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forebay_io::{Error, ErrorKind, Fault};

use super::contain::caught;
use crate::lock::lock;

/// At most one line per kind is printed in this time.
const QUIET: Duration = Duration::from_secs(1);

pub(crate) type Handler = Arc<dyn Fn(&Error) + Send + Sync>;

/// Receives the errors of detached tasks, and other problems that no call returns.
pub(crate) struct Reporter {
    handler: Option<Handler>,
    reported: AtomicU64,
    last_printed: Mutex<HashMap<std::mem::Discriminant<ErrorKind>, Instant>>,
    /// Returns the time of the selector's clock.
    now: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl Reporter {
    /// The text for a task's error.
    const OF_A_TASK: &str = "a task ended in an error";

    /// Returns the text for the error of a task that was started at this place.
    pub(crate) fn of_a_task(place: &std::panic::Location<'_>) -> String {
        format!("{} (spawned at {place})", Self::OF_A_TASK)
    }

    /// The text for the error of a connection without an owner.
    pub(crate) const OF_A_CLOSE: &str = "a connection was closed before its peer had everything";

    pub(crate) fn new(
        handler: Option<Handler>,
        now: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            handler,
            reported: AtomicU64::new(0),
            last_printed: Mutex::default(),
            now: Box::new(now),
        }
    }

    /// Returns the number of errors reported so far.
    pub(crate) fn count(&self) -> u64 {
        self.reported.load(Ordering::Relaxed)
    }

    /// Counts an error and passes it on. Without a handler, errors caused by a peer or by a close on this
    /// side are only counted: a server sees both all the time.
    pub(crate) fn report(&self, what: &str, error: &Error) {
        self.reported.fetch_add(1, Ordering::Relaxed);
        match &self.handler {
            Some(handler) => {
                // A panic of the handler has been printed, and must not end the worker.
                drop(caught(|| handler(error)));
            }
            None if matches!(error.kind().fault(), Fault::Peer | Fault::Closed) => {}
            None => self.print(what, error),
        }
    }

    /// Prints an error on standard error, one line per kind and second.
    pub(crate) fn print(&self, what: &str, error: &Error) {
        let now = (self.now)();
        let kind = std::mem::discriminant(&error.kind());
        let mut last_printed = lock(&self.last_printed);
        let recent = last_printed.get(&kind).is_some_and(|last| now.duration_since(*last) < QUIET);
        if recent {
            return;
        }
        last_printed.insert(kind, now);
        drop(last_printed);
        // Standard error may be closed; then the error cannot be shown.
        writeln!(std::io::stderr(), "forebay: {what}: {error}").ok();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("reported", &self.count()).finish_non_exhaustive()
    }
}
