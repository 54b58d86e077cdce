//! The task of a foreign runtime that drives a worker: the guest's turn.
//!
//! ```text
//!   woken ─► run the selector's own tasks ─► poll the kernel, without sleeping ─► note readiness, wake tasks
//!     ▲                                                                                │
//!     └────────── the runtime's reactor and clock ◄─ wait for the poll and a timer ◄─ fire timers
//! ```
//!
//! The worker's poll is itself a descriptor, which the runtime's reactor watches: it is readable when one of
//! the descriptors in it has an event.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use forebay_io::seam::end_poll;

use super::part::Guest;
use crate::host::runtime::{RuntimeEnds, RuntimeWatch};
use crate::lock::lock;
use crate::worker::Worker;
use crate::worker::poller::{EVENTS_COUNT, Poller};

/// A task that drives a worker until the worker is stopped, or the runtime ends. If there is work left then, a
/// thread of the worker's own goes on with it.
pub(super) struct GuestDriver {
    /// `None` once it has been put back.
    engine: Option<Poller>,
    worker: Arc<Worker>,
    guest: Arc<Guest>,
    watch: RuntimeWatch,
    /// Empty memory between polls.
    woken: Vec<Waker>,
}

impl GuestDriver {
    pub(super) fn new(
        engine: Poller,
        worker: Arc<Worker>,
        guest: Arc<Guest>,
        watch: RuntimeWatch,
    ) -> Self {
        Self { engine: Some(engine), worker, guest, watch, woken: Vec::new() }
    }

    fn run_tasks(&self) {
        let batch = mem::take(&mut *lock(&self.worker.injected));
        for runnable in batch {
            runnable.run();
            end_poll();
        }
    }

    /// Polls the kernel if the runtime has reported an event, or else if `anyhow`.
    fn poll_kernel(&mut self, cx: &mut Context<'_>, anyhow: bool) -> Result<(), RuntimeEnds> {
        let Self { engine, worker, watch, woken, .. } = self;
        let Some(engine) = engine else { return Ok(()) };
        let mut polled = false;
        let told = watch.poll_events(cx, &mut || {
            polled = true;
            engine.poll_for(Some(Duration::ZERO));
            worker.slots.note(engine.events.iter(), woken);
            !engine.is_full()
        });
        if anyhow && (!polled || engine.is_full()) {
            // The kernel reports each descriptor once until something new happens to it. So after as many
            // events as there are descriptors it has reported everything.
            let mut untold = worker.slots.len() + 1;
            while untold > 0 {
                engine.poll_for(Some(Duration::ZERO));
                worker.slots.note(engine.events.iter(), woken);
                let is_full = engine.is_full();
                untold = if is_full { untold.saturating_sub(EVENTS_COUNT) } else { 0 };
            }
        }
        woken.drain(..).for_each(Waker::wake);
        told
    }

    fn fire_timers(&mut self, moment: Instant) {
        self.worker.timers.take_due(moment, &mut self.woken);
        self.woken.drain(..).for_each(Waker::wake);
    }

    /// Arranges to be woken for the next timer.
    fn await_timer(&mut self, cx: &mut Context<'_>) {
        // Without a limit of the sleep, whatever advances the clock rings the bell.
        if let Some((deadline, Some(wait))) = self.worker.timers.next()
            && (wait.is_zero() || self.watch.poll_until(cx, deadline).is_ready())
        {
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for GuestDriver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.guest.bell.keep(cx.waker());
        this.worker.activity.turns.add_one();
        this.run_tasks();
        // Read before the kernel is polled: events that have arrived by a deadline come before its timer.
        let due = this.worker.timers.now_if_awaited().filter(|now| this.worker.timers.is_due(*now));
        if this.poll_kernel(cx, due.is_some()).is_err() {
            return Poll::Ready(());
        }
        if let Some(moment) = due {
            this.fire_timers(moment);
        }
        if this.worker.is_stopped() && !this.worker.has_work() {
            return Poll::Ready(());
        }
        this.await_timer(cx);
        Poll::Pending
    }
}

impl Drop for GuestDriver {
    /// Puts the engine back and, if there is work left, starts a thread of the worker's own.
    fn drop(&mut self) {
        self.guest.end();
        self.worker.timers.end_with_the_last();
        self.worker.seat.put_back(self.engine.take());
        if self.worker.has_work() {
            self.worker.start_thread();
        }
    }
}
