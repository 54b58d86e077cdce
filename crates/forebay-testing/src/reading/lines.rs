//! Lines by every rule, and whatever else is read between them.

use forebay_io::{LineEnding, LineOptions, TooLong};

use super::oracle::Rules;
use super::{Head, Run, answer, kinds};
use crate::{cut_after, finish};

/// Reads the lines of a case as the oracle does.
pub fn lines(case: &[u8]) {
    let mut head = Head(case);
    let rules = Rules {
        ending: [
            LineEnding::Default,
            LineEnding::Lenient,
            LineEnding::CrlfOnly,
            LineEnding::LfOnly,
        ][head.below(4)],
        too_long: [TooLong::Fail, TooLong::Skip, TooLong::Cut][head.below(3)],
        strict: head.is_set(),
        replaces: head.is_set(),
        limit: [0, 1, 2, 3, 4, 5, 8, usize::MAX][head.below(8)],
    };
    let bytes_too = head.is_set();
    let mut run = Run::new(head, |head| head.0.to_vec());
    run.set(rules);
    for _ in 0..2 * run.oracle.input.len() + 8 {
        match run.random.below(8) {
            0 if bytes_too => run.call_for_bytes(),
            1 if bytes_too && run.random.below(4) == 0 => run.change_rules(),
            _ => run.call_for_lines(),
        }
        run.assert_same_place();
    }
    run.finish();
}

impl Run {
    fn set(&mut self, rules: Rules) {
        let options = LineOptions::new()
            .ending(rules.ending)
            .too_long(rules.too_long)
            .strict(rules.strict)
            .replace_invalid(rules.replaces)
            .limit(rules.limit);
        self.oracle.rules = rules;
        self.oracle.is_cut_off = false;
        self.channel.set_line_options(options);
    }

    fn change_rules(&mut self) {
        let mut rules = self.oracle.rules;
        match self.random.below(4) {
            0 => rules.ending = LineEnding::Lenient,
            1 => rules.ending = LineEnding::CrlfOnly,
            2 => rules.limit = self.random.below(6),
            _ => rules.strict = !rules.strict,
        }
        self.set(rules);
    }

    fn call_for_lines(&mut self) {
        let polls = self.polls();
        let Self { channel, oracle, random } = self;
        match random.below(7) {
            0 | 1 => {
                let line = answer!(polls, channel.read_line());
                assert_eq!(line.map(|line| line.map(String::into_bytes)), oracle.line(true));
            }
            2 => {
                if let Some(polls) = polls
                    && let Some(line) = cut_after(polls, channel.read_line_ref())
                {
                    let line = kinds(line).map(|line| line.map(|line| line.as_bytes().to_vec()));
                    return assert_eq!(line, oracle.line(true));
                }
                let line = kinds(finish(channel.read_line_ref()));
                let line = line.map(|line| line.map(|line| line.as_bytes().to_vec()));
                assert_eq!(line, oracle.line(true));
            }
            3 => {
                if let Some(polls) = polls
                    && let Some(line) = cut_after(polls, channel.read_line_bytes_ref())
                {
                    return assert_eq!(
                        kinds(line).map(|line| line.map(<[u8]>::to_vec)),
                        oracle.line(false)
                    );
                }
                let line = kinds(finish(channel.read_line_bytes_ref()));
                assert_eq!(line.map(|line| line.map(<[u8]>::to_vec)), oracle.line(false));
            }
            4 => {
                let mut text = String::from("before:");
                let is_line = answer!(polls, channel.read_line_into(&mut text));
                let expected = oracle.line(true);
                assert_eq!(is_line, expected.as_ref().map(Option::is_some).map_err(|kind| *kind));
                let appended = expected.ok().flatten().unwrap_or_default();
                assert_eq!(text.as_bytes(), [b"before:", &appended[..]].concat());
            }
            5 => {
                let count = 1 + random.below(4);
                // Lines that were lent and not taken are still there.
                if let Some(polls) = polls {
                    drop(cut_after(polls, channel.read_lines_ref()));
                }
                let lines = match kinds(finish(channel.read_lines_ref())) {
                    Ok(Some(lines)) => lines,
                    Ok(None) => return assert_eq!(oracle.line(true), Ok(None)),
                    Err(kind) => return assert_eq!(oracle.line(true), Err(kind)),
                };
                let mut taken = 0;
                for line in lines.take(count) {
                    taken += 1;
                    assert_eq!(oracle.line(true), Ok(Some(line.as_bytes().to_vec())));
                }
                assert!(taken > 0, "no line was lent");
            }
            _ => {
                let skipped = answer!(polls, channel.skip_line());
                assert_eq!(skipped, oracle.skip_line());
            }
        }
    }
}
