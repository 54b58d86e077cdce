//! The memory of the futures of writes: a task reserves that of the largest one that it awaits, for its whole life.

use bytes::Bytes;
use forebay_io::{LengthFraming, Packet, pipe, write_fmt};
use forebay_testing::{KIB, nameless_file, report};

/// Beside its arguments a write holds little more than the channel, the box of a wait, and an item that it has composed.
#[test]
fn a_write_of_a_shared_channel_reserves_little_beside_its_arguments() {
    let output = pipe(KIB).1.share();
    let words = size_of::<usize>();
    let file = nameless_file(b"");
    let sizes = [
        ("write_str", 5, size_of_val(&output.write_str(""))),
        ("write_strs", 6, size_of_val(&output.write_strs(&[]))),
        ("write_all", 5, size_of_val(&output.write_all(&[]))),
        ("write_bytes", 7, size_of_val(&output.write_bytes(Bytes::new()))),
        ("write_packet", 7, size_of_val(&output.write_packet(Packet::default()))),
        ("write_fmt!", 5, size_of_val(&write_fmt!(output, ""))),
        ("write_with", 16, size_of_val(&output.write_with(|out| out.put_u8(0)))),
        ("write_frame", 22, size_of_val(&output.write_frame(&LengthFraming::u8(), &[]))),
        ("write_file", 20, size_of_val(&output.write_file(&file, ..))),
        ("flush", 20, size_of_val(&output.flush())),
        ("finish", 10, size_of_val(&output.finish())),
    ];
    for (call, most, bytes) in sizes {
        report(&format!("{call}: {} words", bytes.div_ceil(words)));
        assert!(bytes <= most * words, "{call}: a future of {bytes} bytes");
    }
}
