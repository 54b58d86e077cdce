//! The functions at the crate's root, which use the selector of the current thread.

use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use forebay_io::seam::wake_next_turn;
use forebay_io::{Error, Result};

#[cfg(unix)]
use crate::boxed::boxed;
use crate::host::Interest;
use crate::net::{self, Connection, ToAddress};
use crate::selector::{SelectorManager, Shared, TaskGroup};
#[cfg(all(feature = "signal", unix))]
use crate::selector::{SignalKind, Signals};
use crate::task::{JoinHandle, StopRequested, current_lists};
use crate::time::{self, Interval, Sleep};

/// Runs `main` on a new selector, with this thread as its first worker, and closes the selector before it
/// returns ([`SelectorManager::close`]): the waits of tasks that still run return `Closed`, the tasks have the
/// drain timeout of ten seconds to end, and are cancelled after that; what connections have accepted is
/// sent. So `main` awaits the handles of the tasks whose results matter.
///
/// No signal is blocked, and none is handled unless the program asks for it (`ctrl_c` and `signal`, with the
/// feature of that name). A signal that the program handles disturbs nothing, and a signal that it does not
/// handle, such as `SIGTERM`, has its usual effect (`signal(7)`).
///
/// # Errors
///
/// The error that `main` returns, of any type that can be made from an [`Error`]; and
/// [`Exhausted`](crate::ErrorKind::Exhausted) if there is no descriptor left for a selector.
///
/// # Panics
///
/// Panics inside another `run`, `block_on` or a task, because the thread would wait for itself. A panic of
/// `main` is resumed.
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

/// Starts a task that returns a [`Result<()>`](crate::Result) on the current thread's selector; see
/// [`SelectorManager::spawn`]. For a task that returns anything else there is [`spawn_value`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
///
/// # Examples
///
/// ```
/// forebay::run(async |_| {
///     forebay::spawn(async { Ok(()) }).await
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[track_caller]
pub fn spawn(task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
    Shared::current("spawn").spawn(true, task)
}

/// Starts a task on this thread's worker; see [`SelectorManager::spawn_here`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
#[track_caller]
pub fn spawn_here(task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
    Shared::current("spawn_here").spawn_here(task)
}

/// Starts a task that returns a value of any type; see [`SelectorManager::spawn_value`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
#[track_caller]
pub fn spawn_value<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    Shared::current("spawn_value").spawn_value(task)
}

/// Runs a blocking function on a thread of its own until it returns; see
/// [`SelectorManager::spawn_blocking`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector, such as the one that runs `function`.
///
/// # Examples
///
/// ```
/// forebay::run(async |_| {
///     let hosts = forebay::spawn_blocking(|| std::fs::read_to_string("/etc/hosts"));
///     println!("{}", hosts.await??);
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "Dispatchers.IO")]
#[track_caller]
pub fn spawn_blocking<T: Send + 'static>(
    function: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    Shared::current("spawn_blocking").spawn_blocking(function)
}

/// Makes a group of tasks on the current thread's selector; see [`SelectorManager::group`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
#[doc(alias = "coroutineScope")]
#[doc(alias = "supervisorScope")]
pub fn group() -> TaskGroup {
    TaskGroup::new(Shared::current("group"))
}

/// Waits until the current task is asked to stop: by [`TaskGroup::stop`], if it is a task of a group, or
/// because its selector begins to close. The call decides which task that is; the wait may be moved to
/// another one. Outside a task it is the selector of the current thread that counts, and on a thread that
/// does not belong to a selector it waits forever. So a handler need not know where it runs.
///
/// # Cancel safety
///
/// Releases: nothing is left behind.
///
/// # Examples
///
/// A task that works until it is asked to stop, and then ends in order:
///
/// ```
/// use std::time::Duration;
///
/// use forebay::{Either, race};
///
/// forebay::run(async |selector| {
///     let group = selector.group();
///     group.spawn(async {
///         let mut ticks = forebay::interval(Duration::from_millis(1));
///         while let Either::Left(_) = race(ticks.tick(), forebay::stop_requested()).await {
///             // Do what is to be done every millisecond.
///         }
///         Ok(())
///     });
///     forebay::sleep(Duration::from_millis(3)).await;
///     group.stop();
///     group.join().await;
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "isActive")]
pub fn stop_requested() -> StopRequested {
    let (selector, group) = current_lists();
    let of_this_thread = || Some(Arc::clone(Shared::of_this_thread()?.tasks()));
    StopRequested::to(selector.or_else(of_this_thread), group)
}

/// Waits until a descriptor of any kind is ready; see [`SelectorManager::ready`].
///
/// # Errors
///
/// As [`SelectorManager::ready`].
///
/// # Panics
///
/// Panics when it is first polled on a thread that does not belong to a selector.
///
/// # Cancel safety
///
/// Releases: nothing is left behind. What was ready stays so.
///
/// # Examples
///
/// ```
/// use std::io::pipe;
///
/// use forebay::Interest;
///
/// forebay::run(async |_| {
///     let (_reader, writer) = pipe()?;
///     forebay::ready(&writer, Interest::WRITABLE).await?;
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[cfg(unix)]
pub async fn ready(fd: impl AsFd, interest: Interest) -> Result<Interest> {
    Shared::current("ready").ready(fd.as_fd(), interest).await
}

/// Returns the addresses of a host; see [`SelectorManager::resolve`].
///
/// # Errors
///
/// Those of [`SelectorManager::resolve`].
///
/// # Panics
///
/// Panics when it is first polled on a thread that does not belong to a selector.
///
/// # Cancel safety
///
/// As [`SelectorManager::resolve`].
///
/// # Examples
///
/// ```
/// forebay::run(async |_| {
///     for address in forebay::resolve("localhost:80").await? {
///         println!("{address}");
///     }
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "resolveAddress")]
pub fn resolve(address: impl ToAddress) -> impl Future<Output = Result<Vec<SocketAddr>>> {
    let address = address.to_address();
    boxed(async move { net::resolve_on(&Shared::current("resolve"), address).await })
}

/// Waits for this long; see [`SelectorManager::sleep`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
///
/// # Cancel safety
///
/// Releases: a dropped sleep removes its timer.
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

/// Lets everything else that is ready on this task's worker run first: waits for the worker's next turn.
/// Before that, its other tasks are polled, what they and this task have written is sent, and its sockets and
/// timers are looked at. What other workers do meanwhile is not waited for. A task that computes for long calls this in between, so that it does not hold up the others.
///
/// It may be called on any thread. Where no worker runs the task, it is woken at once, and its executor
/// decides what runs next.
///
/// # Cancel safety
///
/// Releases: nothing is left behind.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let sum = selector.spawn_value(async {
///         let mut sum = 0_u64;
///         for number in 0..100_000 {
///             sum += number;
///             if number % 10_000 == 0 {
///                 forebay::yield_now().await;
///             }
///         }
///         sum
///     });
///     assert_eq!(sum.await?, 4_999_950_000);
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[doc(alias = "yield")]
pub async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        wake_next_turn(cx.waker());
        Poll::Pending
    })
    .await;
}

/// Runs a future for at most `duration`; see [`SelectorManager::timeout`].
///
/// # Errors
///
/// The future's own; or [`TimedOut`](crate::ErrorKind::TimedOut), naming the duration.
///
/// # Panics
///
/// Panics when it is first polled on a thread that does not belong to a selector.
///
/// # Cancel safety
///
/// Releases its timer; besides, the future's own guarantee applies.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    let timers = Shared::current("timeout").timers();
    time::timeout(timers, duration, future).await
}

/// Runs any future for at most `duration`; returns `None` if the time is up first. See
/// [`SelectorManager::within`].
///
/// # Panics
///
/// Panics when it is first polled on a thread that does not belong to a selector.
///
/// # Cancel safety
///
/// As [`timeout`].
pub async fn within<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let timers = Shared::current("within").timers();
    time::within(timers, duration, future).await
}

/// Makes regular ticks; see [`SelectorManager::interval`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
pub fn interval(period: Duration) -> Interval {
    Interval::new(Shared::current("interval").timers(), period)
}

/// Makes a connection in memory for the current thread's selector; see [`SelectorManager::duplex`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector, and if `capacity` is zero.
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

/// Returns the time of the selector's clock; see [`SelectorManager::now`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
pub fn now() -> Instant {
    Shared::current("now").timers().now()
}

/// Waits for the next Ctrl-C; see [`SelectorManager::ctrl_c`].
///
/// # Errors
///
/// See [`SelectorManager::ctrl_c`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
///
/// # Cancel safety
///
/// Lossless: the next call returns the signal that a dropped one would have returned.
#[cfg(all(feature = "signal", unix))]
pub fn ctrl_c() -> impl Future<Output = Result<()>> + Send + Sync + use<> {
    Shared::current("ctrl_c").ctrl_c()
}

/// Returns the signals of this kind that arrive from now on; see [`SelectorManager::signal`].
///
/// # Errors
///
/// See [`SelectorManager::signal`].
///
/// # Panics
///
/// Panics on a thread that does not belong to a selector.
#[cfg(all(feature = "signal", unix))]
pub fn signal(kind: SignalKind) -> Result<Signals> {
    Shared::current("signal").signal(kind)
}
