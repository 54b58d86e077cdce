//! Makes a peer's text fit for a message: no control characters, and a limited length.

use std::fmt::Write as _;
use std::time::Duration;

use der::DateTime;

/// The longest part of a message that one name may take. The longest DNS name has 253 characters.
pub(crate) const NAME_MAX: usize = 256;

/// Escapes characters that could move a terminal's cursor or change its writing direction, and cuts after
/// `max` characters of the original.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for (count, char) in text.chars().enumerate() {
        if count == max {
            out.push('…');
            break;
        }
        if char.is_control() || turns_writing(char) {
            out.extend(char.escape_unicode());
        } else {
            out.push(char);
        }
    }
    out
}

/// Returns `true` for the marks and overrides of bidirectional text and for characters without width, which
/// can make a name look like another.
fn turns_writing(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

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
    use super::{clean, list, utc};

    #[test]
    fn what_moves_a_cursor_is_escaped() {
        assert_eq!(clean("a\u{1b}[2J\nb", 100), "a\\u{1b}[2J\\u{a}b");
        assert_eq!(clean("moc.\u{202e}live", 100), "moc.\\u{202e}live");
        assert_eq!(clean("pay\u{ad}p\u{2060}al", 100), "pay\\u{ad}p\\u{2060}al");
        assert_eq!(clean("müller & söhne", 100), "müller & söhne");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(clean(&"x".repeat(300), 8), "xxxxxxxx…");
        assert_eq!(clean("12345678", 8), "12345678");
    }

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
