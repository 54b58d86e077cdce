//! What carries a connection: a test of what holds for all of them runs over each.
//!
//! Tests ask a transport what it can do, and do not match on it; so another one is added here
//! alone.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{
    Connection, Identity, Result, SelectorManager, ServerSocket, TlsConfig, Trust, UnixAddress,
};
use futures_lite::future::{yield_now, zip};

use crate::{KIB, report, watched};

/// The smallest step of time.
pub const MOMENT: Duration = Duration::from_millis(1);

/// How long a close waits for its peer on the selectors that [`with_clock`] makes.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How much input it throws away.
const DRAIN_BYTES: u64 = 64 * 1024;
/// Bytes that wait in each direction of a connection in memory: about what a kernel takes, so that a
/// flush returns where it does on a socket.
const MEMORY_BYTES: usize = 128 * KIB;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Unix,
    Memory,
    /// TLS, over TCP.
    Tls,
}

impl Transport {
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Unix, Self::Memory, Self::Tls];

    /// Both ends of a connection, the one that connected first. Its listener is gone.
    pub async fn pair(self, selector: &SelectorManager) -> Result<(Connection, Connection)> {
        self.pair_between(selector, selector).await
    }

    /// As [`pair`](Self::pair), the end that connects on one selector and the other on another; a
    /// pair in memory is on the first.
    pub async fn pair_between(
        self,
        connecting: &SelectorManager,
        listening: &SelectorManager,
    ) -> Result<(Connection, Connection)> {
        let (near, far) = match self {
            Self::Tcp => {
                let server = listening.tcp().bind("127.0.0.1:0").await?;
                let connecting = connecting.tcp().connect(server.local_address());
                zip(connecting, server.accept()).await
            }
            Self::Unix => {
                let (server, name) = abstract_listener(listening).await?;
                zip(connecting.unix().connect(name), server.accept()).await
            }
            Self::Memory => return Ok(connecting.duplex(MEMORY_BYTES)),
            Self::Tls => {
                let server = listening.tcp().bind("127.0.0.1:0").await?;
                let connecting = connecting.tcp().connect(server.local_address());
                let (near, far) = zip(connecting, server.accept()).await;
                let (near, far) = (near?, far?);
                let (client, server) = &*TLS;
                zip(near.tls(client), far.accept_tls(server)).await
            }
        };
        Ok((near?.connection()?, far?.connection()?))
    }

    /// Has `near` reset by its peer. A Unix socket resets only when its peer has left something
    /// unread (`unix(7)`), so something is sent there first.
    pub async fn reset_by_peer(self, near: &mut Connection, far: &Connection) -> Result<()> {
        if !self.knows_resets() {
            near.output.write_str("never read").await?;
            near.output.flush().await?;
        }
        far.socket.abort();
        Ok(())
    }

    /// Whether `abort` reaches a peer as an error even if everything it sent was read. Unix sockets
    /// know no reset: there it sees the end.
    pub fn knows_resets(self) -> bool {
        self != Self::Unix
    }

    /// Descriptors that a pair takes.
    pub fn sockets(self) -> usize {
        if self == Self::Memory { 0 } else { 2 }
    }

    /// The most that may be queued besides what was written: TLS has as much as one turn sends
    /// encrypted already when the peer takes no more.
    pub fn queued_besides(self) -> usize {
        if self == Self::Tls { 128 * KIB } else { 0 }
    }

    /// Whether a peer that is gone answers the end mark itself, as it does data.
    pub fn ends_with_data(self) -> bool {
        self == Self::Tls
    }

    /// Whether a socket of the standard library can be the other end, with nothing agreed before.
    pub fn takes_plain_peers(self) -> bool {
        matches!(self, Self::Tcp | Self::Unix)
    }

    /// Whether what is written is what the kernel carries, byte for byte and nothing besides.
    pub fn is_transparent(self) -> bool {
        matches!(self, Self::Tcp | Self::Unix)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Unix => "a Unix socket",
            Self::Memory => "memory",
            Self::Tls => "TLS",
        })
    }
}

/// What the two sides of a pair are configured with, the one that connects first.
static TLS: LazyLock<(TlsConfig, TlsConfig)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    let trust = Trust::roots_pem(made.cert.pem()).unwrap();
    let server = TlsConfig::server(Identity::from_pem(pem).unwrap()).build().unwrap();
    (TlsConfig::client().trust(trust).build().unwrap(), server)
});

/// A listener at a name of its own.
async fn abstract_listener(selector: &SelectorManager) -> Result<(ServerSocket, UnixAddress)> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let name = format!("forebay-test-{}-{number}", std::process::id());
    let address = UnixAddress::Abstract(name.into_bytes());
    Ok((selector.unix().bind(address.clone()).await?, address))
}

// ---- over each of them --------------------------------------------------------------------------

/// Runs a test over every transport, each on a selector of its own, watched.
#[track_caller]
pub fn on_every_transport(
    test: impl AsyncFn(SelectorManager, Transport) -> Result<()> + Copy + Send + 'static,
) {
    on_transports(|_| true, test);
}

/// As [`on_every_transport`], over those of which this holds.
#[track_caller]
pub fn on_transports(
    which: impl Fn(Transport) -> bool,
    test: impl AsyncFn(SelectorManager, Transport) -> Result<()> + Copy + Send + 'static,
) {
    for transport in Transport::ALL.into_iter().filter(|transport| which(*transport)) {
        over(transport, move || {
            forebay::run(async |selector| test(selector, transport).await).unwrap();
        });
    }
}

/// As [`on_every_transport`], by a clock that the test owns.
#[track_caller]
pub fn on_every_transport_with_clock(
    test: impl AsyncFn(SelectorManager, TestClock, Transport) -> Result<()> + Copy + Send + 'static,
) {
    on_each(move |transport| {
        with_clock(async move |selector, clock| test(selector, clock, transport).await);
    });
}

/// As [`on_every_transport`], for a test that makes the selector itself.
#[track_caller]
pub fn on_each(test: impl Fn(Transport) + Copy + Send + 'static) {
    for transport in Transport::ALL {
        over(transport, move || test(transport));
    }
}

/// Runs something, watched, and says over what it ran if it fails.
#[track_caller]
fn over(transport: Transport, run: impl FnOnce() + Send + 'static) {
    struct Named(Transport);
    impl Drop for Named {
        fn drop(&mut self) {
            if thread::panicking() {
                report(&format!("failed over {}", self.0));
            }
        }
    }
    let _named = Named(transport);
    watched(run);
}

/// Runs a test on a selector whose clock it owns, watched.
#[track_caller]
pub fn with_clock(
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
pub fn just_before(limit: Duration) -> Duration {
    limit.checked_sub(MOMENT).unwrap()
}

/// Lets the time go on to just before a peer was silent for `limit`. A close looks at what was
/// acknowledged when the time goes on, and not before: the silence begins within the first steps.
pub async fn just_before_silence(clock: &TestClock, limit: Duration) {
    for _ in 0..LOOKS_COUNT {
        clock.advance(MOMENT);
        settle().await;
    }
    clock.advance(just_before(limit).saturating_sub(LOOKS_COUNT * MOMENT));
    settle().await;
}

/// Lets the time go on from there to behind it.
pub fn past_silence(clock: &TestClock) {
    clock.advance((LOOKS_COUNT + 1) * MOMENT);
}

/// Lets the time go on until no connection is being closed any more.
pub async fn until_given_up(selector: &SelectorManager, clock: &TestClock, limit: Duration) {
    while selector.stats().background_closes > 0 {
        just_before_silence(clock, limit).await;
        past_silence(clock);
        settle().await;
    }
}

/// Looks at the beginning of a silence, a moment apart.
const LOOKS_COUNT: u32 = 10;

/// Lets the worker go round so often that whatever is ready to happen has happened; for seeing that
/// something does not.
pub async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[track_caller]
pub fn assert_reset<T: fmt::Debug>(transport: Transport, outcome: Result<T>) {
    let error = outcome.expect_err("it was reset");
    assert!(error.is_reset(), "over {transport}: {error}");
}
