//! The transports of a connection: a test of their common behaviour runs over each of them.
//!
//! Tests ask a transport for its abilities, and do not match on it. So a new one is added only here.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{
    Connection, Identity, Result, SelectorManager, ServerSocket, TlsConfig, Trust, UnixAddress,
};
use futures_lite::future::zip;

use crate::{Host, KIB, report, settle, watched};

/// The smallest step of time.
pub const MOMENT: Duration = Duration::from_millis(1);

/// The time that a close waits for its peer on the selectors that [`with_clock`] makes.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// The amount of input that such a close discards.
const DRAIN_BYTES: u64 = 64 * 1024;
/// Bytes that wait in each direction of a connection in memory: about as many as a kernel takes, so that a
/// flush returns at the same point as on a socket.
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

    /// Makes both ends of a connection, the one that connected first. The listener is closed.
    pub async fn pair(self, selector: &SelectorManager) -> Result<(Connection, Connection)> {
        self.pair_between(selector, selector).await
    }

    /// Makes a pair like [`pair`](Self::pair), with the connecting end on one selector and the other on
    /// another; a pair in memory is on the first.
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
                let secure = zip(near.tls(client), far.accept_tls(server)).await;
                // The session's tickets follow the handshake: they arrive before the test begins.
                settle().await;
                secure
            }
        };
        Ok((near?.connection()?, far?.connection()?))
    }

    /// Makes the peer of `near` reset it. A Unix socket resets only if its peer has left something unread
    /// (`unix(7)`), so something is sent there first.
    pub async fn reset_by_peer(self, near: &mut Connection, far: &Connection) -> Result<()> {
        if !self.knows_resets() {
            near.output.write_str("never read").await?;
            near.output.flush().await?;
        }
        far.socket.abort();
        Ok(())
    }

    /// Returns `true` if `abort` reaches a peer as an error even if everything that was sent was read. Unix
    /// sockets have no reset: there the peer sees the end.
    pub fn knows_resets(self) -> bool {
        self != Self::Unix
    }

    /// Returns the number of descriptors that a pair takes.
    pub fn sockets(self) -> usize {
        if self == Self::Memory { 0 } else { 2 }
    }

    /// Returns the most that may be queued besides the written bytes: with TLS as much as one turn sends is
    /// encrypted already when the peer takes no more.
    pub fn queued_besides(self) -> usize {
        if self == Self::Tls { 128 * KIB } else { 0 }
    }

    /// Returns `true` if a peer that is gone answers the end mark itself, as it does data.
    pub fn ends_with_data(self) -> bool {
        self == Self::Tls
    }

    /// Returns `true` if a socket of the standard library can be the other end, without anything agreed
    /// before.
    pub fn takes_plain_peers(self) -> bool {
        matches!(self, Self::Tcp | Self::Unix)
    }

    /// Returns `true` if the kernel carries exactly the written bytes.
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

/// The configurations of the two sides of a pair, the one that connects first.
static TLS: LazyLock<(TlsConfig, TlsConfig)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    let trust = Trust::roots_pem(made.cert.pem()).unwrap();
    let server = TlsConfig::server(Identity::from_pem(pem).unwrap()).build().unwrap();
    (TlsConfig::client().trust(trust).build().unwrap(), server)
});

/// A listener at a name that no other test has.
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

/// Runs a test like [`on_every_transport`], over those of which this holds.
#[track_caller]
pub fn on_transports(
    which: impl Fn(Transport) -> bool,
    test: impl AsyncFn(SelectorManager, Transport) -> Result<()> + Copy + Send + 'static,
) {
    for transport in Transport::ALL.into_iter().filter(|transport| which(*transport)) {
        over(transport, move || {
            let test = async |selector| test(selector, transport).await;
            Host::of_environment().run(SelectorManager::builder(), test).unwrap();
        });
    }
}

/// Runs a test like [`on_every_transport`], each on a selector with one worker; see
/// [`run_on_one_worker`](crate::run_on_one_worker).
#[track_caller]
pub fn on_every_transport_on_one_worker(
    test: impl AsyncFn(SelectorManager, Transport) -> Result<()> + Copy + Send + 'static,
) {
    on_each(move |transport| {
        let one = SelectorManager::builder().workers(1);
        one.run(async |selector| test(selector, transport).await).unwrap();
    });
}

/// Runs a test like [`on_every_transport`], with a clock that the test owns.
#[track_caller]
pub fn on_every_transport_with_clock(
    test: impl AsyncFn(SelectorManager, TestClock, Transport) -> Result<()> + Copy + Send + 'static,
) {
    on_each(move |transport| {
        with_clock(async move |selector, clock| test(selector, clock, transport).await);
    });
}

/// Runs a test like [`on_every_transport_with_clock`], by the selector's worker in any case: for tests that hold up the
/// worker by not returning from a poll.
#[track_caller]
pub fn on_every_transport_with_clock_on_a_worker(
    test: impl AsyncFn(SelectorManager, TestClock, Transport) -> Result<()> + Copy + Send + 'static,
) {
    on_each(move |transport| {
        with_clock_on_a_worker(async move |selector, clock| test(selector, clock, transport).await);
    });
}

/// Runs a test like [`on_every_transport`], which makes the selector itself.
#[track_caller]
pub fn on_each(test: impl Fn(Transport) + Copy + Send + 'static) {
    for transport in Transport::ALL {
        over(transport, move || test(transport));
    }
}

/// Runs something, watched, and prints the transport if it fails.
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

/// Runs a test on a selector whose clock it owns, watched. The selector has one worker, so that a task which
/// gives way lets all others proceed.
#[track_caller]
pub fn with_clock(
    test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static,
) {
    with_clock_in(Host::of_environment(), test);
}

/// Runs a test like [`with_clock`], by the selector's worker in any case; see
/// [`on_every_transport_with_clock_on_a_worker`].
#[track_caller]
pub fn with_clock_on_a_worker(
    test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static,
) {
    with_clock_in(Host::Own, test);
}

#[track_caller]
fn with_clock_in(
    host: Host,
    test: impl AsyncFnOnce(SelectorManager, TestClock) -> Result<()> + Send + 'static,
) {
    watched(move || {
        let clock = TestClock::new();
        let selector = SelectorManager::builder()
            .workers(1)
            .clock(clock.clone())
            .drain(DRAIN_TIMEOUT, DRAIN_BYTES);
        host.run(selector, async |selector| test(selector, clock).await)
    })
    .unwrap();
}

/// Returns the longest duration below this limit.
pub fn just_before(limit: Duration) -> Duration {
    limit.checked_sub(MOMENT).unwrap()
}

/// Advances the time to just before a peer was silent for `limit`. A close looks at the acknowledged bytes
/// when the time advances, and not before: the silence begins within the first steps.
pub async fn just_before_silence(clock: &TestClock, limit: Duration) {
    for _ in 0..LOOKS_COUNT {
        clock.advance(MOMENT);
        settle().await;
    }
    clock.advance(just_before(limit).saturating_sub(LOOKS_COUNT * MOMENT));
    settle().await;
}

/// Advances the time from there past the limit.
pub fn past_silence(clock: &TestClock) {
    clock.advance((LOOKS_COUNT + 1) * MOMENT);
}

/// Advances the time until no connection is being closed any more.
pub async fn until_given_up(selector: &SelectorManager, clock: &TestClock, limit: Duration) {
    while selector.stats().background_closes > 0 {
        just_before_silence(clock, limit).await;
        past_silence(clock);
        settle().await;
    }
}

/// Looks at the beginning of a silence, a moment apart.
const LOOKS_COUNT: u32 = 10;

#[track_caller]
pub fn assert_reset<T: fmt::Debug>(transport: Transport, outcome: Result<T>) {
    let error = outcome.expect_err("it was reset");
    assert!(error.is_reset(), "over {transport}: {error}");
}
