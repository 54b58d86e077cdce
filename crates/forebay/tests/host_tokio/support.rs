//! The runtimes in which a test runs.

use forebay::{Connection, Result, SelectorManager};
use forebay_testing::{PATIENCE, counted_alone, descriptors, watched, worker_threads};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// A way of running a future in tokio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    CurrentThread,
    MultiThread,
    LocalSet,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::CurrentThread, Self::MultiThread, Self::LocalSet];

    pub(crate) fn runtime(self) -> Runtime {
        match self {
            Self::CurrentThread | Self::LocalSet => current_thread(),
            Self::MultiThread => multi_thread(),
        }
    }

    pub(crate) fn block_on<F: Future>(self, runtime: &Runtime, future: F) -> F::Output {
        match self {
            Self::CurrentThread | Self::MultiThread => runtime.block_on(future),
            Self::LocalSet => LocalSet::new().block_on(runtime, future),
        }
    }
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap()
}

/// Runs the test in each kind of runtime, in a process of its own. It hangs, or fails, if a thread of a
/// worker does any of it.
pub(crate) fn in_each(
    name: &str,
    test: impl AsyncFn(&SelectorManager) -> Result<()> + Copy + Send + 'static,
) {
    counted_alone(name, || {
        for kind in Kind::ALL {
            watched(move || in_one(kind, &test));
        }
    });
}

fn in_one(kind: Kind, test: &impl AsyncFn(&SelectorManager) -> Result<()>) {
    let runtime = kind.runtime();
    let selector = SelectorManager::new();
    kind.block_on(&runtime, async {
        test(&selector).await.unwrap_or_else(|error| panic!("in {kind:?}: {error}"));
        assert_eq!(worker_threads(), 0, "in {kind:?}");
        selector.close().await;
        assert_eq!(worker_threads(), 0, "in {kind:?}, by the close");
    });
    assert_eq!(selector.stats().sockets, 0);
}

/// A connection over TCP, first the end that connected.
pub(crate) async fn pair(selector: &SelectorManager) -> Result<(Connection, Connection)> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let (near, far) = tokio::join!(selector.tcp().connect(server.local_address()), server.accept());
    Ok((near?.connection()?, far?.connection()?))
}

/// A connection that has been waited for at both ends.
pub(crate) async fn used_pair(selector: &SelectorManager) -> Result<(Connection, Connection)> {
    let (mut near, mut far) = pair(selector).await?;
    let (asked, told) = tokio::join!(far.input.read_line(), async {
        tokio::task::yield_now().await;
        near.output.write_str("one\n").await
    });
    assert_eq!(asked?.as_deref(), Some("one"));
    told?;
    let (asked, told) = tokio::join!(near.input.read_line(), async {
        tokio::task::yield_now().await;
        far.output.write_str("two\n").await
    });
    assert_eq!(asked?.as_deref(), Some("two"));
    told?;
    Ok((near, far))
}

/// Sends back what comes until the peer ends, then ends too.
pub(crate) async fn echo(mut connection: Connection) -> Result<()> {
    while let Some(chunk) = connection.input.read_chunk().await? {
        connection.output.write_bytes(chunk).await?;
    }
    connection.output.finish().await?;
    connection.socket.close().await
}

/// Lets tokio and async-io open what they keep from their first use on, so that descriptors can be counted.
pub(crate) fn warmed_up() {
    #[cfg(feature = "smol")]
    async_io::block_on(async_io::Timer::after(std::time::Duration::from_millis(1)));
    current_thread().block_on(async { tokio::net::TcpListener::bind("[::1]:0").await.ok() });
}

/// Waits until no thread of a worker is left, and no more descriptors than before.
#[track_caller]
pub(crate) fn nothing_left(before: &[(String, String)]) {
    let since = std::time::Instant::now();
    while worker_threads() > 0 || descriptors().len() > before.len() {
        assert!(
            since.elapsed() < PATIENCE / 4,
            "left: {} threads of workers, and descriptors: {:?}",
            worker_threads(),
            descriptors().iter().filter(|it| !before.contains(it)).collect::<Vec<_>>()
        );
        std::thread::yield_now();
    }
}
