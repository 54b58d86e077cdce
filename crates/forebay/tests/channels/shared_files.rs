//! Files that several tasks write to one connection.

use std::fs::File;

use forebay::{ErrorKind, LengthFraming, Result, SelectorManager, SharedWriteChannel};
use forebay_testing::{MIB, Transport, on_each, on_every_transport, settle};

use crate::files::{TestFile, long, receive};

const WRITERS: u32 = 4;
const FRAMES: u32 = 60;

fn framing() -> LengthFraming {
    LengthFraming::u32()
}

/// Returns what follows from a writer and a number: every tenth frame is larger than a block.
fn body_of(writer: u32, number: u32) -> Vec<u8> {
    let length = if number.is_multiple_of(10) { 200_000 } else { (number * 97 + writer) % 3000 };
    let byte = u8::try_from((writer * 31 + number) % 251).unwrap();
    let head = [writer.to_be_bytes(), number.to_be_bytes()].concat();
    [head, vec![byte; length as usize]].concat()
}

/// Writes frames, every other one of them from the middle of a file.
async fn write_frames(output: SharedWriteChannel, writer: u32) -> Result<()> {
    for number in 0..FRAMES {
        let body = body_of(writer, number);
        if number % 2 == 1 {
            output.write_frame(&framing(), &[&body]).await?;
            continue;
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let file = TestFile::new(&[b"before", &length[..], &body, b"behind"].concat());
        let end = 6 + 4 + body.len() as u64;
        assert_eq!(output.write_file(&file.open(), 6..end).await?, end - 6);
    }
    Ok(())
}

#[test]
fn files_and_frames_of_tasks_on_two_threads_arrive_whole_and_in_each_ones_order() {
    on_each(|transport: Transport| {
        let selector = SelectorManager::builder().workers(2).build().unwrap();
        selector.block_on(async {
            let (near, mut far) = transport.pair(&selector).await.unwrap();
            let output = near.output.share();
            for writer in 0..WRITERS {
                selector.spawn(write_frames(output.clone(), writer)).detach();
            }
            drop(output);
            let mut next = [0; WRITERS as usize];
            while let Some(mut frame) = far.input.read_frame(&framing()).await.unwrap() {
                let whole = frame.as_slice().to_vec();
                let (writer, number) = (frame.read_u32().unwrap(), frame.read_u32().unwrap());
                assert_eq!(number, next[writer as usize], "out of order, over {transport}");
                assert!(whole == body_of(writer, number), "mixed, over {transport}");
                next[writer as usize] += 1;
            }
            assert_eq!(next, [FRAMES; WRITERS as usize], "over {transport}");
            selector.close().await;
        });
    });
}

#[test]
fn a_range_that_the_file_does_not_have_writes_nothing_and_holds_up_no_clone() {
    on_every_transport(async |selector, transport| {
        let (near, mut far) = transport.pair(&selector).await?;
        let output = near.output.share();
        let other = output.clone();
        let file = TestFile::new(b"0123456789");
        for (range, needed, available) in [(0..11, 11, 10), (8..20, 12, 2), (12..13, 1, 0)] {
            let error = output.write_file(&file.open(), range).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed, available }, "{error}");
        }
        let (start, end) = (7, 3);
        let reversed = output.write_file(&file.open(), start..end).await.unwrap_err();
        assert_eq!(reversed.kind(), ErrorKind::InvalidInput);
        if let Ok(directory) = File::open(std::env::temp_dir()) {
            let refused = output.write_file(&directory, ..).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(output.write_file(&file.open(), 4..4).await?, 0);
        assert!(other.try_write_str("only this")?, "over {transport}");
        output.finish().await?;
        assert_eq!(receive(&mut far).await?, b"only this", "over {transport}");
        Ok(())
    });
}

#[test]
fn a_file_that_is_cut_before_it_was_sent_is_the_error_of_all_clones() {
    on_every_transport(async |selector, transport| {
        let (near, mut far) = transport.pair(&selector).await?;
        let output = near.output.share();
        let other = output.clone();
        // More than the system takes while nothing is read.
        let content = long(16 * MIB, 26);
        let file = TestFile::new(&content);
        output.write_file(&file.open(), ..).await?;
        settle().await;
        file.cut(100);
        let behind = selector.spawn_value({
            let other = other.clone();
            async move { other.write_str("behind").await }
        });
        let received = receive(&mut far).await.map(|bytes| bytes.len());
        let waited = behind.await?.unwrap_err();
        for failed in [waited, output.flush().await.unwrap_err(), other.finish().await.unwrap_err()]
        {
            let ErrorKind::UnexpectedEnd { needed, available: 0 } = failed.kind() else {
                panic!("over {transport}: {failed}")
            };
            assert!(needed > 0 && needed < content.len() as u64);
        }
        if transport.knows_resets() {
            assert!(received.is_err_and(|error| !error.is_end()), "over {transport}");
        } else {
            assert!(received.is_ok_and(|length| length < content.len()));
        }
        Ok(())
    });
}

#[test]
fn a_file_is_sent_also_behind_the_last_clone() {
    on_every_transport(async |selector, transport| {
        let (near, mut far) = transport.pair(&selector).await?;
        let output = near.output.share();
        let content = long(3 * MIB, 27);
        let file = TestFile::new(&content);
        output.clone().write_file(&file.open(), ..).await?;
        drop((output, near.input, near.socket));
        assert!(receive(&mut far).await? == content, "over {transport}");
        Ok(())
    });
}
