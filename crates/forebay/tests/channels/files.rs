//! Files that are written to a connection.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use forebay::{Connection, Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{
    Child, KIB, Log, MIB, Transport, on_every_transport, role, run, say, scrambled, settle, skip,
    until_at_rest, watched,
};
use futures_lite::future::try_zip;

/// A file that is removed behind the test.
pub(crate) struct TestFile(PathBuf);

impl TestFile {
    pub(crate) fn new(content: &[u8]) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("forebay-file-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(crate) fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }

    pub(crate) fn cut(&self, length: u64) {
        OpenOptions::new().write(true).open(&self.0).unwrap().set_len(length).unwrap();
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

pub(crate) async fn receive(connection: &mut Connection) -> Result<Vec<u8>> {
    let mut received = Vec::new();
    while let Some(chunk) = connection.input.read_chunk().await? {
        received.extend_from_slice(&chunk);
    }
    Ok(received)
}

/// Asserts that a file of so many bytes was not sent whole, and that both sides were told.
#[track_caller]
pub(crate) fn assert_was_cut(
    transport: Transport,
    length: usize,
    told: &[Error],
    received: Result<Vec<u8>>,
) {
    for error in told {
        let ErrorKind::UnexpectedEnd { needed, available: 0 } = error.kind() else {
            panic!("over {transport}: {error}")
        };
        assert!(needed > 0 && needed < length as u64);
    }
    if transport.knows_resets() {
        assert!(received.is_err_and(|error| !error.is_end()), "over {transport}");
    } else {
        assert!(received.is_ok_and(|bytes| bytes.len() < length));
    }
}

/// Bytes of any number, with a period that is a prime.
pub(crate) fn long(bytes: usize, seed: usize) -> Vec<u8> {
    scrambled(3_999_971, seed).into_iter().cycle().take(bytes).collect()
}

#[test]
fn a_file_arrives_between_what_was_written_before_and_behind() {
    on_every_transport(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        let content = long(3 * MIB + 17, 21);
        let file = TestFile::new(&content);
        let write = async {
            near.output.write_str("head\n").await?;
            let opened = file.open();
            assert_eq!(near.output.write_file(&opened, ..).await?, content.len() as u64);
            drop(opened);
            near.output.write_str("between").await?;
            assert_eq!(near.output.write_file(&file.open(), 5..MIB as u64).await?, MIB as u64 - 5);
            assert_eq!(near.output.write_file(&file.open(), 7..=7).await?, 1);
            assert_eq!(near.output.write_file(&file.open(), 9..9).await?, 0);
            near.output.write_str("tail").await?;
            near.output.finish().await
        };
        let ((), received) = try_zip(write, receive(&mut far)).await?;
        let expected =
            [b"head\n", &content[..], b"between", &content[5..MIB], &content[7..=7], b"tail"];
        assert!(received == expected.concat(), "over {transport}");
        assert_eq!(near.output.counted(), received.len() as u64);
        drop((near, far));
        until_at_rest(&selector, 0).await;
        Ok(())
    });
}

#[test]
fn a_range_that_the_file_does_not_have_writes_nothing() {
    on_every_transport(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        let file = TestFile::new(b"0123456789");
        let output = &mut near.output;
        for (range, needed, available) in [(0..11, 11, 10), (8..20, 12, 2), (12..13, 1, 0)] {
            let error = output.write_file(&file.open(), range).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEnd { needed, available }, "{error}");
        }
        let (start, end) = (7, 3);
        let reversed = output.write_file(&file.open(), start..end).await.unwrap_err();
        assert_eq!(reversed.kind(), ErrorKind::InvalidInput);
        let directory = File::open(std::env::temp_dir());
        if let Ok(directory) = directory {
            let refused = output.write_file(&directory, ..).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
        let unreadable = OpenOptions::new().write(true).open(&file.0).unwrap();
        output.write_file(&unreadable, ..).await.unwrap_err();
        output.write_str("only this").await?;
        output.finish().await?;
        assert_eq!(receive(&mut far).await?, b"only this", "over {transport}");
        Ok(())
    });
}

#[test]
fn a_file_that_is_cut_before_it_was_sent_resets_the_connection() {
    on_every_transport(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        // More than the system takes while nothing is read.
        let content = long(16 * MIB, 22);
        let file = TestFile::new(&content);
        near.output.write_file(&file.open(), ..).await?;
        settle().await;
        file.cut(100);
        let received = receive(&mut far).await;
        let told = near.output.flush().await.unwrap_err();
        assert_was_cut(transport, content.len(), &[told], received);
        Ok(())
    });
}

#[test]
fn a_file_is_sent_also_behind_a_dropped_writer() {
    on_every_transport(async |selector, transport| {
        let (mut near, mut far) = transport.pair(&selector).await?;
        let content = long(6 * MIB, 23);
        let file = TestFile::new(&content);
        near.output.write_file(&file.open(), ..).await?;
        drop(near);
        assert!(receive(&mut far).await? == content, "over {transport}");
        Ok(())
    });
}

async fn pass_file(selector: &SelectorManager) -> Result<()> {
    let (mut near, mut far) = Transport::Tcp.pair(selector).await?;
    let content = long(3 * MIB, 24);
    let file = TestFile::new(&content);
    let opened = file.open();
    say("reads nothing from here on");
    let write = async {
        near.output.write_file(&opened, ..).await?;
        near.output.finish().await
    };
    let ((), received) = try_zip(write, receive(&mut far)).await?;
    assert!(received == content);
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn the_kernel_sends_the_file() {
    let test = "the_kernel_sends_the_file";
    if role().is_some() {
        forebay_testing::in_host(async |selector| pass_file(&selector).await).unwrap();
        return say("done");
    }
    let log = Log::new(test);
    let strace = ["strace", "-f", "-o", log.path(), "-e", "trace=sendfile,pread64,sendto,sendmsg"];
    if !Child::can_trace(&strace) {
        return skip(test, "strace is missing, or may not trace");
    }
    let strace = strace.map(str::to_owned);
    watched(move || {
        let wrapper = strace.each_ref().map(String::as_str);
        let mut child = Child::start_under(&wrapper, test, "sends");
        assert!(child.hear().is_some());
        assert_eq!(child.hear().as_deref(), Some("done"));
        child.end();
    });
    let lines = log.lines();
    let moved = |call: &str| -> usize {
        let calls = lines.iter().filter(|line| line.contains(call));
        calls.filter_map(|line| line.rsplit(") = ").next()?.trim().parse::<usize>().ok()).sum()
    };
    assert!(moved("sendfile") > 2 * MIB, "{lines:?}");
    assert!(moved("sendto") + moved("sendmsg") < 64 * KIB, "{lines:?}");
}

/// A reader that copies takes from a file as from any other writer.
#[test]
fn a_file_goes_on_through_a_relay() {
    run(async |selector| {
        let (mut client, mut near) = Transport::Tcp.pair(&selector).await?;
        let (mut server, mut far) = Transport::Tcp.pair(&selector).await?;
        let content = long(5 * MIB, 25);
        let file = TestFile::new(&content);
        let write = async {
            client.output.write_file(&file.open(), ..).await?;
            client.output.finish().await
        };
        let copy = near.input.copy_and_close(&mut far.output);
        let (((), copied), received) = try_zip(try_zip(write, copy), receive(&mut server)).await?;
        assert!(received == content && copied == content.len() as u64);
        Ok(())
    });
}
