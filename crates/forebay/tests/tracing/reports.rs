use std::fs::File;
use std::iter;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::{Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{child, until_that};
use rustix::process::{Resource, Rlimit, setrlimit};

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
        // The tasks of one worker fail in the order in which they were spawned.
        let in_order = SelectorManager::builder().workers(1);
        in_order
            .run(async |selector: SelectorManager| {
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

/// Each pause of a listener is an event, on its own or a task's worker; the listener goes on.
#[test]
fn a_pause_of_accepting_is_an_event() {
    let name = "a_pause_of_accepting_is_an_event";
    let body = || {
        record_all();
        for workers in [1, 2] {
            let before = events().len();
            let builder = SelectorManager::builder().workers(workers);
            builder.run(async |selector: SelectorManager| pause(&selector).await).unwrap();
            let told = &events()[before..];
            assert!(!told.is_empty());
            for event in told {
                assert_eq!(event["message"], "accepting pauses");
                assert_eq!([&event["level"], &event["kind"]], ["ERROR", "Exhausted"]);
                assert_eq!(event["operation"], "accept");
                assert!(event["address"].starts_with("127.0.0.1:"), "{event:?}");
                assert!(event["error"].contains("trying again in "), "{event:?}");
            }
        }
    };
    let Some(child) = child(name, body) else {
        return;
    };
    assert!(child.status.success(), "{child:?}");
    assert!(!child.stderr.contains("forebay:"), "{}", child.stderr);
}

/// Accepts while no descriptor is left, until that was reported, and then once more.
async fn pause(selector: &SelectorManager) -> Result<()> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let _peer = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let before = events().len();
    let limit = Rlimit { current: Some(128), maximum: Some(128) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let all: Vec<_> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let accepting = selector.spawn_value(async move { server.accept().await.map(drop) });
    until_that("a pause", || events().len() > before).await;
    drop(all);
    accepting.await?
}
