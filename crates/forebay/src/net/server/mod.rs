//! Listening and accepting.

mod incoming;
mod pace;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use forebay_io::seam::{Afterwards, WaiterKey, Waiters, giving_way, poll_answer};
use forebay_io::{Error, ErrorKind, Result};
use rustix::io::Errno;
use socket2::SockRef;

pub use self::incoming::Incoming;
use self::pace::Pace;
use super::SocketAddress;
use super::descriptor::{Descriptor, Waits};
use super::options::{ConnectionOptions, StreamOptions};
use super::socket::{CoreParts, Link, Promise, Protocol, Socket, Stream};
use super::system;
use super::unix::OwnPath;
use crate::host::{Direction, Hangup, Progress};
use crate::lock::lock;
use crate::time::{Sleep, WakeUp};

/// A listening socket.
///
/// Clones share it; any number of tasks may accept. It is closed by [`close`](Self::close), with its
/// selector, or when the last clone is dropped; connections accepted before go on.
///
/// # Examples
///
/// ```
/// forebay::run(async |selector| {
///     let server = selector.tcp().bind("127.0.0.1:0").await?;
///     println!("Server is listening at {}", server.local_address());
///     let client = selector.tcp().connect(server.local_address()).await?;
///     let socket = server.accept().await?;
///     assert_eq!(socket.remote_address(), client.local_address());
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct ServerSocket {
    listener: Arc<Listener>,
    /// What its connections have besides.
    promise: Promise,
}

struct Listener {
    /// The path in the file system that goes with this socket; first, to be dropped before it.
    path: Option<OwnPath>,
    io: Descriptor,
    local: SocketAddress,
    accepted: Accepted,
    connection: Arc<ConnectionOptions>,
    /// Whether accepted sockets have the options already; asked of the first one.
    inherited: AtomicU8,
    closed: AtomicBool,
    crowd: Arc<Crowd>,
    /// Wakes the whole crowd; the one waker that the descriptor knows.
    waker: Waker,
    pace: Pace,
}

/// What this listener accepts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Accepted {
    Tcp(StreamOptions),
    Unix,
}

const NOT_ASKED: u8 = 0;
const INHERITED: u8 = 1;
const NOT_INHERITED: u8 = 2;

/// Everybody who waits in `accept`: all are woken and race for the connection.
#[derive(Debug, Default)]
struct Crowd(Mutex<Waiters<()>>);

impl Wake for Crowd {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut after = Afterwards::new();
        lock(&self.0).release(&mut after, |()| true);
        after.run();
    }
}

impl ServerSocket {
    pub(super) fn new(
        io: Descriptor,
        local: SocketAddress,
        accepted: Accepted,
        connection: Arc<ConnectionOptions>,
        path: Option<OwnPath>,
    ) -> Self {
        let selector = Arc::clone(io.selector());
        let crowd = Arc::new(Crowd::default());
        let listener = Arc::new(Listener {
            io,
            local,
            accepted,
            connection,
            inherited: AtomicU8::new(NOT_ASKED),
            path,
            closed: AtomicBool::new(false),
            waker: Waker::from(Arc::clone(&crowd)),
            crowd,
            pace: Pace::default(),
        });
        let closes = Arc::clone(&listener) as Arc<dyn WakeUp>;
        selector.closing().on_change(Arc::downgrade(&closes));
        // Whoever closed the selector meanwhile has found nobody to tell.
        closes.wake_up();
        Self { listener, promise: Promise::default() }
    }

    /// Waits for a connection.
    ///
    /// What concerns one peer alone (it was gone before it was accepted) is passed over. When the
    /// machine has no descriptors or memory left, accepting pauses, 5 milliseconds doubling up to a
    /// second, and goes on by itself: at the latest when the pause is over, and at once when a
    /// socket of the same selector gives its descriptor back. Connections wait in the backlog
    /// meanwhile. Before it pauses, a connection gives its descriptor back: the oldest
    /// that is being closed without an owner, or else the oldest TLS connection that was accepted and
    /// whose handshake is not complete, first of those whose peers have said nothing. That handshake
    /// ends with [`Exhausted`](ErrorKind::Exhausted). Each pause is reported ([`on_task_error`](crate::SelectorBuilder::on_task_error)).
    ///
    /// # Errors
    ///
    /// [`Closed`](ErrorKind::Closed) when this socket or its selector is closed;
    /// [`InvalidInput`](ErrorKind::InvalidInput) when another handle of the listener, in another
    /// process for instance, has shut it down (`shutdown(2)`);
    /// [`System`](ErrorKind::System) for what the system does not explain.
    ///
    /// # Cancel safety
    ///
    /// Releases: a dropped call has accepted nothing.
    pub async fn accept(&self) -> Result<Socket> {
        let mut accepting = Accepting::new(&*self.listener, self.promise.clone());
        poll_fn(|cx| accepting.poll(cx)).await
    }

    /// Makes a handle of this listener whose connections are TLS connections. Each makes its
    /// handshake at its first use (a channel, [`Socket::handshake`], or a wait for its end), in a task
    /// of its own: accepting never waits for one, and a peer that does not go on keeps nobody else
    /// waiting. How long one may take, the configuration says
    /// ([`handshake_timeout`](forebay_tls::TlsServerBuilder::handshake_timeout)); how many there may
    /// be at once, the selector ([`handshakes_max`](crate::SelectorBuilder::handshakes_max)).
    ///
    /// The listener is the same: this handle and those without TLS take from one backlog, and
    /// closing one closes all.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a client's configuration, and where the
    /// connections are TLS connections already.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use forebay::{Identity, TlsConfig};
    ///
    /// fn main() -> forebay::Result<()> {
    ///     let identity = Identity::from_pem_files("server.pem", "server.key")?;
    ///     let config = TlsConfig::server(identity).build()?;
    ///     forebay::run(async |selector| {
    ///         let server = selector.tcp().bind("127.0.0.1:9443").await?.tls(&config)?;
    ///         loop {
    ///             let socket = server.accept().await?;
    ///             selector.spawn(async move {
    ///                 let mut output = socket.open_write_channel()?;
    ///                 output.write_str("Hello, in private!\n").await?;
    ///                 socket.close().await
    ///             });
    ///         }
    ///     })
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(&self, config: &forebay_tls::TlsConfig) -> Result<Self> {
        if config.is_client() || self.promise.is_some() {
            let detail = if config.is_client() {
                "the configuration is a client's: TlsConfig::server makes one"
            } else {
                "the connections of this listener are TLS connections already"
            };
            return Err(Error::new(ErrorKind::InvalidInput, "tls").with_detail(detail));
        }
        Ok(Self { listener: Arc::clone(&self.listener), promise: Promise::of(config) })
    }

    /// The address this socket listens at.
    pub fn local_address(&self) -> SocketAddress {
        self.listener.local.clone()
    }

    /// The port this socket listens at; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.listener.local.port().unwrap_or_default()
    }

    /// Stops listening: connections not accepted yet are refused or reset, and every waiting
    /// [`accept`](Self::accept) gets [`Closed`](ErrorKind::Closed). The path of a Unix socket is
    /// removed, unless somebody has replaced it. Idempotent; it does not wait.
    pub fn close(&self) {
        self.listener.close();
    }

    /// True once this socket was closed.
    pub fn is_closed(&self) -> bool {
        self.listener.closed.load(Ordering::Acquire)
    }

    /// Waits until this socket is closed.
    ///
    /// # Cancel safety
    ///
    /// Releases: nothing is left behind.
    #[doc(alias = "awaitClosed")]
    pub async fn closed(&self) {
        let check = |_: &mut Waiters<()>| self.is_closed().then_some(());
        let crowd = &self.listener.crowd.0;
        giving_way(crate::task::wait::wait_in(crowd, |waiters| waiters, (), check)).await;
    }
}

/// Its selector closes, and this goes with it: whoever would connect is refused from now on, instead
/// of waiting for a handle to be dropped.
impl WakeUp for Listener {
    fn wake_up(&self) {
        if self.io.selector().is_closing() {
            self.close();
        }
    }
}

impl Listener {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(path) = &self.path {
            path.remove();
        }
        let mut after = Afterwards::new();
        self.io.release(|_| {}, &mut after);
        lock(&self.crowd.0).release(&mut after, |()| true);
        after.run();
    }

    /// One attempt; keeps the crowd's waker when there is nothing.
    fn poll_accept(&self) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        let attempt = self.poll_attempt();
        if attempt.is_ready() || !self.is_shut_down() {
            return attempt;
        }
        // One that came between the attempt and the shutdown is still there, and nothing comes later.
        match self.poll_attempt() {
            Poll::Pending => Poll::Ready(Err(Errno::INVAL.into())),
            accepted @ Poll::Ready(_) => accepted,
        }
    }

    /// Whether another handle of the listener has shut it down (`shutdown(2)`). On TCP accepting says
    /// so itself; on a Unix socket it says `EAGAIN` forever, and only this one event tells.
    fn is_shut_down(&self) -> bool {
        let mut cx = Context::from_waker(&self.waker);
        let told = matches!(self.accepted, Accepted::Unix)
            .then(|| self.io.poll_hangup(&mut cx, Hangup::default()));
        matches!(told, Some(Poll::Ready(hangup)) if hangup.read_closed)
    }

    fn poll_attempt(&self) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        let mut accepted = None;
        let mut cx = Context::from_waker(&self.waker);
        let progress = self.io.poll_io(&mut cx, Direction::Read, Waits::User, |fd| {
            accepted = Some(system::accept(fd)?);
            let is_tcp = matches!(self.accepted, Accepted::Tcp(_));
            Ok(Progress { count: 0, drained: is_tcp && system::is_backlog_empty(fd) })
        });
        progress.map(|done| done.and_then(|_| accepted.ok_or_else(|| io::ErrorKind::Other.into())))
    }

    fn connection(
        &self,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        promise: Promise,
    ) -> Result<Socket> {
        let socket = SockRef::from(&fd);
        let protocol = match self.accepted {
            Accepted::Tcp(options) => {
                self.give(options, &socket)?;
                Protocol::Tcp
            }
            Accepted::Unix => Protocol::Unix,
        };
        let remote = peer.map_or_else(|| peer_of(&socket), |peer| Ok(peer.into()))?;
        let parts = CoreParts {
            remote,
            local: self.local.clone(),
            options: Arc::clone(&self.connection),
            host_name: None,
        };
        let selector = self.io.selector();
        selector.sockets().counters.accepted.add(1);
        let io = Descriptor::new(fd, Arc::clone(selector));
        Ok(Socket::promised(Link::Kernel(Stream { io, protocol }), parts, promise))
    }

    /// Gives an accepted socket the listener's options, where it does not have them from there.
    fn give(&self, options: StreamOptions, socket: &SockRef<'_>) -> Result<()> {
        let inherited = match self.inherited.load(Ordering::Relaxed) {
            NOT_ASKED => {
                let inherited = options.hold_on(socket);
                let answer = if inherited { INHERITED } else { NOT_INHERITED };
                self.inherited.store(answer, Ordering::Relaxed);
                inherited
            }
            answer => answer == INHERITED,
        };
        if inherited { Ok(()) } else { options.apply(socket) }
    }

    /// Pauses, or has the call tried again at once.
    fn ran_out(&self, error: Error) {
        let selector = self.io.selector();
        if let Some(pause) = self.pace.pause(selector, &self.waker) {
            let error = error.with_detail(format!(
                "trying again in {pause:?}, or when a socket of this selector is closed"
            ));
            selector.reporter().report("accepting pauses", &error);
        }
    }

    fn pause_left(&self) -> Option<Duration> {
        self.pace.pause_left(self.io.selector())
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "accept").with_address(&self.local)
    }
}

/// A call of `accept`, or a stream of what it returns.
struct Accepting<L: Deref<Target = Listener>> {
    listener: L,
    promise: Promise,
    key: Option<WaiterKey>,
    pause: Option<Sleep>,
}

impl<L: Deref<Target = Listener>> Accepting<L> {
    fn new(listener: L, promise: Promise) -> Self {
        Self { listener, promise, key: None, pause: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Socket>> {
        loop {
            if self.listener.closed.load(Ordering::Acquire) {
                ready!(poll_answer(cx));
                return Poll::Ready(Err(self.listener.closed()));
            }
            if self.poll_pause(cx).is_pending() || self.listener.pace.poll_share(cx).is_pending() {
                return self.stay(cx);
            }
            match self.poll_once(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((fd, peer))) => {
                    self.listener.pace.accepted_one();
                    match self.listener.connection(fd, peer, self.promise.clone()) {
                        Ok(socket) => return Poll::Ready(Ok(socket)),
                        // Gone between the handshake and here: the next one, please.
                        Err(error) if is_of_one_peer(&error) => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Poll::Ready(Err(error)) => {
                    let error = Error::from_io("accept", error).with_address(&self.listener.local);
                    match error.kind() {
                        ErrorKind::InvalidInput => return Poll::Ready(Err(was_shut_down(error))),
                        _ if is_of_one_peer(&error) => self.listener.pace.passed_one_over(),
                        ErrorKind::Exhausted if self.listener.io.selector().sockets().end_one() => {
                        }
                        ErrorKind::Exhausted => self.listener.ran_out(error),
                        ErrorKind::Closed => return Poll::Ready(Err(self.listener.closed())),
                        _ => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    /// An attempt; if it has to wait, one more with this call's waker in the crowd, so that no
    /// arrival between the two is missed.
    fn poll_once(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        let first = self.listener.poll_accept();
        if first.is_ready() {
            return first;
        }
        self.join_crowd(cx);
        let second = self.listener.poll_accept();
        if second.is_ready() {
            self.leave_crowd();
        }
        second
    }

    /// Waits for something else than an arrival, but for a close as well.
    fn stay<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.join_crowd(cx);
        if self.listener.closed.load(Ordering::Acquire) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.listener.pause_left().is_some() {
            // In the crowd before it is asked again, so that whatever ends the pause wakes this.
            self.join_crowd(cx);
            let Some(left) = self.listener.pause_left() else { break };
            let selector = self.listener.io.selector();
            let pause = self.pause.get_or_insert_with(|| selector.sleep(left));
            if Pin::new(pause).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        self.pause = None;
        Poll::Ready(())
    }

    fn join_crowd(&mut self, cx: &mut Context<'_>) {
        let waker = cx.waker().clone();
        let replaced = lock(&self.listener.crowd.0).put(&mut self.key, (), waker);
        drop(replaced);
    }

    fn leave_crowd(&mut self) {
        if let Some(key) = self.key.take() {
            let removed = lock(&self.listener.crowd.0).remove(key);
            drop(removed);
        }
    }
}

impl<L: Deref<Target = Listener>> Drop for Accepting<L> {
    fn drop(&mut self) {
        self.leave_crowd();
    }
}

/// `EINVAL`: it is a listener no more (`accept(2)`).
fn was_shut_down(error: Error) -> Error {
    error.with_detail("the listener was shut down, by shutdown(2) on another handle of it")
}

/// The peer's address, where accepting did not tell it.
fn peer_of(socket: &SockRef<'_>) -> io::Result<SocketAddress> {
    let peer = socket.peer_addr()?;
    SocketAddress::from_system(&peer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Errors that say that a peer went away before it was accepted, or that its network did
/// (`accept(2)`, "Error handling").
fn is_of_one_peer(error: &Error) -> bool {
    let raw = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error);
    let of_one_peer = [Errno::PROTO, Errno::HOSTDOWN];
    error.is_reset()
        || error.kind() == ErrorKind::Unreachable
        || of_one_peer.iter().any(|errno| raw == Some(errno.raw_os_error()))
}

impl fmt::Debug for ServerSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSocket")
            .field("local_address", &self.listener.local)
            .finish_non_exhaustive()
    }
}
