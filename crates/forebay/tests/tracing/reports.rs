use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::{Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{child, until_that};

use super::recorder::{events, record_all};

async fn fail(selector: &SelectorManager, errors: Vec<Error>) {
    let all = errors.len() as u64;
    for error in errors {
        selector.spawn(async move { Err(error) }).detach();
    }
    until_that("all are counted", || selector.stats().task_errors == all).await;
}

fn errors() -> Vec<Error> {
    vec![
        Error::new(ErrorKind::Refused, "connect").with_address("127.0.0.1:9"),
        Error::new(ErrorKind::LineTooLong { limit: 64 }, "read_line"),
        Error::new(ErrorKind::Reset, "read").with_address("127.0.0.1:7"),
    ]
}

#[test]
fn a_report_is_an_event_and_is_not_printed() {
    let name = "a_report_is_an_event_and_is_not_printed";
    let body = || {
        record_all();
        let handled = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&handled);
        let with_handler = SelectorManager::builder().on_task_error(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        with_handler
            .run(async |selector: SelectorManager| {
                fail(&selector, errors()).await;
                Result::Ok(())
            })
            .unwrap();
        assert_eq!(handled.load(Ordering::Relaxed), 3, "the handler gets all of them");
        assert_eq!(events().len(), 3);
        forebay::run(async |selector: SelectorManager| {
            fail(&selector, errors()).await;
            Result::Ok(())
        })
        .unwrap();
        let told: Vec<_> = events()[3..]
            .iter()
            .map(|event| {
                assert_eq!(event["message"], "a task ended in an error");
                let address = event.get("address").map_or("", String::as_str);
                [&event["level"], &event["kind"], &event["operation"], address, &event["error"]]
                    .join("|")
            })
            .collect();
        let texts = errors().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                format!("WARN|Refused|connect|127.0.0.1:9|{}", texts[0]),
                format!("ERROR|LineTooLong {{ limit: 64 }}|read_line||{}", texts[1]),
                format!("DEBUG|Reset|read|127.0.0.1:7|{}", texts[2]),
            ]
        );
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert!(child.status.success(), "{child:?}");
    assert!(!child.stderr.contains("forebay:"), "{}", child.stderr);
}

#[test]
fn without_a_subscriber_a_report_is_printed() {
    let name = "without_a_subscriber_a_report_is_printed";
    let body = || {
        forebay::run(async |selector: SelectorManager| {
            fail(&selector, errors()).await;
            Result::Ok(())
        })
        .unwrap();
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert!(child.status.success(), "{child:?}");
    let lines = child.stderr.lines().filter(|line| line.starts_with("forebay:")).count();
    assert_eq!(lines, 2, "{}", child.stderr);
}
