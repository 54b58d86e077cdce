//! The macros that format an item, and the item until it is written.

use std::cell::Cell;
use std::fmt;

use super::format::{KEPT_SCRATCH_BYTES, sealed};
use super::item::{WholeWrite, Write, Written};
use super::{ByteWriteChannel, SharedWriteChannel};
use crate::Result;
use crate::sync::thread_local;

thread_local! {
    /// The memory of the thread's previous item, empty.
    static SPARE: Cell<Option<Box<FormattedText>>> = const { Cell::new(None) };
}

/// An item that a macro has formatted, before the channel was borrowed. Until it is accepted, nothing else has access
/// to it: its future may be kept, or sent to another thread.
///
/// One pointer, because it is moved several times on its way. It is `None` only while it is dropped.
#[doc(hidden)]
#[derive(Debug)]
pub struct FormattedItem(Option<Box<FormattedText>>);

#[derive(Debug, Default)]
struct FormattedText {
    bytes: Vec<u8>,
    /// A `Display` or another formatter returned an error.
    failed: bool,
}

impl FormattedItem {
    /// Formats an item, now.
    #[inline]
    pub fn of(arguments: fmt::Arguments<'_>) -> Self {
        // Given back also if a `Display` panics.
        let mut item = Self(Some(FormattedText::spare()));
        if let Some(text) = &mut item.0 {
            text.format(arguments);
        }
        item
    }

    /// Formats an item and ends it with LF.
    #[inline]
    pub fn line_of(arguments: fmt::Arguments<'_>) -> Self {
        let mut item = Self::of(arguments);
        if let Some(text) = &mut item.0 {
            text.bytes.push(b'\n');
        }
        item
    }

    /// Writes the item once there is room. If this is dropped before, nothing is written.
    #[inline]
    pub fn write_to(self, output: impl ItemTarget) -> impl Future<Output = Result<()>> + Send {
        output.write(self)
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |text| &text.bytes)
    }

    /// Returns `true` if a formatter returned an error.
    pub(super) fn has_failed(&self) -> bool {
        self.0.as_ref().is_some_and(|text| text.failed)
    }
}

impl FormattedText {
    #[inline]
    #[expect(clippy::unnecessary_box_returns, reason = "the box is what is kept")]
    fn spare() -> Box<Self> {
        // A destructor that runs after the thread-locals are gone has no memory to reuse.
        SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    #[inline]
    fn format(&mut self, arguments: fmt::Arguments<'_>) {
        self.failed = fmt::write(self, arguments).is_err();
    }
}

impl fmt::Write for FormattedText {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Drop for FormattedItem {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut text) = self.0.take()
            && text.bytes.capacity() <= KEPT_SCRATCH_BYTES
        {
            text.bytes.clear();
            SPARE.try_with(|spare| spare.set(Some(text))).ok();
        }
    }
}

impl<'a> Written<'a, &'a mut ByteWriteChannel> for FormattedItem {
    #[inline]
    #[expect(clippy::mut_mut, reason = "the write holds a reference, of either kind")]
    fn accept(&mut self, channel: &mut &'a mut ByteWriteChannel) -> bool {
        self.0.as_ref().is_some_and(|text| !text.failed && channel.accept_usual(&text.bytes[..]))
    }

    fn write_whole(self, channel: &'a mut ByteWriteChannel) -> WholeWrite<'a> {
        Box::pin(async move {
            channel.check_formats(self.has_failed())?;
            channel.write_item(self.as_slice()).await
        })
    }
}

/// The channels that the macros write to.
#[doc(hidden)]
pub trait ItemTarget: sealed::Sealed {
    fn write(self, item: FormattedItem) -> impl Future<Output = Result<()>> + Send;
}

impl ItemTarget for &mut ByteWriteChannel {
    #[inline]
    fn write(self, item: FormattedItem) -> impl Future<Output = Result<()>> + Send {
        Write::new(self, item)
    }
}

impl ItemTarget for &SharedWriteChannel {
    #[inline]
    fn write(self, item: FormattedItem) -> impl Future<Output = Result<()>> + Send {
        Write::new(self, item)
    }
}

/// Formats into a [`ByteWriteChannel`] as one item: `write_fmt!(output, "Hello, {name}!\n").await?`.
///
/// The arguments are evaluated and formatted at once, before the channel is borrowed. So they may contain
/// `.await` and `?`, and use `self` although the channel is a field of it. The result is a future, which
/// waits for room and accepts the item in one step. In the steady state nothing is allocated.
///
/// # Errors
///
/// - The errors of [`write_str`](crate::ByteWriteChannel::write_str).
/// - [`Other`](crate::ErrorKind::Other) if a formatter failed;
///   [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if the item is larger than 1 MiB. Then nothing is
///   written.
///
/// # Cancel safety
///
/// Lossless: a call that is dropped before it returned has written nothing.
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
///
/// Arguments that wait, that fail, and that use the owner of the channel:
///
/// ```
/// # use forebay_io as forebay;
/// use forebay::{ByteReadChannel, ByteWriteChannel, Error, Result, write_fmt};
///
/// struct Session {
///     input: ByteReadChannel,
///     output: ByteWriteChannel,
///     names: Vec<String>,
/// }
///
/// impl Session {
///     fn name(&self, number: usize) -> Result<&str> {
///         let name = self.names.get(number).ok_or_else(|| Error::other("no such name"))?;
///         Ok(name)
///     }
///
///     async fn answer(&mut self) -> Result<()> {
///         write_fmt!(self.output, "{}: ", self.input.read_u8().await?).await?;
///         write_fmt!(self.output, "{}\n", self.name(0)?).await
///     }
/// }
/// # futures_lite::future::block_on(async {
/// # let ((input, mut to), (mut from, output)) = (forebay::pipe(64), forebay::pipe(64));
/// # to.write_u8(7).await?;
/// # Session { input, output, names: vec!["Ada".to_owned()] }.answer().await?;
/// # assert_eq!(from.read_line().await?.as_deref(), Some("7: Ada"));
/// # Result::Ok(()) }).unwrap();
/// ```
#[doc(alias = "write!")]
#[macro_export]
macro_rules! write_fmt {
    ($output:expr, $($arguments:tt)+) => {
        $crate::__write_item!($output, $crate::FormattedItem::of(::core::format_args!($($arguments)+)))
    };
}

/// Formats into a [`ByteWriteChannel`] as one item and ends it with LF: `write_line!(output, "Hello,
/// {name}!").await?`.
///
/// Works like [`write_fmt!`](crate::write_fmt), with the same errors and cancel safety. Without arguments it
/// writes an empty line.
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
#[doc(alias = "writeln!")]
#[macro_export]
macro_rules! write_line {
    ($output:expr $(,)?) => {
        $crate::__write_item!($output, $crate::FormattedItem::line_of(::core::format_args!("")))
    };
    ($output:expr, $($arguments:tt)+) => {
        $crate::__write_item!(
            $output,
            $crate::FormattedItem::line_of(::core::format_args!($($arguments)+))
        )
    };
}

/// Makes an item, and then a future that writes it.
///
/// The item is made in a block of its own, so that the temporaries of its arguments, which may borrow the
/// owner of the channel and may not be `Send`, are gone before the channel is borrowed. The block and the
/// channel are arguments of one call, so that the temporaries of the channel live as long as the future,
/// as in a call of a method: `socket.open_write_channel()?` may stand there.
#[doc(hidden)]
#[macro_export]
macro_rules! __write_item {
    ($output:expr, $item:expr) => {
        $crate::FormattedItem::write_to(
            {
                let item = $item;
                item
            },
            $output.itself(),
        )
    };
}
