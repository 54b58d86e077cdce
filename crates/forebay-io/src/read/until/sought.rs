//! The search for a delimiter, in bytes that arrive in pieces.

use memchr::memmem::{self, Finder};

use crate::read::Buffer;

/// A search that has not found its delimiter yet. It never examines a byte again that was examined when it arrived: what
/// may be the beginning of a delimiter is remembered as a number.
///
/// ```text
///   readable bytes  ___________________________________________________
///                  | no delimiter begins here |  its beginning  |  not examined
///                  0                                         scanned
///                                             |<--- partial --->|
/// ```
///
/// Invariants: `partial < delimiter length`, `partial <= scanned`; `partial` is the largest number of bytes in front of
/// `scanned` with which the delimiter begins.
#[derive(Debug)]
pub(crate) struct Sought {
    /// The position in the stream of the first readable byte. With another one, this search is over.
    position: u64,
    finder: Finder<'static>,
    /// For each beginning of the delimiter, the length of the longest shorter one that it ends with (Knuth, Morris and
    /// Pratt).
    borders: Box<[usize]>,
    scanned: usize,
    partial: usize,
    #[cfg(test)]
    steps: usize,
}

/// The outcome of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// The delimiter is here, behind so many bytes.
    Found(usize),
    /// Wherever it is, there are more bytes in front of it than allowed.
    BeyondLimit,
    /// It may come. Then there are at least so many bytes with it.
    NotYet { needed: usize },
}

impl Sought {
    /// Begins a search behind `arrived`, in which the delimiter is not.
    fn behind(arrived: &[u8], delimiter: &[u8], position: u64) -> Self {
        let finder = Finder::new(delimiter).into_owned();
        let borders = borders(delimiter);
        let mut sought = Self {
            position,
            finder,
            borders,
            scanned: 0,
            partial: 0,
            #[cfg(test)]
            steps: 0,
        };
        sought.note_tail(arrived, 0);
        sought
    }

    /// Returns `true` if this is a search for that delimiter, from that position of the stream on.
    fn is_for(&self, delimiter: &[u8], position: u64) -> bool {
        self.position == position && self.finder.needle() == delimiter
    }

    /// Returns `true` if this search began at that position of the stream.
    pub(crate) fn began_at(&self, position: u64) -> bool {
        self.position == position
    }

    /// Goes on with the search in what has arrived.
    fn go_on(&mut self, arrived: &[u8]) -> Option<usize> {
        let length = self.finder.needle().len();
        let mut at = self.scanned.min(arrived.len());
        while self.partial > 0 && at < arrived.len() {
            self.advance(arrived[at]);
            at += 1;
            if self.partial == length {
                return Some(at - length);
            }
            self.scanned = at;
        }
        // Nothing in front of here is part of a delimiter.
        if let Some(found) = self.finder.find(&arrived[at..]) {
            return Some(at + found);
        }
        self.note_tail(arrived, at);
        None
    }

    /// Notes that the delimiter is not in `arrived`, of which those from `from` on have not been examined.
    fn note_tail(&mut self, arrived: &[u8], from: usize) {
        if from == arrived.len() {
            return;
        }
        let longest = self.finder.needle().len() - 1;
        for &byte in &arrived[from.max(arrived.len().saturating_sub(longest))..] {
            self.advance(byte);
        }
        self.scanned = arrived.len();
    }

    fn advance(&mut self, byte: u8) {
        let delimiter = self.finder.needle();
        while self.partial > 0 && delimiter[self.partial] != byte {
            self.partial = self.borders[self.partial - 1];
            #[cfg(test)]
            (self.steps += 1);
        }
        #[cfg(test)]
        (self.steps += 1);
        self.partial += usize::from(delimiter[self.partial] == byte);
    }

    #[cfg(test)]
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Returns the number of comparisons, but for those of the finder.
    #[cfg(test)]
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// Returns the first place at which the delimiter can still be.
    fn earliest(&self) -> usize {
        self.scanned - self.partial
    }
}

fn borders(delimiter: &[u8]) -> Box<[usize]> {
    let mut borders = vec![0; delimiter.len()];
    let mut border = 0;
    for at in 1..delimiter.len() {
        while border > 0 && delimiter[at] != delimiter[border] {
            border = borders[border - 1];
        }
        border += usize::from(delimiter[at] == delimiter[border]);
        borders[at] = border;
    }
    borders.into()
}

impl Buffer {
    /// Searches the bytes that no earlier search for this delimiter has seen.
    pub(super) fn search(&mut self, delimiter: &[u8], limit: usize) -> Search {
        let position = self.position();
        let (readable, front) = self.readable_and_front();
        // A delimiter that is not among these is too far away.
        let window = limit.saturating_add(delimiter.len()).min(readable.len());
        let arrived = &readable[..window];
        let known = front.take_sought().filter(|sought| sought.is_for(delimiter, position));
        let unfinished = if let Some(mut known) = known {
            if let Some(at) = known.go_on(arrived) {
                return Search::Found(at);
            }
            known
        } else {
            // The usual case: the delimiter is there already, and nothing is noted.
            if let Some(at) = memmem::find(arrived, delimiter) {
                return Search::Found(at);
            }
            Box::new(Sought::behind(arrived, delimiter, position))
        };
        let earliest = unfinished.earliest();
        front.keep_sought(unfinished);
        if earliest > limit {
            return Search::BeyondLimit;
        }
        Search::NotYet { needed: earliest + delimiter.len() }
    }
}
