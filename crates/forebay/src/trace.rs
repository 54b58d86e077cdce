//! Spans and events of `tracing`, for the feature of that name. Without it, the functions here are empty and
//! a [`ConnectionSpan`] has no size, so that the code which calls them needs no condition and pays nothing.

pub(crate) use self::imp::{ConnectionSpan, report};

#[cfg(feature = "tracing")]
mod imp {
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, OnceLock};
    use std::task::{Wake, Waker};

    use forebay_io::seam::WakeList;
    #[cfg(feature = "tls")]
    use forebay_io::seam::printable;
    use forebay_io::{Error, Fault};
    use tracing::field::Empty;
    use tracing::subscriber::NoSubscriber;
    use tracing::{Dispatch, Span, debug, dispatcher, error, info_span, warn};

    /// Passes a report on to the subscriber, and returns `true` if there is one: then nothing is to be
    /// printed, also if its filter leaves the report out.
    ///
    /// What would be printed is a warning if it is the peer's doing, and otherwise an error. The rest, which
    /// would only be counted, is for debugging.
    pub(crate) fn report(what: &str, error: &Error, is_shown: bool) -> bool {
        if dispatcher::get_default(Dispatch::is::<NoSubscriber>) {
            return false;
        }
        // A level is part of a macro's static data, so each level needs a call of its own.
        macro_rules! event_at {
            ($level:ident) => {
                $level!(
                    target: "forebay",
                    kind = ?error.kind(),
                    operation = error.operation(),
                    address = error.address(),
                    error = %error,
                    "{what}"
                )
            };
        }
        contained(|| match (is_shown, error.kind().fault()) {
            (false, _) => event_at!(debug),
            (true, Fault::Peer) => event_at!(warn),
            (true, _) => event_at!(error),
        });
        true
    }

    /// Runs a subscriber's code, whose panic must not end the worker. It has been printed.
    fn contained(call: impl FnOnce()) {
        catch_unwind(AssertUnwindSafe(call)).ok();
    }

    /// The span of a connection, if a subscriber wants it.
    pub(crate) struct ConnectionSpan(OnceLock<Box<Span>>);

    impl ConnectionSpan {
        pub(crate) const fn new() -> Self {
            Self(OnceLock::new())
        }

        /// Begins the span. Called once.
        pub(crate) fn open(
            &self,
            id: u64,
            (transport, role): (&'static str, &'static str),
            (local, peer): (impl fmt::Display, impl fmt::Display),
        ) {
            let span = info_span!(
                target: "forebay",
                "connection",
                id,
                transport,
                role,
                %local,
                %peer,
                tls = Empty
            );
            if !span.is_disabled() {
                debug!(target: "forebay", parent: &span, "opened");
                self.0.get_or_init(|| Box::new(span));
            }
        }

        /// Returns the span, or one that does nothing.
        pub(crate) fn get(&self) -> Span {
            self.0.get().map_or_else(Span::none, |span| Span::clone(span))
        }

        pub(crate) fn is_enabled(&self) -> bool {
            self.0.get().is_some()
        }

        /// Records that the TLS handshake is complete.
        #[cfg(feature = "tls")]
        pub(crate) fn secured(&self, info: impl FnOnce() -> Option<forebay_tls::TlsInfo>) {
            if let Some(span) = self.0.get()
                && let Some(info) = info()
            {
                let version = info.version();
                span.record("tls", tracing::field::display(version));
                let alpn = info.alpn().map(|it| printable(&String::from_utf8_lossy(it), 255));
                debug!(
                    target: "forebay",
                    parent: &**span,
                    %version,
                    cipher_suite = info.cipher_suite(),
                    alpn = alpn.as_deref(),
                    resumed = info.is_resumed(),
                    "TLS handshake done"
                );
            }
        }

        #[cfg(feature = "tls")]
        pub(crate) fn not_secured(&self, error: &Error) {
            if let Some(span) = self.0.get() {
                debug!(
                    target: "forebay",
                    parent: &**span,
                    kind = ?error.kind(),
                    error = %error,
                    "TLS handshake failed"
                );
            }
        }

        /// Records the end of the connection, once the locks that are held now are released: a subscriber is
        /// user code.
        pub(crate) fn closed(
            &self,
            reason: impl fmt::Debug,
            error: Option<&Error>,
            unacknowledged: Option<u32>,
            after: &mut WakeList,
        ) {
            if self.is_enabled() {
                let event = ClosedEvent {
                    span: self.get(),
                    reason: format!("{reason:?}"),
                    error: error.cloned(),
                    unacknowledged,
                };
                after.wake(Waker::from(Arc::new(event)));
            }
        }
    }

    /// An event that is written when it is woken.
    struct ClosedEvent {
        span: Span,
        reason: String,
        error: Option<Error>,
        unacknowledged: Option<u32>,
    }

    impl Wake for ClosedEvent {
        fn wake(self: Arc<Self>) {
            let error = self.error.as_ref().map(tracing::field::display);
            contained(|| {
                debug!(
                    target: "forebay",
                    parent: &self.span,
                    reason = self.reason,
                    unacknowledged = self.unacknowledged,
                    error,
                    "closed"
                );
            });
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod imp {
    use std::fmt;

    use forebay_io::Error;
    use forebay_io::seam::WakeList;

    #[inline]
    pub(crate) fn report(_: &str, _: &Error, _: bool) -> bool {
        false
    }

    pub(crate) struct ConnectionSpan;

    const _: () = assert!(size_of::<ConnectionSpan>() == 0);

    #[expect(clippy::unused_self, reason = "the other one has its span")]
    impl ConnectionSpan {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn open(
            &self,
            _: u64,
            _: (&'static str, &'static str),
            _: (impl fmt::Display, impl fmt::Display),
        ) {
        }

        #[inline]
        pub(crate) fn is_enabled(&self) -> bool {
            false
        }

        #[cfg(feature = "tls")]
        #[inline]
        pub(crate) fn secured(&self, _: impl FnOnce() -> Option<forebay_tls::TlsInfo>) {}

        #[cfg(feature = "tls")]
        #[inline]
        pub(crate) fn not_secured(&self, _: &Error) {}

        #[inline]
        pub(crate) fn closed(
            &self,
            _: impl fmt::Debug,
            _: Option<&Error>,
            _: Option<u32>,
            _: &mut WakeList,
        ) {
        }
    }
}
