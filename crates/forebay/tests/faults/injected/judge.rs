//! The faults that are held against a run, and the events that are only noted.

use std::fmt;
use std::os::unix::process::ExitStatusExt;

use super::program::{Ended, Injection};

/// An event that must not happen.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts of events that may happen.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Calls that were made to fail.
    pub(crate) hits: usize,
    /// Runs in which every client got the whole answer.
    pub(crate) unharmed: usize,
    /// A program ended in an error and said so.
    pub(crate) errors: usize,
    /// Answers that ended early, by an error.
    pub(crate) cut: usize,
    /// Answers that ended early, as if they were whole; the other side said that it had an error.
    pub(crate) short: usize,
    /// `println!` gave up because there was no standard output.
    pub(crate) println: usize,
    /// The program could not even be loaded.
    pub(crate) not_begun: usize,
}

impl Notes {
    pub(crate) fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.unharmed += other.unharmed;
        self.errors += other.errors;
        self.cut += other.cut;
        self.short += other.short;
        self.println += other.println;
        self.not_begun += other.not_begun;
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} unharmed, {} ended in an error, {} in println!, {} answers cut, {} short, {} not \
             begun",
            self.unharmed, self.errors, self.println, self.cut, self.short, self.not_begun
        )
    }
}

/// The part of an answer that a client got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) bytes: Vec<u8>,
    pub(crate) error: Option<std::io::Error>,
}

impl Got {
    /// A beginning of the right answer, or all of it; and no wait without end.
    pub(crate) fn judge(&self, right: &[u8], notes: &mut Notes) -> Result<bool, Fault> {
        if !right.starts_with(&self.bytes) {
            return Err(Fault(format!("wrong bytes: {}", different(&self.bytes, right))));
        }
        let whole = self.bytes.len() == right.len();
        match &self.error {
            Some(error) if is_timeout(error) => {
                return Err(Fault(format!("hangs after {} bytes", self.bytes.len())));
            }
            None if whole => return Ok(true),
            Some(_) => notes.cut += 1,
            None => notes.short += 1,
        }
        Ok(false)
    }
}

pub(crate) fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn different(bytes: &[u8], right: &[u8]) -> String {
    let same = bytes.iter().zip(right).take_while(|(one, other)| one == other).count();
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[same.min(bytes.len())..]).into_owned();
    let (found, expected) = (text(bytes), text(right));
    let short = |text: &str| text.chars().take(40).collect::<String>();
    format!("from {same} on {:?} instead of {:?}", short(&found), short(&expected))
}

impl Ended {
    /// It did not panic, nor die by a signal; and where it ended in an error, it said which.
    pub(crate) fn judge(&self, injection: Option<Injection>) -> Result<Notes, Fault> {
        let mut notes =
            Notes { hits: self.trace.matches("(INJECTED)").count(), ..Notes::default() };
        if self.stderr.contains("panicked") {
            // What README's server leaves to `println!`, whose documentation says so.
            if !self.stderr.contains("failed printing to stdout") {
                return Err(self.fault("panicked"));
            }
            notes.println += 1;
            return Ok(notes);
        }
        let Some(status) = self.status else { return Ok(notes) };
        if let Some(signal) = status.signal() {
            return Err(self.fault(&format!("died by signal {signal}")));
        }
        if status.code() == Some(127) && self.stderr.contains("shared libraries") {
            notes.not_begun += 1;
        } else if !status.success() {
            let says = self.stderr.trim();
            if status.code() != Some(1) || says.is_empty() || injection.is_none() {
                return Err(self.fault(&format!("ended with {status}")));
            }
            notes.errors += 1;
        }
        Ok(notes)
    }

    pub(crate) fn fault(&self, what: &str) -> Fault {
        let excerpt: String = self.stderr.trim().chars().take(400).collect();
        let calls: Vec<_> = self.trace.lines().filter(|line| line.contains("INJECTED")).collect();
        Fault(format!("{what}\n    stderr: {excerpt}\n    {}", calls.join("\n    ")))
    }
}
