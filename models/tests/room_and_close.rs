//! A writer waits for room while another thread decides how its wait ends.
//!
//! ```text
//!   writer                            another thread
//!   write 64 KiB: the queue is full   finish          the wait ends with Closed
//!   write "x"                         abort(cause)    it ends with the cause
//!     └─► wait Room                   room for 1      it ends well, and "x" is accepted
//! ```
//!
//! In each case the wait ends; and "x" is accepted exactly if the write succeeded.

use std::sync::Arc;

use bytes::Bytes;
use forebay_io::seam::Outbox;
use forebay_io::{ByteWriteChannel, Error, Result};
use forebay_models::{TestSchedule, Transport, When, block_on, explore, spawn};

/// The amount that an outbox holds before a writer waits, and large enough to be queued without a copy.
static FULL: [u8; 64 * 1024] = [b'f'; 64 * 1024];

#[test]
fn a_wait_for_room_ends_when_the_channel_is_finished() {
    explore("room and finish", || {
        let Outcome { wrote, bench, .. } = scenario(|bench| bench.outbox.finish());
        assert!(wrote.is_err_and(|error| error.is_closed()));
        assert!(bench.transport.reset().is_none());
        assert_eq!(bench.outbox.queued(), FULL.len());
    });
}

#[test]
fn a_wait_for_room_ends_when_the_channel_is_given_up() {
    explore("room and abort", || {
        let Outcome { wrote, bench, .. } = scenario(|bench| {
            bench.outbox.abort(&Error::other("pulled"));
        });
        assert_eq!(wrote.expect_err("there was no room").to_string(), "pulled");
        assert_eq!(bench.outbox.queued(), 0);
    });
}

#[test]
fn a_wait_for_room_ends_when_there_is_room() {
    explore("room and a transport that takes a byte", || {
        let Outcome { wrote, bench, .. } = scenario(|bench| bench.transport.give_room(1));
        wrote.expect("there is room");
        bench.transport.give_room(FULL.len());
        assert_eq!(bench.transport.sent_bytes(), FULL.len() + 1);
        assert_eq!(bench.transport.sent_last(), Some(b'x'));
    });
}

#[test]
fn a_wait_for_room_ends_one_way_when_there_is_room_and_the_channel_is_finished() {
    explore("room, a transport that takes a byte, and finish", || {
        let Outcome { wrote, bench, .. } = scenario(|bench| {
            let socket = spawn({
                let outbox = Arc::clone(&bench.outbox);
                move || outbox.finish()
            });
            bench.transport.give_room(1);
            socket.join().expect("no panic");
        });
        bench.transport.give_room(FULL.len());
        assert!(bench.transport.is_ended());
        let accepted = FULL.len() + usize::from(wrote.is_ok());
        assert_eq!(bench.transport.sent_bytes(), accepted, "lost, or accepted after all");
        assert!(wrote.map_or_else(|error| error.is_closed(), |()| true));
    });
}

struct Bench {
    transport: Arc<Transport>,
    outbox: Arc<Outbox>,
}

/// The results of a scenario.
struct Outcome {
    /// The result of the write that waits for room.
    wrote: Result<()>,
    bench: Bench,
    /// Kept, because dropping it would finish the outbox.
    _output: ByteWriteChannel,
}

fn scenario(meanwhile: impl FnOnce(&Bench)) -> Outcome {
    let transport = Transport::new(0, true);
    let outbox = transport.outbox(&TestSchedule::new(When::AtOnce));
    let bench = Bench { transport, outbox: Arc::clone(&outbox) };
    let mut output = ByteWriteChannel::new(Arc::clone(&outbox), None);
    block_on(None, output.write_bytes(Bytes::from_static(&FULL))).expect("open");

    let writer = spawn(move || {
        let wrote = block_on(Some(&outbox), output.write_str("x"));
        (wrote, output)
    });
    meanwhile(&bench);
    let (wrote, output) = writer.join().expect("no panic");
    Outcome { wrote, bench, _output: output }
}
