//! A descriptor with a simulated kernel, under the shipped registration and slot.

#[path = "../../crates/forebay/src/net/socket/discard.rs"]
mod discard;
#[path = "../../crates/forebay/src/net/socket/life.rs"]
#[expect(dead_code, reason = "the models meet some of its events; its tests are the crate's")]
mod life;
#[path = "../../crates/forebay/src/net/registration.rs"]
mod registration;
#[path = "../../crates/forebay/src/host/slot.rs"]
mod slot;
#[path = "../../crates/forebay/src/host/readiness.rs"]
mod words;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use self::discard::discard;
use self::life::Life;
use self::registration::Registration;
use self::slot::Slot;
use self::words::{Direction, Hangup, Progress};
use crate::checker::{Mutex, lock};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The outcome of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The call succeeded.
    Done,
    /// The descriptor was released.
    Released,
    /// The selector was closed.
    Refused,
}

/// A stand-in for `Descriptor` of `forebay`, without system calls: it waits and is released in the same
/// steps.
pub struct Watched {
    registration: Registration<Arc<Kernel>, Arc<Slot>>,
    kernel: Arc<Kernel>,
    is_closing: AtomicBool,
}

/// The kernel's side of one descriptor, and the poll that watches it.
#[derive(Default)]
struct Kernel(Mutex<Side>);

#[derive(Default)]
struct Side {
    readable: usize,
    writable: usize,
    watching: Option<Arc<Slot>>,
}

impl Kernel {
    /// Takes one unit of the resource that a direction waits for, if there is one.
    fn take(&self, direction: Direction) -> io::Result<Progress> {
        let mut side = lock(&self.0);
        let left = match direction {
            Direction::Read => &mut side.readable,
            Direction::Write => &mut side.writable,
        };
        *left = left.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
        Ok(Progress { count: 1, drained: false })
    }

    /// Begins to watch, with an event for what is there already.
    fn watch(&self) -> Arc<Slot> {
        let slot = Arc::new(Slot::new());
        let mut woken = Vec::new();
        let mut side = lock(&self.0);
        slot.note(side.flags(), &mut woken);
        side.watching = Some(Arc::clone(&slot));
        drop(side);
        assert!(woken.is_empty(), "a waker in a slot that was made just now");
        slot
    }
}

impl Side {
    fn flags(&self) -> usize {
        let flag = |left, flag| if left > 0 { flag } else { 0 };
        flag(self.readable, slot::READABLE) | flag(self.writable, slot::WRITABLE)
    }
}

impl Default for Watched {
    fn default() -> Self {
        let kernel = Arc::<Kernel>::default();
        let registration = Registration::new(Arc::clone(&kernel));
        Self { registration, kernel, is_closing: AtomicBool::new(false) }
    }
}

impl Watched {
    /// Waits until there is something to read, and takes it.
    pub async fn read(&self) -> Outcome {
        poll_fn(|cx| self.poll_io(cx, Direction::Read)).await
    }

    /// Waits until there is room, and takes it.
    pub async fn write(&self) -> Outcome {
        poll_fn(|cx| self.poll_io(cx, Direction::Write)).await
    }

    /// Begins to watch for the end of the connection.
    pub fn watch_hangup(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(slot) = self.register() {
            assert!(slot.poll_hangup(&mut cx, Hangup::default()).is_pending());
        }
    }

    /// Adds something to read, and reports it by the poll.
    pub fn arrive(&self) {
        self.tell(|side| side.readable += 1, slot::READABLE);
    }

    /// Adds room, and reports it by the poll.
    pub fn make_room(&self) {
        self.tell(|side| side.writable += 1, slot::WRITABLE);
    }

    /// Releases the descriptor. True the first time.
    pub fn release(&self) -> bool {
        let released = self.registration.release(drop);
        if released && let Some(slot) = self.registration.ready_after_registering() {
            wake(slot);
        }
        released
    }

    /// Closes the selector: the waits that its poll watches are woken.
    pub fn close_selector(&self) {
        self.is_closing.store(true, Ordering::Release);
        let watching = lock(&self.kernel.0).watching.clone();
        if let Some(slot) = watching {
            wake(&slot);
        }
    }

    /// Returns `true` once the descriptor was released, after every call in progress has noted its error.
    pub fn is_released(&self) -> bool {
        // As in `Core::settled_cause`: after this, a call in progress has noted its error.
        self.registration.let_calls_end();
        self.registration.is_released()
    }

    /// Discards everything that can be read, as the last drop of a connection does, and returns how often
    /// there was something. As with the error of a closed selector, an error does not become the
    /// connection's cause here.
    pub fn discard(&self) -> usize {
        let mut taken = 0;
        discard(
            || !self.is_released(),
            |_| match self.call(Direction::Read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                received => Poll::Ready(received.map(|progress| progress.count)),
            },
            |received| taken += usize::from(received.is_ok_and(|bytes| !bytes.is_empty())),
        );
        taken
    }

    fn tell(&self, change: impl FnOnce(&mut Side), flag: usize) {
        let mut side = lock(&self.kernel.0);
        change(&mut side);
        let watching = side.watching.clone();
        drop(side);
        if let Some(slot) = watching {
            let mut woken = Vec::new();
            slot.note(flag, &mut woken);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    fn poll_io(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<Outcome> {
        let mut call = || self.call(direction);
        let slot = match self.registration.ready() {
            Some(slot) => slot,
            None => match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.register() {
                    Some(slot) => slot,
                    None => return Poll::Ready(Outcome::Released),
                },
                done => return Poll::Ready(outcome(done)),
            },
        };
        // In the order of a connection's source: usually it only begins to wait, or is ready.
        if slot.waits(cx, direction) && !self.is_closing.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        if let Some(done) = slot.try_io(direction, &mut call) {
            return Poll::Ready(outcome(done));
        }
        let polled = slot.poll_io(cx, direction, &mut call);
        if polled.is_pending() && self.is_closing.load(Ordering::Acquire) {
            return Poll::Ready(Outcome::Refused);
        }
        polled.map(outcome)
    }

    fn call(&self, direction: Direction) -> io::Result<Progress> {
        if self.is_closing.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let done = self.registration.call(|kernel| kernel.take(direction));
        done.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    fn register(&self) -> Option<&Arc<Slot>> {
        let registered = self.registration.register(|kernel| {
            let slot = kernel.as_ref()?.watch();
            Some(Ok::<_, Infallible>(slot))
        });
        registered.map(|slot| slot.unwrap_or_else(|never| match never {}))
    }
}

fn wake(slot: &Slot) {
    let mut woken = Vec::new();
    slot.take_all(&mut woken);
    woken.into_iter().for_each(Waker::wake);
}

fn outcome(done: io::Result<Progress>) -> Outcome {
    match done {
        Ok(Progress { count: 1, drained: false }) => Outcome::Done,
        Ok(progress) => panic!("no call says {progress:?}"),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Outcome::Released,
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Outcome::Refused,
        Err(error) => panic!("a wait ended with {error}"),
    }
}

/// A connection with the shipped life, over a [`Watched`] descriptor.
#[derive(Default)]
pub struct Connection {
    life: Life,
    watched: Watched,
    /// Counts the units that were taken, to tell which came first.
    taken: AtomicUsize,
}

impl Connection {
    /// Adds something to read.
    pub fn arrive(&self) {
        self.watched.arrive();
    }

    /// Reads as a user, or as the layer, and returns the position of the unit that it took, if any.
    pub fn read(&self, is_layer: bool) -> Option<usize> {
        let read = self.watched.registration.call(|kernel| {
            let state = self.life.state();
            let refused =
                if is_layer { state.refuses_reads_of_layer() } else { state.refuses_reads() };
            if refused {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            kernel.take(Direction::Read).map(|_| self.taken.fetch_add(1, Ordering::AcqRel))
        });
        read?.ok()
    }

    /// Puts a layer on top of the connection.
    pub fn lay_on_top(&self) {
        assert!(self.life.lay_on_top().waiters);
    }

    /// Completes the layer's handshake. Returns `true` if a close must be told, which reads from now on.
    pub fn layer_is_ready(&self) -> bool {
        self.life.layer_is_ready().calls
    }

    /// Begins to close. Returns `true` if the caller must complete the close.
    pub fn begin_closing(&self) -> bool {
        let announced = self.life.begin_closing();
        let attends = self.life.attend();
        assert!(!announced.waiters, "a close that begins is no end yet");
        attends
    }

    /// Discards input as a close does, and returns its positions. `None` while the layer reads.
    pub fn discard(&self) -> Option<Vec<usize>> {
        if self.life.state().is_handshaking() {
            return None;
        }
        self.watched.registration.let_calls_end();
        let mut places = Vec::new();
        while let Some(Ok(_)) =
            self.watched.registration.call(|kernel| kernel.take(Direction::Read))
        {
            places.push(self.taken.fetch_add(1, Ordering::AcqRel));
        }
        Some(places)
    }

    /// Receives the peer's end mark. Returns `true` if waits for the end must be told.
    pub fn peer_ended(&self) -> bool {
        self.life.peer_ended().waiters
    }
}
