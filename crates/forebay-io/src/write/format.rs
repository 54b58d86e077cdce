//! Items that the caller's own code composes, outside every lock.

use std::cell::Cell;
use std::fmt::{self, Write as _};

use bytes::Bytes;

use super::ByteWriteChannel;
use super::item::{WholeWrite, Write, Written};
use crate::sync::thread_local;
use crate::{Error, ErrorKind, Result};

/// A scratch buffer up to this size is kept for the thread's next item; a larger one is freed.
pub(super) const KEPT_SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An item while it is being composed: see [`ByteWriteChannel::write_with`].
///
/// Nothing else has access to it, so nothing that happens while it is filled (an error, a panic, a
/// `Display` that uses the same socket) can leave half an item behind.
///
/// It takes the thread's scratch buffer, and gives it back to the thread that drops it. An item that is
/// composed meanwhile gets a buffer of its own.
#[derive(Debug)]
pub struct ItemBuffer {
    bytes: Vec<u8>,
    /// A `Display` or another formatter returned an error.
    failed: bool,
}

impl ItemBuffer {
    #[inline]
    fn new() -> Self {
        // A destructor that runs after the thread-locals are gone has no scratch buffer to reuse.
        let mut bytes = SCRATCH.try_with(Cell::take).unwrap_or_default();
        // The scratch still holds the thread's previous item.
        bytes.clear();
        Self { bytes, failed: false }
    }

    /// Composes an item, unless `compose` calls it off.
    pub(super) fn composed<T: ComposeResult>(compose: impl FnOnce(&mut Self) -> T) -> Result<Self> {
        let mut item = Self::new();
        compose(&mut item).into_result()?;
        Ok(item)
    }

    /// Makes room for so many more bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Returns the bytes as a value of their own.
    pub(super) fn into_bytes(mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }

    /// Returns `true` if a formatter returned an error.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Returns the bytes composed so far.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends bytes.
    #[inline]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends text.
    #[inline]
    pub fn put_str(&mut self, text: &str) {
        self.put_slice(text.as_bytes());
    }

    /// Appends a byte.
    #[inline]
    pub fn put_u8(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Appends formatted text; `write!(out, "..")` calls this. A formatter that returns an error fails the
    /// whole item.
    #[inline]
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        self.failed |= Text(&mut self.bytes).write_fmt(arguments).is_err();
    }

    /// Returns the number of bytes composed so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns `true` if nothing has been composed yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

macro_rules! put_numbers {
    ($($name:ident $name_le:ident $type:ty;)*) => {
        impl ItemBuffer {$(
            #[doc = concat!("Appends a `", stringify!($type), "`, big-endian.")]
            pub fn $name(&mut self, number: $type) {
                self.put_slice(&number.to_be_bytes());
            }

            #[doc = concat!("Appends a `", stringify!($type), "`, little-endian.")]
            pub fn $name_le(&mut self, number: $type) {
                self.put_slice(&number.to_le_bytes());
            }
        )*}
    };
}

put_numbers! {
    put_u16 put_u16_le u16;
    put_u32 put_u32_le u32;
    put_u64 put_u64_le u64;
}

/// Adapts a byte vector to `fmt::Write`.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The return types of a composing closure: nothing, or a result whose error cancels the item.
pub trait ComposeResult: sealed::Sealed {
    #[doc(hidden)]
    fn into_result(self) -> Result<()>;
}

impl ComposeResult for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error>> ComposeResult for std::result::Result<(), E> {
    fn into_result(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

pub(super) mod sealed {
    pub trait Sealed {}
    impl Sealed for &mut crate::ByteWriteChannel {}
    impl Sealed for () {}
    impl<E> Sealed for std::result::Result<(), E> {}
}

impl ByteWriteChannel {
    /// Waits for room, then runs `compose` once, outside every lock, and accepts what it composed as one
    /// item. In the steady state nothing is allocated.
    ///
    /// # Errors
    ///
    /// - The errors of [`write_str`](Self::write_str).
    /// - The error that `compose` returned; [`Other`](ErrorKind::Other) if a formatter in it failed;
    ///   [`LimitExceeded`](ErrorKind::LimitExceeded) if the item is larger than 1 MiB. In these cases
    ///   nothing is written, and neither is it if `compose` panics.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing. `compose` runs at most
    /// once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// # let (mut input, mut output) = forebay::pipe(4096);
    /// output.write_with(|out| {
    ///     out.put_u16(5);
    ///     out.put_str("hello");
    /// }).await?;
    /// # assert_eq!(input.read_packet(7).await?.as_slice(), b"\0\x05hello");
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn write_with<T: ComposeResult>(
        &mut self,
        compose: impl FnOnce(&mut ItemBuffer) -> T,
    ) -> Result<()> {
        if !self.outbox.has_room() {
            self.wait_for_room().await?;
        }
        let mut out = ItemBuffer::new();
        compose(&mut out).into_result()?;
        Write::new(self, out).await
    }

    /// Fails if the item is larger than one may be, or if a formatter failed.
    pub(super) fn check_composed(&self, item: &ItemBuffer) -> Result<()> {
        self.check_formats(item.has_failed())?;
        self.check_item(item.len())
    }

    /// Fails if a formatter has failed.
    pub(super) fn check_formats(&self, failed: bool) -> Result<()> {
        check_formats(failed).map_err(|error| self.outbox().named(error))
    }

    /// Returns the channel itself. For the macros: a method borrows its receiver as it needs, whether that
    /// is a channel, a reference to one, or a field of either.
    #[doc(hidden)]
    #[inline]
    pub fn itself(&mut self) -> &mut Self {
        self
    }
}

impl Drop for ItemBuffer {
    #[inline]
    fn drop(&mut self) {
        if self.bytes.capacity() <= KEPT_SCRATCH_BYTES {
            let bytes = std::mem::take(&mut self.bytes);
            SCRATCH.try_with(|scratch| scratch.set(bytes)).ok();
        }
    }
}

/// Fails if a formatter has failed.
pub(super) fn check_formats(failed: bool) -> Result<()> {
    if failed {
        return Err(Error::new(ErrorKind::Other, "write")
            .with_detail("a formatting trait implementation returned an error"));
    }
    Ok(())
}

impl<'a> Written<'a, &'a mut ByteWriteChannel> for ItemBuffer {
    #[inline]
    #[expect(clippy::mut_mut, reason = "the write holds a reference, of either kind")]
    fn accept(&mut self, channel: &mut &'a mut ByteWriteChannel) -> bool {
        !self.failed && channel.accept_usual(&self.bytes[..])
    }

    fn write_whole(self, channel: &'a mut ByteWriteChannel) -> WholeWrite<'a> {
        Box::pin(async move {
            channel.check_composed(&self)?;
            channel.write_item(&self.bytes[..]).await
        })
    }
}
