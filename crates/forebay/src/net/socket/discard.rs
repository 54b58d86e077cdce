//! Input that is received to be discarded.

use std::io;
use std::task::Poll;

use forebay_io::seam::{BLOCK_BYTES, Inlet};

/// Size of the buffer that discarded input is received into.
const DISCARD_BYTES: usize = BLOCK_BYTES / 4;

/// Receives until a receive would wait, no more is wanted, or the end or an error was received.
///
/// The system repeats an end and an error to every further receive. So either of them must end the loop
/// here. Waiting for it to become the connection's cause is not enough: the error of a closed selector
/// never does.
pub(super) fn discard(
    wants: impl Fn() -> bool,
    mut receive: impl FnMut(&mut Inlet<'_>) -> Poll<io::Result<usize>>,
    mut take: impl FnMut(io::Result<&[u8]>),
) {
    while wants() {
        let mut sink = [0; DISCARD_BYTES];
        let received = receive(&mut Inlet::slice(&mut sink));
        match received {
            Poll::Ready(Ok(count @ 1..)) => take(Ok(&sink[..count])),
            Poll::Ready(last) => return take(last.map(|_| [].as_slice())),
            Poll::Pending => return,
        }
    }
}
