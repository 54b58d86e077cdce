//! Allocations by the program's allocator, polls around the session, and calls by the selector's own account.

use std::future::poll_fn;
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use forebay::{Result, SelectorManager};
use forebay_testing::{PATIENCE, alone, await_that, pair, report, watched, witness::allocations};

use super::Session;

const ROUNDS: usize = 5;
const REQUESTS: usize = 100;

/// One poll, one receive and one send for each request, however many lines it is; allocations only for what README's
/// loop takes with it: a `String` for each line.
#[test]
fn a_request_takes_one_poll_one_receive_and_one_send() {
    alone("a_request_takes_one_poll_one_receive_and_one_send", || {
        watched(|| {
            for session in Session::ALL {
                for lines in [1, 16] {
                    let allocations = if session == Session::Lines { lines } else { 0 };
                    count(session, lines, allocations);
                }
            }
        });
    });
}

fn count(session: Session, lines: usize, allocations: usize) {
    let rounds = SelectorManager::builder().workers(1).run(async |selector| {
        let (socket, client) = pair(&selector).await?;
        let polls = Arc::<AtomicUsize>::default();
        selector.spawn(counted(session.serve(socket), Arc::clone(&polls))).detach();
        let counts = Counts { selector: selector.clone(), polls };
        selector.spawn_blocking(move || ask(session, lines, &client, &counts)).await?
    });
    let rounds = rounds.unwrap();
    report(&format!(
        "{session:?}, {lines} at once: {rounds:?} (polls, receives, sends), allocations"
    ));
    assert!(
        rounds.iter().all(|(calls, _)| *calls == [REQUESTS; 3]),
        "{session:?}, {lines} at once: {rounds:?}"
    );
    // The first round fills what is kept from then on. In another one the test program may need memory.
    let fewest = rounds.iter().map(|(_, allocations)| *allocations).min();
    assert_eq!(fewest, Some(allocations * REQUESTS), "{session:?}, {lines} at once: {rounds:?}");
}

/// Sends one request after the other, and returns what those of each round have taken.
fn ask(
    session: Session,
    lines: usize,
    client: &TcpStream,
    counts: &Counts,
) -> Result<Vec<([usize; 3], usize)>> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut request = session.request(lines);
    let mut rounds = Vec::with_capacity(ROUNDS);
    // The session's first poll is over, which may have found this one already.
    request.send(client)?;
    request.receive_answer(client)?;
    await_that("the first send is counted", || counts.take()[2] == 1);
    let mut before = counts.take();
    for _ in 0..ROUNDS {
        let allocated = allocations();
        for _ in 0..REQUESTS {
            request.send(client)?;
            request.receive_answer(client)?;
        }
        let allocated = allocations() - allocated;
        // An answer may arrive before the worker has counted its send.
        await_that("all sends are counted", || counts.take()[2] >= before[2] + REQUESTS);
        let now = counts.take();
        rounds.push((std::array::from_fn(|at| now[at] - before[at]), allocated));
        before = now;
    }
    Ok(rounds)
}

struct Counts {
    selector: SelectorManager,
    polls: Arc<AtomicUsize>,
}

impl Counts {
    /// Returns polls, receives and sends so far.
    fn take(&self) -> [usize; 3] {
        let stats = self.selector.stats();
        let [receives, sends] =
            [stats.receives, stats.sends].map(|count| usize::try_from(count).unwrap());
        [self.polls.load(SeqCst), receives, sends]
    }
}

async fn counted<F: Future>(session: F, polls: Arc<AtomicUsize>) -> F::Output {
    let mut session = pin!(session);
    poll_fn(|cx| {
        polls.fetch_add(1, SeqCst);
        session.as_mut().poll(cx)
    })
    .await
}
