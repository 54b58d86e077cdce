//! Tasks, with a waker that checks how it is used.

use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use cooked_waker::{IntoWaker, Wake, WakeRef};
use forebay_io::seam::{Outbox, WorkerStage, end_poll};

use crate::checker::{Condvar, Mutex, lock};
use crate::schedule::TestSchedule;

/// Polls a future until it is ready, and sleeps between the polls until it is woken: a lost wake-up is a
/// deadlock.
///
/// With an outbox, its wakers look at that outbox whenever they are cloned, woken or dropped: if that
/// happens under the outbox's lock, it is a deadlock too.
pub fn block_on<F: Future>(outbox: Option<&Arc<Outbox>>, future: F) -> F::Output {
    Task::new(outbox).run(pin!(future), || {})
}

/// Polls a future like [`block_on`], on a thread that is a worker with a stage: after each poll the staged
/// writes are settled, and the turn ends. A waker that looks at an outbox settles too, so only a worker
/// without one shows that nothing depends on that.
pub fn work_on<F: Future>(
    turns: &TestSchedule,
    outbox: Option<&Arc<Outbox>>,
    future: F,
) -> F::Output {
    let _stage = WorkerStage::enter();
    Task::new(outbox).run(pin!(future), || {
        end_poll();
        turns.end_turn();
    })
}

/// Polls once, like a task that then continues with something else: its waker stays stored.
pub fn poll_once<F: Future>(outbox: Option<&Arc<Outbox>>, future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Task::new(outbox).waker))
}

/// Stands for the function that contains a panic of the program's: in a model, a panic is a failure.
#[allow(clippy::unnecessary_wraps, reason = "the function that it stands for has an error")]
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> forebay_io::Result<T> {
    Ok(run())
}

struct Task {
    alarm: Arc<Alarm>,
    waker: Waker,
}

impl Task {
    fn new(outbox: Option<&Arc<Outbox>>) -> Self {
        let alarm = Arc::new(Alarm::default());
        let outbox = outbox.map(Arc::downgrade).unwrap_or_default();
        let waker = Box::new(NosyWaker { alarm: Arc::clone(&alarm), outbox }).into_waker();
        Self { alarm, waker }
    }

    fn run<F: Future>(&self, mut future: Pin<&mut F>, end_poll: impl Fn()) -> F::Output {
        loop {
            let polled = future.as_mut().poll(&mut Context::from_waker(&self.waker));
            end_poll();
            match polled {
                Poll::Ready(output) => return output,
                Poll::Pending => self.alarm.wait(),
            }
        }
    }
}

struct Alarm {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { rung: Mutex::new(false), bell: Condvar::new() }
    }
}

impl Alarm {
    fn ring(&self) {
        *lock(&self.rung) = true;
        self.bell.notify_one();
    }

    fn wait(&self) {
        let mut rung = lock(&self.rung);
        while !std::mem::take(&mut *rung) {
            rung = self.bell.wait(rung).expect("a model that fails ends");
        }
    }
}

struct NosyWaker {
    alarm: Arc<Alarm>,
    outbox: Weak<Outbox>,
}

impl NosyWaker {
    fn look(&self) {
        // A failed model is unwinding already; looking would only hide the reason.
        if !std::thread::panicking()
            && let Some(outbox) = self.outbox.upgrade()
        {
            outbox.queued();
        }
    }
}

impl Clone for NosyWaker {
    fn clone(&self) -> Self {
        self.look();
        Self { alarm: Arc::clone(&self.alarm), outbox: Weak::clone(&self.outbox) }
    }
}

impl WakeRef for NosyWaker {
    fn wake_by_ref(&self) {
        self.look();
        self.alarm.ring();
    }
}

impl Wake for NosyWaker {}

impl Drop for NosyWaker {
    fn drop(&mut self) {
        self.look();
    }
}
