//! Frames with a mark behind them.

use memchr::memmem::Finder;

use super::{FRAME_BYTES_MAX, FrameStep, Framing, FramingKey, len_of, put_all};
use crate::write::ItemBuffer;
use crate::{Error, ErrorKind, Result};

/// Frames that end with a mark of one or more bytes, which is not part of their content.
///
/// The first mark ends a frame, also if it overlaps with something that looks like its beginning. Content of more
/// than the [limit](Self::limit) (1 MiB) is an error, found as soon as no mark can make it shorter. An input that
/// ends without a mark ends in the middle of a frame, unless [`rest_at_end`](Self::rest_at_end) is set.
///
/// A body that contains the mark, or makes one together with it, cannot be written.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::{ByteReadChannel, DelimiterFraming};
///
/// let framing = DelimiterFraming::new("--");
/// let mut input = ByteReadChannel::from("one--two---");
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"one");
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"two");
/// assert!(input.read_frame(&framing).await.is_err_and(|error| error.is_end()));
///
/// let rest = input.read_frame(&framing.rest_at_end()).await?;
/// assert_eq!(rest.unwrap().as_slice(), b"-");
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct DelimiterFraming {
    finder: Finder<'static>,
    limit: usize,
    rest_at_end: bool,
    key: FramingKey,
}

impl DelimiterFraming {
    /// Makes a framing with this mark.
    ///
    /// # Panics
    ///
    /// Panics if the mark is empty: there would be one everywhere.
    pub fn new(mark: impl AsRef<[u8]>) -> Self {
        let mark = mark.as_ref();
        assert!(!mark.is_empty(), "a DelimiterFraming needs a mark of at least one byte");
        Self {
            finder: Finder::new(mark).into_owned(),
            limit: FRAME_BYTES_MAX,
            rest_at_end: false,
            key: FramingKey::unique(),
        }
    }

    /// Sets the largest number of bytes of content, when reading and when writing. Default: 1 MiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        // Bytes that another limit has hidden were not searched.
        self.key = FramingKey::unique();
        self
    }

    /// Takes what is behind the last mark, if there is anything, for a frame when the input ends.
    #[must_use]
    pub fn rest_at_end(mut self) -> Self {
        self.rest_at_end = true;
        self
    }

    fn mark(&self) -> &[u8] {
        self.finder.needle()
    }

    fn too_large(&self) -> Error {
        let kind = ErrorKind::LimitExceeded { limit: self.limit as u64 };
        Error::new(kind, "frame").with_detail("DelimiterFraming::limit sets this")
    }
}

impl Framing for DelimiterFraming {
    fn find(&self, bytes: &[u8], seen: usize) -> FrameStep {
        let mark = self.mark().len();
        // A mark that ends behind this comes too late.
        let window = &bytes[..bytes.len().min(self.bytes_max())];
        // A mark may begin in the bytes that were seen, and end behind them.
        let from = seen.saturating_sub(mark - 1).min(window.len());
        if let Some(at) = self.finder.find(&window[from..]) {
            let at = from + at;
            return FrameStep::Frame { content: 0..at, consumed: at + mark };
        }
        if window.len() == self.bytes_max() {
            return FrameStep::Fatal(self.too_large());
        }
        FrameStep::Need(bytes.len() + 1)
    }

    fn find_last(&self, bytes: &[u8], seen: usize) -> FrameStep {
        match self.find(bytes, seen) {
            FrameStep::Need(_) if self.rest_at_end && bytes.len() <= self.limit => {
                FrameStep::Frame { content: 0..bytes.len(), consumed: bytes.len() }
            }
            FrameStep::Need(_) if self.rest_at_end => FrameStep::Fatal(self.too_large()),
            step => step,
        }
    }

    fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
        let length = len_of(body);
        if length > self.limit {
            return Err(self.too_large());
        }
        let start = out.len();
        out.reserve(length + self.mark().len());
        put_all(body, out);
        out.put_slice(self.mark());
        // A reader ends the frame at the first mark, which may begin in the body and end in the mark behind it.
        if self.finder.find(&out.as_slice()[start..]) == Some(length) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::InvalidInput, "frame");
        Err(error.with_detail("the body contains the mark that would end the frame"))
    }

    fn bytes_max(&self) -> usize {
        self.limit.saturating_add(self.mark().len())
    }

    fn key(&self) -> Option<FramingKey> {
        Some(self.key)
    }
}
