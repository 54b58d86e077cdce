//! A group of tasks, which are asked to stop and waited for together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forebay_io::Result;

use super::shared::Shared;
use crate::task::{JoinHandle, Place, StopRequested, Tasks};
use crate::time::within;

/// Tasks that are asked to stop, and waited for, together: the sessions of a server, for instance. Made by
/// [`SelectorManager::group`](crate::SelectorManager::group) or [`group`](crate::group).
///
/// It is a handle, and cloning it is cheap. A task that has ended leaves nothing behind, so a group may live
/// as long as its server. When the last handle is dropped, its tasks continue, as those of a dropped
/// [`JoinHandle`] do. A group does not keep its selector open.
///
/// Only tasks that [`spawn`](Self::spawn) or a [`TaskPlace`] has started belong to it: a task that such a
/// task starts elsewhere does not.
///
/// # Examples
///
/// A session that ends when its peer does, or when the server stops:
///
/// ```
/// use std::time::Duration;
///
/// use forebay::{Connection, Either, Result, race};
///
/// async fn session(mut it: Connection) -> Result<()> {
///     while let Either::Left(line) = race(it.input.read_line(), forebay::stop_requested()).await {
///         let Some(line) = line? else { break };
///         forebay::write_line!(it.output, "{line}").await?;
///     }
///     it.socket.close().await
/// }
///
/// forebay::run(async |selector| {
///     let sessions = selector.group();
///     let (near, mut far) = selector.duplex(4096);
///     sessions.spawn(session(near));
///     far.output.write_str("hello\n").await?;
///     assert_eq!(far.input.read_line().await?.as_deref(), Some("hello"));
///
///     sessions.stop();
///     assert_eq!(far.input.read_line().await?, None);
///     drop(far);
///     assert_eq!(sessions.join_within(Duration::from_secs(10)).await, 0);
///     Result::Ok(())
/// })?;
/// # Result::Ok(())
/// ```
#[doc(alias = "coroutineScope")]
#[doc(alias = "supervisorScope")]
#[derive(Clone)]
pub struct TaskGroup {
    selector: Arc<Shared>,
    tasks: Arc<Tasks>,
}

impl TaskGroup {
    pub(crate) fn new(selector: Arc<Shared>) -> Self {
        Self { selector, tasks: Arc::default() }
    }

    /// Starts a task in this group. It never waits, also if there is a [limit](Self::limit). Otherwise it is
    /// [`SelectorManager::spawn`](crate::SelectorManager::spawn): dropping the handle detaches the task,
    /// which stays in the group, and an error that is not awaited is reported.
    ///
    /// A group that was [asked to stop](Self::stop) still starts tasks; they find the request made. Once the
    /// selector is closed no task is started, and the handle returns `Closed`.
    #[doc(alias = "launch")]
    #[track_caller]
    pub fn spawn(&self, task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
        self.selector.spawn_in(&self.tasks, task)
    }

    /// Limits how many tasks the group has at once, for those that wait for a [`place`](Self::place).
    ///
    /// # Panics
    ///
    /// Panics if `count_max` is zero: no place would ever be free.
    ///
    /// # Examples
    ///
    /// At most a hundred connections are served at once. The others wait in the listener's backlog, because
    /// there is a place before a connection is accepted:
    ///
    /// ```no_run
    /// # async fn session(_: forebay::Socket) -> forebay::Result<()> { Ok(()) }
    /// forebay::run(async |selector| {
    ///     let server = selector.tcp().bind("127.0.0.1:9002").await?;
    ///     let sessions = selector.group().limit(100);
    ///     loop {
    ///         let place = sessions.place().await;
    ///         place.spawn(session(server.accept().await?));
    ///     }
    ///     # #[expect(unreachable_code)]
    ///     # forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[must_use]
    pub fn limit(self, count_max: usize) -> Self {
        assert!(count_max > 0, "TaskGroup::limit needs room for at least one task");
        self.tasks.set_places_max(count_max);
        self
    }

    /// Waits until the group has fewer tasks, and places for tasks, than its [limit](Self::limit), and takes
    /// a place for one more. Without a limit there is always a place.
    ///
    /// The limit holds for all handles of the group. Tasks that [`spawn`](Self::spawn) has started count, but
    /// do not wait.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped wait has taken no place.
    #[doc(alias = "Semaphore")]
    pub async fn place(&self) -> TaskPlace {
        TaskPlace { selector: Arc::clone(&self.selector), place: self.tasks.place().await }
    }

    /// Returns the number of tasks that have not ended.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Returns `true` if all tasks have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the tasks to stop: [`stop_requested`](crate::stop_requested) returns in each of them, now or
    /// whenever it is called. It ends nothing by itself, and cannot be taken back.
    pub fn stop(&self) {
        self.tasks.request_stop();
    }

    /// Waits until the group is asked to stop, or its selector begins to close. Any task may wait for that,
    /// also on another thread; inside a task of the group, [`stop_requested`](crate::stop_requested) needs no
    /// handle.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    pub fn stop_requested(&self) -> StopRequested {
        StopRequested::to(Some(Arc::clone(self.selector.tasks())), Some(Arc::clone(&self.tasks)))
    }

    /// Waits until all tasks have ended, those included that begin meanwhile. In a task of the group it
    /// waits for the others, except for those that wait here too.
    ///
    /// A closing selector ends or cancels the tasks, and with them this wait.
    ///
    /// # Cancel safety
    ///
    /// Releases: it can be called again.
    ///
    /// # Examples
    ///
    /// ```
    /// forebay::run(async |selector| {
    ///     let group = selector.group();
    ///     for _ in 0..10 {
    ///         group.spawn(async { Ok(()) });
    ///     }
    ///     group.join().await;
    ///     assert!(group.is_empty());
    ///     forebay::Result::Ok(())
    /// })?;
    /// # forebay::Result::Ok(())
    /// ```
    #[doc(alias = "joinAll")]
    pub async fn join(&self) {
        self.tasks.closer().users_ended().await;
    }

    /// Waits as [`join`](Self::join) does, for at most `duration`. Then it aborts the tasks that are left
    /// ([`JoinHandle::abort`]) and returns their number; zero if all have ended in time.
    ///
    /// It does not wait for the aborted tasks, so it returns in time also if one of them blocks its thread.
    /// Each ends at its next await point, for which `join` waits. `join_within(Duration::ZERO)` aborts all
    /// that have not ended.
    ///
    /// # Cancel safety
    ///
    /// Releases: no task is aborted. Called again, it begins anew.
    #[doc(alias = "cancelAndJoin")]
    pub async fn join_within(&self, duration: Duration) -> usize {
        let closer = self.tasks.closer();
        let timers = self.selector.timers();
        match within(timers, duration, closer.users_ended()).await {
            Some(()) => 0,
            None => closer.abort_users(),
        }
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("len", &self.len())
            .field("is_stop_requested", &self.tasks.is_stop_requested())
            .finish_non_exhaustive()
    }
}

/// A place for one more task in a [`TaskGroup`] with a limit. Dropping it makes the place free again.
#[must_use = "dropping it makes the place free again"]
pub struct TaskPlace {
    selector: Arc<Shared>,
    place: Place,
}

impl TaskPlace {
    /// Starts a task that takes this place until it ends; see [`TaskGroup::spawn`].
    #[track_caller]
    pub fn spawn(self, task: impl Future<Output = Result<()>> + Send + 'static) -> JoinHandle<()> {
        // The task is listed before the place is dropped, so that no other one takes it in between.
        self.selector.spawn_in(self.place.tasks(), task)
    }
}

impl fmt::Debug for TaskPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskPlace").finish_non_exhaustive()
    }
}
