//! Writes, copies, shares and ends in any order, against an oracle that knows which bytes were accepted.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use forebay_io::{
    ByteReadChannel, ByteWriteChannel, Error, LengthFraming, Packet, Result, SharedWriteChannel,
    pipe, write_line,
};

use super::decoder::Decoder;
use crate::channels::{Script, Step};
use crate::{cut_after, finish, poll_once, scrambled};

/// The most operations that are taken from one input.
const OPERATIONS_MAX: usize = 60;

/// One step of the test.
#[derive(Debug, Clone, Copy)]
enum Operation {
    /// A write of so many bytes by one of the calls, dropped after so many polls.
    Write {
        call: usize,
        size: usize,
        polls: usize,
    },
    /// A write that does not wait.
    Try {
        call: usize,
        size: usize,
    },
    /// A copy from a source of so many bytes.
    Copy {
        call: usize,
        size: usize,
        piece: usize,
        polls: usize,
    },
    /// A write that is still there during the next operations; of a shared channel.
    Pend {
        size: usize,
    },
    /// Polls all writes that are still there.
    PollPending,
    /// The reader takes so many bytes.
    Read {
        size: usize,
    },
    Flush {
        polls: usize,
    },
    Share,
    DropClone,
    Finish {
        polls: usize,
    },
    Abort,
}

impl Operation {
    fn from_bytes(bytes: &mut Decoder<'_>) -> Self {
        let polls = 1 + bytes.below(3);
        match bytes.below(24) {
            0..=6 => Self::Write { call: bytes.below(8), size: bytes.size(), polls },
            7..=9 => Self::Try { call: bytes.below(4), size: bytes.size() },
            10..=12 => {
                let (call, piece) = (bytes.below(4), 1 + bytes.size());
                Self::Copy { call, size: bytes.size(), piece, polls }
            }
            13 | 14 => Self::Pend { size: bytes.size() },
            15 => Self::PollPending,
            16..=18 => Self::Read { size: 1 + bytes.size() },
            19 => Self::Flush { polls },
            20 => Self::Share,
            21 => Self::DropClone,
            22 => Self::Finish { polls },
            _ => Self::Abort,
        }
    }
}

/// The writing side: one channel, or clones of it.
enum Output {
    One(Box<ByteWriteChannel>),
    Shared(Vec<SharedWriteChannel>),
    Gone,
}

impl Output {
    fn counted(&self) -> Option<u64> {
        match self {
            Self::One(output) => Some(output.counted()),
            Self::Shared(clones) => Some(clones[0].counted()),
            Self::Gone => None,
        }
    }
}

type Pending = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

struct World {
    output: Output,
    input: ByteReadChannel,
    /// Everything that was accepted, in order.
    accepted: Vec<u8>,
    /// The number of bytes that were read.
    read: usize,
    /// Writes that wait in a shared channel, in the order in which they began, with their bytes.
    pending: Vec<(Pending, Vec<u8>)>,
    /// No write is accepted any more.
    finished: bool,
    aborted: bool,
    /// Dropping the channel resets.
    needs_finish: bool,
    seed: usize,
}

/// Runs the operations that any bytes stand for, and holds each answer against the oracle.
#[track_caller]
pub fn check_operations(bytes: &[u8]) {
    let mut bytes = Decoder::new(bytes);
    let (input, output) = pipe([7, 100, 1000, 64 * 1024][bytes.below(4)]);
    let mut world = World {
        output: Output::One(Box::new(output)),
        input,
        accepted: Vec::new(),
        read: 0,
        pending: Vec::new(),
        finished: false,
        aborted: false,
        needs_finish: false,
        seed: 0,
    };
    for _ in 0..OPERATIONS_MAX {
        if bytes.is_empty() {
            break;
        }
        world.step(Operation::from_bytes(&mut bytes));
        world.assert_counts();
    }
    world.end();
}

impl World {
    fn step(&mut self, operation: Operation) {
        self.seed += 1;
        match operation {
            Operation::Write { call, size, polls } => self.write(call, size, polls),
            Operation::Try { call, size } => self.try_write(call, size),
            Operation::Copy { call, size, piece, polls } => self.copy(call, size, piece, polls),
            Operation::Pend { size } => self.pend(size),
            Operation::PollPending => self.poll_pending(),
            Operation::Read { size } => self.read(size),
            Operation::Flush { polls } => self.flush(polls),
            Operation::Share => self.share(),
            Operation::DropClone => self.drop_clone(),
            Operation::Finish { polls } => self.finish(polls),
            Operation::Abort => self.abort(),
        }
    }

    /// Records a write: whole if the call returned, and nothing otherwise.
    fn record(&mut self, written: Option<Result<()>>, item: Vec<u8>) {
        match written {
            Some(Ok(())) => {
                // A write of nothing asks before it gives way, and not again.
                assert!(self.is_open() || item.is_empty(), "accepted behind the end");
                self.accepted.extend(item);
            }
            Some(Err(error)) => assert!(!self.is_open(), "refused: {error}"),
            None => {}
        }
    }

    fn is_open(&self) -> bool {
        !self.finished && !self.aborted
    }

    fn write(&mut self, call: usize, size: usize, polls: usize) {
        let item = item_of(call, &scrambled(size, self.seed));
        let written = match &mut self.output {
            Output::One(output) => cut_after(polls, write_one(output, call, size, self.seed)),
            Output::Shared(clones) => {
                let clone = &clones[self.seed % clones.len()];
                cut_after(polls, write_shared(clone, call, size, self.seed))
            }
            Output::Gone => return,
        };
        // A write that waits is older. It goes first, unless its task does not run for some turns. Nothing waits for
        // room if there is nothing to write.
        let waits = self.pending.iter().any(|(_, older)| !older.is_empty());
        if waits && matches!(written, Some(Ok(()))) {
            assert!(item.is_empty() || polls > 1, "overtook one that waits");
        }
        self.record(written, item);
    }

    fn try_write(&mut self, call: usize, size: usize) {
        let bytes = scrambled(size, self.seed);
        let item = item_of(if call == 3 { 7 } else { 0 }, &bytes);
        let framing = LengthFraming::u32();
        let written = match &mut self.output {
            Output::One(output) => match call {
                0 => output.try_write_str(&text(&bytes)),
                1 => output.try_write_all(&item),
                2 => output.try_write_bytes(Bytes::from(item.clone())),
                _ => output.try_write_frame(&framing, &[&bytes]),
            },
            Output::Shared(clones) => match call {
                0 => clones[0].try_write_str(&text(&bytes)),
                1 => clones[0].try_write_all(&item),
                _ => clones[0].try_write_bytes(Bytes::from(item.clone())),
            },
            Output::Gone => return,
        };
        let item = if call == 0 { text(&bytes).into_bytes() } else { item };
        match written {
            Ok(true) => self.record(Some(Ok(())), item),
            // What was refused is not in: the count tells.
            Ok(false) => {}
            Err(error) => self.record(Some(Err(error)), item),
        }
    }

    fn copy(&mut self, call: usize, size: usize, piece: usize, polls: usize) {
        let Output::One(output) = &mut self.output else { return };
        let bytes = scrambled(size, self.seed);
        let mut steps = Vec::new();
        for piece in bytes.chunks(piece.max(size / 50).max(1)) {
            steps.extend([Step::Pause, Step::Bytes(piece.to_vec())]);
        }
        steps.push(Step::End);
        let (_, mut source) = Script::new(steps);
        let before = output.counted();
        let copied = match call {
            0 => cut_after(polls, source.copy_to(output)).map(|copied| copied.map(drop)),
            1 => cut_after(polls, source.copy_exact_to(size as u64 / 2, output)),
            2 => cut_after(polls, source.copy_exact_to(size as u64 + 1, output)),
            _ => {
                self.needs_finish |= !self.finished;
                cut_after(polls, source.copy_and_close(output)).map(|copied| copied.map(drop))
            }
        };
        let moved =
            usize::try_from(output.counted().saturating_sub(before)).expect("a small number");
        let is_finishing = output.is_closed_for_write();
        let was_open = self.is_open();
        match &copied {
            Some(Ok(())) => {
                assert!(was_open || moved == 0);
                assert_eq!(moved, if call == 1 { size / 2 } else { size }, "a short count");
            }
            Some(Err(error)) => assert!(!was_open || (call == 2 && error.is_end()), "{error}"),
            None => {}
        }
        self.accepted.extend(&bytes[..moved]);
        // It may have given way between the last byte and the end mark.
        if call == 3 && is_finishing && was_open {
            assert_eq!(moved, size, "finished in front of the end");
            self.finished = true;
            self.needs_finish = false;
        }
        // The rest is still in the source.
        let mut rest = Vec::new();
        finish(source.copy_to_writer(&mut rest, u64::MAX)).expect("a clean end");
        assert!(rest == bytes[moved..], "bytes fell between the two");
    }

    fn pend(&mut self, size: usize) {
        let Output::Shared(clones) = &self.output else { return };
        if self.pending.len() > 5 {
            return;
        }
        let (clone, bytes) = (clones[0].clone(), scrambled(size, self.seed));
        let item = bytes.clone();
        let mut write: Pending = Box::pin(async move { clone.write_all(&bytes).await });
        match poll_once(Pin::new(&mut write)) {
            Poll::Ready(written) => self.record(Some(written), item),
            Poll::Pending => self.pending.push((write, item)),
        }
    }

    fn poll_pending(&mut self) {
        for (mut write, item) in std::mem::take(&mut self.pending) {
            match poll_once(Pin::new(&mut write)) {
                Poll::Ready(written) => self.record(Some(written), item),
                Poll::Pending => self.pending.push((write, item)),
            }
        }
    }

    fn read(&mut self, size: usize) {
        let mut slice = vec![0; size];
        match cut_after(2, self.input.read(&mut slice)) {
            Some(Ok(count)) => {
                let expected = &self.accepted[self.read..];
                assert!(expected.starts_with(&slice[..count]), "lost, doubled or out of order");
                self.read += count;
                if count == 0 {
                    assert!(self.finished || self.is_gone_in_order(), "an end from nowhere");
                    assert!(expected.is_empty(), "an end in front of accepted bytes");
                }
            }
            Some(Err(error)) => {
                assert!(self.aborted || self.needs_finish, "{error}");
            }
            None => {}
        }
    }

    fn is_gone_in_order(&self) -> bool {
        matches!(self.output, Output::Gone) && !self.needs_finish && self.pending.is_empty()
    }

    fn flush(&mut self, polls: usize) {
        let flushed = match &mut self.output {
            Output::One(output) => cut_after(polls, output.flush()),
            Output::Shared(clones) => cut_after(polls, clones[0].flush()),
            Output::Gone => return,
        };
        if let Some(Err(error)) = flushed {
            assert!(self.aborted, "{error}");
        }
    }

    fn share(&mut self) {
        self.output = match std::mem::replace(&mut self.output, Output::Gone) {
            Output::One(output) => Output::Shared(vec![output.share()]),
            Output::Shared(mut clones) => {
                if clones.len() < 4 {
                    clones.push(clones[0].clone());
                }
                Output::Shared(clones)
            }
            Output::Gone => Output::Gone,
        };
    }

    fn drop_clone(&mut self) {
        match &mut self.output {
            Output::Shared(clones) if clones.len() > 1 => drop(clones.pop()),
            _ => self.output = Output::Gone,
        }
    }

    fn finish(&mut self, polls: usize) {
        let finished = match &mut self.output {
            Output::One(output) => cut_after(polls, output.finish()),
            Output::Shared(clones) => cut_after(polls, clones[0].finish()),
            Output::Gone => return,
        };
        let closed = match &self.output {
            Output::One(output) => output.is_closed_for_write(),
            Output::Shared(clones) => clones[0].is_closed_for_write(),
            Output::Gone => true,
        };
        match finished {
            Some(Err(error)) => assert!(self.aborted, "{error}"),
            Some(Ok(())) => assert!(closed && !self.aborted),
            None => {}
        }
        // It may have given way before it began.
        if closed && !self.aborted {
            self.finished = true;
            self.needs_finish = false;
        }
    }

    fn abort(&mut self) {
        let cause = Error::other("aborted");
        match &mut self.output {
            Output::One(output) => output.abort_with(cause),
            Output::Shared(clones) => clones[0].abort_with(cause),
            Output::Gone => return,
        }
        // An end mark that was sent cannot be taken back.
        let sent = match &self.output {
            Output::One(output) => output.closed_cause().is_none(),
            Output::Shared(clones) => clones[0].closed_cause().is_none(),
            Output::Gone => false,
        };
        assert!(!sent || self.finished);
        self.aborted |= !sent;
    }

    fn assert_counts(&self) {
        let Some(counted) = self.output.counted() else { return };
        if self.aborted {
            // What an abort has dropped is not counted.
            assert!(counted <= self.accepted.len() as u64);
        } else {
            assert_eq!(counted, self.accepted.len() as u64, "accepted without a word");
        }
    }

    /// Drops the output; the reader gets all that was accepted, and the end it is due.
    fn end(mut self) {
        self.output = Output::Gone;
        // Writes that wait hold a clone.
        for _ in 0..100_000 {
            if self.pending.is_empty() {
                break;
            }
            self.read(4096);
            self.poll_pending();
        }
        assert!(self.pending.is_empty(), "waits forever");
        let mut rest = pin!(self.input.read_remaining(1 << 30));
        let mut polls = 0;
        let rest = loop {
            polls += 1;
            assert!(polls < 100_000, "the reader waits forever");
            if let Poll::Ready(rest) = poll_once(rest.as_mut()) {
                break rest;
            }
        };
        let expected = &self.accepted[self.read..];
        match rest {
            Ok(rest) => {
                assert!(!self.aborted && !self.needs_finish, "a clean end of half a stream");
                assert!(rest.as_slice() == expected, "lost, doubled or out of order");
            }
            Err(error) => assert!(self.aborted || self.needs_finish, "{error}"),
        }
    }
}

/// Returns text of the same length.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// Returns the bytes that a call puts into the stream.
fn item_of(call: usize, bytes: &[u8]) -> Vec<u8> {
    match call {
        1 | 2 => text(bytes).into_bytes(),
        6 => (text(bytes) + "\n").into_bytes(),
        7 => [&u32::try_from(bytes.len()).expect("small").to_be_bytes()[..], bytes].concat(),
        _ => bytes.to_vec(),
    }
}

async fn write_one(
    output: &mut ByteWriteChannel,
    call: usize,
    size: usize,
    seed: usize,
) -> Result<()> {
    let bytes = scrambled(size, seed);
    match call {
        1 => output.write_str(&text(&bytes)).await,
        2 => {
            let text = text(&bytes);
            let (one, two) = text.split_at(size / 3);
            output.write_strs(&[one, two]).await
        }
        3 => output.write_bytes(Bytes::from(bytes)).await,
        4 => output.write_packet(Packet::from(bytes)).await,
        5 => output.write_with(|out| out.put_slice(&bytes)).await,
        6 => write_line!(output, "{}", text(&bytes)).await,
        7 => {
            output
                .write_frame(&LengthFraming::u32(), &[&bytes[..size / 2], &bytes[size / 2..]])
                .await
        }
        _ => output.write_all(&bytes).await,
    }
}

async fn write_shared(
    output: &SharedWriteChannel,
    call: usize,
    size: usize,
    seed: usize,
) -> Result<()> {
    let bytes = scrambled(size, seed);
    match call {
        1 => output.write_str(&text(&bytes)).await,
        2 => {
            let text = text(&bytes);
            let (one, two) = text.split_at(size / 3);
            output.write_strs(&[one, two]).await
        }
        3 => output.write_bytes(Bytes::from(bytes)).await,
        4 => output.write_packet(Packet::from(bytes)).await,
        5 => output.write_with(|out| out.put_slice(&bytes)).await,
        6 => write_line!(output, "{}", text(&bytes)).await,
        7 => {
            output
                .write_frame(&LengthFraming::u32(), &[&bytes[..size / 2], &bytes[size / 2..]])
                .await
        }
        _ => output.write_all(&bytes).await,
    }
}
