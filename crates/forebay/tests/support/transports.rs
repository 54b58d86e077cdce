//! What carries a connection: a test of what holds for all of them runs over each.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Connection, Result, SelectorManager, ServerSocket, UnixAddress};
use futures_lite::future::{yield_now, zip};

use super::watched;

/// The smallest step of time.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

/// How long a close waits for its peer on the selectors that [`with_clock`] makes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How much input it throws away.
const DRAIN_BYTES: u64 = 64 * 1024;
/// Bytes that wait in each direction of a connection in memory.
const MEMORY_BYTES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
    Memory,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Tcp, Self::Unix, Self::Memory];

    /// Both ends of a connection.
    pub(crate) async fn pair(self, selector: &SelectorManager) -> Result<(Connection, Connection)> {
        let (near, far) = match self {
            Self::Tcp => {
                let server = selector.tcp().bind("127.0.0.1:0").await?;
                let connecting = selector.tcp().connect(server.local_address());
                zip(connecting, server.accept()).await
            }
            Self::Unix => {
                let (server, name) = abstract_listener(selector).await?;
                zip(selector.unix().connect(name), server.accept()).await
            }
            Self::Memory => return Ok(selector.duplex(MEMORY_BYTES)),
        };
        Ok((near?.connection()?, far?.connection()?))
    }

    /// Has `near` reset by its peer. A Unix socket resets only when its peer has left something
    /// unread (`unix(7)`), so something is sent there first.
    pub(crate) async fn reset_by_peer(self, near: &mut Connection, far: &Connection) -> Result<()> {
        if self == Self::Unix {
            near.output.write_str("never read").await?;
            near.output.flush().await?;
        }
        far.socket.abort();
        Ok(())
    }
}

/// A listener at a name that nobody else has.
async fn abstract_listener(selector: &SelectorManager) -> Result<(ServerSocket, UnixAddress)> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let name = format!("forebay-test-{}-{number}", std::process::id());
    let address = UnixAddress::Abstract(name.into_bytes());
    Ok((selector.unix().bind(address.clone()).await?, address))
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Unix => "a Unix socket",
            Self::Memory => "memory",
        })
    }
}

/// Runs a test on a selector whose clock it owns, watched.
#[track_caller]
pub(crate) fn with_clock(
    test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static,
) {
    watched(|| {
        let clock = TestClock::new();
        let selector =
            SelectorManager::builder().clock(clock.clone()).drain(DRAIN_TIMEOUT, DRAIN_BYTES);
        selector.run(async |selector| test(selector, clock).await)
    })
    .unwrap();
}

/// The longest that is not yet so long.
pub(crate) fn just_before(limit: Duration) -> Duration {
    limit.checked_sub(MOMENT).unwrap()
}

/// Lets the worker go round so often that whatever is ready to happen has happened; for seeing that
/// something does not.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}
