//! Files that several tasks write to one connection.

use std::fs::File;

use forebay::{ErrorKind, Result, SharedWriteChannel};
use forebay_testing::{MIB, on_every_transport, settle};

use crate::files::{TestFile, assert_was_cut, long, receive};
use crate::shared::{all_arrive_whole_and_in_order, frame_of, framing};

const FRAMES: u32 = 55;

/// Writes frames, every other one of them from the middle of a file.
async fn write_frames(output: SharedWriteChannel, writer: u32) -> Result<()> {
    for number in 0..FRAMES {
        let body = frame_of(writer, number);
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
    all_arrive_whole_and_in_order(2, FRAMES, write_frames);
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
        let received = receive(&mut far).await;
        let waited = behind.await?.unwrap_err();
        let told = [waited, output.flush().await.unwrap_err(), other.finish().await.unwrap_err()];
        assert_was_cut(transport, content.len(), &told, received);
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
