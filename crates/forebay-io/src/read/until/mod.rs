//! Reading up to a delimiter, with one resumable search.

mod delimiter;
mod sought;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

pub use self::delimiter::Delimiter;
use self::sought::Search;
pub(super) use self::sought::Sought;
use super::ByteReadChannel;
use crate::{Error, ErrorKind, Result};

/// An item at the front of the buffer: the length of its content, and of the delimiter behind it.
#[derive(Debug, Clone, Copy)]
struct Delimited {
    content: usize,
    delimiter: usize,
}

impl ByteReadChannel {
    /// Reads everything in front of the next delimiter, and discards that. Returns `None` at the end of the input.
    ///
    /// The delimiter is one byte or many; where it overlaps with bytes that look like its beginning it is found all the
    /// same. `limit` is the largest number of bytes in front of it. Of what returns the rest of the input where there
    /// is no delimiter, see [`Delimiter::or_end`].
    ///
    /// # Errors
    ///
    /// - [`LimitExceeded`](ErrorKind::LimitExceeded) as soon as there are more than `limit` bytes in front of the
    ///   delimiter.
    /// - [`UnexpectedEnd`](ErrorKind::UnexpectedEnd) if the input ends in front of the delimiter.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) at once if the delimiter is empty.
    /// - The connection's error.
    ///
    /// All bytes stay readable then. The same call returns the same error again without examining them again, and one
    /// with a larger limit goes on from there.
    ///
    /// # Cancel safety
    ///
    /// Lossless: bytes are collected in the channel, which also keeps the position of the search.
    ///
    /// # Examples
    ///
    /// ```
    /// # use forebay_io as forebay;
    /// # futures_lite::future::block_on(async {
    /// use forebay::{ByteReadChannel, Delimiter};
    ///
    /// let mut input = ByteReadChannel::from("This is a test----done1,2");
    /// let text = input.read_until(b"--done", 100).await?;
    /// assert_eq!(text.as_deref(), Some(&b"This is a test--"[..]));
    ///
    /// let comma = Delimiter::new(b",").or_end();
    /// assert_eq!(input.read_until(comma, 100).await?.as_deref(), Some(&b"1"[..]));
    /// assert_eq!(input.read_until(comma, 100).await?.as_deref(), Some(&b"2"[..]));
    /// assert_eq!(input.read_until(comma, 100).await?, None);
    /// # forebay::Result::Ok(()) }).unwrap();
    /// ```
    #[doc(alias = "readUntil")]
    pub async fn read_until<'d>(
        &mut self,
        delimiter: impl Into<Delimiter<'d>>,
        limit: usize,
    ) -> Result<Option<Bytes>> {
        let delimiter = delimiter.into();
        let found = poll_fn(|cx| self.poll_until(cx, "read_until", delimiter, limit)).await?;
        Ok(found.map(|found| {
            let content = self.buffer.freeze(found.content);
            self.discard_buffered(found.delimiter);
            content
        }))
    }

    /// Appends everything in front of the next delimiter to `out`, and discards the delimiter. Returns `false` at the
    /// end of the input.
    ///
    /// # Errors
    ///
    /// Those of [`read_until`](Self::read_until); nothing is appended then.
    ///
    /// # Cancel safety
    ///
    /// Lossless, as [`read_until`](Self::read_until): nothing is appended before the delimiter was found.
    pub async fn read_until_into<'d>(
        &mut self,
        delimiter: impl Into<Delimiter<'d>>,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<bool> {
        let delimiter = delimiter.into();
        let found = poll_fn(|cx| self.poll_until(cx, "read_until_into", delimiter, limit)).await?;
        let Some(found) = found else { return Ok(false) };
        out.extend_from_slice(self.buffer.take(found.content));
        self.discard_buffered(found.delimiter);
        Ok(true)
    }

    fn poll_until(
        &mut self,
        cx: &mut Context<'_>,
        operation: &'static str,
        delimiter: Delimiter<'_>,
        limit: usize,
    ) -> Poll<Result<Option<Delimited>>> {
        ready!(self.poll_lent(cx, operation))?;
        if delimiter.bytes.is_empty() {
            ready!(self.buffer.front.answers.poll_one(cx));
            let error = self.error(ErrorKind::InvalidInput, operation);
            return Poll::Ready(Err(error.with_detail("the delimiter is empty")));
        }
        // Space for the content and the delimiter. One more byte would not change the answer.
        let most = limit.saturating_add(delimiter.bytes.len());
        loop {
            match self.buffer.search(delimiter.bytes, limit) {
                Search::Found(content) => {
                    let delimiter = delimiter.bytes.len();
                    return Poll::Ready(Ok(Some(Delimited { content, delimiter })));
                }
                Search::BeyondLimit => {
                    ready!(self.buffer.front.answers.poll_one(cx));
                    return Poll::Ready(Err(self.beyond_limit(operation, limit)));
                }
                Search::NotYet { needed } => {
                    if !ready!(self.poll_more(cx, most))? {
                        return Poll::Ready(
                            self.end_of_search(operation, delimiter, limit, needed),
                        );
                    }
                }
            }
        }
    }

    /// Answers where the input has ended and no delimiter was found.
    fn end_of_search(
        &self,
        operation: &'static str,
        delimiter: Delimiter<'_>,
        limit: usize,
        needed: usize,
    ) -> Result<Option<Delimited>> {
        match self.buffer.len() {
            0 => Ok(None),
            left if !delimiter.or_end => Err(self.unexpected_end(operation, needed, left)),
            left if left > limit => Err(self.beyond_limit(operation, limit)),
            left => Ok(Some(Delimited { content: left, delimiter: 0 })),
        }
    }

    fn beyond_limit(&self, operation: &'static str, limit: usize) -> Error {
        let kind = ErrorKind::LimitExceeded { limit: limit as u64 };
        self.error(kind, operation).with_detail(format!(
            "more than {limit} bytes came before the delimiter; the call's argument sets this limit"
        ))
    }
}
