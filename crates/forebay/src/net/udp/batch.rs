//! Datagrams to be sent together.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::datagram::Datagram;
use super::outgoing::Train;
use super::reply::source_of;

/// The most datagrams in one system call: as many as every Linux with `UDP_SEGMENT` takes (`UDP_MAX_SEGMENTS`).
const TRAIN_LENGTH_MAX: usize = 64;
/// The most bytes in one system call: what one datagram of the system may have.
const TRAIN_BYTES_MAX: usize = 65_000;

/// Datagrams to be sent together, by [`send_batch`](crate::BoundDatagramSocket::send_batch).
///
/// It may be filled and sent again and again, and keeps its memory. Datagrams that stand one behind another, go to the
/// same peer and have the same length leave in one system call where the system can do that, up to 64 of them; the last
/// one may be shorter.
///
/// # Examples
///
/// ```
/// use forebay::DatagramBatch;
///
/// forebay::run(async |selector| {
///     let socket = selector.udp().bind("127.0.0.1:0").await?;
///     let mut batch = DatagramBatch::new();
///     for number in 0..10_u8 {
///         batch.push([number; 100], socket.local_address());
///     }
///     socket.send_batch(&mut batch).await?;
///     assert!(batch.is_empty());
///     assert_eq!(socket.receive().await?.payload, [0; 100][..]);
///     forebay::Result::Ok(())
/// })?;
/// # forebay::Result::Ok(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DatagramBatch {
    /// The payloads, one behind another. Those before `sent_bytes` are sent.
    bytes: Vec<u8>,
    sent_bytes: usize,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    length: usize,
    to: Option<SocketAddr>,
    from: Option<(IpAddr, u32)>,
}

impl DatagramBatch {
    /// Makes an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a datagram; `None` stands for the peer of a connected socket. An empty one is sent too.
    pub fn push(&mut self, payload: impl AsRef<[u8]>, to: impl Into<Option<SocketAddr>>) {
        self.add(payload.as_ref(), to.into(), None);
    }

    /// Adds the answer to a datagram, as [`reply`](crate::BoundDatagramSocket::reply) sends it.
    pub fn push_reply(&mut self, to: &Datagram, payload: impl AsRef<[u8]>) {
        self.add(payload.as_ref(), Some(to.address), source_of(to));
    }

    fn add(&mut self, payload: &[u8], to: Option<SocketAddr>, from: Option<(IpAddr, u32)>) {
        self.bytes.extend_from_slice(payload);
        self.waiting.push_back(Waiting { length: payload.len(), to, from });
    }

    /// Returns the number of datagrams that are not sent yet.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns `true` if all are sent.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Removes all datagrams that are not sent yet.
    pub fn clear(&mut self) {
        self.remove(self.waiting.len());
    }

    /// Returns the first datagrams, of which each but the last has at most `length_max` bytes; `None` if the batch is
    /// empty. One that is longer, or empty, is alone.
    pub(super) fn train(&self, length_max: usize) -> Option<Train<'_>> {
        let first = self.waiting.front()?;
        let is_same = |datagram: &Waiting| (datagram.to, datagram.from) == (first.to, first.from);
        let (mut count, mut bytes) = (1, first.length);
        let may_have_more = first.length > 0 && first.length <= length_max;
        for datagram in
            self.waiting.iter().skip(1).take_while(|datagram| may_have_more && is_same(datagram))
        {
            let fits = count < TRAIN_LENGTH_MAX && bytes + datagram.length <= TRAIN_BYTES_MAX;
            // An empty one would be lost: the system would not know of it.
            if !fits || datagram.length == 0 || datagram.length > first.length {
                break;
            }
            (count, bytes) = (count + 1, bytes + datagram.length);
            if datagram.length < first.length {
                break;
            }
        }
        let payload = &self.bytes[self.sent_bytes..self.sent_bytes + bytes];
        let Waiting { length, to, from } = *first;
        Some(Train { payload, count, length, to, from })
    }

    /// Removes the first `count` datagrams.
    pub(super) fn remove(&mut self, count: usize) {
        self.sent_bytes +=
            self.waiting.drain(..count).map(|datagram| datagram.length).sum::<usize>();
        if self.waiting.is_empty() {
            self.bytes.clear();
            self.sent_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of datagrams in each train.
    fn trains(lengths: &[usize], peers: &[u16], length_max: usize) -> Vec<usize> {
        let mut batch = DatagramBatch::new();
        for (at, length) in lengths.iter().enumerate() {
            let port = peers.get(at).copied().unwrap_or(1);
            batch.push(vec![7; *length], SocketAddr::from(([127, 0, 0, 1], port)));
        }
        let mut counts = Vec::new();
        while let Some(train) = batch.train(length_max) {
            let (count, bytes) = (train.count, train.payload.len());
            let done = counts.iter().sum::<usize>();
            assert_eq!(bytes, lengths[done..done + count].iter().sum::<usize>());
            batch.remove(count);
            counts.push(count);
        }
        assert!(batch.is_empty() && batch.bytes.is_empty());
        counts
    }

    #[test]
    fn equal_ones_to_one_peer_leave_together_and_the_last_may_be_shorter() {
        assert_eq!(trains(&[10; 5], &[], 100), [5]);
        assert_eq!(trains(&[10, 10, 4, 10], &[], 100), [3, 1]);
        assert_eq!(trains(&[10, 11, 11], &[], 100), [1, 2]);
        assert_eq!(trains(&[10; 4], &[1, 1, 2, 2], 100), [2, 2]);
        assert_eq!(trains(&[10; 3], &[1, 2, 1], 100), [1, 1, 1]);
    }

    #[test]
    fn an_empty_one_is_alone() {
        assert_eq!(trains(&[0, 0, 10, 0, 10, 10], &[], 100), [1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_train_has_an_end() {
        assert_eq!(trains(&[10; 130], &[], 100), [64, 64, 2]);
        assert_eq!(trains(&[30_000; 5], &[], 60_000), [2, 2, 1]);
        assert_eq!(trains(&[200, 200, 50, 50], &[], 100), [1, 1, 2]);
        assert_eq!(trains(&[50, 50], &[], 0), [1, 1]);
    }
}
