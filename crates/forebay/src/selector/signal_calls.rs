//! The calls with which a program waits for signals.

use forebay_io::Result;

use super::manager::SelectorManager;
use super::signals::{SignalKind, Signals};

impl SelectorManager {
    /// Waits for the next Ctrl-C (`SIGINT`).
    ///
    /// The call itself makes the program handle the signal. **From the first call on, Ctrl-C no longer ends
    /// the program**, also while no task waits for it and after the selector is closed: such is a signal
    /// handler, and taking it away again would race with the signals. `SIGQUIT` (Ctrl-\) still ends it.
    ///
    /// A Ctrl-C that comes while no task waits is kept, for as long as the selector is open: the next call
    /// of `ctrl_c` returns at once. So none is lost between two rounds of an accept loop, and after the loop
    /// a second one can be waited for, of a user who has lost patience. Two that come while no task waits
    /// count as one.
    ///
    /// All calls that wait when it comes return. But a call that is made later does not return a Ctrl-C that
    /// another call has returned: of two accept loops, one may be between two calls at that moment. So one
    /// task waits for it and stops the others ([`TaskGroup::stop`](crate::TaskGroup::stop)), or each has a [`Signals`] of its own,
    /// which misses none.
    ///
    /// It needs the feature `signal`, which is enabled by default.
    ///
    /// # Errors
    ///
    /// [`Exhausted`](crate::ErrorKind::Exhausted) if there is no descriptor left to watch the signal with;
    /// [`Closed`](crate::ErrorKind::Closed) once the selector is being closed.
    ///
    /// # Cancel safety
    ///
    /// Lossless: the next call returns the signal that a dropped one would have returned.
    ///
    /// # Platform
    ///
    /// Unix.
    ///
    /// # Examples
    ///
    /// After the first Ctrl-C the sessions have ten seconds, unless there is a second one:
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// forebay::run(async |selector| {
    ///     let sessions = selector.group();
    ///     // Serve until a user wants the program to end.
    ///     selector.ctrl_c().await?;
    ///     sessions.stop();
    ///     let in_time = sessions.join_within(Duration::from_secs(10));
    ///     forebay::race(in_time, selector.ctrl_c()).await;
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn ctrl_c(&self) -> impl Future<Output = Result<()>> + Send + Sync + use<> {
        self.shared().ctrl_c()
    }

    /// Returns the signals of this kind that arrive from now on.
    ///
    /// The program handles the signal from then on, and **its default action does not come back**, as with
    /// [`ctrl_c`](Self::ctrl_c). The selector's first worker watches it; there is no thread for that.
    ///
    /// It needs the feature `signal`, which is enabled by default.
    ///
    /// # Errors
    ///
    /// As [`ctrl_c`](Self::ctrl_c).
    ///
    /// # Platform
    ///
    /// Unix.
    ///
    /// # Examples
    ///
    /// A server under a service manager, which ends it by `SIGTERM`:
    ///
    /// ```no_run
    /// use forebay::{Either, SignalKind, race};
    ///
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:9002").await?;
    ///     let mut terminate = selector.signal(SignalKind::Terminate)?;
    ///     while let Either::Left(socket) = race(server.accept(), terminate.next()).await {
    ///         drop(socket?);
    ///     }
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    pub fn signal(&self, kind: SignalKind) -> Result<Signals> {
        self.shared().signal(kind)
    }
}
