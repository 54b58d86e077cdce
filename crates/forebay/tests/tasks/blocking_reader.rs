//! Files and other things that block, read as channels.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use forebay::testing::TestClock;
use forebay::{Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{
    ends::{Scratch, Sink, Told},
    in_host, pattern, settle, until_that, watched,
};
use futures_lite::future::{self, poll_once, zip};

// ---- round trips ---------------------------------------------------------------------------------------

#[test]
fn a_file_is_written_and_read_back() {
    watched(|| {
        let file = Scratch::new("round-trip");
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(File::create(&file.0)?);
            for number in 0..1000 {
                output.write_str(&format!("line {number}\n")).await?;
            }
            output.write_u32(0xCAFE_F00D).await?;
            output.finish().await?;
            assert!(output.is_closed_for_write());

            let mut input = selector.blocking_reader(File::open(&file.0)?);
            for number in 0..1000 {
                let line = input.read_line().await?;
                assert_eq!(line, Some(format!("line {number}")));
            }
            assert_eq!(input.read_u32().await?, 0xCAFE_F00D);
            assert_eq!(input.read_line().await?, None);
            assert!(input.is_closed_for_read());
            assert_eq!(input.read(&mut [0; 8]).await?, 0, "the end stays");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_cursor_is_read_to_its_end_and_an_empty_one_ends_at_once() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            for size in [0, 1, 65_535, 65_536, 65_537, 300_000] {
                let bytes = pattern(size);
                let mut input = selector.blocking_reader(Cursor::new(bytes.clone()));
                let all = input.read_remaining(size).await?;
                assert!(all.as_slice() == bytes, "{size} bytes differ");
            }
            let mut short = selector.blocking_reader(&b"abc"[..]);
            let error = short.read_u32().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed: 4, available: 3 });
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn eight_mebibytes_keep_their_order() {
    const BYTES: usize = 8 * 1024 * 1024;
    watched(|| {
        let file = Scratch::new("order");
        let bytes = pattern(BYTES);
        in_host(async |selector: SelectorManager| {
            let mut output = selector.blocking_writer(File::create(&file.0)?);
            // Items of every size, so that the batches are cut anywhere.
            let (mut rest, mut size) = (bytes.as_slice(), 1);
            while !rest.is_empty() {
                let (item, after) = rest.split_at(size.min(rest.len()));
                output.write_all(item).await?;
                (rest, size) = (after, size * 7 % 100_003 + 1);
            }
            output.finish().await?;
            assert!(file.bytes() == bytes, "the file differs");

            let mut input = selector.blocking_reader(File::open(&file.0)?);
            let all = input.read_remaining(BYTES).await?;
            assert!(all.as_slice() == bytes, "what was read differs");
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_file_goes_through_a_socket_into_a_file() {
    const BYTES: usize = 3 * 1024 * 1024 + 17;
    watched(|| {
        let (from, into) = (Scratch::new("from"), Scratch::new("into"));
        std::fs::write(&from.0, pattern(BYTES)).unwrap();
        in_host(async |selector: SelectorManager| {
            let (client, server, _listener) = forebay_testing::connected(&selector).await?;
            let (mut to_socket, mut from_socket) = (client.output, server.input);
            let mut input = selector.blocking_reader(File::open(&from.0)?);
            let mut output = selector.blocking_writer(File::create(&into.0)?);
            let (sent, received) = zip(
                async {
                    let sent = input.copy_to(&mut to_socket).await?;
                    to_socket.finish().await?;
                    Result::Ok(sent)
                },
                async {
                    let received = from_socket.copy_to(&mut output).await?;
                    output.finish().await?;
                    Result::Ok(received)
                },
            )
            .await;
            assert_eq!((sent?, received?), (BYTES as u64, BYTES as u64));
            Result::Ok(())
        })
        .unwrap();
        assert!(into.bytes() == pattern(BYTES), "the copy differs");
    });
}

#[test]
fn both_work_in_another_executor() {
    watched(|| {
        let selector = SelectorManager::new();
        let sink = Sink::default();
        future::block_on(async {
            let mut input = selector.blocking_reader(&b"one\ntwo\n"[..]);
            let mut output = selector.blocking_writer(sink.writer());
            while let Some(line) = input.read_line().await.unwrap() {
                output.write_strs(&[&line, "\n"]).await.unwrap();
            }
            output.finish().await.unwrap();
        });
        assert_eq!(sink.bytes(), b"one\ntwo\n");
    });
}

// ---- reading -------------------------------------------------------------------------------------------

#[test]
fn nothing_is_read_before_somebody_waits() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let (reader, chunks, reads) = Told::new();
            let mut input = selector.blocking_reader(reader);
            settle().await;
            assert_eq!(reads.load(SeqCst), 0);
            chunks.send(Ok(b"one two ".to_vec())).unwrap();
            assert_eq!(&*input.read_packet(4).await?.into_bytes(), b"one ");
            assert_eq!(&*input.read_packet(4).await?.into_bytes(), b"two ");
            settle().await;
            assert_eq!(reads.load(SeqCst), 1, "it reads ahead");
            drop(chunks);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_read_that_is_dropped_keeps_its_bytes_for_the_next() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let (reader, chunks, reads) = Told::new();
            let mut input = selector.blocking_reader(reader);
            for number in 0..200 {
                // The read begins on its thread, and the wait for it is given up.
                assert!(poll_once(input.read_line()).await.is_none());
                until_that("it reads", || reads.load(SeqCst) > number).await;
                assert!(poll_once(input.read_line()).await.is_none());
                chunks.send(Ok(format!("line {number}\n").into_bytes())).unwrap();
                assert_eq!(input.read_line().await?, Some(format!("line {number}")));
            }
            assert_eq!(reads.load(SeqCst), 200, "a dropped read was begun again");
            drop(chunks);
            assert_eq!(input.read_line().await?, None);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn an_error_of_reading_comes_once_and_the_channel_goes_on() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let (reader, chunks, _) = Told::new();
            let mut input = selector.blocking_reader(reader);
            chunks.send(Ok(b"half a ".to_vec())).unwrap();
            chunks.send(Err(io::Error::other("the disk is on fire"))).unwrap();
            chunks.send(Err(io::ErrorKind::PermissionDenied.into())).unwrap();
            chunks.send(Ok(b"line\nrest".to_vec())).unwrap();
            let error = input.read_line().await.unwrap_err();
            assert_eq!(error.to_string(), "blocking_reader: the disk is on fire");
            assert_eq!(error.kind(), ErrorKind::System);
            let error = input.read_line().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert_eq!(input.read_line().await?.as_deref(), Some("half a line"));
            drop(chunks);
            assert_eq!(input.read_line().await?.as_deref(), Some("rest"));
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn an_interrupted_read_is_repeated() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let (reader, chunks, _) = Told::new();
            let mut input = selector.blocking_reader(reader);
            for _ in 0..3 {
                chunks.send(Err(io::ErrorKind::Interrupted.into())).unwrap();
            }
            chunks.send(Ok(b"a line\n".to_vec())).unwrap();
            assert_eq!(input.read_line().await?.as_deref(), Some("a line"));
            drop(chunks);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_panic_of_the_reader_is_an_error_that_stays() {
    struct Panics(usize);
    impl Read for Panics {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            assert!(self.0 > 0, "expected by a test");
            self.0 -= 1;
            buffer[..5].copy_from_slice(b"line\n");
            Ok(5)
        }
    }
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let mut input = selector.blocking_reader(Panics(1));
            assert_eq!(input.read_line().await?.as_deref(), Some("line"));
            for _ in 0..3 {
                let error = input.read_line().await.unwrap_err();
                assert!(error.is_panicked(), "{error}");
                assert!(error.to_string().contains("expected by a test"), "{error}");
            }
            // The thread it happened on serves others.
            assert_eq!(selector.spawn_blocking(|| 1).await?, 1);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_reader_that_claims_more_than_there_was_room_for_harms_nobody() {
    struct Liar;
    impl Read for Liar {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len() + 1)
        }
    }
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let mut input = selector.blocking_reader(Liar);
            assert_eq!(input.read_packet(1000).await?.len(), 1000);
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn giving_up_a_channel_drops_its_reader() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            struct Held(Arc<()>, Told);
            impl Read for Held {
                fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                    assert!(Arc::strong_count(&self.0) > 1);
                    self.1.read(buffer)
                }
            }
            let held = Arc::new(());
            let (told, chunks, reads) = Told::new();
            drop(selector.blocking_reader(Held(Arc::clone(&held), told)));
            assert_eq!(Arc::strong_count(&held), 1);
            drop(chunks);

            // One that reads at this moment is dropped when the read returns.
            let (told, chunks, _) = Told::new();
            let reads_of_second = Arc::clone(&told.reads);
            let mut input = selector.blocking_reader(Held(Arc::clone(&held), told));
            assert!(poll_once(input.read_u8()).await.is_none());
            until_that("it reads", || reads_of_second.load(SeqCst) == 1).await;
            drop(input);
            assert_eq!(Arc::strong_count(&held), 2);
            chunks.send(Ok(b"late".to_vec())).unwrap();
            until_that("the reader is dropped", || Arc::strong_count(&held) == 1).await;

            // So is one of a channel that was ended with a cause.
            let mut input = selector.blocking_reader(Held(Arc::clone(&held), Told::new().0));
            input.abort_with(Error::other("enough"));
            assert_eq!(Arc::strong_count(&held), 1);
            assert_eq!(input.read_u8().await.unwrap_err().to_string(), "enough");
            assert_eq!(reads.load(SeqCst), 0);
            Result::Ok(())
        })
        .unwrap();
    });
}

// ---- a selector that closes ----------------------------------------------------------------------------

/// A selector whose drain timeout never passes.
fn patient() -> SelectorManager {
    let builder = SelectorManager::builder().clock(TestClock::new());
    builder.drain(Duration::from_secs(3600), 64 * 1024).build().unwrap()
}

fn assert_closed<T>(result: Result<T>) {
    let error = result.map(drop).unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[test]
fn a_closing_selector_answers_a_waiting_read_with_closed() {
    watched(|| {
        let selector = patient();
        let (reader, chunks, reads) = Told::new();
        let (second, _silent, reads_of_second) = Told::new();
        selector.block_on(async {
            let mut input = selector.blocking_reader(reader);
            chunks.send(Ok(b"a line\nhalf a l".to_vec())).unwrap();
            let reading = selector.spawn_value(async move {
                assert_eq!(input.read_line().await?.as_deref(), Some("a line"));
                assert_closed(input.read_line().await);
                // What had arrived stays readable, and nothing more is read.
                assert_eq!(input.buffered(), 8);
                assert_closed(input.read_line().await);
                Result::Ok(input)
            });
            let mut input = selector.blocking_reader(second);
            let copying = selector.spawn_value(async move {
                let mut into = forebay::pipe(1).1;
                input.copy_to(&mut into).await
            });
            let both = || reads.load(SeqCst) == 2 && reads_of_second.load(SeqCst) == 1;
            until_that("both read", both).await;
            selector.close().await;
            let input = reading.await.unwrap().unwrap();
            assert_closed(copying.await.unwrap());
            assert_eq!(reads.load(SeqCst), 2);
            drop(input);
        });
    });
}

#[test]
fn a_read_beside_a_close_is_answered_in_any_executor() {
    watched(|| {
        for _ in 0..1000 {
            let selector = patient();
            let (reader, _silent, _) = Told::new();
            let mut input = selector.blocking_reader(reader);
            let start = Arc::new(Barrier::new(2));
            let started = Arc::clone(&start);
            let foreign = thread::spawn(move || {
                started.wait();
                future::block_on(input.read_line()).map(drop)
            });
            start.wait();
            // Before, while or after the wait begins.
            future::block_on(selector.close());
            assert_closed(foreign.join().unwrap());
        }
    });
}
