//! The bytes that end an item.

/// The bytes in front of which [`read_until`](crate::ByteReadChannel::read_until) stops: any number of them, at least one.
///
/// Made from text or bytes; `read_until` takes those, too.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// use forebay::Delimiter;
///
/// let boundary = Delimiter::new(b"\r\n--boundary");
/// assert_eq!(boundary, Delimiter::from("\r\n--boundary"));
/// assert_ne!(boundary, boundary.or_end());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiter<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) or_end: bool,
}

impl<'a> Delimiter<'a> {
    /// Makes a delimiter of these bytes. A call that is given an empty one returns an error.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, or_end: false }
    }

    /// Lets the end of the input stand for the delimiter, so that the last item needs none.
    #[doc(alias = "ignoreMissing")]
    #[must_use]
    pub const fn or_end(mut self) -> Self {
        self.or_end = true;
        self
    }
}

impl<'a> From<&'a [u8]> for Delimiter<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::new(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Delimiter<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::new(bytes)
    }
}

impl<'a> From<&'a str> for Delimiter<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text.as_bytes())
    }
}
