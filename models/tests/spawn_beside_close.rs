//! A task that begins during a close of its selector.
//!
//! ```text
//!   spawner: look whether it is let in, list it ─► run until it is aborted ─► leave the list
//!   closer:  refuse users' tasks ─► abort those that are listed ─► wait ─► refuse every task
//! ```
//!
//! Each task is either refused, or has ended when the close returns.

use std::sync::Arc;

use forebay_models::tasks::{Group, Started};
use forebay_models::{explore, spawn};

#[test]
fn a_users_task_beside_a_close_is_refused_or_aborted() {
    explore("spawn beside close: a user's task, a close", || {
        let group = Arc::new(Group::default());
        let spawner = spawn({
            let group = Arc::clone(&group);
            move || {
                if let Some(task) = group.start() {
                    task.run_until_aborted();
                }
            }
        });
        group.close();
        spawner.join().expect("no panic");
    });
}

#[test]
fn a_task_of_the_selectors_own_beside_a_close_is_refused_or_waited_for() {
    explore("spawn beside close: a task of the selector's own, a close", || {
        let group = Arc::new(Group::default());
        let spawner = spawn({
            let group = Arc::clone(&group);
            move || {
                if let Some(task) = group.start_own() {
                    task.run();
                }
            }
        });
        group.close();
        spawner.join().expect("no panic");
    });
}

#[test]
fn two_tasks_beside_a_close_are_each_refused_or_ended() {
    explore("spawn beside close: a user's task, one of the selector's own, a close", || {
        let group = Arc::new(Group::default());
        let user = spawn({
            let group = Arc::clone(&group);
            move || {
                if let Some(task) = group.start() {
                    task.run_until_aborted();
                }
            }
        });
        let own = spawn({
            let group = Arc::clone(&group);
            move || {
                if let Some(task) = group.start_own() {
                    task.run();
                }
            }
        });
        group.close();
        user.join().expect("no panic");
        own.join().expect("no panic");
    });
}

#[test]
fn a_close_from_a_task_waits_for_the_others_and_not_for_itself() {
    explore("spawn beside close: a task, a close from another task", || {
        let group = Arc::new(Group::default());
        let other = spawn({
            let group = Arc::clone(&group);
            move || {
                if let Some(task) = group.start_own() {
                    task.run();
                }
            }
        });
        let task = group.start_own().expect("the selector is open");
        task.close_from_within();
        other.join().expect("no panic");
    });
}

#[test]
fn a_task_beside_a_dropped_worker_is_refused_or_keeps_it() {
    explore("spawn beside close: a task, a worker that is dropped", || {
        let group = Arc::new(Group::default());
        let spawner = spawn({
            let group = Arc::clone(&group);
            move || group.start_own().map(Started::run).is_some()
        });
        let refused = group.refuse_all();
        let started = spawner.join().expect("no panic");
        // After the task is gone, tasks that were not refused before are refused now.
        assert!(refused || started);
        assert!(group.refuse_all());
    });
}

#[test]
fn an_abort_beside_the_first_poll_ends_the_task() {
    explore("spawn beside close: a first poll, an abort", || {
        let group = Arc::new(Group::default());
        let task = group.start().expect("the selector is open");
        let handle = task.handle();
        let aborter = spawn(move || handle.abort());
        task.run_until_aborted();
        aborter.join().expect("no panic");
    });
}

#[test]
fn an_error_beside_its_dropped_handle_is_reported_once() {
    explore("spawn beside close: a task fails, its handle is dropped", || {
        let group = Arc::new(Group::default());
        let task = group.start().expect("the selector is open");
        let handle = task.handle();
        let dropper = spawn(move || handle.drop_unused());
        let by_the_task = task.fail();
        let by_the_handle = dropper.join().expect("no panic");
        assert!(by_the_task != by_the_handle, "reported by one of them");
    });
}

#[test]
fn an_error_that_its_handle_gives_is_not_reported() {
    explore("spawn beside close: a task fails, its handle gives the error", || {
        let group = Arc::new(Group::default());
        let task = group.start().expect("the selector is open");
        let handle = task.handle();
        let failed = spawn({
            let group = Arc::clone(&group);
            move || group.refuse_all()
        });
        assert!(!task.fail(), "the handle is there");
        handle.deliver();
        failed.join().expect("no panic");
        assert!(group.refuse_all());
    });
}

#[test]
fn a_request_to_stop_beside_the_first_poll_reaches_the_task() {
    explore("spawn beside close: a task begins, a request to stop", || {
        let group = Arc::new(Group::default());
        let stopper = spawn({
            let group = Arc::clone(&group);
            move || group.request_stop()
        });
        let task = group.start().expect("the selector is open");
        task.run_until_stopped();
        stopper.join().expect("no panic");
        assert!(group.refuse_all());
    });
}
