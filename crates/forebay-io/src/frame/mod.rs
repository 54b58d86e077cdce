//! Messages on a stream of bytes: where one ends, and how one is written.

mod delimiter;
mod length;
mod line;

use std::ops::Range;

pub use self::delimiter::DelimiterFraming;
pub use self::length::LengthFraming;
pub use self::line::LineFraming;
use crate::sync::StaticCounter;
use crate::sync::atomic::Ordering::Relaxed;
use crate::write::ItemBuffer;
use crate::{Error, Result};

/// The limit of a frame unless its framing sets another: 1 MiB.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// A way to find messages, called frames, in a stream of bytes, and to write them.
///
/// Ready-made are [`LengthFraming`] (a length in front), [`DelimiterFraming`] (a mark behind) and
/// [`LineFraming`] (lines as bytes). A program's own needs two functions. It keeps no state about a channel, so
/// one value serves any number of them.
///
/// # Examples
///
/// Frames of a type, a length and a body; frames of type 0 are keep-alives, and skipped:
///
/// ```
/// # use forebay_io as forebay;
/// use forebay::{Error, FrameStep, Framing, ItemBuffer, Result};
///
/// struct Typed;
///
/// impl Framing for Typed {
///     fn find(&self, bytes: &[u8], _seen: usize) -> FrameStep {
///         match *bytes {
///             [kind, ..] if kind > 9 => FrameStep::Fatal(Error::other(format!("type {kind}"))),
///             [kind, length, ..] => {
///                 let end = 2 + usize::from(length);
///                 match (bytes.len() < end, kind) {
///                     (true, _) => FrameStep::Need(end),
///                     (false, 0) => FrameStep::Skip(end),
///                     (false, _) => FrameStep::Frame { content: 0..end, consumed: end },
///                 }
///             }
///             _ => FrameStep::Need(2),
///         }
///     }
///
///     fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()> {
///         // The body brings its type and length with it.
///         out.put_slice(&body.concat());
///         Ok(())
///     }
/// }
/// # futures_lite::future::block_on(async {
///
/// let (mut input, mut output) = forebay::pipe(4096);
/// output.write_frame(&Typed, &[&[0, 0]]).await?;
/// output.write_frame(&Typed, &[&[3, 2], b"hi"]).await?;
/// output.finish().await?;
/// let frame = input.read_frame(&Typed).await?;
/// assert_eq!(frame.unwrap().as_slice(), [3, 2, b'h', b'i']);
/// assert!(input.read_frame(&Typed).await?.is_none());
/// # Result::Ok(()) }).unwrap();
/// ```
pub trait Framing {
    /// Looks for a frame at the front of `bytes`, which are at least one byte and all that have arrived.
    ///
    /// The first `seen` of them were there when this function last answered [`Need`](FrameStep::Need) for the same
    /// frame, so a search for an end may start there. `seen` is 0 if there was no such call, also after a
    /// [`read_frame`](crate::ByteReadChannel::read_frame) that was dropped, unless the framing has a
    /// [`key`](Self::key).
    fn find(&self, bytes: &[u8], seen: usize) -> FrameStep;

    /// Looks for a frame when the input has ended behind `bytes`. A `Need` is then an
    /// [`UnexpectedEnd`](crate::ErrorKind::UnexpectedEnd). By default this is [`find`](Self::find).
    fn find_last(&self, bytes: &[u8], seen: usize) -> FrameStep {
        self.find(bytes, seen)
    }

    /// Composes a frame around the pieces of a body.
    ///
    /// # Errors
    ///
    /// Any error: the frame is not written then, nor any part of it.
    fn put(&self, body: &[&[u8]], out: &mut ItemBuffer) -> Result<()>;

    /// Returns the largest number of bytes that a frame may have with its length or its mark; default: 1 MiB. If
    /// more are [needed](FrameStep::Need), reading fails with
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded).
    fn bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    /// Returns what tells this framing from others, so that a call that was dropped is resumed where it stood. By
    /// default there is none, and the bytes are looked at again.
    fn key(&self) -> Option<FramingKey> {
        None
    }
}

/// The answer of a [`Framing`] to the bytes that have arrived.
#[derive(Debug, Clone)]
pub enum FrameStep {
    /// More bytes are needed: this many in total, at least one more than there are. Asking for many reserves no
    /// memory.
    Need(usize),
    /// A frame is there.
    Frame {
        /// The bytes that are returned.
        content: Range<usize>,
        /// The number of bytes that the frame has with its length or mark; at least one.
        consumed: usize,
    },
    /// This many bytes, at least one, are no frame and are discarded. What has not arrived is not.
    Skip(usize),
    /// The bytes cannot be a frame. Reading fails with this error, and again until they are read in some other way.
    Fatal(Error),
}

/// A value that no two framings share, unless they look for the same end.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// let key = forebay::FramingKey::unique();
/// assert_ne!(key, forebay::FramingKey::unique());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FramingKey(Key);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// Of all that look for lines of up to so many bytes.
    Line(usize),
    Unique(u64),
}

impl FramingKey {
    /// Makes a key that no other call returns. Clones of a framing may share one.
    pub fn unique() -> Self {
        static NEXT: StaticCounter = StaticCounter::new(0);
        // Relaxed: the number alone matters. One key a nanosecond would last for centuries.
        Self(Key::Unique(NEXT.fetch_add(1, Relaxed)))
    }
}

/// Returns the number of bytes in a body.
fn len_of(body: &[&[u8]]) -> usize {
    body.iter().fold(0, |sum: usize, piece| sum.saturating_add(piece.len()))
}

/// Appends the pieces of a body.
fn put_all(body: &[&[u8]], out: &mut ItemBuffer) {
    for piece in body {
        out.put_slice(piece);
    }
}
