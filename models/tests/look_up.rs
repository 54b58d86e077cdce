//! A look-up that several calls share: each polls it, and some leave.
//!
//! ```text
//!   caller:  join ─► look ─► poll the work, if it is there ─► look ─► wait, or leave
//!   answer:  wake every caller                    thread: add ─► end ─► out of the table
//! ```
//!
//! A caller that stays has every address. A lost wake-up is one that waits forever, which the checkers report.

use std::sync::Arc;

use forebay_models::look_ups::Names;
use forebay_models::{explore, spawn};

#[test]
fn a_caller_that_leaves_takes_no_wake_up_with_it() {
    explore("look-up: a caller that stays, one that leaves, the answer", || {
        let names = Arc::new(Names::default());
        let leaving = spawn({
            let names = Arc::clone(&names);
            move || names.look_up_and_leave(1)
        });
        let answer = spawn({
            let names = Arc::clone(&names);
            move || names.answer()
        });
        assert_eq!(names.look_up(), 1);
        for thread in [leaving, answer] {
            thread.join().expect("no panic");
        }
        assert_eq!(names.live(), 0);
    });
}

#[test]
fn two_callers_have_the_same() {
    explore("look-up: two callers, the answer", || {
        let names = Arc::new(Names::default());
        let second = spawn({
            let names = Arc::clone(&names);
            move || names.look_up()
        });
        names.answer();
        assert_eq!(names.look_up(), 1);
        assert_eq!(second.join().expect("no panic"), 1);
        assert_eq!(names.live(), 0);
    });
}

#[test]
fn the_last_caller_ends_the_look_up() {
    explore("look-up: two callers that leave, the answer", || {
        let names = Arc::new(Names::default());
        let callers = [1, 2].map(|polls| {
            let names = Arc::clone(&names);
            spawn(move || names.look_up_and_leave(polls))
        });
        names.answer();
        for caller in callers {
            caller.join().expect("no panic");
        }
        assert_eq!(names.live(), 0);
    });
}

#[test]
fn a_look_up_on_a_thread_is_joined_or_begun_anew() {
    explore("look-up: on a thread, a caller that leaves, one that comes", || {
        let names = Arc::new(Names::default());
        let (first, run) = names.by_a_thread();
        let thread = spawn(run);
        let leaving = spawn(move || drop(first));
        let found = names.ask().found();
        leaving.join().expect("no panic");
        let has_run = thread.join().expect("no panic");
        // All that the thread has found, or nothing of it, if it had ended or was never to begin.
        assert!(found == 0 || (found == 2 && has_run), "{found}");
    });
}
