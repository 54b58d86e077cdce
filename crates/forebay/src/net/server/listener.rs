//! A listener: the state that all handles of a listening socket share.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(unix)]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use forebay_io::seam::WakeList;
use forebay_io::{Error, ErrorKind, Result};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use socket2::SockRef;

#[cfg(unix)]
use super::beside::Beside;
use super::pace::Pace;
use crate::host::{Direction, Hangup, Progress};
use crate::net::descriptor::{Descriptor, unanswered};
use crate::net::options::{OptionValues, SocketOptions, SocketRole};
use crate::net::protocol::Protocol;
use crate::net::socket::{CoreParts, PendingTls, Socket};
use crate::net::system;
use crate::net::wait_list::WaitList;
use crate::net::{OwnPath, SocketAddress};
use crate::selector::{Shared, Waits};
use crate::time::WakeUp;

pub(super) struct Listener {
    /// The path in the file system that belongs to this socket. The first field, to be dropped before the
    /// socket.
    path: Option<OwnPath>,
    io: Descriptor,
    opener: Opener,
    local: Arc<SocketAddress>,
    protocol: Protocol,
    /// The options of this socket, and of those that it accepts.
    options: Arc<OptionValues>,
    /// Tells whether accepted sockets inherit the options; determined with the first one.
    inherited: AtomicU8,
    closed: AtomicBool,
    /// The calls that wait: all of them are woken, and compete for the connection.
    pub(super) waits: Arc<WaitList>,
    /// Wakes all of them; the only waker that the descriptor has.
    waker: Waker,
    pub(super) pace: Pace,
    /// Accepts in place of this thread, once another program has been seen to make the listener blocking.
    #[cfg(unix)]
    beside: OnceLock<Beside>,
}

const NOT_ASKED: u8 = 0;
const INHERITED: u8 = 1;
const NOT_INHERITED: u8 = 2;

/// The program that has opened a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    /// This one.
    Here,
    /// Another one, which may have it still.
    #[cfg_attr(not(unix), allow(dead_code))]
    Elsewhere {
        /// It speaks Multipath TCP (RFC 8684). So do some of its connections, and others fall back to TCP: each
        /// inherits and refuses other options.
        is_multipath: bool,
    },
}

/// A listener closes with its selector: from then on connections are refused, and do not have to wait until
/// a handle is dropped.
impl WakeUp for Listener {
    fn wake_up(&self) {
        if self.io.selector().is_closing() {
            self.close();
        }
    }
}

impl Listener {
    pub(super) fn new(
        io: Descriptor,
        local: SocketAddress,
        protocol: Protocol,
        options: Arc<OptionValues>,
        (path, opener): (Option<OwnPath>, Opener),
    ) -> Arc<Self> {
        let selector = Arc::clone(io.selector());
        let waits = Arc::<WaitList>::default();
        let listener = Arc::new(Self {
            io,
            opener,
            local: Arc::new(local),
            protocol,
            options,
            inherited: AtomicU8::new(NOT_ASKED),
            path,
            closed: AtomicBool::new(false),
            waker: Waker::from(Arc::clone(&waits)),
            waits,
            pace: Pace::default(),
            #[cfg(unix)]
            beside: OnceLock::new(),
        });
        selector.closing().close_with(&listener);
        listener
    }

    pub(super) fn local(&self) -> &SocketAddress {
        &self.local
    }

    pub(super) fn selector(&self) -> &Arc<Shared> {
        self.io.selector()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        // Before the waits are woken, so that each of them sees it.
        self.closed.store(true, Ordering::Release);
        if let Some(path) = &self.path {
            path.remove();
        }
        let mut after = WakeList::new();
        self.io.release(|_| {}, &mut after);
        self.waits.release(&mut after);
        after.run();
        #[cfg(unix)]
        if let Some(beside) = self.beside.get() {
            beside.end();
        }
    }

    /// Makes one attempt; stores the waker of all waits if there is no connection.
    pub(super) fn poll_accept(&self) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        let attempt = self.poll_attempt();
        if attempt.is_ready() || !self.is_shut_down() {
            return attempt;
        }
        // A connection that arrived between the attempt and the shutdown is still there, and none arrives
        // later.
        match self.poll_attempt() {
            Poll::Pending => Poll::Ready(Err(Errno::INVAL.into())),
            accepted @ Poll::Ready(_) => accepted,
        }
    }

    /// True if another handle of the listener has shut it down (`shutdown(2)`). On TCP `accept` reports
    /// that itself. On a Unix socket it returns `EAGAIN` forever, and only this event tells.
    fn is_shut_down(&self) -> bool {
        let mut cx = Context::from_waker(&self.waker);
        let told = (self.protocol == Protocol::Unix)
            .then(|| self.io.poll_hangup(&mut cx, Hangup::default()));
        matches!(told, Some(Poll::Ready(hangup)) if hangup.read_closed)
    }

    fn poll_attempt(&self) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        #[cfg(unix)]
        if let Some(beside) = self.beside.get() {
            return self.poll_beside(beside);
        }
        let mut accepted = None;
        #[cfg(unix)]
        let mut blocking = None;
        let mut cx = Context::from_waker(&self.waker);
        let progress = self.io.poll_io(&mut cx, Direction::Read, Waits::User, |fd| {
            // Where another program may clear the flag after the look, a call in vain would wait.
            #[cfg(unix)]
            if self.opener != Opener::Here {
                if !system::has_arrived(fd)? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                if system::is_blocking(fd)? {
                    blocking = Some(fd.try_clone_to_owned()?);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
            }
            accepted = Some(system::accept(fd)?);
            let is_tcp = self.protocol == Protocol::Tcp;
            Ok(Progress { count: 0, drained: is_tcp && system::is_backlog_empty(fd) })
        });
        #[cfg(unix)]
        if let Some(fd) = blocking {
            let beside = match Beside::start(fd, Arc::clone(&self.waits)) {
                Ok(beside) => self.beside.get_or_init(|| beside),
                Err(error) => return Poll::Ready(Err(error)),
            };
            return self.poll_beside(beside);
        }
        progress.map(|done| done.and_then(|_| accepted.ok_or_else(|| io::ErrorKind::Other.into())))
    }

    /// Takes what the thread beside has accepted. An event makes it try.
    #[cfg(unix)]
    fn poll_beside(&self, beside: &Beside) -> Poll<io::Result<(OwnedFd, Option<SocketAddr>)>> {
        if let Some(outcome) = beside.take() {
            return Poll::Ready(outcome);
        }
        let mut cx = Context::from_waker(&self.waker);
        let asked = self.io.poll_io(&mut cx, Direction::Read, Waits::User, |_| {
            beside.ask();
            Err(io::ErrorKind::WouldBlock.into())
        });
        match asked {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    pub(super) fn connection(
        &self,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        pending_tls: PendingTls,
    ) -> Result<Socket> {
        let socket = SockRef::from(&fd);
        self.give_options(&socket)?;
        let remote = peer.map(SocketAddress::shown).map_or_else(|| peer_of(&socket), Ok)?;
        let parts = CoreParts {
            remote,
            local: Arc::clone(&self.local),
            options: Arc::clone(&self.options),
            host_name: None,
        };
        let selector = self.io.selector();
        selector.sockets().counters.accepted.add(1);
        let io = Descriptor::new(fd, Arc::clone(selector));
        Ok(Socket::over(io, self.protocol, SocketRole::Accepted, parts, pending_tls))
    }

    /// Sets the listener's options on an accepted socket, unless the socket has inherited them.
    fn give_options(&self, socket: &SockRef<'_>) -> Result<()> {
        if self.opener == (Opener::Elsewhere { is_multipath: true }) {
            self.give_each(socket);
            return Ok(());
        }
        // Relaxed: two threads may both ask, and get the same answer.
        let inherited = match self.inherited.load(Ordering::Relaxed) {
            // A listener of multipath TCP accepts sockets of two kinds, which inherit different options.
            _ if self.options.mptcp => self.options.hold_on(self.protocol, socket),
            NOT_ASKED => {
                let inherited = self.options.hold_on(self.protocol, socket);
                let answer = if inherited { INHERITED } else { NOT_INHERITED };
                self.inherited.store(answer, Ordering::Relaxed);
                inherited
            }
            answer => answer == INHERITED,
        };
        if inherited {
            Ok(())
        } else {
            self.options.apply(self.protocol, SocketRole::Accepted, socket)
        }
    }

    /// Sets the options that this connection lacks. It is the peer that decides for several paths, so an option that
    /// these refuse is reported, and is not the end of the connection or of accepting.
    fn give_each(&self, socket: &SockRef<'_>) {
        if self.options.hold_on(self.protocol, socket) {
            return;
        }
        self.options.apply_each(self.protocol, SocketRole::Accepted, socket, |error| {
            let reporter = self.io.selector().reporter();
            reporter
                .report("an accepted connection lacks an option", &error.with_address(&self.local));
        });
    }

    /// The options of this socket.
    pub(super) fn told_options(&self) -> Result<SocketOptions> {
        let role = SocketRole::Listening;
        let told = self.io.call(|fd| {
            let mut told = self.options.told(self.protocol, role, Some(&SockRef::from(&fd)));
            if self.protocol == Protocol::Tcp {
                told.backlog = system::backlog(fd).or(told.backlog);
            }
            Ok(told)
        });
        let named = |error| unanswered("options", error).with_address(&self.local);
        let mut told = told.map_err(named)?;
        told.mode = self.path.as_ref().and_then(OwnPath::mode);
        let drain = self.selector().drain_of(self.options.drain_timeout, self.options.drain_max);
        told.drain_timeout = Some(drain.silence);
        told.drain_max = Some(drain.total);
        told.drain_limit = told.drain_limit.or_else(|| Some(self.selector().drain_limit()));
        Ok(told)
    }

    /// Another descriptor of this socket.
    pub(super) fn try_clone_fd(&self) -> Result<OwnedFd> {
        let named = |error| unanswered("try_clone_fd", error).with_address(&self.local);
        self.io.call(|fd| fd.try_clone_to_owned()).map_err(named)
    }

    /// Begins a pause, or lets the call be tried again at once.
    pub(super) fn ran_out(&self, error: Error) {
        let selector = self.io.selector();
        if let Some(pause) = self.pace.pause(selector, &self.waker) {
            let error = error.with_detail(format!(
                "trying again in {pause:?}, or when a socket of this selector is closed"
            ));
            selector.reporter().report("accepting pauses", &error);
        }
    }

    pub(super) fn pause_left(&self) -> Option<Duration> {
        self.pace.pause_left(self.io.selector())
    }

    /// The error of a call on a closed listener.
    pub(super) fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, "accept").with_address(&self.local)
    }
}

/// The peer's address, if `accept` did not return it.
fn peer_of(socket: &SockRef<'_>) -> io::Result<SocketAddress> {
    let peer = socket.peer_addr()?;
    SocketAddress::from_system(&peer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
