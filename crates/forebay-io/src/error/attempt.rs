//! The failed attempts of a call that had several addresses to try.

use std::time::Duration;

use super::Error;

/// An address that a call has tried in vain; see [`Error::attempts`].
///
/// The times are those of the selector's clock. They are zero for calls that do not wait for an address, such
/// as `bind`.
#[derive(Debug, Clone)]
pub struct Attempt {
    address: Box<str>,
    began: Duration,
    took: Duration,
    error: Error,
}

impl Attempt {
    /// Makes the record of an attempt.
    #[doc(hidden)]
    pub fn new(
        address: impl Into<Box<str>>,
        began: Duration,
        took: Duration,
        error: Error,
    ) -> Self {
        Self { address: address.into(), began, took, error }
    }

    /// Returns the address that was tried, an IP address and a port. It parses as a
    /// [`SocketAddr`](std::net::SocketAddr).
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns how long after the beginning of the call, look-up included, this attempt began.
    pub fn began(&self) -> Duration {
        self.began
    }

    /// Returns how long the attempt took until it failed, or was given up.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Returns the error of this attempt. [`TimedOut`](crate::ErrorKind::TimedOut) if there was no answer when
    /// the time of the call was over.
    pub fn error(&self) -> &Error {
        &self.error
    }
}

impl Error {
    /// Returns the addresses that the call has tried, in the order in which the attempts ended. Empty for an error
    /// of another kind of call, and for one that came before any attempt, such as that of a look-up.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// fn explain(error: &forebay::Error) {
    ///     eprintln!("{error}");
    ///     for attempt in error.attempts() {
    ///         let (address, began, took) = (attempt.address(), attempt.began(), attempt.took());
    ///         eprintln!("  {address}: begun after {began:?}, for {took:?}: {}", attempt.error());
    ///     }
    /// }
    /// # explain(&forebay::Error::new(forebay::ErrorKind::Refused, "connect"));
    /// ```
    pub fn attempts(&self) -> &[Attempt] {
        self.0.attempts.as_deref().unwrap_or_default()
    }

    /// Sets the attempts.
    #[doc(hidden)]
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.inner().attempts = Some(attempts.into());
        self
    }
}
