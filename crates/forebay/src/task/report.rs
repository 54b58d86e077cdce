//! Errors that nobody awaits: counted by kind, and told to somebody.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use forebay_io::{Error, ErrorKind, Fault};

use super::contain::caught;
use crate::lock::lock;

/// One line per kind in this time.
const QUIET: Duration = Duration::from_secs(1);

type Handler = Arc<dyn Fn(&Error) + Send + Sync>;

/// Where the errors of detached tasks go, and other troubles that no call returns.
pub(crate) struct Reporter {
    handler: Option<Handler>,
    reported: AtomicU64,
    last_printed: Mutex<HashMap<std::mem::Discriminant<ErrorKind>, Instant>>,
}

impl Reporter {
    /// What is said of a task's error.
    pub(crate) const OF_A_TASK: &str = "a task ended in an error";

    /// What is said of a connection that has no owner.
    pub(crate) const OF_A_CLOSE: &str = "a connection was closed before its peer had everything";

    pub(crate) fn new(handler: Option<Handler>) -> Self {
        Self { handler, reported: AtomicU64::new(0), last_printed: Mutex::default() }
    }

    /// Errors reported so far.
    pub(crate) fn count(&self) -> u64 {
        self.reported.load(Ordering::Relaxed)
    }

    /// Counts an error and passes it on. Without a handler, what is the peer's doing or our own
    /// close is only counted: both are a server's daily bread.
    pub(crate) fn report(&self, what: &str, error: &Error) {
        self.reported.fetch_add(1, Ordering::Relaxed);
        match &self.handler {
            Some(handler) => {
                // A handler that panics has been printed; it must not take the worker with it.
                drop(caught(|| handler(error)));
            }
            None if matches!(error.kind().fault(), Fault::Peer | Fault::Closed) => {}
            None => self.print(what, error),
        }
    }

    /// Prints an error on standard error, one line per kind and second.
    pub(crate) fn print(&self, what: &str, error: &Error) {
        let now = Instant::now();
        let kind = std::mem::discriminant(&error.kind());
        let mut last_printed = lock(&self.last_printed);
        let recent = last_printed.get(&kind).is_some_and(|last| now.duration_since(*last) < QUIET);
        if recent {
            return;
        }
        last_printed.insert(kind, now);
        drop(last_printed);
        // Standard error may be closed; there is nobody left to tell then.
        writeln!(std::io::stderr(), "forebay: {what}: {error}").ok();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("reported", &self.count()).finish_non_exhaustive()
    }
}
