//! The executor that polls the future of a test: the worker of its selector, or another one, as
//! `FOREBAY_HOST` says.

use std::cell::RefCell;
use std::env;
use std::thread::available_parallelism;

use forebay::{Result, SelectorBuilder, SelectorManager};
use futures_lite::future::{self, yield_now};

use crate::{Signal, from_environment};

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
    /// A thread that does nothing else. A thread of the selector drives its sockets, unless the feature `smol` is
    /// on: `thread`.
    Thread,
    /// smol's `block_on`. With the feature `smol`, async-io drives the sockets: `smol`.
    Smol,
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
            Ok("smol") => Self::Smol,
            Ok(other) => panic!("{VARIABLE}={other}, not own, tokio, tokio-multi, thread or smol"),
        }
    }

    /// Runs a test on a selector, and closes the selector before it returns.
    pub fn run<T>(
        self,
        selector: SelectorBuilder,
        test: impl AsyncFnOnce(SelectorManager) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Own => selector.run(async |selector: SelectorManager| {
                let _polled = PolledHere::enter(&selector);
                test(selector).await
            }),
            Self::Tokio | Self::TokioMulti => in_tokio(self, run_closing(selector, test)),
            Self::Thread => future::block_on(run_closing(selector, test)),
            Self::Smol => in_smol(run_closing(selector, test)),
        }
    }
}

async fn run_closing<T>(
    selector: SelectorBuilder,
    test: impl AsyncFnOnce(SelectorManager) -> Result<T>,
) -> Result<T> {
    let selector = selector.build()?;
    let _polled = PolledHere::enter(&selector);
    let outcome = test(selector.clone()).await;
    selector.close().await;
    outcome
}

thread_local! {
    /// The selector of the test that this thread polls.
    static SELECTOR: RefCell<Option<SelectorManager>> = const { RefCell::new(None) };
}

/// A test whose future this thread polls. All hosts poll it on the thread that calls [`Host::run`].
struct PolledHere;

impl PolledHere {
    fn enter(selector: &SelectorManager) -> Self {
        SELECTOR.set(Some(selector.clone()));
        Self
    }
}

impl Drop for PolledHere {
    fn drop(&mut self) {
        SELECTOR.take();
    }
}

/// Lets everything happen that is ready to happen, to show that something does not: every worker makes many
/// turns, and so does the runtime that polls the test.
pub async fn settle() {
    give_way().await;
    let Some(selector) = SELECTOR.with_borrow(Clone::clone) else { return };
    let tasks: Vec<_> = selector.worker_stats().iter().map(|worker| worker.tasks).collect();
    if Host::of_environment() == Host::Own && tasks.len() == 1 {
        return;
    }
    let all_there = Signal::new();
    let passing: Vec<_> = (0..tasks_to_reach_each(&tasks))
        .map(|_| {
            let all_there = all_there.clone();
            selector.spawn(async move {
                all_there.await;
                give_way().await;
                Ok(())
            })
        })
        .collect();
    all_there.set();
    for task in passing {
        // A selector that is being closed refuses it.
        task.await.ok();
    }
    in_runtime(give_way()).await;
    give_way().await;
}

/// Returns how many tasks reach each worker if they are there at once, where the workers have so many tasks: a task starts
/// on the worker that has the fewest, which may be one that is not made yet, and present tasks may end meanwhile.
fn tasks_to_reach_each(tasks: &[usize]) -> usize {
    let parallelism = available_parallelism().map_or(1, usize::from);
    let workers = from_environment("FOREBAY_WORKERS", parallelism).max(tasks.len());
    let level = tasks.iter().max().unwrap_or(&0) + 1;
    workers * level
}

async fn give_way() {
    for _ in 0..100 {
        yield_now().await;
    }
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

/// Awaits a task of the runtime that polls this one, if there is one.
async fn in_runtime(task: impl Future<Output = ()> + Send + 'static) {
    #[cfg(feature = "hosts")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task).await.unwrap();
        return;
    }
    task.await;
}

#[cfg(feature = "smol")]
fn in_smol<F: Future>(test: F) -> F::Output {
    async_io::block_on(test)
}

#[cfg(not(feature = "smol"))]
fn in_smol<F: Future>(_: F) -> F::Output {
    panic!("{VARIABLE} names smol, which takes --features forebay-testing/smol")
}
