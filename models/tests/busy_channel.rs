//! One channel that all threads use at once, with too many threads for every order of them.
//!
//! ```text
//!   writer     items with and without a stage, some larger than the queue, some writes dropped
//!   socket ×2  mark = accepted, advance, wait Sent(mark)
//!   closer     nothing, finish or abort
//!   worker     ends turns
//!   transport  room, a little at a time and then for everything
//! ```
//!
//! Every thread ends. Accepted bytes are sent, in order and once, or the outbox was aborted and every call
//! returns that cause. A write that was dropped before it returned has written nothing.

#![cfg(shuttle)]

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use forebay_io::seam::{Outbox, Until};
use forebay_io::{ByteWriteChannel, Error, Result};
use forebay_models::{
    TestSchedule, Transport, When, block_on, explore_widely, poll_once, random, spawn, work_on,
};

/// The amount that an outbox holds before a writer waits.
static FULL: [u8; 64 * 1024] = [b'f'; 64 * 1024];

#[test]
fn a_busy_channel_loses_nothing_and_leaves_nobody_waiting() {
    explore_widely("a busy channel", scenario);
}

fn scenario() {
    let transport = Transport::new(random(3), random(2) == 0);
    let turns = TestSchedule::new(if random(2) == 0 { When::AtOnce } else { When::AtTurn });
    let outbox = transport.outbox(&turns);
    let channel = Channel {
        output: ByteWriteChannel::new(Arc::clone(&outbox), None),
        outbox: Arc::clone(&outbox),
        accepted: Vec::new(),
    };

    let worker = spawn({
        let turns = Arc::clone(&turns);
        move || turns.end_turns()
    });
    let writer = spawn({
        let turns = Arc::clone(&turns);
        move || channel.write(&turns)
    });
    let sockets = [0; 2].map(|_| {
        let (outbox, transport) = (Arc::clone(&outbox), Arc::clone(&transport));
        spawn(move || flush(&outbox, &transport))
    });
    let closer = spawn({
        let outbox = Arc::clone(&outbox);
        move || match random(3) {
            0 => {
                outbox.abort(&Error::other("the closer's"));
            }
            1 => outbox.finish(),
            _ => {}
        }
    });
    for _ in 0..random(6) {
        transport.give_room([1, 2, 3, FULL.len()][random(4)]);
    }
    transport.give_room(usize::MAX);
    transport.take_end();

    let (accepted, finished) = writer.join().expect("no panic");
    for socket in sockets {
        socket.join().expect("no panic");
    }
    closer.join().expect("no panic");
    turns.close();
    worker.join().expect("no panic");
    assert_eq!(transport.is_ended(), transport.reset().is_none(), "both ends, or neither");
    if transport.is_ended() {
        assert!(transport.sent() == accepted, "lost, doubled or out of order");
    } else {
        assert!(accepted.starts_with(&transport.sent()), "doubled or out of order");
    }
    if let Some(finished) = finished {
        assert_eq!(finished.err().map(|error| error.to_string()), transport.reset());
    }
    turns.finish_in_background();
}

struct Channel {
    output: ByteWriteChannel,
    outbox: Arc<Outbox>,
    accepted: Vec<u8>,
}

impl Channel {
    /// The accepted bytes, and the result of finishing, unless the channel was just dropped.
    fn write(mut self, turns: &TestSchedule) -> (Vec<u8>, Option<Result<()>>) {
        let outbox = Arc::clone(&self.outbox);
        for _ in 0..=random(3) {
            if random(2) == 0 {
                work_on(turns, Some(&outbox), self.items());
            } else {
                block_on(Some(&outbox), self.items());
            }
        }
        let finished = (random(2) == 0).then(|| block_on(Some(&outbox), self.output.finish()));
        (self.accepted, finished)
    }

    async fn items(&mut self) {
        for _ in 0..=random(5) {
            let item = match random(12) {
                0 => Bytes::from_static(&FULL),
                1 => return drop(self.output.flush().await),
                length => numbered(self.accepted.len(), length % 4),
            };
            if self.write_one(&item).await {
                self.accepted.extend_from_slice(&item);
            }
        }
    }

    /// True if it was accepted. Some writes are dropped while they wait.
    async fn write_one(&mut self, item: &Bytes) -> bool {
        let Self { output, outbox, .. } = self;
        let impatient = random(4) == 0;
        let mut write = pin!(async {
            match item.len() {
                0..100 => output.write_all(item).await,
                _ => output.write_bytes(item.clone()).await,
            }
        });
        if impatient {
            return matches!(poll_once(Some(outbox), write.as_mut()), Poll::Ready(Ok(())));
        }
        write.await.is_ok()
    }
}

/// Bytes that differ from their neighbours, so that a lost or doubled one is noticed.
fn numbered(first: usize, length: usize) -> Bytes {
    (0..=u8::MAX).cycle().skip(first % 256).take(length).collect()
}

fn flush(outbox: &Arc<Outbox>, transport: &Transport) {
    let mark = outbox.accepted();
    outbox.advance();
    match block_on(Some(outbox), outbox.wait(Until::Sent(mark))) {
        Ok(()) => assert!(transport.sent_bytes() as u64 >= mark, "flushed before it was sent"),
        Err(error) => assert_eq!(Some(error.to_string()), transport.reset()),
    }
}
