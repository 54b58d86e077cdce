use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};

use futures_lite::future::block_on;

use super::*;

const TEST: &str = "test";

/// A job without a caller that waits.
struct Alone<F>(Option<F>);

impl<F: FnOnce() + Send> Job for Alone<F> {
    fn call(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }

    fn hand_over(self: Box<Self>) {}
}

impl BlockingPool {
    /// Makes a pool for calls that may wait for each other.
    fn new(threads_max: usize) -> Self {
        Self::with(threads_max, OWN_WAITING_MAX, IDLE_LIMIT, start_detached)
    }

    /// Queues a job without a caller that waits.
    fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        self.0.enqueue(TEST, Box::new(Alone(Some(job)))).map_err(|(error, _)| error)
    }
}

fn is_idle(pool: &BlockingPool) -> bool {
    let state = lock(&pool.0.state);
    state.idle() == state.threads
}

fn run<T: Send + 'static>(
    pool: &BlockingPool,
    f: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T>> + Send + 'static {
    super::run(pool, TEST, f)
}

/// A job that says when it runs and then holds its thread until the gate opens.
struct Gate {
    entered: mpsc::Receiver<()>,
    open: mpsc::Sender<()>,
}

impl Gate {
    fn hold(pool: &BlockingPool) -> Self {
        let (enter, entered) = mpsc::channel();
        let (open, opened) = mpsc::channel::<()>();
        let job = move || {
            enter.send(()).expect("the test waits for it");
            // An error means that the test has ended: the gate is open then, too.
            opened.recv().unwrap_or_default();
        };
        pool.submit(job).expect("there is room");
        Self { entered, open }
    }

    fn wait_until_entered(&self) {
        self.entered.recv().expect("the job runs");
    }

    fn open(self) {
        self.open.send(()).expect("the job waits for it");
    }
}

/// Waits for what another thread is about to do, and for nothing else.
fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn no_thread_is_started_before_the_first_job() {
    assert_eq!(BlockingPool::for_own_calls().stats(), BlockingStats { threads: 0, waiting: 0 });
}

#[test]
fn a_job_runs_on_a_named_thread_of_the_pool() {
    let pool = BlockingPool::new(1);
    let name = block_on(run(&pool, || thread::current().name().map(str::to_owned)));
    assert_eq!(name.expect("it runs").as_deref(), Some("forebay-blocking-1"));
}

#[test]
fn an_idle_thread_is_used_again() {
    let pool = BlockingPool::new(16);
    for _ in 0..100 {
        block_on(run(&pool, || ())).expect("it runs");
        await_that("the thread is idle", || is_idle(&pool));
    }
    assert_eq!(pool.stats().threads, 1);
}

#[test]
fn threads_are_bounded_and_jobs_wait_in_order() {
    let pool = BlockingPool::new(2);
    let gates = [Gate::hold(&pool), Gate::hold(&pool)];
    gates.iter().for_each(Gate::wait_until_entered);
    let (send, order) = mpsc::channel();
    for number in 0..8 {
        let send = send.clone();
        let job = move || send.send(number).expect("the test listens");
        pool.submit(job).expect("there is room");
    }
    assert_eq!(pool.stats(), BlockingStats { threads: 2, waiting: 8 });
    let [first, second] = gates;
    first.open();
    let order: Vec<i32> = order.iter().take(8).collect();
    assert_eq!(order, (0..8).collect::<Vec<_>>());
    second.open();
    await_that("all are idle", || is_idle(&pool));
}

#[test]
fn a_job_never_waits_behind_a_blocked_one_while_a_thread_may_start() {
    let pool = BlockingPool::new(16);
    let gates: Vec<Gate> = (0..16).map(|_| Gate::hold(&pool)).collect();
    gates.iter().for_each(Gate::wait_until_entered);
    assert_eq!(pool.stats(), BlockingStats { threads: 16, waiting: 0 });
    gates.into_iter().for_each(Gate::open);
}

#[test]
fn an_idle_thread_ends_and_the_next_job_starts_another() {
    let pool = BlockingPool::with(4, OWN_WAITING_MAX, Duration::ZERO, start_detached);
    for _ in 0..3 {
        block_on(run(&pool, || ())).expect("it runs");
        await_that("the idle thread ends", || pool.stats().threads == 0);
    }
}

#[test]
fn a_full_queue_refuses_and_names_the_bound() {
    let pool = BlockingPool::new(1);
    let gate = Gate::hold(&pool);
    gate.wait_until_entered();
    for _ in 0..OWN_WAITING_MAX {
        pool.submit(|| ()).expect("there is room");
    }
    let refused = pool.submit(|| ()).expect_err("there is no room");
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    assert!(refused.to_string().contains("1024"), "{refused}");
    let refused = block_on(run(&pool, || ())).expect_err("there is no room");
    assert_eq!(refused.kind(), ErrorKind::Exhausted, "not the Closed of a dropped job");
    gate.open();
    await_that("the queue runs empty", || pool.stats().waiting == 0);
}

#[test]
fn a_call_that_may_never_end_has_a_thread_or_is_refused() {
    let pool = BlockingPool::for_user_calls(2);
    let gates = [Gate::hold(&pool), Gate::hold(&pool)];
    gates.iter().for_each(Gate::wait_until_entered);
    let refused = block_on(run(&pool, || ())).expect_err("both threads block");
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    assert_eq!(
        refused.to_string(),
        "test: a resource is exhausted: 2 calls that may block forever are under way already \
         (SelectorBuilder::blocking_max sets this)"
    );
    assert_eq!(pool.stats(), BlockingStats { threads: 2, waiting: 0 });
    let [first, second] = gates;
    first.open();
    await_that("it has ended", || lock(&pool.0.state).busy == 1);
    assert_eq!(block_on(run(&pool, || 7)).expect("one is free"), 7);
    second.open();
}

#[test]
fn a_call_behind_another_is_not_refused() {
    let pool = BlockingPool::for_user_calls(1);
    for number in 0..10_000 {
        assert_eq!(block_on(run(&pool, move || number)).expect("the last one has ended"), number);
    }
}

#[test]
fn a_bound_of_zero_refuses_every_call() {
    let pool = BlockingPool::for_user_calls(0);
    let refused = block_on(run(&pool, || ())).expect_err("none may block");
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    assert_eq!(pool.stats(), BlockingStats { threads: 0, waiting: 0 });
}

#[test]
fn a_call_that_may_never_end_waits_for_no_other_when_no_thread_can_be_started() {
    let pool = BlockingPool::with(2, 0, IDLE_LIMIT, start_none);
    *lock(&pool.0.state) = State { threads: 1, busy: 1, ..State::default() };
    let refused = block_on(run(&pool, || ())).expect_err("it would wait for the other");
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    assert!(refused.to_string().contains("no thread could be started"), "{refused}");
    assert_eq!(pool.stats(), BlockingStats { threads: 1, waiting: 0 });
}

#[test]
fn an_abandoned_value_is_dropped_before_its_thread_is_free() {
    struct Blocks(mpsc::Sender<()>, mpsc::Receiver<()>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            self.0.send(()).expect("the test waits for it");
            self.1.recv().unwrap_or_default();
        }
    }
    let pool = BlockingPool::for_user_calls(1);
    let (enter, entered) = mpsc::channel();
    let (dropping, dropped) = mpsc::channel();
    let ((open, opened), (go, gone)) = (mpsc::channel::<()>(), mpsc::channel());
    let abandoned = run(&pool, move || {
        enter.send(()).expect("the test waits for it");
        opened.recv().unwrap_or_default();
        Blocks(dropping, gone)
    });
    entered.recv().expect("it runs");
    drop(abandoned);
    open.send(()).expect("it waits");
    dropped.recv().expect("the value is dropped");
    let refused = block_on(run(&pool, || ())).expect_err("the only thread is still in it");
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    go.send(()).expect("it waits");
    await_that("the thread is free", || lock(&pool.0.state).busy == 0);
    block_on(run(&pool, || ())).expect("it is free");
}

fn start_none(_: String, _: Body) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(11))
}

#[test]
fn a_job_is_refused_when_no_thread_runs_and_none_can_be_started() {
    let pool = BlockingPool::with(2, OWN_WAITING_MAX, IDLE_LIMIT, start_none);
    let refused = block_on(run(&pool, || ())).expect_err("nobody would run it");
    assert_eq!(refused.kind(), ErrorKind::Exhausted);
    assert!(std::error::Error::source(&refused).is_some());
    assert_eq!(pool.stats(), BlockingStats { threads: 0, waiting: 0 });
}

#[test]
fn a_job_waits_for_a_running_thread_when_no_other_can_be_started() {
    let pool = BlockingPool::with(2, OWN_WAITING_MAX, IDLE_LIMIT, start_none);
    // One thread that started before the system ran out of threads.
    *lock(&pool.0.state) = State { threads: 1, busy: 1, ..State::default() };
    pool.submit(|| ()).expect("the running thread will come to it");
    assert_eq!(pool.stats(), BlockingStats { threads: 1, waiting: 1 });
}

#[test]
fn a_panicking_job_costs_no_thread() {
    struct PanicsAgain;
    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("the payload's drop panics too");
        }
    }
    let pool = BlockingPool::new(1);
    pool.submit(|| panic!("a job's panic")).expect("there is room");
    pool.submit(|| std::panic::panic_any(PanicsAgain)).expect("there is room");
    assert_eq!(block_on(run(&pool, || 7)).expect("the thread lives"), 7);
    await_that("it is idle", || is_idle(&pool));
    assert_eq!(pool.stats(), BlockingStats { threads: 1, waiting: 0 });
    assert_eq!(lock(&pool.0.state).started, 1);
}

#[test]
fn a_panic_in_a_call_is_its_error() {
    let pool = BlockingPool::new(1);
    let error = block_on(run(&pool, || -> u8 { panic!("no such file") })).expect_err("it panicked");
    assert!(error.is_panicked());
    assert!(error.to_string().contains("no such file"), "{error}");
    let number = 3;
    let error = block_on(run(&pool, move || -> u8 { panic!("number {number}") }));
    assert!(error.expect_err("it panicked").to_string().contains("number 3"));
}

#[test]
fn close_refuses_new_jobs_and_drops_waiting_ones() {
    let pool = BlockingPool::new(1);
    let gate = Gate::hold(&pool);
    gate.wait_until_entered();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ran);
    let waiting = run(&pool, move || counted.fetch_add(1, Ordering::SeqCst));
    pool.close();
    pool.close();
    assert!(block_on(waiting).expect_err("it never ran").is_closed());
    assert!(pool.submit(|| ()).expect_err("closed").is_closed());
    assert!(block_on(run(&pool, || ())).expect_err("closed").is_closed());
    gate.open();
    await_that("the thread ends", || pool.stats().threads == 0);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}

#[test]
fn close_ends_idle_threads_at_once() {
    let pool = BlockingPool::with(1, OWN_WAITING_MAX, Duration::from_secs(3600), start_detached);
    block_on(run(&pool, || ())).expect("it runs");
    await_that("the thread is idle", || is_idle(&pool));
    pool.close();
    await_that("the thread ends", || pool.stats().threads == 0);
}

#[test]
fn a_running_call_outlives_close_and_the_pool() {
    let pool = BlockingPool::new(1);
    let (open, opened) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    let call = run(&pool, move || {
        enter.send(()).expect("the test waits for it");
        opened.recv()
    });
    entered.recv().expect("it runs");
    drop(pool);
    open.send(()).expect("it waits");
    assert!(block_on(call).expect("it had begun").is_ok());
}

/// Asks the pool something when it is dropped: a lock held around the drop would deadlock.
struct AsksWhenDropped(Arc<BlockingPool>, mpsc::Sender<()>);

impl Drop for AsksWhenDropped {
    fn drop(&mut self) {
        self.0.stats();
        self.1.send(()).expect("the test counts it");
    }
}

#[test]
fn what_a_refused_or_waiting_job_owns_is_dropped_without_a_lock() {
    let pool = Arc::new(BlockingPool::new(1));
    let gate = Gate::hold(&pool);
    gate.wait_until_entered();
    let (send, dropped) = mpsc::channel();
    let owned = || AsksWhenDropped(Arc::clone(&pool), send.clone());
    let (waiting, late) = (owned(), owned());
    pool.submit(move || drop(waiting)).expect("there is room");
    pool.close();
    dropped.try_recv().expect("the waiting job was dropped");
    assert!(pool.submit(move || drop(late)).is_err());
    dropped.try_recv().expect("the refused job was dropped");
    gate.open();
}

#[test]
fn an_abandoned_call_is_skipped_if_it_waits_and_finishes_if_it_runs() {
    let pool = BlockingPool::new(1);
    let (enter, entered) = mpsc::channel();
    let (open, opened) = mpsc::channel::<()>();
    let (finish, finished) = mpsc::channel();
    let running = run(&pool, move || {
        enter.send(()).expect("the test waits for it");
        opened.recv().expect("the test opens it");
        finish.send("running").expect("the test waits for it");
    });
    entered.recv().expect("it runs");
    let (run_late, ran) = mpsc::channel();
    let waiting = run(&pool, move || run_late.send("waiting"));
    drop((running, waiting));
    open.send(()).expect("it waits");
    assert_eq!(finished.recv(), Ok("running"));
    assert_eq!(ran.recv(), Err(mpsc::RecvError), "it was dropped unrun");
}

#[test]
fn the_newest_waker_is_woken_once_the_value_is_there() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let pool = BlockingPool::new(1);
    let gate = Gate::hold(&pool);
    let counts = [0, 1].map(|_| Arc::new(Count(AtomicUsize::new(0))));
    let mut call = pin!(run(&pool, || 5));
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    gate.open();
    await_that("the call is woken", || counts[1].0.load(Ordering::SeqCst) == 1);
    assert_eq!(counts[0].0.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&counts[0]), 1, "the replaced waker was dropped");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(call.as_mut().poll(&mut cx), Poll::Ready(Ok(5))));
}

#[test]
fn the_future_is_send_and_borrows_no_pool() {
    fn is_send_and_static(_: &(impl Future + Send + 'static)) {}
    let pool = BlockingPool::new(1);
    is_send_and_static(&run(&pool, || 1));
}
