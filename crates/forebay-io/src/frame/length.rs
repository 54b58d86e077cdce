//! Frames with their length in front.

use super::{FRAME_BYTES_MAX, FrameStep, Framing, len_of, put_all};
use crate::write::ItemBuffer;
use crate::{Error, ErrorKind, Result};

/// The largest number of bytes that a varint has: seven bits of 64 in each.
const VARINT_BYTES_MAX: usize = 10;

/// Frames that begin with the length of their content: one, two or four bytes, or a varint.
///
/// The length does not count itself. A length above the [limit](Self::limit) (1 MiB) is an error; one below it
/// reserves no memory until the bytes arrive. The content may be empty.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::LengthFraming;
///
/// let framing = LengthFraming::u16();
/// let (mut input, mut output) = forebay::pipe(4096);
/// output.write_frame(&framing, &[b"one ", b"frame"]).await?;
/// output.write_str("\0\x05hello").await?;
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"one frame");
/// assert_eq!(input.read_frame(&framing).await?.unwrap().as_slice(), b"hello");
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct LengthFraming {
    width: Width,
    little_endian: bool,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Fixed(usize),
    Varint,
}

/// The state of a length in front of a frame.
enum LengthState {
    Need(usize),
    Read { length: u64, header: usize },
    TooLong,
}

impl LengthFraming {
    /// Makes a length of one byte, so content of up to 255 bytes.
    pub fn u8() -> Self {
        Self::of(Width::Fixed(1))
    }

    /// Makes a length of two bytes, big-endian: content of up to 65,535 bytes.
    pub fn u16() -> Self {
        Self::of(Width::Fixed(2))
    }

    /// Makes a length of four bytes, big-endian.
    pub fn u32() -> Self {
        Self::of(Width::Fixed(4))
    }

    /// Makes a length of one to ten bytes with seven bits in each, the lowest first, as protobuf's delimited messages
    /// have it. The length is written in as few bytes as possible; longer forms are read, too.
    pub fn varint() -> Self {
        Self::of(Width::Varint)
    }

    fn of(width: Width) -> Self {
        Self { width, little_endian: false, limit: FRAME_BYTES_MAX }
    }

    /// Makes a length of two or four bytes little-endian.
    #[must_use]
    pub fn little_endian(mut self) -> Self {
        self.little_endian = true;
        self
    }

    /// Sets the largest number of bytes of content, when reading and when writing. Default: 1 MiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Returns the limit, or the largest number that the length can tell if that is smaller.
    fn content_max(&self) -> usize {
        match self.width {
            Width::Fixed(1) => self.limit.min(usize::from(u8::MAX)),
            Width::Fixed(2) => self.limit.min(usize::from(u16::MAX)),
            Width::Fixed(_) => self.limit.min(usize::try_from(u32::MAX).unwrap_or(usize::MAX)),
            Width::Varint => self.limit,
        }
    }

    fn length(&self, bytes: &[u8]) -> LengthState {
        match self.width {
            Width::Varint => varint(bytes),
            Width::Fixed(width) if bytes.len() < width => LengthState::Need(width),
            Width::Fixed(width) => {
                let add = |length, byte: &u8| length << 8 | u64::from(*byte);
                let header = &bytes[..width];
                let length = if self.little_endian {
                    header.iter().rev().fold(0, add)
                } else {
                    header.iter().fold(0, add)
                };
                LengthState::Read { length, header: width }
            }
        }
    }

    fn put_length(&self, length: usize, out: &mut ItemBuffer) {
        let Width::Fixed(width) = self.width else {
            return put_varint(length as u64, out);
        };
        let bytes = (length as u64).to_be_bytes();
        let mut bytes: [u8; 4] = [bytes[4], bytes[5], bytes[6], bytes[7]];
        let header = &mut bytes[4 - width..];
        if self.little_endian {
            header.reverse();
        }
        out.put_slice(header);
    }

    fn too_large(&self, what: &str) -> Error {
        let kind = ErrorKind::LimitExceeded { limit: self.content_max() as u64 };
        Error::new(kind, "frame").with_detail(format!("{what}; LengthFraming::limit sets this"))
    }
}

impl Framing for LengthFraming {
    fn find(&self, bytes: &[u8], _seen: usize) -> FrameStep {
        let (length, header) = match self.length(bytes) {
            LengthState::Need(count) => return FrameStep::Need(count),
            LengthState::TooLong => {
                let what = "the peer announced a frame by a varint of more than 64 bits";
                return FrameStep::Fatal(self.too_large(what));
            }
            LengthState::Read { length, header } => (length, header),
        };
        match usize::try_from(length).ok().filter(|length| *length <= self.content_max()) {
            None => {
                let what = format!("the peer announced a frame of {length} bytes");
                FrameStep::Fatal(self.too_large(&what))
            }
            Some(length) if bytes.len() - header < length => {
                FrameStep::Need(header.saturating_add(length))
            }
            Some(length) => {
                FrameStep::Frame { content: header..header + length, consumed: header + length }
            }
        }
    }

    fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
        let length = len_of(body);
        if length > self.content_max() {
            return Err(self.too_large(&format!("a frame of {length} bytes")));
        }
        out.reserve(VARINT_BYTES_MAX + length);
        self.put_length(length, out);
        put_all(body, out);
        Ok(())
    }

    fn bytes_max(&self) -> usize {
        self.content_max().saturating_add(VARINT_BYTES_MAX)
    }
}

/// Reads a varint from the front.
fn varint(bytes: &[u8]) -> LengthState {
    let mut length = 0_u64;
    for (at, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if at == VARINT_BYTES_MAX - 1 && bits > 1 {
            return LengthState::TooLong;
        }
        length |= bits << (7 * at);
        if byte & 0x80 == 0 {
            return LengthState::Read { length, header: at + 1 };
        }
    }
    if bytes.len() < VARINT_BYTES_MAX {
        LengthState::Need(bytes.len() + 1)
    } else {
        LengthState::TooLong
    }
}

fn put_varint(mut length: u64, out: &mut ItemBuffer) {
    while length >= 0x80 {
        out.put_u8(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.put_u8(length.to_le_bytes()[0]);
}
