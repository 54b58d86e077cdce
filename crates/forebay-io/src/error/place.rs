//! The place at which a text is wrong.

use std::borrow::Cow;

use super::Error;

/// A place of a text that does not fit, and the words for what would.
#[derive(Debug, Clone)]
pub(super) struct TextFault {
    position: usize,
    expected: Cow<'static, str>,
}

impl Error {
    /// Returns the place at which a text that was to be parsed is wrong, in bytes from its beginning: the text up to
    /// there is the beginning of a correct one, or could be. It is the length of the text where something is missing at
    /// the end. `None` for an error of another kind.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # fn parse(text: &str) -> forebay::Result<()> {
    /// #     let error = forebay::Error::new(forebay::ErrorKind::InvalidInput, "address");
    /// #     Err(error.with_address(text).with_expected(text, 5, "a port is a number"))
    /// # }
    /// let text = "host:http";
    /// let error = parse(text).unwrap_err();
    /// assert_eq!(error.position().and_then(|position| text.get(position..)), Some("http"));
    /// assert_eq!(error.expected(), Some("a port is a number"));
    /// assert!(error.to_string().ends_with("at byte 5, 'h': a port is a number"));
    /// ```
    pub fn position(&self) -> Option<usize> {
        Some(self.0.place.as_deref()?.position)
    }

    /// Returns the words for what was expected at [`position`](Self::position), which the message has too.
    pub fn expected(&self) -> Option<&str> {
        Some(&self.0.place.as_deref()?.expected)
    }

    /// Sets the place at which a text is wrong, and the detail accordingly.
    #[doc(hidden)]
    #[must_use]
    pub fn with_expected(
        mut self,
        text: &str,
        position: usize,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        let expected = expected.into();
        let detail = match text.get(position..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("at byte {position}, {found:?}: {expected}"),
            None => format!("at the end: {expected}"),
        };
        self.inner().place = Some(Box::new(TextFault { position, expected }));
        self.with_detail(detail)
    }
}
