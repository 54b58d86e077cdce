//! `read_exact`: gathered in the channel, received straight into the caller's slice, and above the
//! size that can be given back.

use forebay::ByteReadChannel;

use crate::incoming::{Source, single};
use crate::outgoing::pattern;
use crate::reads::{Call, Read, Scratch, call, scenes};
use crate::table::{Row, Word};
use crate::yields;

const KIB: usize = 1024;
/// From this size on a slice is received into directly (`ByteReadChannel::read_exact`).
const STRAIGHT_BYTES: usize = 16 * KIB;
/// Up to this size what was received is given back.
const GIVEN_BACK_BYTES: usize = 1024 * KIB;

pub(crate) fn rows() -> Vec<Row> {
    let small = Read {
        what: "of 5 bytes ",
        word: Word::Lossless,
        waits_min: 5,
        pieces: single(b"exact, and more"),
        call: slice_of::<5>(),
    };
    // The first three bytes go straight into the slice. What is left after them is gathered in the
    // channel; the bulk of it comes at once.
    let straight = Read {
        what: "of 16 KiB and 2 bytes ",
        word: Word::Lossless,
        waits_min: 7,
        pieces: pieces(&[1, 1, 1, STRAIGHT_BYTES - 4, 1, 1, 1, 1, 1]),
        call: slice_of::<{ STRAIGHT_BYTES + 2 }>(),
    };
    let poisons = Read {
        what: "of 1 MiB and 2 bytes ",
        word: Word::Poisons,
        waits_min: 10,
        pieces: pieces(&huge()),
        call: slice_of::<{ GIVEN_BACK_BYTES + 2 }>(),
    };
    let byte_by_byte =
        [Source::Pipe(1), Source::Tcp, Source::Unix, Source::Memory, Source::Tls, Source::Blocking];
    // Through a pipe of one byte, the bulk takes a second and proves nothing more.
    let in_pieces = [
        Source::Pipe(KIB),
        Source::Tcp,
        Source::Unix,
        Source::Memory,
        Source::Tls,
        Source::Blocking,
    ];
    // The pipe has room for more than a reader takes before it gives way.
    let wide = [Source::Pipe(1024 * KIB), Source::Tcp, Source::Blocking];
    let mut all = scenes(small, &byte_by_byte);
    all.extend(scenes(straight, &in_pieces));
    all.extend(scenes(poisons, &wide));
    all.extend(yields::exact());
    vec![Row {
        path: "forebay_io::ByteReadChannel::read_exact",
        words: &[Word::Lossless, Word::Poisons],
        scenes: all,
    }]
}

fn slice_of<const N: usize>() -> Call {
    call!(|input, _| {
        let mut slice = vec![0; N];
        input.read_exact(&mut slice).await?;
        Ok(slice)
    })
}

fn pieces(sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut start = 0;
    let piece = |&size: &usize| {
        start += size;
        pattern(start - size, size).to_vec()
    };
    sizes.iter().map(piece).collect()
}

/// A megabyte, nearly all of it in eight pieces, and four bytes behind its slice's two.
fn huge() -> Vec<usize> {
    let mut sizes = vec![1, 1];
    sizes.extend([GIVEN_BACK_BYTES / 8 - 1; 8]);
    sizes.extend([1; 12]);
    sizes
}
