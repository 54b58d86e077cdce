//! The one error type of all forebay crates.

mod attempt;
mod convert;
mod kind;
mod place;
#[cfg(test)]
mod tests;
mod text;
mod tls;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use self::place::TextFault;
pub use attempt::Attempt;
pub use kind::{ErrorKind, Fault};
pub use tls::TlsFault;

/// The result of every fallible call of forebay.
pub type Result<T> = std::result::Result<T, Error>;

type Underlying = Arc<dyn StdError + Send + Sync>;

/// An error: its kind, the operation that failed, the address it concerned, and the system's message.
///
/// It is one word wide and cheap to clone, because both halves of a connection report the same cause. Match
/// on [`kind`](Error::kind) or use the predicates (`is_timeout`, `is_reset`, ..); its texts are meant for
/// people, and may change.
///
/// `Display` prints one line: `context: operation address: kind (cause): detail`. The direct cause is always
/// in it: for the kinds that only put a system's error into words (`the address is in use`), by its number;
/// for [`Other`](ErrorKind::Other) and [`System`](ErrorKind::System), in place of the kind; only once
/// where the detail contains its text; and for [`Tls`](ErrorKind::Tls), translated by the detail. `Debug` prints this line, and below it the causes that the line does
/// not contain, so a `main` that returns the error shows everything; `{:#?}` prints the fields.
///
/// # Examples
///
/// ```
/// # use forebay_io as forebay;
/// use forebay::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::TimedOut, "connect").with_address("192.0.2.1:80");
/// assert!(error.is_timeout());
/// assert_eq!(error.to_string(), "connect 192.0.2.1:80: timed out");
/// assert_eq!(error.context("fetching the greeting").to_string(),
///     "fetching the greeting: connect 192.0.2.1:80: timed out");
///
/// let error = Error::from(std::io::Error::from_raw_os_error(2));
/// assert_eq!(error.to_string(), "not found (No such file or directory, os error 2)");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    address: Option<Box<str>>,
    detail: Option<Cow<'static, str>>,
    context: Vec<Cow<'static, str>>,
    cause: Option<Underlying>,
    attempts: Option<Arc<[Attempt]>>,
    place: Option<Box<TextFault>>,
}

impl Error {
    /// Makes an error of a kind. `operation` is the name of the call that failed, as the user knows it.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Arc::new(Inner {
            kind,
            operation,
            address: None,
            detail: None,
            context: Vec::new(),
            cause: None,
            attempts: None,
            place: None,
        }))
    }

    /// Wraps an error of the calling program, so that it can be returned through forebay's results.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// let error = forebay::Error::other("the greeting is missing");
    /// assert_eq!(error.to_string(), "the greeting is missing");
    /// ```
    pub fn other(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Other, "").with_cause(cause)
    }

    /// Sets the address that the operation concerned.
    #[must_use]
    pub fn with_address(mut self, address: impl fmt::Display) -> Self {
        self.inner().address = Some(address.to_string().into());
        self
    }

    /// Sets the address if the error has none, and `find` knows one.
    #[doc(hidden)]
    #[must_use]
    pub fn or_address(self, find: impl FnOnce() -> Option<String>) -> Self {
        if self.0.address.is_some() {
            return self;
        }
        match find() {
            Some(address) => self.with_address(address),
            None => self,
        }
    }

    /// Sets the detail: what was found, and which setting changes it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.inner().detail = Some(detail.into());
        self
    }

    /// Sets the detail unless the error has one.
    #[doc(hidden)]
    #[must_use]
    pub fn or_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        if self.0.detail.is_some() { self } else { self.with_detail(detail) }
    }

    /// Adds to the detail.
    #[doc(hidden)]
    #[must_use]
    pub fn and_detail(self, more: &str) -> Self {
        let detail = match &self.0.detail {
            Some(detail) => format!("{detail}; {more}"),
            None => more.to_owned(),
        };
        self.with_detail(detail)
    }

    /// Sets the underlying error, available as the [`source`](std::error::Error::source).
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner().cause = Some(Arc::from(cause.into()));
        self
    }

    /// Adds what the program was doing. The context added last is printed first.
    #[must_use]
    pub fn context(mut self, context: impl Into<Cow<'static, str>>) -> Self {
        self.inner().context.push(context.into());
        self
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Returns the kind, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the name of the call that failed; empty for [`Error::other`].
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns the address that the call concerned, as text for people, if there was one. Of a name it is
    /// `name:port (ip:port)`; of a Unix socket's peer without an address, that of this side.
    pub fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    /// Returns the reason why TLS failed, if the kind is [`ErrorKind::Tls`].
    pub fn tls_fault(&self) -> Option<TlsFault> {
        match self.kind() {
            ErrorKind::Tls(fault) => Some(fault),
            _ => None,
        }
    }

    /// Returns `true` if a deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind(), ErrorKind::TimedOut)
    }

    /// Returns `true` if this side had closed the channel, socket or selector.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind(), ErrorKind::Closed)
    }

    /// Returns `true` if the peer reset the connection.
    pub fn is_reset(&self) -> bool {
        matches!(self.kind(), ErrorKind::Reset)
    }

    /// Returns `true` if the input ended in the middle of an item.
    pub fn is_end(&self) -> bool {
        matches!(self.kind(), ErrorKind::UnexpectedEnd { .. })
    }

    /// Returns `true` if a limit of this side was reached.
    pub fn is_limit(&self) -> bool {
        self.kind().fault() == Fault::Limit
    }

    /// Returns `true` if a line has more content than the line limit.
    pub fn is_line_too_long(&self) -> bool {
        matches!(self.kind(), ErrorKind::LineTooLong { .. })
    }

    /// Returns `true` if the peer refused the connection.
    pub fn is_refused(&self) -> bool {
        matches!(self.kind(), ErrorKind::Refused)
    }

    /// Returns `true` if the task panicked.
    pub fn is_panicked(&self) -> bool {
        matches!(self.kind(), ErrorKind::Panicked)
    }

    /// Returns `true` if the task was aborted or its selector was closed.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.kind(), ErrorKind::Cancelled)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
