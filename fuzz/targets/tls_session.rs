//! A client and a server, and an attacker between them that follows the input: it passes bytes on in
//! pieces, changes, drops, repeats and invents some, while both sides read and write.
//!
//! Whatever the attacker does, there must be no panic, no hang, no byte read that was not written, and no
//! memory without bound.
//!
//! `cargo +nightly fuzz run tls_session --sanitizer none` (no foreign code here needs its memory watched).

#![no_main]

use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use forebay_io::seam::{Inbox, pipe_ends};
use forebay_io::{ByteReadChannel, ByteWriteChannel, Result};
use forebay_tls::seam::{Session, Store};
use forebay_tls::{Identity, TlsConfig, Trust};
use libfuzzer_sys::fuzz_target;

/// Less than some of the written pieces, so that writers wait, too.
const PIPE_BYTES: usize = 8 * 1024;
/// More than two outboxes, two pipes and one item ever hold.
const QUEUED_BYTES_MAX: usize = 512 * 1024;

/// A client and a server of each version.
static CONFIGS: LazyLock<[(TlsConfig, TlsConfig); 2]> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let pem = made.cert.pem();
    let both = format!("{pem}{}", made.signing_key.serialize_pem());
    ["1.3", "1.2"].map(|version| {
        let trust = Trust::roots_pem(&pem).expect("a root");
        let identity = Identity::from_pem(&both).expect("an identity");
        let client = TlsConfig::client().trust(trust).versions([version]).build();
        let server = TlsConfig::server(identity).versions([version]).build();
        (client.expect("a client"), server.expect("a server"))
    })
});

type Shaking = Pin<Box<dyn Future<Output = Result<()>>>>;

/// One side, and the attacker's ends of its pipes.
struct Side {
    shaking: Option<Shaking>,
    input: ByteReadChannel,
    output: ByteWriteChannel,
    sent: ByteReadChannel,
    given: ByteWriteChannel,
    /// Bytes that this side has sent, and that were not passed on yet.
    held: Vec<u8>,
    written: usize,
    read: usize,
}

impl Side {
    fn new(config: &'static TlsConfig) -> Self {
        let ((there, forth), (here, back)) = (pipe_ends(PIPE_BYTES), pipe_ends(PIPE_BYTES));
        let session = Session::new(Inbox::new(Box::new(here)), forth);
        let input = ByteReadChannel::from_source(session.make_source(Arc::new(())));
        let output = ByteWriteChannel::new(session.make_outbox(), None);
        let shaking = Box::pin(async move {
            session.handshake(config, &Store::default(), Some("localhost")).await
        });
        Self {
            shaking: Some(shaking),
            input,
            output,
            sent: ByteReadChannel::from_source(Box::new(there)),
            given: ByteWriteChannel::new(back, None),
            held: Vec::new(),
            written: 0,
            read: 0,
        }
    }

    /// Continues the handshake, and holds the bytes that this side sends.
    fn go(&mut self) {
        if let Some(shaking) = &mut self.shaking
            && once(shaking).is_some()
        {
            self.shaking = None;
        }
        while self.held.len() < QUEUED_BYTES_MAX
            && let Some(Ok(Some(chunk))) = once(pin!(self.sent.read_chunk()))
        {
            self.held.extend_from_slice(&chunk);
        }
        assert!(self.output.queued() < QUEUED_BYTES_MAX, "{} bytes wait", self.output.queued());
    }

    fn write(&mut self, count: usize) {
        let bytes: Vec<u8> = (self.written..self.written + count).map(byte).collect();
        if let Some(Ok(())) = once(pin!(self.output.write_all(&bytes))) {
            self.written += count;
        }
    }

    /// Reads, and checks that every byte was written, whatever the attacker does.
    fn read(&mut self, count: usize, written: usize) {
        let mut slice = vec![0; count];
        let read = once(pin!(self.input.read(&mut slice)));
        if let Some(Ok(count)) = read {
            for (at, got) in slice[..count].iter().enumerate() {
                assert_eq!(*got, byte(self.read + at), "a byte that was not written");
            }
            self.read += count;
            assert!(self.read <= written, "more than was written");
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        if self.given.queued() == 0 {
            once(pin!(self.given.write_all(bytes)));
        }
    }
}

/// The byte at this position of the written bytes.
fn byte(at: usize) -> u8 {
    at.wrapping_mul(2_654_435_761).to_le_bytes()[2]
}

/// Polls once, with a waker that does nothing.
fn once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Completes the handshake, so that the input begins after it.
fn shake(sides: &mut [Side; 2]) {
    for to in [1, 0, 1, 0, 1, 0] {
        sides[1 - to].go();
        let bytes = std::mem::take(&mut sides[1 - to].held);
        sides[to].give(&bytes);
        sides[to].go();
    }
    assert!(sides.iter().all(|side| side.shaking.is_none()), "no attacker was between them");
}

fn run(input: &[u8]) {
    let Some((choice, mut ops)) = input.split_first() else { return };
    let (client, server) = &CONFIGS[usize::from(choice & 1)];
    let mut sides = [Side::new(client), Side::new(server)];
    if choice & 2 != 0 {
        shake(&mut sides);
    }
    while let [op, size, rest @ ..] = ops {
        ops = rest;
        let (to, size) = (usize::from(op & 1), usize::from(*size));
        let from = 1 - to;
        sides[from].go();
        let held = sides[from].held.len();
        match (op >> 1) % 10 {
            // Passed on: all of it, or a piece.
            0 | 1 => {
                let bytes = std::mem::take(&mut sides[from].held);
                sides[to].give(&bytes);
            }
            2 => {
                let bytes: Vec<u8> = sides[from].held.drain(..size.min(held)).collect();
                sides[to].give(&bytes);
            }
            // Changed.
            3 if held > 0 => sides[from].held[size % held] ^= op | 1,
            // Dropped, repeated, invented.
            4 => drop(sides[from].held.drain(..size.min(held))),
            5 => {
                let bytes = sides[from].held[..size.min(held)].to_vec();
                sides[to].give(&bytes);
            }
            6 => {
                let (bytes, rest) = ops.split_at(size.min(ops.len()));
                ops = rest;
                sides[to].give(bytes);
            }
            7 => sides[to].write(size * size),
            8 | 9 => {
                let written = sides[from].written;
                sides[to].read(1 + size * 64, written);
            }
            _ => {}
        }
        sides[to].go();
    }
    // At the end the line is cut, and both sides read what there is.
    for to in [0, 1] {
        once(pin!(sides[to].given.finish()));
        sides[to].go();
        let written = sides[1 - to].written;
        sides[to].read(64 * 1024, written);
        sides[to].read(64 * 1024, written);
    }
}

fuzz_target!(|input: &[u8]| run(input));
