//! Finds the place at which a text stops being the beginning of an IP address.
//!
//! The standard library parses the addresses; it tells only whether a text is one. These functions agree with it on
//! that, and tell the place.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Groups of an IPv6 address (RFC 4291, section 2.2). `::` stands for one group at least.
const GROUPS: usize = 8;
/// Groups that an IPv4 address at the end stands for.
const GROUPS_OF_V4: usize = 2;

/// Returns the place at which a text that is no IPv4 address in four decimal parts stops being the beginning of one.
pub(super) fn v4_fault(text: &str) -> Option<usize> {
    if text.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    let mut at = 0;
    for part in 0..4 {
        let digits = octet(&text[at..]);
        at += digits;
        match text.as_bytes().get(at) {
            Some(b'.') if digits > 0 && part < 3 => at += 1,
            _ => break,
        }
    }
    Some(at)
}

/// Returns how many digits at the beginning of a text are a number up to 255 without leading zeros.
fn octet(text: &str) -> usize {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count().min(3);
    let is_octet = |count: &usize| {
        let number = &text[..*count];
        *count == 1 || (!number.starts_with('0') && number.parse::<u8>().is_ok())
    };
    (1..=digits).rev().find(is_octet).unwrap_or(0)
}

/// Returns the place at which a text that is no IPv6 address stops being the beginning of one.
pub(super) fn v6_fault(text: &str) -> Option<usize> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return None;
    }
    let bytes = text.as_bytes();
    let mut groups = 0;
    let (mut at, mut has_gap) = match bytes {
        [b':', b':', ..] => (2, true),
        // One colon is the beginning of two.
        [b':', ..] => return Some(1),
        _ => (0, false),
    };
    loop {
        let groups_max = if has_gap { GROUPS - 1 } else { GROUPS };
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count().min(4);
        if groups == groups_max || digits == 0 {
            return Some(at);
        }
        let begin = at;
        at += digits;
        groups += 1;
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'.'), _) => {
                let with_v4 = groups - 1 + GROUPS_OF_V4;
                let fits = if has_gap { with_v4 <= groups_max } else { with_v4 == GROUPS };
                let number = &text[begin..at];
                let is_octet = octet(number) == number.len();
                let tail = if fits && is_octet { v4_fault(&text[begin..]) } else { None };
                return Some(tail.map_or(at, |fault| begin + fault));
            }
            (Some(b':'), _) if groups == groups_max => return Some(at),
            (Some(b':'), Some(b':')) if has_gap => return Some(at + 1),
            (Some(b':'), Some(b':')) => {
                has_gap = true;
                at += 2;
            }
            (Some(b':'), _) => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_place_is_the_first_character_that_does_not_fit() {
        let of_v4 = [
            ("", 0),
            ("1", 1),
            ("127.1", 5),
            ("127..0.1", 4),
            ("127.0.0.1.", 9),
            ("127.0.0.256", 10),
            ("0177.0.0.1", 1),
            ("127.0.0.01", 9),
            ("2130706433", 3),
            ("1.2.3.4.5", 7),
            ("1.2.3.4x", 7),
            (".1.2.3", 0),
        ];
        for (text, place) in of_v4 {
            assert_eq!(v4_fault(text), Some(place), "{text}");
        }
        let of_v6 = [
            ("", 0),
            (":", 1),
            (":1", 1),
            (":::1", 2),
            ("::1::", 4),
            ("1::2::3", 5),
            ("12345::", 4),
            ("1:2:3:4:5:6:7", 13),
            ("1:2:3:4:5:6:7:8:9", 15),
            ("1:2:3:4:5:6:7:8::", 15),
            ("::1:2:3:4:5:6:7:8", 15),
            ("1::2:3:4:5:6:7:8", 14),
            ("127.0.0.1", 3),
            ("::256.0.0.1", 5),
            ("::1.2.3", 7),
            ("::1.2.3.400", 10),
            ("1:2:3:4:5:6:7:1.2.3.4", 15),
            ("1:2:3:4:5:1.2.3.4", 11),
            ("::g", 2),
            ("::1 ", 3),
            ("::ü", 2),
            ("localhost", 0),
        ];
        for (text, place) in of_v6 {
            assert_eq!(v6_fault(text), Some(place), "{text}");
        }
    }

    /// Texts of which one completes any beginning of an address of IPv6.
    fn completions() -> Vec<String> {
        let begins =
            ["", "0", ":", "::", ":0", "0:", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0", "0.0.0.0"];
        let rests = (0..GROUPS).map(|count| ":0".repeat(count));
        let ends = ["", "::", "0::", ":0::"].map(str::to_owned);
        let rests: Vec<_> = rests.chain(ends).collect();
        begins
            .iter()
            .flat_map(|begin| rests.iter().map(move |rest| format!("{begin}{rest}")))
            .collect()
    }

    fn nearly(parts: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(parts), 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_place_in_ipv4_is_where_no_address_goes_on(
            text in nearly(&["0", "1", "25", "255", "256", ".", ".", ".", "x", "ü"]),
        ) {
            let completions = ["", "0", ".0", "0.0", ".0.0", "0.0.0", ".0.0.0", "0.0.0.0"];
            let goes_on = |begin: &str| {
                completions.iter().any(|rest| format!("{begin}{rest}").parse::<Ipv4Addr>().is_ok())
            };
            check(&text, v4_fault(&text), text.parse::<Ipv4Addr>().is_ok(), goes_on)?;
        }

        #[test]
        fn a_place_in_ipv6_is_where_no_address_goes_on(
            text in nearly(&["0", "1", "ff", "abcd", "12345", ":", ":", "::", "1.2.3.4", ".", "g", "ü"]),
        ) {
            let completions = completions();
            let goes_on = |begin: &str| {
                completions.iter().any(|rest| format!("{begin}{rest}").parse::<Ipv6Addr>().is_ok())
            };
            check(&text, v6_fault(&text), text.parse::<Ipv6Addr>().is_ok(), goes_on)?;
        }
    }

    fn check(
        text: &str,
        fault: Option<usize>,
        is_address: bool,
        goes_on: impl Fn(&str) -> bool,
    ) -> Result<(), TestCaseError> {
        prop_assert_eq!(fault.is_none(), is_address, "{}", text);
        let Some(at) = fault else { return Ok(()) };
        prop_assert!(goes_on(&text[..at]), "{} is refused too early, at {}", text, at);
        if let Some(found) = text[at..].chars().next() {
            let beyond = &text[..at + found.len_utf8()];
            prop_assert!(!goes_on(beyond), "{} is refused too late, at {}", text, at);
        }
        Ok(())
    }
}
