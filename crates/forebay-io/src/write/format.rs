//! Items that the caller's own code composes, outside every lock.

use std::cell::Cell;
use std::fmt::{self, Write};

use super::ByteWriteChannel;
use crate::sync::thread_local;
use crate::{Error, ErrorKind, Result};

/// A scratch buffer up to this size is kept for the thread's next item; a larger one is freed.
const KEPT_SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An item while it is being composed: see [`ByteWriteChannel::write_with`].
///
/// Nothing else has access to it, so nothing that happens while it is filled (an error, a panic, a
/// `Display` that uses the same socket) can leave half an item behind.
#[derive(Debug)]
pub struct ItemBuffer {
    bytes: Vec<u8>,
    /// A `Display` or another formatter returned an error.
    failed: bool,
}

impl ItemBuffer {
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

impl Write for Text<'_> {
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

mod sealed {
    pub trait Sealed {}
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
        // A destructor that runs after the thread-locals are gone has no scratch buffer to reuse.
        let bytes = SCRATCH.try_with(Cell::take).unwrap_or_default();
        let mut out = ItemBuffer { bytes, failed: false };
        // The scratch still holds the thread's previous item.
        out.bytes.clear();
        let composed = compose(&mut out).into_result().and_then(|()| out.check());
        let mut accepted = composed;
        if accepted.is_ok() {
            // The loop of `write_item`, whose future would hold another copy of the arguments in this one.
            while !self.accept(&out.bytes[..]).unwrap_or(false) {
                accepted = self.wait_for_room().await;
                if accepted.is_err() {
                    break;
                }
            }
        }
        if out.bytes.capacity() <= KEPT_SCRATCH_BYTES {
            SCRATCH.try_with(|scratch| scratch.set(out.bytes)).ok();
        }
        accepted
    }
}

impl ItemBuffer {
    #[inline]
    fn check(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(ErrorKind::Other, "write")
                .with_detail("a formatting trait implementation returned an error"));
        }
        ByteWriteChannel::check_item(self.bytes.len())
    }
}

/// Formats into a [`ByteWriteChannel`] as one item: `write_fmt!(output, "Hello, {name}!\n").await?`.
///
/// Expands to [`ByteWriteChannel::write_with`](crate::ByteWriteChannel::write_with), whose errors and
/// cancel safety apply. The arguments are formatted when the future is polled and there is room; they must
/// not contain `.await`.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// # let (mut input, mut output) = forebay::pipe(4096);
/// forebay::write_fmt!(output, "{} and {}\n", 1, 2).await?;
/// # assert_eq!(input.read_line().await?.as_deref(), Some("1 and 2"));
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[macro_export]
macro_rules! write_fmt {
    ($output:expr, $($arguments:tt)+) => {
        $output.write_with(|out| out.write_fmt(::core::format_args!($($arguments)+)))
    };
}

/// Formats into a [`ByteWriteChannel`] as one item and ends it with LF: `write_line!(output, "Hello,
/// {name}!").await?`.
///
/// Works like [`write_fmt!`](crate::write_fmt). Without arguments it writes an empty line.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// # let (mut input, mut output) = forebay::pipe(4096);
/// forebay::write_line!(output, "{:>4}", 7).await?;
/// # assert_eq!(input.read_line().await?.as_deref(), Some("   7"));
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[macro_export]
macro_rules! write_line {
    ($output:expr $(,)?) => {
        $output.write_with(|out| out.put_u8(b'\n'))
    };
    ($output:expr, $($arguments:tt)+) => {
        $output.write_with(|out| {
            out.write_fmt(::core::format_args!($($arguments)+));
            out.put_u8(b'\n');
        })
    };
}
