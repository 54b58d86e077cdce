//! Makes a stranger's text fit for a message: no control characters, and a limited length.

/// Escapes characters that could move a terminal's cursor or change its writing direction, and cuts after
/// `max` characters of the original.
pub fn printable(text: &str, max: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_moves_a_cursor_is_escaped() {
        assert_eq!(printable("a\u{1b}[2J\nb", 100), "a\\u{1b}[2J\\u{a}b");
        assert_eq!(printable("moc.\u{202e}live", 100), "moc.\\u{202e}live");
        assert_eq!(printable("pay\u{ad}p\u{2060}al", 100), "pay\\u{ad}p\\u{2060}al");
        assert_eq!(printable("müller & söhne", 100), "müller & söhne");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(printable(&"x".repeat(300), 8), "xxxxxxxx…");
        assert_eq!(printable("12345678", 8), "12345678");
    }
}
