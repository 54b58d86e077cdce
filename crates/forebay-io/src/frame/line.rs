//! Lines as frames: bytes, not text.

use memchr::memchr;

use super::{FrameStep, Framing, FramingKey, Key, len_of, put_all};
use crate::write::ItemBuffer;
use crate::{Error, ErrorKind, Result};

/// The limit of a line's content unless [`LineFraming::limit`] sets another: 64 KiB.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Lines that end with LF or CRLF, as frames: their content is bytes and need not be UTF-8.
///
/// A CR that no LF follows is content. The end of the input ends a last line. Content of more than the
/// [limit](Self::limit) (64 KiB) is an error.
///
/// A body that contains LF, or that ends with CR where lines are written with LF alone, cannot be written.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::{ByteReadChannel, LineFraming};
///
/// let mut input = ByteReadChannel::from(&b"caf\xe9\r\n\nlast"[..]);
/// let framing = LineFraming::new();
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"caf\xe9");
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"");
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"last");
/// assert!(input.read_frame(&framing).await?.is_none());
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct LineFraming {
    limit: usize,
    crlf: bool,
}

impl LineFraming {
    /// Makes a framing with the default limit, which writes LF.
    pub fn new() -> Self {
        Self { limit: LINE_BYTES_MAX, crlf: false }
    }

    /// Sets the largest number of bytes of content, when reading and when writing. Default: 64 KiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Ends written lines with CRLF. Both are read in any case.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.crlf = true;
        self
    }

    fn too_long(&self) -> Error {
        let kind = ErrorKind::LimitExceeded { limit: self.limit as u64 };
        Error::new(kind, "frame").with_detail("a longer line; LineFraming::limit sets this")
    }

    fn checked(&self, content: usize, consumed: usize) -> FrameStep {
        if content > self.limit {
            return FrameStep::Fatal(self.too_long());
        }
        FrameStep::Frame { content: 0..content, consumed }
    }
}

impl Default for LineFraming {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing for LineFraming {
    fn find(&self, bytes: &[u8], seen: usize) -> FrameStep {
        // An LF behind this comes too late.
        let window = &bytes[..bytes.len().min(self.bytes_max())];
        let from = seen.min(window.len());
        if let Some(at) = memchr(b'\n', &window[from..]) {
            let at = from + at;
            let ends_with_cr = at > 0 && window[at - 1] == b'\r';
            return self.checked(at - usize::from(ends_with_cr), at + 1);
        }
        // A CR just behind the limit may be half of the line's end.
        let may_end = match bytes.get(self.limit) {
            None => true,
            Some(b'\r') => bytes.len() == self.limit + 1,
            Some(_) => false,
        };
        if may_end { FrameStep::Need(bytes.len() + 1) } else { FrameStep::Fatal(self.too_long()) }
    }

    fn find_last(&self, bytes: &[u8], seen: usize) -> FrameStep {
        match self.find(bytes, seen) {
            FrameStep::Need(_) => self.checked(bytes.len(), bytes.len()),
            step => step,
        }
    }

    fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
        let length = len_of(body);
        if length > self.limit {
            return Err(self.too_long());
        }
        let start = out.len();
        out.reserve(length + 2);
        put_all(body, out);
        let line = &out.as_slice()[start..];
        if memchr(b'\n', line).is_some() || (!self.crlf && line.ends_with(b"\r")) {
            let error = Error::new(ErrorKind::InvalidInput, "frame");
            return Err(
                error.with_detail("the body would end the line earlier, or lose its last CR")
            );
        }
        out.put_slice(if self.crlf { b"\r\n" } else { b"\n" });
        Ok(())
    }

    fn bytes_max(&self) -> usize {
        self.limit.saturating_add(2)
    }

    fn key(&self) -> Option<FramingKey> {
        Some(FramingKey(Key::Line(self.limit)))
    }
}
