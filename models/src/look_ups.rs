//! A look-up of a name, shared by the calls that wait for it, under the shipped table.

#[allow(dead_code, reason = "errors of a resolver are not modelled")]
#[path = "../../crates/forebay/src/names/look_up.rs"]
mod look_up;

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Poll, Waker};

use self::look_up::{LookUpTable, LookUpWork, LookingUp};
use crate::checker::{Mutex, lock};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::task::{block_on, poll_once};

const NAME: &str = "name.test";

fn address(number: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, number), 0).into()
}

/// The look-ups of a selector, by a resolver that waits for one answer.
pub struct Names {
    table: Arc<LookUpTable>,
    answer: Arc<Mutex<Answer>>,
    /// Look-ups that have not been dropped.
    live: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Answer {
    has_come: bool,
    waker: Option<Waker>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            table: Arc::default(),
            answer: Arc::new(Mutex::new(Answer::default())),
            live: Arc::new(AtomicUsize::new(0)),
        }
    }
}

/// Counts its future.
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Names {
    fn join(&self) -> LookingUp {
        self.table.join(NAME, |look_up| {
            let (answer, look_up) = (Arc::clone(&self.answer), look_up.clone());
            self.live.fetch_add(1, Ordering::SeqCst);
            let live = Live(Arc::clone(&self.live));
            Box::pin(async move {
                let _live = live;
                poll_fn(|cx| {
                    let waker = cx.waker().clone();
                    let mut answer = lock(&answer);
                    if answer.has_come {
                        return Poll::Ready(());
                    }
                    let replaced = answer.waker.replace(waker);
                    drop(answer);
                    drop(replaced);
                    Poll::Pending
                })
                .await;
                if let Some(look_up) = look_up.upgrade() {
                    look_up.add([address(1)]);
                }
                Ok(())
            }) as LookUpWork
        })
    }

    /// Lets the answer come.
    pub fn answer(&self) {
        let waker = {
            let mut answer = lock(&self.answer);
            answer.has_come = true;
            answer.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits for the addresses. Returns how many there are.
    pub fn look_up(&self) -> usize {
        found_by(self.join())
    }

    /// Asks, is polled this many times, and leaves.
    pub fn look_up_and_leave(&self, polls: usize) {
        let mut caller = self.join();
        for _ in 0..polls {
            let part = std::pin::pin!(poll_fn(|cx| caller.poll_part(cx)));
            if let Poll::Ready(None) = poll_once(None, part) {
                break;
            }
        }
    }

    /// Returns how many look-ups have not been dropped.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    /// Makes a look-up whose addresses a thread of the system's finds, and returns what that thread does.
    pub fn by_a_thread(&self) -> (Asked, impl FnOnce() -> bool + Send + use<>) {
        let mut thread = None;
        let caller = self.table.join(NAME, |look_up| {
            thread = Some(look_up.clone());
            Box::pin(std::future::pending()) as LookUpWork
        });
        let look_up = thread.and_then(|look_up| look_up.upgrade()).expect("it is the first");
        let run = move || {
            let begins = look_up.begins_to_run();
            if begins {
                look_up.add([address(1), address(2)]);
                look_up.end(Ok(()));
            }
            begins
        };
        (Asked(caller), run)
    }

    /// Joins the look-up that a thread makes, or begins another one, which has no thread.
    #[must_use]
    pub fn ask(&self) -> Asked {
        Asked(self.table.join(NAME, |_| Box::pin(async { Ok(()) }) as LookUpWork))
    }
}

/// A caller's part in a look-up, which it leaves when it is dropped.
pub struct Asked(LookingUp);

impl Asked {
    /// Waits for the addresses. Returns how many there are.
    #[must_use]
    pub fn found(self) -> usize {
        found_by(self.0)
    }
}

fn found_by(mut caller: LookingUp) -> usize {
    let mut found = 0;
    while let Some(part) = block_on(None, poll_fn(|cx| caller.poll_part(cx))) {
        found += part.expect("no error").len();
    }
    found
}
