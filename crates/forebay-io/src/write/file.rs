//! Writing the bytes of a file.

use std::fs::{File, Metadata};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::{ByteWriteChannel, SharedWriteChannel};
use crate::kernel::{FileBytes, KernelSegment, read_at};
use crate::outbox::Outbox;
use crate::{Error, ErrorKind, Result};

const OPERATION: &str = "write_file";

impl ByteWriteChannel {
    /// Writes a range of a file's bytes behind everything written before, as one item of any size, and returns the
    /// number of bytes. `..` is the whole file as long as it is now.
    ///
    /// The file is read when its bytes are sent, and so never held in memory as a whole: over TCP and Unix sockets on
    /// Linux the kernel sends them from its cache (`sendfile(2)`); otherwise, over TLS for instance, blocks of
    /// 64 KiB are read one after another. The caller may drop the file, because the channel keeps a descriptor
    /// of its own until the bytes are sent, but must leave the range alone: a change of its bytes may be seen
    /// by the peer or not, until the peer has acknowledged them. The position of the file does not
    /// matter, and stays.
    ///
    /// # Errors
    ///
    /// Those of [`write_str`](Self::write_str), and, with nothing written:
    ///
    /// - [`UnexpectedEnd`](ErrorKind::UnexpectedEnd): the file is shorter than the range.
    /// - [`InvalidInput`](ErrorKind::InvalidInput): it is no regular file, or the range ends before it begins. For
    ///   another source of bytes, [`copy_to`](crate::ByteReadChannel::copy_to) from
    ///   `SelectorManager::blocking_reader`.
    /// - The system's error: no second descriptor could be had, or the file is not open for reading.
    ///
    /// If the file is made shorter later, before it was sent, or cannot be read, the connection is reset, and the
    /// next call of this channel returns `UnexpectedEnd` or the error of reading: the peer never takes a part for the
    /// whole. [`flush`](Self::flush) waits until the file has been sent.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    ///
    /// # Platform
    ///
    /// A read of what is not in the system's cache blocks the worker for as long as the disk takes, as every read of a
    /// file does; up to 256 KiB are read in a turn. For slow disks, [`copy_to`](crate::ByteReadChannel::copy_to)
    /// from `SelectorManager::blocking_reader` reads on other threads.
    ///
    /// On Windows, reading moves the position of the file.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("forebay-write-file-{}", std::process::id()));
    /// std::fs::write(&path, "0123456789")?;
    /// let file = std::fs::File::open(&path)?;
    ///
    /// let (mut input, mut output) = forebay::pipe(4096);
    /// forebay::write_line!(output, "{}", file.metadata()?.len()).await?;
    /// assert_eq!(output.write_file(&file, ..).await?, 10);
    /// assert_eq!(output.write_file(&file, 3..5).await?, 2);
    /// assert!(output.write_file(&file, 3..50).await.is_err_and(|error| error.is_end()));
    /// output.finish().await?;
    /// assert_eq!(input.read_remaining(100).await?.as_slice(), b"10\n012345678934");
    /// # std::fs::remove_file(&path)?;
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "sendfile")]
    #[doc(alias = "writeFile")]
    pub async fn write_file(
        &mut self,
        file: &File,
        range: impl RangeBounds<u64> + Send,
    ) -> Result<u64> {
        self.room().await?;
        let (mut segment, count) = match segment_of(file, &range) {
            Ok(found) => found,
            Err(error) => {
                self.answer().await?;
                return Err(self.outbox.named(error));
            }
        };
        if segment.is_none() {
            self.answer().await?;
            return Ok(0);
        }
        while !self.outbox.accept_segment(self.auto_flush, &mut segment)? {
            self.wait_for_room().await?;
        }
        Ok(count)
    }
}

impl SharedWriteChannel {
    /// Writes a range of a file's bytes as one item of any size, as [`ByteWriteChannel::write_file`] does, and returns
    /// the number of bytes.
    ///
    /// While the file is sent, the writes of all clones wait, until less of it than the high-water mark is left.
    ///
    /// # Errors
    ///
    /// Those of [`ByteWriteChannel::write_file`]. If the file is made shorter before it was sent, or cannot be read, the
    /// calls of all clones return that error from then on.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a call that is dropped before it returned has written nothing.
    ///
    /// # Platform
    ///
    /// That of [`ByteWriteChannel::write_file`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("forebay-shared-file-{}", std::process::id()));
    /// std::fs::write(&path, "a file\n")?;
    /// let file = std::fs::File::open(&path)?;
    ///
    /// let (mut input, output) = forebay::pipe(4096);
    /// let output = output.share();
    /// let other = output.clone();
    /// assert_eq!(output.write_file(&file, 2..).await?, 5);
    /// other.write_str("a line\n").await?;
    /// other.finish().await?;
    /// assert_eq!(input.read_remaining(100).await?.as_slice(), b"file\na line\n");
    /// # std::fs::remove_file(&path)?;
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "sendfile")]
    pub async fn write_file(
        &self,
        file: &File,
        range: impl RangeBounds<u64> + Send,
    ) -> Result<u64> {
        let ticket = self.ticket_if_full().await?;
        let (mut segment, count) = match segment_of(file, &range) {
            Ok(found) => found,
            Err(error) => {
                // Nothing is written in this place, so the writers behind it need not wait for the answer.
                drop(ticket);
                Box::pin(self.answer()).await?;
                return Err(self.named(error));
            }
        };
        if segment.is_none() {
            drop(ticket);
            Box::pin(self.answer()).await?;
            return Ok(0);
        }
        let accept = |outbox: &Arc<Outbox>, flush| outbox.accept_segment(flush, &mut segment);
        Box::pin(self.in_turn(ticket, accept)).await?;
        Ok(count)
    }
}

/// Returns the bytes of the range, which the file has now, and their number.
fn segment_of(file: &File, range: &impl RangeBounds<u64>) -> Result<(Option<KernelSegment>, u64)> {
    let metadata = file.metadata().map_err(failed)?;
    let (offset, count) = checked(range, &metadata)?;
    let len = usize::try_from(count)
        .map_err(|_| invalid("the range is longer than this machine can address"))?;
    if len == 0 {
        return Ok((None, 0));
    }
    // Fails if the file is not open for reading, before any of it is promised to the peer.
    read_at(file, &mut [], offset).map_err(failed)?;
    let file = file.try_clone().map_err(failed)?;
    Ok((KernelSegment::new(Box::new(FileBytes { file, offset }), len), count))
}

/// Returns the offset and the length of the range.
fn checked(range: &impl RangeBounds<u64>, metadata: &Metadata) -> Result<(u64, u64)> {
    if !metadata.is_file() {
        return Err(invalid("it is not a regular file"));
    }
    let start = match range.start_bound() {
        Bound::Unbounded => 0,
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
    };
    let end = match range.end_bound() {
        Bound::Unbounded => metadata.len().max(start),
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
    };
    let needed =
        end.checked_sub(start).ok_or_else(|| invalid("the range ends before it begins"))?;
    let available = metadata.len().saturating_sub(start);
    if start > metadata.len() || available < needed {
        return Err(Error::new(ErrorKind::UnexpectedEnd { needed, available }, OPERATION)
            .with_detail("the file is shorter than the range"));
    }
    Ok((start, needed))
}

fn failed(error: std::io::Error) -> Error {
    Error::from_io(OPERATION, error)
}

fn invalid(detail: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, OPERATION).with_detail(detail)
}
