//! The functions at the crate's root, for the selector of the current thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_io::{Error, Result};

use crate::net::{self, Connection};
use crate::selector::{SelectorManager, Shared};
use crate::task::JoinHandle;
use crate::time::{self, Interval, Sleep};

/// Runs `main` on a new selector, with this thread as its worker, and closes the selector before it
/// returns ([`SelectorManager::close`]): tasks that still run get `Closed` from what they wait for, then
/// the drain timeout of ten seconds to end, and are cancelled after that; what connections have accepted
/// is sent.
///
/// No signal is handled and none is blocked: one that the program handles disturbs nothing, and one
/// that it does not handle, `SIGTERM` for instance, does what it always does (`signal(7)`).
///
/// # Errors
///
/// What `main` returns, of any type that is made from an [`Error`]; and
/// [`Exhausted`](crate::ErrorKind::Exhausted) when there is no descriptor left for a selector.
///
/// # Panics
///
/// Inside another `run`, `block_on` or a task: the thread would wait for itself. A panic of `main`
/// goes on.
///
/// # Examples
///
/// ```
/// use forebay::SelectorManager;
///
/// fn main() -> forebay::Result<()> {
///     forebay::run(async |selector: SelectorManager| {
///         let server = selector.tcp().bind("127.0.0.1:0").await?;
///         println!("Server is listening at {}", server.local_address());
///         Ok(())
///     })
/// }
/// ```
#[doc(alias = "runBlocking")]
pub fn run<T, E: From<Error>>(
    main: impl AsyncFnOnce(SelectorManager) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    SelectorManager::builder().run(main)
}

/// Starts a task on the current thread's selector; see [`SelectorManager::spawn`].
///
/// # Panics
///
/// On a thread that is not a selector's.
///
/// # Examples
///
/// ```
/// forebay::run(async |_| {
///     forebay::spawn(async { Ok(()) }).await
/// })?;
/// # forebay::Result::Ok(())
/// ```
pub fn spawn(task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
    Shared::current("spawn").spawn(true, task)
}

/// Starts a task that ends in a value; see [`SelectorManager::spawn_value`].
///
/// # Panics
///
/// On a thread that is not a selector's.
pub fn spawn_value<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    Shared::current("spawn_value").spawn_value(task)
}

/// Waits for this long; see [`SelectorManager::sleep`].
///
/// # Panics
///
/// On a thread that is not a selector's.
///
/// # Cancel safety
///
/// Releases: a dropped sleep takes its timer with it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// forebay::run(async |_| {
///     forebay::sleep(Duration::from_millis(1)).await;
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Shared::current("sleep").sleep(duration)
}

/// Runs a future, but no longer than `duration`; see [`SelectorManager::timeout`].
///
/// # Errors
///
/// The future's own; or [`TimedOut`](crate::ErrorKind::TimedOut), naming the duration.
///
/// # Panics
///
/// When polled first on a thread that is not a selector's.
///
/// # Cancel safety
///
/// Releases its timer; for the rest, what the future promises when it is dropped.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    let timers = Arc::clone(Shared::current("timeout").timers());
    time::timeout(timers, duration, future).await
}

/// Runs any future, but no longer than `duration`; `None` when the time was up first. See
/// [`SelectorManager::within`].
///
/// # Panics
///
/// When polled first on a thread that is not a selector's.
///
/// # Cancel safety
///
/// As [`timeout`].
pub async fn within<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let timers = Arc::clone(Shared::current("within").timers());
    time::within(timers, duration, future).await
}

/// A regular beat; see [`SelectorManager::interval`].
///
/// # Panics
///
/// On a thread that is not a selector's.
pub fn interval(period: Duration) -> Interval {
    Interval::new(Arc::clone(Shared::current("interval").timers()), period)
}

/// A connection in memory, for the current thread's selector; see [`SelectorManager::duplex`].
///
/// # Panics
///
/// On a thread that is not a selector's, and if `capacity` is zero.
///
/// # Examples
///
/// ```
/// forebay::run(async |_| {
///     let (mut left, mut right) = forebay::duplex(4096);
///     left.output.write_str("ping\n").await?;
///     assert_eq!(right.input.read_line().await?.as_deref(), Some("ping"));
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
pub fn duplex(capacity: usize) -> (Connection, Connection) {
    net::duplex(&Shared::current("duplex"), capacity)
}

/// The time by the selector's clock; see [`SelectorManager::now`].
///
/// # Panics
///
/// On a thread that is not a selector's.
pub fn now() -> Instant {
    Shared::current("now").timers().now()
}
