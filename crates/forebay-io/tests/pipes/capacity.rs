//! At most its capacity and one item wait between the ends of a pipe; and a waiting end is woken when
//! the other end makes progress possible, in every order of steps.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};

use forebay_io::pipe;
use forebay_testing::{
    KIB, MIB, at_once, channels::ledgered, cut_after, poll_with, property, scrambled, sizes,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn no_more_than_the_capacity_and_one_item_is_ever_accepted() {
    for capacity in [1, 10, 4 * KIB, 64 * KIB, 100 * KIB] {
        for item in [1, 7, 4 * KIB, 100 * KIB, MIB] {
            let (mut input, mut output) = pipe(capacity);
            let (mut accepted, mut read, bytes) = (0, 0, scrambled(item, 0));
            for round in 0..20 {
                while let Some(written) = cut_after(1, output.write_all(&bytes)) {
                    written.expect("the reader is there");
                    accepted += item;
                    assert!(accepted - read - input.buffered() <= capacity + item);
                }
                assert!(output.queued() <= item, "one item waits before the pipe");
                assert!(accepted - read >= capacity, "it is not full yet");
                read += at_once(input.read(&mut vec![0; 1 + round * 500])).expect("it is there");
            }
        }
    }
}

#[test]
#[should_panic(expected = "capacity")]
fn a_pipe_through_which_nothing_can_pass_is_refused() {
    pipe(0);
}

/// A task's waker: polled again only if it was woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[test]
#[cfg_attr(miri, ignore = "random values of many KiB take Miri minutes each")]
fn in_every_order_of_steps_everything_arrives_and_nobody_sleeps_for_ever() {
    let input = (
        prop_oneof![Just(1), Just(100), 1..100_usize, Just(64 * KIB)],
        vec(sizes(), 0..30),
        vec(sizes(), 1..10),
        vec(any::<bool>(), 1..30),
        any::<bool>(),
    );
    property("pipe schedule", 400, &input, |(capacity, writes, reads, order, flush)| {
        // Through a narrow pipe everything goes by turns.
        let writes: Vec<_> = writes.iter().map(|size| *size.min(&(500 * capacity))).collect();
        ledgered(|_| {
            let (mut input, mut output) = pipe(capacity);
            let expected: Vec<u8> = (writes.iter().enumerate())
                .flat_map(|(seed, size)| scrambled(*size, seed))
                .collect();
            let finished = Cell::new(false);
            let mut sender = pin!(async {
                for (seed, size) in writes.iter().enumerate() {
                    output.write_all(&scrambled(*size, seed)).await?;
                    if flush {
                        output.flush().await?;
                    }
                }
                let end = output.finish().await;
                finished.set(true);
                end
            });
            let mut receiver = pin!(async {
                let (mut all, mut slice) = (Vec::new(), vec![0; 80 * KIB]);
                for size in reads.iter().cycle() {
                    let count = input.read(&mut slice[..*size]).await?;
                    if count == 0 {
                        break;
                    }
                    all.extend_from_slice(&slice[..count]);
                }
                forebay_io::Result::Ok(all)
            });

            let flags = [(); 2].map(|()| Arc::new(Flag(AtomicBool::new(true))));
            let wakers = flags.each_ref().map(|flag| Waker::from(Arc::clone(flag)));
            let mut order = order.iter().cycle();
            let mut read = false;
            while !read || !finished.get() {
                let first = usize::from(*order.next().expect("a cycle"));
                let woken = [first, 1 - first].into_iter().find(|task| flags[*task].0.load(SeqCst));
                let task = woken.expect("both sleep for ever");
                flags[task].0.store(false, SeqCst);
                if task == 0 && !finished.get() {
                    if let Poll::Ready(end) = poll_with(sender.as_mut(), &wakers[0]) {
                        end.expect("a clean end");
                    }
                } else if task == 1
                    && !read
                    && let Poll::Ready(all) = poll_with(receiver.as_mut(), &wakers[1])
                {
                    assert!(all.expect("a clean end") == expected);
                    read = true;
                }
            }
        });
    });
}
