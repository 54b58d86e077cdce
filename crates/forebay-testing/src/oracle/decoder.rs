//! Any bytes as the choices of a test: a fuzzer's input, or a file of its corpus.

/// Takes choices from the front. Where the bytes have ended, every choice is the first one.
#[derive(Debug)]
pub(super) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Returns a number below this one.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Returns a size: mostly small, sometimes beside a boundary of the library's.
    pub(super) fn size(&mut self) -> usize {
        let (kind, fine) = (self.byte(), usize::from(self.byte()));
        match kind % 8 {
            0..=4 => fine % 50,
            5 => 1024 + fine,
            6 => (16 << (kind / 8 % 3)) * 1024 + fine % 5 - 2,
            _ => fine * 300,
        }
    }

    /// Returns a piece of at least `least` bytes, and less than `end`, as they stand.
    pub(super) fn piece(&mut self, least: usize, end: usize) -> Vec<u8> {
        let len = least + self.below(end - least);
        (0..len).map(|_| self.byte()).collect()
    }
}
