//! Reading frames: messages on a stream.

use std::future::poll_fn;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use super::ByteReadChannel;
use crate::frame::{FrameStep, Framing, FramingKey};
use crate::{Error, ErrorKind, Packet, Result};

/// The result of a look at the buffered bytes.
enum FrameLook {
    Frame {
        content: Range<usize>,
        consumed: usize,
    },
    /// There is none yet; this many bytes are needed in total.
    Need(usize),
}

impl ByteReadChannel {
    /// Reads the next frame. Returns `None` if the input ends before it begins.
    ///
    /// The frame's content is collected in the channel, and up to 32 KiB of it are copied. The search for its end
    /// does not begin again when more bytes arrive, nor when a call was dropped. The same framing need not be used
    /// for every frame.
    ///
    /// # Errors
    ///
    /// - [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if the input ends within a frame.
    /// - [`LimitExceeded`](ErrorKind::LimitExceeded) if a frame is larger than the framing's limit.
    /// - The error of a framing of the program's own, and [`InvalidInput`](ErrorKind::InvalidInput) if it answers
    ///   what cannot be: bytes that are not there, or a frame without any.
    /// - The connection's error.
    ///
    /// After the first three the channel stands before the frame: the same call fails again at once, and the bytes
    /// can be read or discarded in another way.
    ///
    /// # Cancel safety
    ///
    /// Lossless: a frame leaves the channel in the poll that returns it. What a framing skips is gone before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// use forebay::{ByteReadChannel, LengthFraming};
    ///
    /// let mut input = ByteReadChannel::from("\x07\0\x2ahello\x01");
    /// let framing = LengthFraming::u8().limit(100);
    /// while let Some(mut frame) = input.read_frame(&framing).await? {
    ///     assert_eq!(frame.read_u16()?, 42);
    ///     assert_eq!(frame.into_bytes(), "hello");
    /// #   break;
    /// }
    /// # assert!(input.read_frame(&framing).await.unwrap_err().is_end());
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn read_frame<F: Framing + ?Sized>(&mut self, framing: &F) -> Result<Option<Packet>> {
        // Without a key the position of the search is kept for this call alone.
        let key = framing.key().unwrap_or_else(FramingKey::unique);
        poll_fn(|cx| self.poll_frame(cx, framing, key)).await
    }

    fn poll_frame<F: Framing + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        framing: &F,
        key: FramingKey,
    ) -> Poll<Result<Option<Packet>>> {
        ready!(self.poll_lent(cx, "read_frame"))?;
        loop {
            // Asked before the look, because an error that was found must not be lost.
            ready!(self.buffer.front.answers.poll_more(cx));
            let needed = match self.look(framing, key, false)? {
                FrameLook::Frame { content, consumed } => {
                    return Poll::Ready(Ok(Some(self.take_frame(content, consumed))));
                }
                FrameLook::Need(needed) => needed,
            };
            if ready!(self.poll_needed(cx, needed, framing.bytes_max()))? {
                continue;
            }
            return Poll::Ready(self.last_frame(framing, key));
        }
    }

    /// Waits until there are `needed` bytes, growing the buffer up to `most`. Returns `false` at the end.
    fn poll_needed(
        &mut self,
        cx: &mut Context<'_>,
        needed: usize,
        most: usize,
    ) -> Poll<Result<bool>> {
        while self.buffer.len() < needed {
            // Not `needed`, beyond which the buffer could then not be doubled: a frame that grows byte by byte would
            // be moved as often.
            if !ready!(self.poll_more(cx, most.max(needed)))? {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Takes the frame that the end of the input ends, if there is one.
    fn last_frame<F: Framing + ?Sized>(
        &mut self,
        framing: &F,
        key: FramingKey,
    ) -> Result<Option<Packet>> {
        match self.look(framing, key, true)? {
            FrameLook::Frame { content, consumed } => Ok(Some(self.take_frame(content, consumed))),
            FrameLook::Need(_) if self.buffer.is_empty() => Ok(None),
            FrameLook::Need(needed) => {
                let available = self.buffer.len();
                Err(self.unexpected_end("read_frame", needed, available))
            }
        }
    }

    /// Asks the framing about the buffered bytes, and skips what it skips.
    fn look<F: Framing + ?Sized>(
        &mut self,
        framing: &F,
        key: FramingKey,
        is_last: bool,
    ) -> Result<FrameLook> {
        loop {
            let bytes = self.buffer.readable();
            let available = bytes.len();
            if available == 0 {
                return Ok(FrameLook::Need(1));
            }
            let seen = self.buffer.front.seen_by(key);
            let step =
                if is_last { framing.find_last(bytes, seen) } else { framing.find(bytes, seen) };
            match step {
                FrameStep::Need(needed) => {
                    self.buffer.front.see(key, available);
                    let needed = needed.max(available + 1);
                    self.check_frame(needed, framing.bytes_max())?;
                    return Ok(FrameLook::Need(needed));
                }
                FrameStep::Frame { content, consumed }
                    if (1..=available).contains(&consumed)
                        && content.start <= content.end
                        && content.end <= consumed =>
                {
                    return Ok(FrameLook::Frame { content, consumed });
                }
                FrameStep::Skip(count) if count > 0 => {
                    self.discard_buffered(count.min(available));
                }
                FrameStep::Fatal(error) => {
                    self.buffer.front.see(key, available);
                    return Err(self.refuse_frame(error));
                }
                FrameStep::Frame { .. } | FrameStep::Skip(_) => {
                    let error = Error::new(ErrorKind::InvalidInput, "read_frame");
                    let what = "the framing answered with bytes that are not there, or with none";
                    return Err(self.refuse_frame(error.with_detail(what)));
                }
            }
        }
    }

    /// Fails if a frame needs more bytes than its framing allows.
    fn check_frame(&mut self, needed: usize, most: usize) -> Result<()> {
        if needed <= most {
            return Ok(());
        }
        let kind = ErrorKind::LimitExceeded { limit: most as u64 };
        let error = Error::new(kind, "read_frame");
        let what = format!("a frame needs {needed} bytes; Framing::bytes_max sets this");
        Err(self.refuse_frame(error.with_detail(what)))
    }

    fn refuse_frame(&mut self, error: Error) -> Error {
        self.buffer.front.answers.count();
        error.or_address(|| self.source.peer())
    }

    fn take_frame(&mut self, content: Range<usize>, consumed: usize) -> Packet {
        self.buffer.consume(content.start);
        let bytes = self.buffer.freeze(content.len());
        self.buffer.consume(consumed - content.end);
        self.buffer.end_call();
        Packet::from(bytes)
    }
}
