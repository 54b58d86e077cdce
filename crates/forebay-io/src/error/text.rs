//! The text of an error: one line, and the causes below it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::convert::kind_of;
use super::{Error, ErrorKind};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        for context in inner.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        // Errors of the user's own have no operation, and many have no address.
        match (inner.operation, &inner.address) {
            ("", None) => {}
            ("", Some(address)) => write!(f, "{address}: ")?,
            (operation, None) => write!(f, "{operation}: ")?,
            (operation, Some(address)) => write!(f, "{operation} {address}: ")?,
        }
        match self.cause_text() {
            None => write!(f, "{}", inner.kind)?,
            // These two kinds say nothing beyond the cause, whose text therefore replaces theirs.
            Some(cause) if matches!(inner.kind, ErrorKind::Other | ErrorKind::System) => {
                f.write_str(&cause)?;
            }
            Some(cause) => write!(f, "{} ({})", inner.kind, without_parentheses(&cause))?,
        }
        match &inner.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// The `Display` line and the causes behind the direct one, which the line contains; `{:#?}` prints the
/// fields.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.fmt_fields(f);
        }
        let line = self.to_string();
        f.write_str(&line)?;
        let below = self.causes_below(&line);
        if !below.is_empty() {
            f.write_str("\n\nCaused by:")?;
        }
        for (index, cause) in below.iter().enumerate() {
            match below.len() {
                1 => write!(f, "\n    {cause}")?,
                _ => write!(f, "\n    {index}: {cause}")?,
            }
        }
        Ok(())
    }
}

impl Error {
    /// Returns the cause's part of the line; `None` where the line says the same without it.
    fn cause_text(&self) -> Option<String> {
        let inner = &*self.0;
        let cause = inner.cause.as_deref()?;
        // The detail is a translation of the TLS library's error, whose own text may hold all names of a
        // peer's certificate, however long and with whatever characters.
        if matches!(inner.kind, ErrorKind::Tls(_)) && inner.detail.is_some() {
            return None;
        }
        if let Some(system) = cause.downcast_ref::<io::Error>()
            && kind_of(system) == inner.kind
        {
            match system.raw_os_error() {
                Some(number) if names_its_number(inner.kind) => {
                    return Some(format!("os error {number}"));
                }
                // A bare kind of std, whose text has only other words for this kind's.
                None if system.get_ref().is_none() && inner.kind != ErrorKind::System => {
                    return None;
                }
                Some(_) | None => {}
            }
        }
        let text = cause.to_string();
        let stands = |part: &str| part.contains(&text);
        let is_told = stands(&inner.kind.to_string())
            || inner.detail.as_deref().is_some_and(stands)
            || inner.context.iter().any(|context| stands(context));
        (!is_told && !text.is_empty()).then_some(text)
    }

    /// Returns the texts of the causes behind the direct one, without those that a text in front contains.
    fn causes_below(&self, line: &str) -> Vec<String> {
        let mut texts = Vec::new();
        let mut next = self.0.cause.as_deref().and_then(StdError::source);
        while let Some(cause) = next {
            let text = cause.to_string();
            // A line may have only the number of a system's error.
            let number = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
            let number = number.map(|number| format!("os error {number})"));
            let is_told = |told: &str| {
                told.contains(&text) || number.as_ref().is_some_and(|number| told.contains(number))
            };
            if !is_told(line) && !texts.iter().any(|text: &String| is_told(text)) {
                texts.push(text);
            }
            next = cause.source();
        }
        texts
    }

    fn fmt_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("message", &self.to_string())
            .field("operation", &inner.operation)
            .field("address", &inner.address)
            .field("detail", &inner.detail)
            .field("context", &inner.context)
            .field("source", &inner.cause)
            .field("attempts", &self.attempts())
            .field("position", &self.position())
            .finish()
    }
}

/// Returns `true` for a kind whose words are those of the system's errors that it stands for. Their number
/// then says which of them it was.
fn names_its_number(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Reset
            | ErrorKind::Refused
            | ErrorKind::TimedOut
            | ErrorKind::AddressInUse
            | ErrorKind::AddressNotAvailable
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidInput
    )
}

/// Turns the system's `text (os error 2)` into `text, os error 2`, which stands in parentheses itself.
fn without_parentheses(cause: &str) -> String {
    match cause.strip_suffix(')').and_then(|cause| cause.rsplit_once(" (os error ")) {
        Some((text, number)) => format!("{text}, os error {number}"),
        None => cause.to_owned(),
    }
}
