//! A reader that comes while another thread asks the transport waits for that thread, and is never
//! forgotten.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use forebay_io::seam::Filled;
use forebay_io::{Error, ErrorKind, Result};
use forebay_testing::sessions::BOTH;
use forebay_testing::{counted_waker, watched_future};

use super::raced::led_and_raced;

/// Whatever the other thread is told, and even if no event follows: a close in between has woken all that
/// waited, and this reader did not wait yet.
#[test]
fn a_reader_that_finds_a_look_for_the_end_in_its_way_asks_afterwards() {
    watched_future(|| async {
        let answers: [fn() -> Poll<Result<Filled>>; 2] =
            [|| Poll::Pending, || Poll::Ready(Err(Error::new(ErrorKind::Closed, "read")))];
        for (version, answer) in BOTH.into_iter().flat_map(|it| answers.map(|answer| (it, answer)))
        {
            let (side, _raw, _puppet, next) = led_and_raced(version).await;
            let (waker, woken) = counted_waker();
            let input = Arc::new(Mutex::new(side.input));
            let read = {
                let input = Arc::clone(&input);
                move || {
                    let mut input = input.lock().expect("no panic");
                    pin!(input.read_u8()).poll(&mut Context::from_waker(&waker))
                }
            };
            let reader = read.clone();
            next.is(move || {
                assert!(reader().is_pending(), "another thread asks");
                Some(answer())
            });
            side.session.look_for_end();
            assert_eq!(woken.count(), 1, "{version}: {:?}", answer());
            next.is(|| Some(Poll::Ready(Err(Error::new(ErrorKind::Closed, "read")))));
            assert!(matches!(read(), Poll::Ready(Err(error)) if error.is_closed()), "{version}");
        }
    });
}
