//! The form of a host's name, for the crates that take one from a user.

/// The longest name in bytes, without its trailing dot (RFC 1035 section 3.1, as text).
pub const HOST_NAME_MAX: usize = 253;

/// The longest label, the part between two dots, in bytes (RFC 1035 section 2.3.4).
pub const LABEL_MAX: usize = 63;

/// A reason why a text is not the name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNameFault {
    /// It is not ASCII.
    NotAscii,
    /// It holds another character than letters, digits, hyphens, underscores and dots.
    Character(char),
    /// It has this many bytes, which is more than [`HOST_NAME_MAX`].
    TooLong(usize),
    /// A label is empty.
    EmptyLabel,
    /// A label has this many bytes, which is more than [`LABEL_MAX`].
    LongLabel(usize),
    /// Its last label is a number, so that `inet_aton`, or a browser (WHATWG URL, "ends in a number"), reads
    /// the name as an IPv4 address.
    EndsInNumber,
}

impl HostNameFault {
    /// Returns the place of the fault in the text, in bytes.
    pub fn position(self, text: &str) -> usize {
        let name = text.strip_suffix('.').unwrap_or(text);
        let mut labels = name.split('.').scan(0, |next, label| {
            let at = *next;
            *next += label.len() + 1;
            Some((at, label))
        });
        let found = match self {
            Self::NotAscii => text.find(|c: char| !c.is_ascii()),
            Self::Character(wrong) => text.find(wrong),
            Self::TooLong(_) => Some(HOST_NAME_MAX),
            Self::EmptyLabel => labels.find(|(_, label)| label.is_empty()).map(|(at, _)| at),
            Self::LongLabel(_) => {
                labels.find(|(_, label)| label.len() > LABEL_MAX).map(|(at, _)| at + LABEL_MAX)
            }
            Self::EndsInNumber => labels.last().map(|(at, _)| at),
        };
        found.unwrap_or(text.len())
    }
}

/// Returns the reason why the text is not the name of a host, if there is one. A dot at the end is allowed.
pub fn host_name_fault(text: &str) -> Option<HostNameFault> {
    if !text.is_ascii() {
        return Some(HostNameFault::NotAscii);
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(wrong) = text.chars().find(|c| !is_allowed(*c)) {
        return Some(HostNameFault::Character(wrong));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > HOST_NAME_MAX {
        return Some(HostNameFault::TooLong(name.len()));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Some(HostNameFault::EmptyLabel);
        }
        if label.len() > LABEL_MAX {
            return Some(HostNameFault::LongLabel(label.len()));
        }
    }
    let ends_in_number = name.rsplit('.').next().is_some_and(is_number);
    ends_in_number.then_some(HostNameFault::EndsInNumber)
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
        || label.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{HostNameFault, host_name_fault};

    #[test]
    fn each_text_that_is_no_name_has_its_fault() {
        for name in ["localhost", "example.com", "example.com.", "_dmarc.a-b.c", "1.example", "0xg"]
        {
            assert_eq!(host_name_fault(name), None, "{name}");
        }
        let (long, label) = ("a.".repeat(126) + "bc", "a".repeat(64));
        let faults = [
            ("m\u{fc}ller.de", HostNameFault::NotAscii, 1),
            ("a b", HostNameFault::Character(' '), 1),
            ("host:80", HostNameFault::Character(':'), 4),
            (&long, HostNameFault::TooLong(254), 253),
            ("", HostNameFault::EmptyLabel, 0),
            ("a..b", HostNameFault::EmptyLabel, 2),
            (&label, HostNameFault::LongLabel(64), 63),
            ("127.1", HostNameFault::EndsInNumber, 4),
            ("a.0x7F", HostNameFault::EndsInNumber, 2),
        ];
        for (text, fault, position) in faults {
            assert_eq!(host_name_fault(text), Some(fault), "{text}");
            assert_eq!(fault.position(text), position, "{text}");
        }
    }
}
