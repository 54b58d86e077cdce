use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use dns_lookup::LookupError;
use forebay_io::{Error, ErrorKind, Result};
use forebay_testing::{Random, counted_waker, cut_after, poll_once, seed, size, wait_for, watched};
use futures_lite::future::block_on;
use nix::libc;

use super::look_up::ADDRESSES_MAX;
use super::system::{CHECK_THE_NAME, CHECK_THE_SERVERS, failed};
use super::*;
use crate::SelectorManager;
use crate::lock::lock;
use crate::task::run_blocking;

/// Returns everything that a look-up finds, as text.
async fn all(mut looking_up: LookingUp) -> Result<Vec<String>> {
    let mut found = Vec::new();
    while let Some(part) = poll_fn(|cx| looking_up.poll_part(cx)).await {
        found.extend(part?.iter().map(|address| address.ip().to_string()));
    }
    Ok(found)
}

fn by(resolver: impl Resolver) -> LookUps {
    LookUps::new(Arc::new(BlockingPool::for_own_calls()), Some(Arc::new(resolver)))
}

fn by_the_system() -> (LookUps, Arc<BlockingPool>) {
    let pool = Arc::new(BlockingPool::for_own_calls());
    (LookUps::new(Arc::clone(&pool), None), pool)
}

/// A resolver whose look-ups end when the test says so.
#[derive(Default, Clone)]
struct ByHand(Arc<Mutex<Hand>>);

#[derive(Default)]
struct Hand {
    begun: usize,
    polled: usize,
    dropped: usize,
    found: Option<FoundAddresses>,
    ends: Option<Result<()>>,
    waker: Option<Waker>,
}

impl ByHand {
    fn found(&self) -> FoundAddresses {
        lock(&self.0).found.clone().expect("a look-up has begun")
    }

    fn end(&self, result: Result<()>) {
        let mut hand = lock(&self.0);
        hand.ends = Some(result);
        let waker = hand.waker.take();
        drop(hand);
        waker.into_iter().for_each(Waker::wake);
    }
}

struct Working(Arc<Mutex<Hand>>);

impl Future for Working {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut hand = lock(&self.0);
        hand.polled += 1;
        hand.waker = Some(cx.waker().clone());
        hand.ends.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        lock(&self.0).dropped += 1;
        lock(&self.0).waker.take();
    }
}

impl Resolver for ByHand {
    fn resolve(&self, _: &str, found: &FoundAddresses) -> impl Future<Output = Result<()>> + Send {
        let mut hand = lock(&self.0);
        hand.begun += 1;
        hand.found = Some(found.clone());
        Working(Arc::clone(&self.0))
    }
}

#[test]
fn calls_for_one_name_share_a_look_up_and_each_has_all_of_it() {
    let hand = ByHand::default();
    let look_ups = by(hand.clone());
    let mut first = look_ups.look_up("name.test");
    let mut second = look_ups.look_up("name.test");
    assert_eq!(lock(&hand.0).begun, 0, "nothing happens before it is polled");
    assert!(first.poll_part(&Context::from_waker(Waker::noop())).is_pending());
    hand.found().add([[192, 0, 2, 1]]);
    let (waker, count) = counted_waker();
    let Poll::Ready(Some(Ok(part))) = second.poll_part(&Context::from_waker(&waker)) else {
        panic!("it joins late, and has what was found before");
    };
    assert_eq!(part.len(), 1);
    assert!(second.poll_part(&Context::from_waker(&waker)).is_pending());
    hand.found().add([[192, 0, 2, 1], [192, 0, 2, 2]]);
    assert!(count.count() > 0, "new addresses wake every caller");
    hand.end(Ok(()));
    assert_eq!(block_on(all(first)).expect("addresses"), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(block_on(all(second)).expect("addresses"), ["192.0.2.2"]);
    assert_eq!(lock(&hand.0).begun, 1);
    drop(look_ups.look_up("name.test"));
    let again = look_ups.look_up("name.test");
    assert!(poll_once(pin!(all(again))).is_pending());
    assert_eq!(lock(&hand.0).begun, 2, "nothing is kept of one that has ended");
}

#[test]
fn a_caller_that_leaves_hands_the_work_over_and_the_last_one_ends_it() {
    let hand = ByHand::default();
    let look_ups = by(hand.clone());
    let (waker, count) = counted_waker();
    let mut first = look_ups.look_up("name.test");
    let mut second = look_ups.look_up("name.test");
    assert!(first.poll_part(&Context::from_waker(Waker::noop())).is_pending());
    assert!(second.poll_part(&Context::from_waker(&waker)).is_pending());
    // The one that polled last is not the one that has left.
    drop(first);
    assert_eq!(lock(&hand.0).dropped, 0);
    lock(&hand.0).waker.take().into_iter().for_each(Waker::wake);
    assert_eq!(count.count(), 1);
    drop(second);
    assert_eq!(lock(&hand.0).dropped, 1, "at once");
    hand.found().add([[192, 0, 2, 1]]);
}

#[test]
fn a_panic_of_a_resolver_is_an_error_of_every_caller() {
    struct Panicking;

    impl Resolver for Panicking {
        async fn resolve(&self, name: &str, _: &FoundAddresses) -> Result<()> {
            panic!("no idea of {name}");
        }
    }

    let look_ups = by(Panicking);
    let callers = [(); 2].map(|()| look_ups.look_up("name.test"));
    for caller in callers {
        let error = block_on(all(caller)).expect_err("it panicked");
        assert!(error.is_panicked() && error.to_string().contains("no idea of name.test"));
    }
}

#[test]
fn a_name_has_so_many_addresses_each_once() {
    struct Countless;

    impl Resolver for Countless {
        async fn resolve(&self, _: &str, found: &FoundAddresses) -> Result<()> {
            found.add((0..10_000_u32).chain(0..10_000).map(|it| (it / 2).to_be_bytes()));
            Ok(())
        }
    }

    let found = block_on(all(by(Countless).look_up("many.test"))).expect("addresses");
    assert_eq!(found.len(), ADDRESSES_MAX);
    assert_eq!(&found[..2], ["0.0.0.0", "0.0.0.1"]);
}

#[test]
fn a_resolver_asks_the_system_and_adds_to_it() {
    struct Both;

    impl Resolver for Both {
        async fn resolve(&self, _: &str, found: &FoundAddresses) -> Result<()> {
            found.add_zoned([("fe80::1".parse().expect("an address"), 7)]);
            found.ask_system().await
        }
    }

    let mut looking_up = by(Both).look_up("localhost");
    let first = block_on(poll_fn(|cx| looking_up.poll_part(cx))).expect("a part");
    assert_eq!(first.expect("an address")[0].to_string(), "[fe80::1%7]:0");
    assert!(!block_on(all(looking_up)).expect("every machine has it").is_empty());
}

#[test]
fn localhost_is_looked_up_on_the_pool() {
    let (look_ups, pool) = by_the_system();
    let found = block_on(all(look_ups.look_up("localhost"))).expect("every machine has it");
    assert!(found.iter().any(|it| it == "127.0.0.1" || it == "::1"), "{found:?}");
    assert_eq!(pool.stats().threads, 1);
}

#[test]
fn a_closed_pool_refuses_the_look_up() {
    let (look_ups, pool) = by_the_system();
    pool.close();
    assert!(block_on(all(look_ups.look_up("localhost"))).expect_err("closed").is_closed());
}

#[test]
fn a_failed_look_up_says_what_to_do_and_keeps_the_cause() {
    for (code, kind) in [
        (libc::EAI_NONAME, ErrorKind::NotFound),
        (libc::EAI_AGAIN, ErrorKind::LookUpFailed),
        (libc::EAI_FAIL, ErrorKind::LookUpFailed),
        (libc::EAI_MEMORY, ErrorKind::Exhausted),
        (libc::EAI_FAMILY, ErrorKind::System),
    ] {
        let error = failed(LookupError::new(code)).with_address("missing.example:80");
        assert_eq!(error.kind(), kind);
        let cause = error.source().expect("the system's").to_string();
        // The kind `System` has no words besides the system's; the detail says what to do.
        let text = match kind {
            ErrorKind::NotFound => format!("{kind} ({cause}): {CHECK_THE_NAME}"),
            ErrorKind::LookUpFailed => format!("{kind} ({cause}): {CHECK_THE_SERVERS}"),
            ErrorKind::System => cause,
            _ => format!("{kind} ({cause})"),
        };
        assert_eq!(error.to_string(), format!("resolve missing.example:80: {text}"));
    }
}

/// A queued call of the system's resolver is skipped when its callers have gone.
#[test]
fn a_look_up_that_waits_for_a_thread_leaves_with_its_caller() {
    let (look_ups, pool) = by_the_system();
    let (open, gate) = (0..16).map(|_| mpsc::channel::<()>()).unzip::<_, _, Vec<_>, Vec<_>>();
    let busy: Vec<_> = gate
        .into_iter()
        .map(|gate| run_blocking(&pool, "test", move || gate.recv().is_ok()))
        .collect();
    wait_for(|| pool.stats().waiting == 0);
    let mut looking_up = look_ups.look_up("localhost");
    assert!(looking_up.poll_part(&Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(pool.stats().waiting, 1);
    drop(looking_up);
    drop((open, busy));
    wait_for(|| pool.stats().waiting == 0);
    assert_eq!(pool.stats().threads, 16, "and no more than that");
    assert!(!block_on(all(look_ups.look_up("localhost"))).expect("it works again").is_empty());
}

#[test]
fn a_closing_selector_answers_a_wait_for_a_look_up_with_closed() {
    let builder = SelectorManager::builder().drain(Duration::from_secs(20), 0);
    let selector = builder.build().expect("a selector");
    let pool = selector.shared().own_calls();
    let (open, gate) = (0..16).map(|_| mpsc::channel::<()>()).unzip::<_, _, Vec<_>, Vec<_>>();
    // Every thread is in a look-up whose name server is silent.
    let silent = gate.into_iter().map(|gate| run_blocking(pool, "test", move || gate.recv()));
    let silent: Vec<_> = silent.collect();
    selector.block_on(async {
        let begun = Arc::new(AtomicUsize::new(0));
        let waiting = ["connect", "bind", "resolve"].map(|call| {
            let (selector, begun) = (selector.clone(), Arc::clone(&begun));
            selector.clone().spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                match call {
                    "connect" => selector.tcp().connect("localhost:1").await.map(drop),
                    "bind" => selector.tcp().bind("localhost:0").await.map(drop),
                    _ => selector.resolve("localhost:0").await.map(drop),
                }
            })
        });
        while begun.load(Ordering::SeqCst) < 3 {
            futures_lite::future::yield_now().await;
        }
        selector.close().await;
        for wait in waiting {
            let error = wait.await.expect_err("closed");
            assert!(error.is_closed(), "{error}");
        }
    });
    drop((open, silent));
}

#[test]
fn an_error_of_a_resolver_keeps_its_kind() {
    let hand = ByHand::default();
    let look_ups = by(hand.clone());
    let mut caller = pin!(all(look_ups.look_up("name.test")));
    assert!(poll_once(caller.as_mut()).is_pending());
    hand.end(Err(Error::new(ErrorKind::Refused, "query")));
    let error = block_on(caller).expect_err("it failed");
    assert!(error.is_refused());
}

/// Waits a few times for another thread.
struct Steps {
    left: usize,
    slot: Arc<Mutex<Option<Waker>>>,
    found: FoundAddresses,
}

impl Future for Steps {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Ok(()));
        }
        self.left -= 1;
        self.found.add([[192, 0, 2, u8::try_from(self.left).expect("a few steps")]]);
        *lock(&self.slot) = Some(cx.waker().clone());
        // The other thread may wake it here, before this poll has ended.
        if self.left.is_multiple_of(2) {
            thread::yield_now();
        }
        Poll::Pending
    }
}

const STEPS: usize = 4;

struct InSteps(Arc<Mutex<Option<Waker>>>);

impl Resolver for InSteps {
    fn resolve(&self, _: &str, found: &FoundAddresses) -> impl Future<Output = Result<()>> + Send {
        Steps { left: STEPS, slot: Arc::clone(&self.0), found: found.clone() }
    }
}

/// Some of them poll once or twice and leave, perhaps with the wake-up that another one needs.
#[test]
fn callers_on_many_threads_lose_no_wake_up() {
    const NAME: &str = "callers_on_many_threads_lose_no_wake_up";
    let rounds = size("FOREBAY_LOOK_UP_ROUNDS", 2_000, 50_000);
    let seed = seed(NAME);
    watched(move || {
        let slot = Arc::new(Mutex::new(None::<Waker>));
        let look_ups = by(InSteps(Arc::clone(&slot)));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let waker = lock(&slot).take();
                    waker.into_iter().for_each(Waker::wake);
                    thread::yield_now();
                }
            });
            let mut random = Random::new(seed, 0);
            for _ in 0..rounds {
                let leaving = [(); 2].map(|()| (look_ups.look_up(NAME), random.below(4)));
                let staying = look_ups.look_up(NAME);
                thread::scope(|scope| {
                    for (caller, polls) in leaving {
                        scope.spawn(move || drop(cut_after(polls, all(caller))));
                    }
                    assert_eq!(block_on(all(staying)).expect("addresses").len(), STEPS);
                });
            }
            is_over.store(true, Ordering::SeqCst);
        });
    });
}

/// A future of the program's may panic when it is dropped, too.
#[test]
fn a_look_up_whose_drop_panics_hurts_no_caller() {
    struct Bomb;

    impl Future for Bomb {
        type Output = Result<()>;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Pending
        }
    }

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("it was not to be dropped");
        }
    }

    struct Bombs;

    impl Resolver for Bombs {
        fn resolve(&self, _: &str, _: &FoundAddresses) -> impl Future<Output = Result<()>> + Send {
            Bomb
        }
    }

    let look_ups = by(Bombs);
    for _ in 0..2 {
        let mut caller = look_ups.look_up("name.test");
        assert!(caller.poll_part(&Context::from_waker(Waker::noop())).is_pending());
    }
}

/// A wake-up that comes while the work is polled wakes also the callers that have found it taken out: the one that
/// polled it may leave.
#[test]
fn a_wake_up_during_a_poll_is_passed_on() {
    type Second = Arc<Mutex<Option<(LookingUp, Waker)>>>;

    /// Work that is woken, and polled by another caller, in the middle of its poll.
    struct Interrupted(Second);

    impl Future for Interrupted {
        type Output = Result<()>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
            cx.waker().wake_by_ref();
            let second = lock(&self.0).take();
            if let Some((mut caller, waker)) = second {
                assert!(caller.poll_part(&Context::from_waker(&waker)).is_pending());
                *lock(&self.0) = Some((caller, waker));
            }
            Poll::Pending
        }
    }

    struct Interrupting(Second);

    impl Resolver for Interrupting {
        fn resolve(&self, _: &str, _: &FoundAddresses) -> impl Future<Output = Result<()>> + Send {
            Interrupted(Arc::clone(&self.0))
        }
    }

    let second = Second::default();
    let look_ups = by(Interrupting(Arc::clone(&second)));
    let mut first = look_ups.look_up("name.test");
    let (waker, count) = counted_waker();
    *lock(&second) = Some((look_ups.look_up("name.test"), waker));
    assert!(first.poll_part(&Context::from_waker(Waker::noop())).is_pending());
    drop(first);
    assert_eq!(count.count(), 1);
    lock(&second).take();
}
