//! The race between the addresses of a host (RFC 8305, "Happy Eyeballs").
//!
//! ```text
//!   look-up ──parts──► candidates ──one at a time──► attempts ──► the first that succeeds
//!                      interleaved    after 250 ms, or as          the others are dropped, which
//!                      by family      soon as one fails            closes their sockets
//! ```
//!
//! The race is one future without a task of its own: dropping it drops the look-up, the attempts and the timer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use forebay_io::seam::wake_next_turn;
use forebay_io::{Error, ErrorKind, Result};

use super::candidates::Candidates;
use crate::net::attempts::Attempts;
use crate::net::resolve::Resolving;
use crate::net::socket::Socket;
use crate::time::{Sleep, Timers};

/// The time that an attempt has to itself (RFC 8305, section 5: "Connection Attempt Delay").
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// The time for which addresses of IPv4 wait for those of IPv6 (section 3: "Resolution Delay").
pub(super) const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// So many attempts may begin in one poll. More of them fail at once only where a network is missing, and thousands
/// of them would hold up the other tasks.
const BEGUN_MAX: usize = 16;

/// An attempt's future.
type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Socket>> + Send + 'a>>;

/// A race. `F` begins an attempt at an address.
pub(super) struct AddressRace<'a, F> {
    timers: Arc<Timers>,
    began: Instant,
    /// `None` at the end of the look-up.
    resolving: Option<Resolving<'a>>,
    /// The error with which the look-up has ended, behind some addresses.
    unresolved: Option<Error>,
    candidates: Candidates,
    connect: F,
    running: Vec<RunningAttempt<'a>>,
    /// An attempt has ended since the last one began, so that the next one is due.
    has_failed: bool,
    /// No descriptor was left for this address, which waits until others have given theirs back.
    starved: Option<(SocketAddr, Error)>,
    /// When the latest attempt began.
    latest: Option<Instant>,
    /// Runs while the next attempt has a time to wait for.
    pause: Option<Sleep>,
    /// The first addresses came at this time, of IPv4 alone, and the resolver may have others.
    delayed_since: Option<Instant>,
    attempts: Attempts,
}

/// An attempt that has not ended.
struct RunningAttempt<'a> {
    address: SocketAddr,
    began: Instant,
    connecting: Connecting<'a>,
}

impl<'a, F: Fn(SocketAddr) -> Connecting<'a>> AddressRace<'a, F> {
    /// Makes a race between the addresses that the look-up finds. `began` is the time of the call.
    pub(super) fn new(
        timers: Arc<Timers>,
        began: Instant,
        resolving: Resolving<'a>,
        connect: F,
    ) -> Self {
        Self {
            timers,
            began,
            resolving: Some(resolving),
            unresolved: None,
            candidates: Candidates::default(),
            connect,
            running: Vec::new(),
            has_failed: false,
            starved: None,
            latest: None,
            pause: None,
            delayed_since: None,
            attempts: Attempts::default(),
        }
    }

    /// Polls the race. Its error is that of a look-up without any address, or of a selector that closes; `Ok(None)`
    /// when every address has failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Socket>>> {
        if let Err(error) = self.poll_look_up(cx) {
            return Poll::Ready(Err(error));
        }
        for _ in 0..BEGUN_MAX {
            match self.poll_running(cx) {
                Ok(None) => {}
                done => return Poll::Ready(done),
            }
            if self.candidates.is_empty() {
                let is_over = self.running.is_empty() && self.resolving.is_none();
                return if is_over { Poll::Ready(Ok(None)) } else { Poll::Pending };
            }
            if self.poll_pause(cx).is_pending() {
                return Poll::Pending;
            }
            self.begin_next();
        }
        wake_next_turn(cx.waker());
        Poll::Pending
    }

    /// Takes the addresses that were found since.
    fn poll_look_up(&mut self, cx: &Context<'_>) -> Result<()> {
        while let Some(resolving) = &mut self.resolving {
            match resolving.poll_part(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(part))) => self.candidates.add(part),
                Poll::Ready(Some(Err(error))) => {
                    self.resolving = None;
                    if self.candidates.is_empty() && self.latest.is_none() {
                        return Err(error);
                    }
                    self.unresolved = Some(error);
                }
                Poll::Ready(None) => self.resolving = None,
            }
        }
        let may_wait = self.resolving.is_some() && self.candidates.lacks_v6();
        if !may_wait || self.candidates.is_empty() {
            self.delayed_since = None;
        } else if self.delayed_since.is_none() {
            self.delayed_since = Some(self.timers.now());
        }
        Ok(())
    }

    /// Polls every attempt, the oldest first, which therefore wins if two succeed at the same moment.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Result<Option<Socket>> {
        let mut index = 0;
        while let Some(attempt) = self.running.get_mut(index) {
            let result = match attempt.connecting.as_mut().poll(cx) {
                Poll::Pending => {
                    index += 1;
                    continue;
                }
                Poll::Ready(result) => result,
            };
            let RunningAttempt { address, began, connecting } = self.running.remove(index);
            // Its socket is closed before anything else is done.
            drop(connecting);
            match result {
                Ok(socket) => return Ok(Some(socket)),
                // The selector is closing, so the other addresses would fail too.
                Err(error) if error.is_closed() => return Err(error),
                Err(error) if is_starved(&error) && !self.running.is_empty() => {
                    self.starved = Some((address, error));
                    self.candidates.put_back(address);
                }
                Err(error) => {
                    self.has_failed = true;
                    self.failed(error, address, began);
                }
            }
        }
        Ok(None)
    }

    fn failed(&mut self, error: Error, address: SocketAddr, began: Instant) {
        self.starved.take_if(|(starved, _)| *starved == address);
        let took = self.timers.now().saturating_duration_since(began);
        let began = began.saturating_duration_since(self.began);
        self.attempts.failed_after(error, address, began, took);
    }

    /// Waits until the next attempt may begin.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = match (self.delayed_since, self.latest) {
            (Some(since), _) => since + RESOLUTION_DELAY,
            (None, Some(latest)) if !self.has_failed && !self.running.is_empty() => {
                latest + STAGGER
            }
            (None, _) => {
                self.pause = None;
                return Poll::Ready(());
            }
        };
        let (timers, now) = (&self.timers, self.timers.now());
        // A pause of zero would give way, which is for the caller to do.
        let left = due.saturating_duration_since(now);
        let pause = self.pause.get_or_insert_with(|| Sleep::new(Arc::clone(timers), left));
        if left.is_zero() || Pin::new(pause).poll(cx).is_ready() {
            self.pause = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn begin_next(&mut self) {
        let Some(address) = self.candidates.take() else { return };
        let began = self.timers.now();
        self.running.push(RunningAttempt { address, began, connecting: (self.connect)(address) });
        self.latest = Some(began);
        self.has_failed = false;
        self.delayed_since = None;
    }

    /// Returns the failed attempts, and the error of a look-up that did not find all addresses.
    pub(super) fn into_failed(self) -> (Attempts, Option<Error>) {
        (self.attempts, self.unresolved)
    }

    /// Gives up the attempts that run, and returns all. The first value is `true` if the look-up has given no address.
    pub(super) fn into_late(mut self) -> (bool, Attempts) {
        for RunningAttempt { address, began, connecting } in std::mem::take(&mut self.running) {
            drop(connecting);
            let took = self.timers.now().saturating_duration_since(began);
            let late = Error::new(ErrorKind::TimedOut, "connect")
                .with_detail(format!("no answer within {took:.1?}"));
            self.failed(late, address, began);
        }
        if let Some((address, error)) = self.starved.take() {
            let now = self.timers.now();
            self.failed(error, address, now);
        }
        let has_no_address = self.attempts.is_empty() && self.candidates.is_empty();
        (has_no_address, self.attempts)
    }
}

/// Returns `true` if the process, or the system, had no descriptor left for an attempt.
fn is_starved(error: &Error) -> bool {
    error.kind() == ErrorKind::Exhausted
}
