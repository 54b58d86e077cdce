//! Prints one line per text, kind and second, and holds back the others.
//!
//! ```text
//!   first of its kind ─► printed
//!   within a second   ─► held back: the latest one is kept, the others are counted
//!   a second later    ─► the latest one is printed, "(and 11 more)"
//! ```
//!
//! So the lines of a kind, and the numbers in them, add up to its reports.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::mem::{Discriminant, discriminant};
use std::panic::Location;
use std::time::{Duration, Instant};

use forebay_io::{Error, ErrorKind, TlsFault};

/// At most one line per kind is printed in this time.
const QUIET: Duration = Duration::from_secs(1);

/// The library's own text and a kind without its numbers, so that there are only as many as kinds; of TLS,
/// each fault is one. With the text, because errors of tasks (`Other`, mostly) must not replace the report
/// of a task that blocks.
type LineKind = (&'static str, Discriminant<ErrorKind>, Option<TlsFault>);

/// A line to print.
#[derive(Debug, Clone)]
pub(super) struct ReportLine {
    what: &'static str,
    /// The place at which the task was started, if it is about one.
    place: Option<&'static Location<'static>>,
    error: Error,
    /// The number of reports that this line stands for besides its own.
    more: u64,
}

impl ReportLine {
    pub(super) fn new(what: &'static str, error: &Error) -> Self {
        Self { what, place: None, error: error.clone(), more: 0 }
    }

    /// Names the place at which the task was started.
    pub(super) fn at(self, place: &'static Location<'static>) -> Self {
        Self { place: Some(place), ..self }
    }

    pub(super) fn what(&self) -> &'static str {
        self.what
    }

    pub(super) fn error(&self) -> &Error {
        &self.error
    }

    fn kind(&self) -> LineKind {
        (self.what, discriminant(&self.error.kind()), self.error.tls_fault())
    }

    pub(super) fn print(&self) {
        // One call, so that lines of several threads do not mix. Standard error may be closed; then the
        // error cannot be shown.
        std::io::stderr().write_all(format!("{self}\n").as_bytes()).ok();
    }
}

impl fmt::Display for ReportLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, place, error, more } = self;
        write!(f, "forebay: {what}")?;
        if let Some(place) = place {
            write!(f, " (spawned at {place})")?;
        }
        write!(f, ": {error}")?;
        if *more > 0 { write!(f, " (and {more} more)") } else { Ok(()) }
    }
}

/// The answer to a report.
#[derive(Debug)]
pub(super) enum Offer {
    Print(ReportLine),
    /// With the time at which it is due, if no timer waits for that or an earlier time.
    Hold {
        wake_at: Option<Instant>,
    },
}

/// The state of each kind that was reported.
#[derive(Debug, Default)]
pub(super) struct ReportLines {
    kinds: HashMap<LineKind, KindState>,
    /// A timer was asked for.
    is_awaited: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct KindState {
    printed: Instant,
    held: Option<ReportLine>,
}

impl ReportLines {
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Decides whether a line is printed now, and makes it stand for those that were held back.
    pub(super) fn offer(&mut self, mut line: ReportLine, now: Instant) -> Offer {
        let Some(state) = self.kinds.get_mut(&line.kind()) else {
            self.kinds.insert(line.kind(), KindState { printed: now, held: None });
            return Offer::Print(line);
        };
        line.more = state.held.take().map_or(0, |held| held.more + 1);
        let due = state.printed + QUIET;
        if due <= now {
            state.printed = now;
            return Offer::Print(line);
        }
        state.held = Some(line);
        // A timer that waits is due no later than this line: when it fires, it is set again for the next one.
        let is_awaited = self.is_awaited || self.is_closed;
        self.is_awaited = true;
        Offer::Hold { wake_at: (!is_awaited).then_some(due) }
    }

    /// Returns the lines whose second is over, and the time for the next look, if one is needed.
    pub(super) fn take_due(&mut self, now: Instant) -> (Vec<ReportLine>, Option<Instant>) {
        let mut due = Vec::new();
        for state in self.kinds.values_mut().filter(|state| state.printed + QUIET <= now) {
            if let Some(line) = state.held.take() {
                state.printed = now;
                due.push(line);
            }
        }
        let held = self.kinds.values().filter(|state| state.held.is_some());
        let next = held.map(|state| state.printed + QUIET).min().filter(|_| !self.is_closed);
        self.is_awaited = next.is_some();
        (due, next)
    }

    /// Returns all lines that were held back. From now on no timer is asked for.
    pub(super) fn close(&mut self) -> Vec<ReportLine> {
        self.is_closed = true;
        self.kinds.values_mut().filter_map(|state| state.held.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn line(kind: ErrorKind) -> ReportLine {
        ReportLine::new("a test", &Error::new(kind, "call"))
    }

    /// Returns the text that is printed for a report, or the time to wait for.
    fn offer(
        lines: &mut ReportLines,
        kind: ErrorKind,
        now: Instant,
    ) -> Result<String, Option<Instant>> {
        match lines.offer(line(kind), now) {
            Offer::Print(line) => Ok(line.to_string()),
            Offer::Hold { wake_at } => Err(wake_at),
        }
    }

    #[test]
    fn the_next_line_of_a_kind_tells_how_many_were_held_back() {
        let mut lines = ReportLines::default();
        let began = Instant::now();
        let text = "forebay: a test: call: a resource is exhausted";
        assert_eq!(offer(&mut lines, ErrorKind::Exhausted, began), Ok(text.to_owned()));
        let half = began + SECOND / 2;
        assert_eq!(offer(&mut lines, ErrorKind::Exhausted, half), Err(Some(began + SECOND)));
        for _ in 1..12 {
            assert_eq!(offer(&mut lines, ErrorKind::Exhausted, half), Err(None));
        }
        // Before its timer has fired.
        let late = began + SECOND;
        let printed = offer(&mut lines, ErrorKind::Exhausted, late);
        assert_eq!(printed, Ok(format!("{text} (and 12 more)")));
        // Nothing is left for the timer, and the second begins again.
        assert!(matches!(lines.take_due(late), (due, None) if due.is_empty()));
        let again = offer(&mut lines, ErrorKind::Exhausted, late + SECOND / 2);
        assert_eq!(again, Err(Some(late + SECOND)));
    }

    #[test]
    fn a_timer_is_asked_for_as_long_as_a_kind_is_held_back() {
        let mut lines = ReportLines::default();
        let began = Instant::now();
        let later = began + SECOND / 2;
        assert!(offer(&mut lines, ErrorKind::Other, began).is_ok());
        assert_eq!(offer(&mut lines, ErrorKind::Other, began), Err(Some(began + SECOND)));
        assert!(offer(&mut lines, ErrorKind::System, later).is_ok());
        assert_eq!(offer(&mut lines, ErrorKind::System, later), Err(None));
        let (due, next) = lines.take_due(began + SECOND);
        assert_eq!((due.len(), next), (1, Some(later + SECOND)));
        let (due, next) = lines.take_due(later + SECOND);
        assert_eq!((due.len(), next), (1, None));
    }

    #[test]
    fn kinds_are_told_apart_by_the_fault_of_tls_and_not_by_numbers() {
        let mut lines = ReportLines::default();
        let now = Instant::now();
        for limit in 0..1000 {
            let printed = offer(&mut lines, ErrorKind::LineTooLong { limit }, now);
            assert_eq!(printed.is_ok(), limit == 0);
        }
        assert!(offer(&mut lines, ErrorKind::Tls(TlsFault::NotTls), now).is_ok());
        assert!(offer(&mut lines, ErrorKind::Tls(TlsFault::Expired), now).is_ok());
        assert!(offer(&mut lines, ErrorKind::Tls(TlsFault::Expired), now).is_err());
        assert_eq!(lines.kinds.len(), 3);
    }

    #[test]
    fn a_close_prints_what_was_held_back_and_asks_for_no_timer() {
        let mut lines = ReportLines::default();
        let now = Instant::now();
        for _ in 0..3 {
            lines.offer(line(ErrorKind::Other), now);
        }
        let held: Vec<_> = lines.close().iter().map(ToString::to_string).collect();
        assert_eq!(held, ["forebay: a test: call: error (and 1 more)"]);
        assert_eq!(offer(&mut lines, ErrorKind::Other, now), Err(None));
        assert_eq!(lines.close().len(), 1, "a late report is kept for the reporter's own end");
    }
}
