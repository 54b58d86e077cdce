//! Blocks of code as ends of channels: however a block ends, the other side of its channel gets
//! what was written before, and then the end or the reason; an error that comes too late for the
//! other side is reported like a task's error.

use std::sync::{Arc, Mutex};

use forebay::{ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{KIB, pattern, settle, until, until_at_rest, watched};

type Reports = Arc<Mutex<Vec<String>>>;

/// Runs a test with a record of the errors that were reported.
fn run_reported(test: impl AsyncFnOnce(SelectorManager, Reports) -> Result<()> + Send + 'static) {
    watched(|| {
        let reports = Reports::default();
        let told = Arc::clone(&reports);
        SelectorManager::builder()
            .on_task_error(move |error| told.lock().unwrap().push(error.to_string()))
            .run(async |selector| {
                test(selector.clone(), reports).await?;
                until_at_rest(&selector, 0).await;
                assert_eq!(selector.stats().timers, 0);
                Ok::<_, Error>(())
            })
    })
    .unwrap();
}

fn disk_full() -> Error {
    Error::other("the disk is full")
}

#[track_caller]
fn assert_disk_full<T: std::fmt::Debug>(outcome: Result<T>) {
    let error = outcome.expect_err("the block failed");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

fn reported(reports: &Reports) -> Vec<String> {
    reports.lock().unwrap().clone()
}

/// Reads what was written before the end, and returns how it ended.
async fn read_to_the_end(input: &mut ByteReadChannel) -> (Vec<u8>, Result<()>) {
    let mut bytes = Vec::new();
    loop {
        match input.read_chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, Ok(())),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

// ---- writers ------------------------------------------------------------------------------------

#[test]
fn a_writer_that_ends_well_ends_its_channel() {
    run_reported(async |selector, reports| {
        for finishes in [false, true] {
            let mut input = selector.writer(move |mut output| async move {
                output.write_str("one\n").await?;
                // More than waits between the two.
                output.write_all(&pattern(200 * KIB)).await?;
                if finishes { output.finish().await } else { Ok(()) }
            });
            assert_eq!(input.read_line().await?.as_deref(), Some("one"));
            let (bytes, end) = read_to_the_end(&mut input).await;
            end?;
            assert!(bytes == pattern(200 * KIB));
            assert!(input.closed_cause().is_none());
        }
        assert!(reported(&reports).is_empty());
        Ok(())
    });
}

#[test]
fn a_writer_that_fails_is_told_behind_what_it_wrote() {
    run_reported(async |selector, reports| {
        for (bytes, reads_first) in [(0, false), (3, false), (300 * KIB, false), (3, true)] {
            let mut input = selector.writer(move |mut output| async move {
                output.write_all(&pattern(bytes)).await?;
                Err(disk_full())
            });
            if reads_first {
                assert_eq!(input.read_u8().await?, 0);
            } else {
                // The block has failed before the first read, as far as its channel has room.
                settle().await;
            }
            let (received, end) = read_to_the_end(&mut input).await;
            let expected = &pattern(bytes)[usize::from(reads_first)..];
            assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
            assert_disk_full(end);
            assert_disk_full(input.read_line().await);
            assert!(input.closed_cause().is_some());
        }
        assert_eq!(reported(&reports), [""; 0]);
        Ok(())
    });
}

#[test]
fn a_writer_that_panics_is_told_behind_what_it_wrote() {
    run_reported(async |selector, _| {
        let mut input = selector.writer(|mut output| async move {
            output.write_str("before\n").await?;
            panic!("not this time");
        });
        settle().await;
        assert_eq!(input.read_line().await?.as_deref(), Some("before"));
        let error = input.read_line().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        Ok(())
    });
}

#[test]
fn a_writer_that_its_selector_cancels_is_no_clean_end() {
    watched(|| {
        let selector = SelectorManager::builder().drain(std::time::Duration::ZERO, 0).build();
        let selector = selector.unwrap();
        selector
            .block_on(async {
                let mut input = selector.writer(|mut output| async move {
                    output.write_str("before\n").await?;
                    std::future::pending().await
                });
                let mut log = selector.reader(|mut input| async move {
                    assert_eq!(input.read_line().await?.as_deref(), Some("before"));
                    std::future::pending().await
                });
                log.write_str("before\n").await?;
                settle().await;
                selector.close().await;
                assert_eq!(input.read_line().await?.as_deref(), Some("before"));
                let error = input.read_line().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                let error = log.write_str("after\n").await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                // And where the selector is closed before the block begins.
                let mut input = selector.writer(async |_| Ok(()));
                let error = input.read_u8().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                let mut log = selector.reader(async |_| Ok(()));
                let error = log.write_u8(1).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(selector.stats().blocks, 0);
    });
}

#[test]
fn a_writer_whose_reader_is_gone_is_told_so() {
    run_reported(async |selector, reports| {
        let (tell, told) = std::sync::mpsc::channel();
        let input = selector.writer(|mut output| async move {
            let error = loop {
                if let Err(error) = output.write_all(&pattern(KIB)).await {
                    break error;
                }
            };
            tell.send(error).unwrap();
            Ok(())
        });
        settle().await;
        drop(input);
        let mut error = None;
        until(|| {
            error = told.try_recv().ok();
            error.is_some()
        })
        .await;
        assert!(error.is_some_and(|error| error.is_reset()));
        assert!(reported(&reports).is_empty());
        Ok(())
    });
}

/// After the end mark, or without a reader, an error can only be reported.
#[test]
fn an_error_that_the_reader_cannot_be_told_is_reported() {
    run_reported(async |selector, reports| {
        let mut input = selector.writer(|mut output| async move {
            output.write_str("all\n").await?;
            output.finish().await?;
            Err(disk_full())
        });
        let (bytes, end) = read_to_the_end(&mut input).await;
        end?;
        assert_eq!(bytes, b"all\n");
        until(|| selector.stats().task_errors == 1).await;

        let input = selector.writer(async |output| {
            settle().await;
            drop(output);
            Err(disk_full())
        });
        drop(input);
        until(|| selector.stats().tasks == 0).await;
        assert_eq!(reported(&reports).len(), 2, "{:?}", reported(&reports));
        assert!(reported(&reports).iter().all(|error| error.contains("the disk is full")));
        Ok(())
    });
}

/// A slice that is too large to be one item, of which only a part was accepted.
#[test]
fn half_an_item_is_no_clean_end() {
    run_reported(async |selector, _| {
        let mut input = selector.writer(|mut output| async move {
            let huge = pattern(3 * forebay_testing::MIB);
            assert!(futures_lite::future::poll_once(output.write_all(&huge)).await.is_none());
            Ok(())
        });
        let (_, end) = read_to_the_end(&mut input).await;
        assert!(matches!(end.unwrap_err().kind(), ErrorKind::Incomplete { .. }));
        Ok(())
    });
}

// ---- readers ------------------------------------------------------------------------------------

#[test]
fn a_reader_gets_everything_and_the_end() {
    run_reported(async |selector, reports| {
        let (tell, told) = std::sync::mpsc::channel();
        for finishes in [false, true] {
            let tell = tell.clone();
            let mut output = selector.reader(|mut input| async move {
                let (bytes, end) = read_to_the_end(&mut input).await;
                tell.send(bytes).unwrap();
                end
            });
            output.write_all(&pattern(300 * KIB)).await?;
            if finishes {
                output.finish().await?;
            }
            drop(output);
            until(|| selector.stats().tasks == 0).await;
            assert!(told.recv().unwrap() == pattern(300 * KIB));
        }
        assert!(reported(&reports).is_empty());
        Ok(())
    });
}

/// Begins a reader that takes a line and ends so, and waits until it has.
async fn ended_reader(
    selector: &SelectorManager,
    end: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<ByteWriteChannel> {
    let mut output = selector.reader(|mut input| async move {
        assert_eq!(input.read_line().await?.as_deref(), Some("a line"));
        end()
    });
    output.write_str("a line\n").await?;
    until(|| selector.stats().tasks == 0).await;
    Ok(output)
}

#[test]
fn a_reader_that_fails_is_told_to_the_next_write() {
    run_reported(async |selector, reports| {
        let mut output = ended_reader(&selector, || Err(disk_full())).await?;
        assert_disk_full(output.write_str("more").await);
        assert_disk_full(output.flush().await);
        assert_disk_full(output.finish().await);
        let mut output = ended_reader(&selector, || panic!("not this time")).await?;
        let error = output.write_str("more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        // One that has had enough is gone, as a peer is: what is sent then comes back as a reset.
        let mut output = ended_reader(&selector, || Ok(())).await?;
        output.write_str("more").await?;
        assert!(output.flush().await.is_err_and(|error| error.is_reset()));
        assert!(reported(&reports).iter().all(|error| !error.contains("the disk is full")));
        Ok(())
    });
}

/// A writer that waits for room is woken.
#[test]
fn a_reader_that_fails_ends_a_write_that_waits() {
    run_reported(async |selector, _| {
        let mut output = selector.reader(async |input| {
            settle().await;
            drop(input);
            Err(disk_full())
        });
        let error = loop {
            if let Err(error) = output.write_all(&pattern(64 * KIB)).await {
                break error;
            }
        };
        assert_disk_full(Err::<(), _>(error));
        Ok(())
    });
}

#[test]
fn an_error_that_the_writer_cannot_be_told_is_reported() {
    run_reported(async |selector, reports| {
        let mut output = selector.reader(|mut input| async move {
            read_to_the_end(&mut input).await.1?;
            Err(disk_full())
        });
        output.write_str("all\n").await?;
        output.finish().await?;
        until(|| selector.stats().task_errors == 1).await;
        assert!(reported(&reports)[0].contains("the disk is full"));
        Ok(())
    });
}
