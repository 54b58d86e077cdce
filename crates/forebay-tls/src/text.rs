//! Lists, times and names in messages. `forebay-io` makes a peer's text printable.

use std::fmt::Write as _;
use std::time::Duration;

use der::DateTime;

/// The longest part of a message that one name may take. The longest DNS name has 253 characters.
pub(crate) const NAME_MAX: usize = 256;

/// Joins names for a sentence: `a, b and c`, with the number of further names above `max`.
pub(crate) fn list(names: &[impl AsRef<str>], max: usize) -> String {
    let shown = names.len().min(max);
    let more = names.len() - shown;
    let mut out = String::new();
    for (index, name) in names.iter().take(shown).enumerate() {
        match index {
            0 => {}
            _ if index + 1 == names.len() => out.push_str(" and "),
            _ => out.push_str(", "),
        }
        out.push_str(name.as_ref());
    }
    if more > 0 {
        // Writing to a string cannot fail.
        write!(out, " and {more} more").unwrap_or_default();
    }
    out
}

/// Formats seconds since 1970 as a date and time in UTC.
pub(crate) fn utc(seconds: i64) -> String {
    let since_1970 = u64::try_from(seconds).ok().map(Duration::from_secs);
    match since_1970.and_then(|time| DateTime::from_unix_duration(time).ok()) {
        Some(time) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minutes(),
            time.seconds()
        ),
        None => format!("{seconds} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::{list, utc};

    #[test]
    fn lists_read_as_sentences_and_end() {
        assert_eq!(list(&["a"], 3), "a");
        assert_eq!(list(&["a", "b"], 3), "a and b");
        assert_eq!(list(&["a", "b", "c"], 3), "a, b and c");
        assert_eq!(list(&["a", "b", "c", "d", "e"], 3), "a, b, c and 2 more");
    }

    #[test]
    fn times_are_those_of_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(utc(i64::MAX), "9223372036854775807 s after 1970");
    }
}
