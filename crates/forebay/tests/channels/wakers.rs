//! A call that has its answer keeps no waker: the memory of a task that has ended would be kept with
//! it, for as long as the connection lives.

#![cfg(target_os = "linux")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use forebay_testing::{on_every_transport, until};

/// Counts itself by being an `Arc`, and how often it is woken.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Counted {
    fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_read_that_has_its_answer_keeps_no_waker() {
    on_every_transport(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        let counted = Arc::new(Counted::default());
        for round in 0..10 {
            let waker = Waker::from(Arc::clone(&counted));
            let mut cx = Context::from_waker(&waker);
            let mut reading = pin!(near.input.read_line());
            assert!(reading.as_mut().poll(&mut cx).is_pending());
            let before = counted.woken();
            far.output.write_str("there\n").await?;
            far.output.flush().await?;
            until(|| counted.woken() > before).await;
            let Poll::Ready(line) = reading.as_mut().poll(&mut cx) else {
                panic!("woken for nothing over {transport}, round {round}");
            };
            assert_eq!(line?.as_deref(), Some("there"));
        }
        assert_eq!(Arc::strong_count(&counted), 1, "kept over {transport}");
        Ok(())
    });
}
