//! The executor that polls the future of a test: the worker of its selector, or another one, as
//! `FOREBAY_HOST` says.

use std::env;

use forebay::{Result, SelectorBuilder, SelectorManager};
use futures_lite::future;

const VARIABLE: &str = "FOREBAY_HOST";

/// An executor of a test's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The worker of the test's selector, as in `forebay::run`: `own`, and the default.
    Own,
    /// A runtime of tokio with one thread: `tokio`.
    Tokio,
    /// A runtime of tokio with several threads: `tokio-multi`.
    TokioMulti,
    /// A thread that does nothing else. A thread of the selector drives its sockets: `thread`.
    Thread,
}

impl Host {
    /// Returns the host that `FOREBAY_HOST` names.
    ///
    /// # Panics
    ///
    /// If it names none.
    pub fn of_environment() -> Self {
        match env::var(VARIABLE).as_deref() {
            Err(_) | Ok("" | "own") => Self::Own,
            Ok("tokio") => Self::Tokio,
            Ok("tokio-multi") => Self::TokioMulti,
            Ok("thread") => Self::Thread,
            Ok(other) => panic!("{VARIABLE}={other}, not own, tokio, tokio-multi or thread"),
        }
    }

    /// Runs a test on a selector, and closes the selector before it returns.
    pub fn run<T>(
        self,
        selector: SelectorBuilder,
        test: impl AsyncFnOnce(SelectorManager) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Own => selector.run(test),
            Self::Tokio | Self::TokioMulti => in_tokio(self, run_closing(selector, test)),
            Self::Thread => future::block_on(run_closing(selector, test)),
        }
    }
}

async fn run_closing<T>(
    selector: SelectorBuilder,
    test: impl AsyncFnOnce(SelectorManager) -> Result<T>,
) -> Result<T> {
    let selector = selector.build()?;
    let outcome = test(selector.clone()).await;
    selector.close().await;
    outcome
}

#[cfg(feature = "hosts")]
fn in_tokio<F: Future>(host: Host, test: F) -> F::Output {
    use tokio::runtime::Builder;
    let mut builder = match host {
        Host::TokioMulti => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    // With one thread the number does not matter.
    builder.worker_threads(3).enable_all().build().unwrap().block_on(test)
}

#[cfg(not(feature = "hosts"))]
fn in_tokio<F: Future>(_: Host, _: F) -> F::Output {
    panic!("{VARIABLE} names a runtime of tokio, which takes --features forebay-testing/hosts")
}
