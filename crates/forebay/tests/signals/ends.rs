//! The end of a selector ends the waits for signals.

use forebay::{SelectorManager, SignalKind};
use forebay_testing::{alone, await_that, counted_alone, descriptors, watched};
use rustix::process::Signal;

use crate::support::{KINDS, WORKERS, raise, settle, waiting};

fn raise_all() {
    for (_, signal) in KINDS {
        raise(signal);
    }
}

#[test]
fn a_closing_selector_ends_the_waits() {
    alone("a_closing_selector_ends_the_waits", || {
        for count in WORKERS {
            watched(move || {
                let selector = SelectorManager::builder().workers(count).build().unwrap();
                let mut signals = selector.signal(SignalKind::User1).unwrap();
                let ctrl_c = waiting(selector.ctrl_c());
                let before_it = selector.ctrl_c();
                let next = waiting(async move { (signals.next().await, signals.next().await) });
                selector.block_on(selector.close());
                assert!(ctrl_c.join().unwrap().unwrap_err().is_closed());
                assert_eq!(next.join().unwrap(), (None, None));
                let later = selector.ctrl_c();
                for ctrl_c in [selector.block_on(before_it), selector.block_on(later)] {
                    let error = ctrl_c.unwrap_err();
                    assert!(error.is_closed() && error.to_string().contains("ctrl_c"), "{error}");
                }
                let error = selector.signal(SignalKind::User1).unwrap_err();
                assert!(error.is_closed() && error.to_string().contains("signal"), "{error}");
            });
        }
    });
}

/// Also where the values that the selector returned are still there.
#[test]
fn a_closed_selector_leaves_no_descriptor_and_dies_of_no_signal() {
    const NAME: &str = "a_closed_selector_leaves_no_descriptor_and_dies_of_no_signal";
    counted_alone(NAME, || {
        let before = descriptors();
        let mut kept = Vec::new();
        for round in 0..100 {
            let selector = SelectorManager::builder().workers(2).build().unwrap();
            for (kind, _) in KINDS {
                kept.push(selector.signal(kind).unwrap());
            }
            let ctrl_c = selector.ctrl_c();
            if round % 2 == 0 {
                watched(move || selector.block_on(selector.close()));
            } else {
                drop(selector);
            }
            raise_all();
            drop(ctrl_c);
        }
        await_that("all descriptors are closed", || descriptors() == before);
        raise_all();
        drop(kept);
    });
}

#[test]
fn a_signal_that_came_before_the_close_is_returned() {
    alone("a_signal_that_came_before_the_close_is_returned", || {
        watched(|| {
            let selector = SelectorManager::builder().workers(1).build().unwrap();
            let mut signals = selector.signal(SignalKind::User1).unwrap();
            selector.block_on(async {
                raise(Signal::USR1);
                settle().await;
                selector.close().await;
                assert_eq!(signals.next().await, Some(SignalKind::User1));
                assert_eq!(signals.next().await, None);
            });
        });
    });
}
