//! Driving a future by hand, and cutting it off where it waits.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use forebay::testing::TestClock;
use forebay::{SelectorBuilder, SelectorManager};

use crate::ledger::{Descriptors, Ledger, allow_a_moment, assert_nothing_held};

/// A future to be cut, in a box that can be forgotten.
pub(crate) type Operation<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The way in which a future is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Dropped right after it returned Pending.
    Dropped,
    /// Dropped when what it waited for has come and its waker was woken, before the next poll.
    DroppedWoken,
    /// Given to `mem::forget`. Its drop never runs, and all the same nothing may hang, nor anything
    /// be lost in silence.
    Forgotten,
}

impl Manner {
    pub(crate) const ALL: [Self; 3] = [Self::Dropped, Self::DroppedWoken, Self::Forgotten];
}

/// The place at which a future is cut off, its `at`-th Pending counted from 1, and the manner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) at: usize,
    pub(crate) manner: Manner,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manner = match self.manner {
            Manner::Dropped => "dropped",
            Manner::DroppedWoken => "dropped after the wake-up",
            Manner::Forgotten => "forgotten",
        };
        write!(f, "{manner} at Pending {}", self.at)
    }
}

/// Whatever an operation waits for: the test moves it on, one step at a time.
pub(crate) trait World {
    /// The operation was polled and is pending: what there was, it has seen.
    fn polled(&mut self) {}

    /// Brings the operation nearer to its end, and returns when it is time to poll it again: when
    /// the alarm rang, or earlier, for a poll without a wake.
    async fn step(&mut self, alarm: &Alarm);
}

/// Nothing happens here: the operation ends by itself.
pub(crate) struct Still;

impl World for Still {
    async fn step(&mut self, alarm: &Alarm) {
        alarm.wait().await;
    }
}

/// One thing that happens, after a poll without a wake.
pub(crate) struct Event<F>(Option<F>, bool);

impl<F: FnOnce()> Event<F> {
    pub(crate) fn new(happen: F) -> Self {
        Self(Some(happen), false)
    }

    pub(crate) fn has_happened(&self) -> bool {
        self.0.is_none()
    }

    /// Lets it happen now, unless it has happened.
    pub(crate) fn happen(&mut self) {
        if let Some(happen) = self.0.take() {
            happen();
        }
    }
}

impl<F: FnOnce()> World for Event<F> {
    async fn step(&mut self, alarm: &Alarm) {
        if !mem::replace(&mut self.1, true) {
            return turn().await;
        }
        self.happen();
        alarm.wait().await;
    }
}

/// The waker of one poll.
pub(crate) struct Alarm {
    rang: AtomicBool,
    /// The waker of the whole trial; taken out at its end, so that a future which was forgotten
    /// together with its waker does not keep a selector alive.
    main: Mutex<Option<Waker>>,
}

impl Alarm {
    pub(crate) fn rang(&self) -> bool {
        self.rang.load(Ordering::SeqCst)
    }

    pub(crate) async fn wait(&self) {
        poll_fn(|_| if self.rang() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn main(&self) -> Option<Waker> {
        let main = self.main.lock().unwrap_or_else(PoisonError::into_inner);
        main.clone()
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::SeqCst);
        if let Some(main) = self.main() {
            main.wake();
        }
    }
}

/// The outcome of an operation.
pub(crate) enum Driven<T> {
    Ready(T),
    Cut,
}

/// One run of a scene, cut off somewhere or, to be counted, nowhere.
pub(crate) struct Trial {
    cut: Option<Cut>,
    was_cut: Cell<bool>,
    waits: Cell<usize>,
    alarms: RefCell<Vec<Weak<Alarm>>>,
}

impl Trial {
    pub(crate) fn new(cut: Option<Cut>) -> Self {
        Self { cut, was_cut: Cell::new(false), waits: Cell::new(0), alarms: RefCell::default() }
    }

    /// Returns how often the operation returned Pending before it was ready or cut.
    pub(crate) fn waits(&self) -> usize {
        self.waits.get()
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut.get()
    }

    /// Returns true if what the operation held may be held forever.
    pub(crate) fn forgets(&self) -> bool {
        self.cut.is_some_and(|cut| cut.manner == Manner::Forgotten)
    }

    /// Polls the operation until it is ready or it is time to cut it off.
    pub(crate) async fn drive<T>(
        &self,
        operation: Operation<'_, T>,
        world: &mut impl World,
    ) -> Driven<T> {
        let driven = self.run(operation, world, self.cut).await;
        if matches!(driven, Driven::Cut) {
            self.was_cut.set(true);
        }
        driven
    }

    /// Polls an operation once, and drops it when it could be polled again; for calls that are made
    /// again and again.
    pub(crate) async fn drive_once<T>(
        &self,
        operation: Operation<'_, T>,
        world: &mut impl World,
    ) -> Driven<T> {
        let cut = Cut { at: 1, manner: Manner::DroppedWoken };
        self.uncounted(operation, world, Some(cut)).await
    }

    /// Polls an operation to its end; for what comes before and after the cut.
    pub(crate) async fn complete<T>(
        &self,
        operation: Operation<'_, T>,
        world: &mut impl World,
    ) -> T {
        match self.uncounted(operation, world, None).await {
            Driven::Ready(output) => output,
            Driven::Cut => unreachable!("it was not to be cut"),
        }
    }

    async fn uncounted<T>(
        &self,
        operation: Operation<'_, T>,
        world: &mut impl World,
        cut: Option<Cut>,
    ) -> Driven<T> {
        let counted = self.waits.get();
        let driven = self.run(operation, world, cut).await;
        self.waits.set(counted);
        driven
    }

    /// Each poll has a waker of its own: it is the latest one that must be woken.
    async fn run<T>(
        &self,
        mut operation: Operation<'_, T>,
        world: &mut impl World,
        cut: Option<Cut>,
    ) -> Driven<T> {
        let main = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        for waits in 1.. {
            let alarm = self.alarm(&main);
            let waker = Waker::from(Arc::clone(&alarm));
            if let Poll::Ready(output) = operation.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Driven::Ready(output);
            }
            drop(waker);
            self.waits.set(waits);
            world.polled();
            let here = cut.filter(|cut| cut.at == waits);
            match here.map(|cut| cut.manner) {
                Some(Manner::Dropped) => {
                    drop(operation);
                    return Driven::Cut;
                }
                Some(Manner::Forgotten) => {
                    mem::forget(operation);
                    return Driven::Cut;
                }
                Some(Manner::DroppedWoken) | None => {}
            }
            if alarm.rang() {
                turn().await;
            } else {
                world.step(&alarm).await;
            }
            if here.is_some() {
                drop(operation);
                return Driven::Cut;
            }
        }
        unreachable!("a loop without end")
    }
}

impl Trial {
    fn alarm(&self, main: &Waker) -> Arc<Alarm> {
        let alarm =
            Arc::new(Alarm { rang: AtomicBool::new(false), main: Mutex::new(Some(main.clone())) });
        self.alarms.borrow_mut().push(Arc::downgrade(&alarm));
        alarm
    }

    /// Asserts that no waker of the operation is kept: it has left every list that it waited in.
    #[track_caller]
    pub(crate) fn assert_no_waker_is_kept(&self) {
        let alarms = self.alarms.borrow();
        let kept = || alarms.iter().filter(|alarm| alarm.strong_count() > 0).count();
        allow_a_moment(|| kept() == 0);
        assert_eq!(kept(), 0, "wakers of the operation that are still kept");
    }

    /// Right after the cut: a dropped operation has left every list that it waited in, and the
    /// ledger is what it was before it began. Of a forgotten one nothing of the kind is asked.
    #[track_caller]
    pub(crate) fn assert_released(&self, selector: &SelectorManager, before: &Ledger) {
        if !self.forgets() {
            self.assert_no_waker_is_kept();
            before.assert_unchanged(selector);
        }
    }

    /// Runs `body` on a selector of its own and closes it. Then the ledger is zero, no waker is
    /// kept, and the process has the descriptors that it had before.
    pub(crate) fn on_a_selector(&self, body: impl AsyncFnOnce(SelectorManager)) {
        self.run_on(SelectorManager::builder(), body);
    }

    /// The same, with a clock that the body owns.
    pub(crate) fn by_a_clock(&self, body: impl AsyncFnOnce(SelectorManager, TestClock)) {
        let clock = TestClock::new();
        let builder = SelectorManager::builder().clock(clock.clone());
        self.run_on(builder, async |selector| body(selector, clock).await);
    }

    /// The same, on a selector that was built for it.
    pub(crate) fn run_on(&self, builder: SelectorBuilder, body: impl AsyncFnOnce(SelectorManager)) {
        let before = Descriptors::open();
        let selector = builder.build().unwrap();
        selector.block_on(async {
            body(selector.clone()).await;
            selector.close().await;
        });
        let held = selector.stats();
        drop(selector);
        if self.forgets() {
            for alarm in self.alarms.borrow().iter().filter_map(Weak::upgrade) {
                *alarm.main.lock().unwrap() = None;
            }
            return before.forget_added();
        }
        assert_nothing_held(&held);
        self.assert_no_waker_is_kept();
        before.assert_not_exceeded();
    }
}

/// Lets the selector's worker go round once: what was written is flushed, the kernel is asked, due
/// timers fire, tasks run.
pub(crate) async fn turn() {
    forebay::yield_now().await;
}

/// Lets the worker go round until it is so. If it never is, the scene hangs, and is told on.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        turn().await;
    }
}

/// The output of a future that does not have to wait.
#[track_caller]
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match poll_once(future) {
        Some(output) => output,
        None => panic!("it waits, where nothing is to be waited for"),
    }
}

/// The output of a future that has nothing to wait for, but may give way.
#[track_caller]
pub(crate) fn at_last<T>(future: impl Future<Output = T>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    let mut future = pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
    panic!("it waits, where nothing is to be waited for");
}

/// The output of a future, unless it has to wait; it is dropped then.
pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).as_mut().poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Compares streams of bytes, and names the place where they part rather than print them.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    if found == expected {
        return;
    }
    let same = found.iter().zip(expected).take_while(|(one, other)| one == other).count();
    let excerpt = |bytes: &[u8]| bytes[same..].iter().take(24).copied().collect::<Vec<_>>();
    panic!(
        "{what}: {} bytes instead of {}; from byte {same} on {:?}.. instead of {:?}..",
        found.len(),
        expected.len(),
        String::from_utf8_lossy(&excerpt(found)),
        String::from_utf8_lossy(&excerpt(expected)),
    );
}
