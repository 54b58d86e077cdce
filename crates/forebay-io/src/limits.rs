//! The limits of channels.

/// 1 MiB.
const MIB: usize = 1024 * 1024;

/// The limits of a channel other than that of a line: how much is queued, and how large an item or a packet may be.
///
/// Set for all channels of a selector with `SelectorBuilder::channel_limits`, or for one with
/// [`ByteReadChannel::set_limits`](crate::ByteReadChannel::set_limits) and
/// [`ByteWriteChannel::set_limits`](crate::ByteWriteChannel::set_limits).
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// # futures_lite::future::block_on(async {
/// use forebay::{ChannelLimits, ErrorKind};
///
/// let limits = ChannelLimits::new().item_max(100).packet_max(50);
/// let (mut input, mut output) = forebay::pipe(4096);
/// input.set_limits(limits);
/// output.set_limits(limits);
/// let error = output.write_strs(&["x"; 101]).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 100 });
/// let error = input.read_packet(51).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 50 });
/// # forebay::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelLimits {
    pub(crate) high_water: usize,
    pub(crate) item: usize,
    pub(crate) packet: usize,
    pub(crate) give_back: usize,
}

impl ChannelLimits {
    /// Makes the default limits.
    pub const fn new() -> Self {
        Self { high_water: 64 * 1024, item: MIB, packet: MIB, give_back: MIB }
    }

    /// Sets the number of queued bytes at which a writer waits. One more item may come on top. Less than 2 counts
    /// as 2. A [`pipe`](crate::pipe) has its capacity instead. Default: 64 KiB.
    ///
    /// With a small mark a slow peer is noticed earlier, and less is queued for each of many connections; with a
    /// large one a writer is woken less often.
    #[must_use]
    pub const fn high_water(mut self, bytes: usize) -> Self {
        self.high_water = bytes;
        self
    }

    /// Sets the largest number of bytes of one item: of what is composed, of a slice that is accepted in one step
    /// (a larger one goes in pieces of this size), and of a write that does not wait. Less than 1 counts as 1.
    /// Default: 1 MiB.
    #[must_use]
    pub const fn item_max(mut self, bytes: usize) -> Self {
        self.item = bytes;
        self
    }

    /// Sets the largest number of bytes of a packet that
    /// [`read_packet`](crate::ByteReadChannel::read_packet) reads. Default: 1 MiB.
    #[must_use]
    pub const fn packet_max(mut self, bytes: usize) -> Self {
        self.packet = bytes;
        self
    }

    /// Sets the largest slice of which a [`read_exact`](crate::ByteReadChannel::read_exact) that was dropped gives
    /// back what it took. Default: 1 MiB.
    #[must_use]
    pub const fn give_back_max(mut self, bytes: usize) -> Self {
        self.give_back = bytes;
        self
    }
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self::new()
    }
}
