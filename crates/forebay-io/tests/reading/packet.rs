//! A packet's reads are fallible: what a peer made too short is an error that consumes nothing,
//! never a panic.

use bytes::Bytes;
use forebay_io::{ErrorKind, Packet, Result};

#[track_caller]
fn assert_short<T: std::fmt::Debug>(answer: Result<T>, needed: u64, available: u64) {
    let kind = ErrorKind::UnexpectedEnd { needed, available };
    assert_eq!(answer.expect_err("too short").kind(), kind);
}

#[test]
fn a_read_beyond_the_end_is_an_error_and_consumes_nothing() {
    let mut packet = Packet::from(vec![1, 2, 3]);
    assert_short(packet.read_u32(), 4, 3);
    assert_short(packet.read_f64_le(), 8, 3);
    assert_short(packet.read_bytes(usize::MAX), usize::MAX as u64, 3);
    assert_short(packet.read_string(4), 4, 3);
    assert_short(packet.skip(4), 4, 3);
    assert_eq!(packet.as_slice(), [1, 2, 3]);
    packet.skip(3).expect("three bytes");
    assert!(packet.is_empty());
    assert_short(packet.read_u8(), 1, 0);
    assert_short(packet.read_i8(), 1, 0);
    assert!(packet.read_bytes(0).expect("nothing is needed").is_empty());
}

#[test]
fn numbers_are_big_endian_unless_their_name_says_otherwise() {
    let bytes = [0x80, 1, 2, 3, 4, 5, 6, 7];
    let packet = || Packet::from(bytes.to_vec());
    assert_eq!(packet().read_u8().expect("a byte"), 0x80);
    assert_eq!(packet().read_i8().expect("a byte"), -128);
    assert_eq!(packet().read_u16().expect("two"), 0x8001);
    assert_eq!(packet().read_u16_le().expect("two"), 0x0180);
    assert_eq!(packet().read_i16().expect("two"), i16::from_be_bytes([0x80, 1]));
    assert_eq!(packet().read_i16_le().expect("two"), 0x0180);
    assert_eq!(packet().read_u32().expect("four"), 0x8001_0203);
    assert_eq!(packet().read_i32_le().expect("four"), 0x0302_0180);
    assert_eq!(packet().read_u64().expect("eight"), u64::from_be_bytes(bytes));
    assert_eq!(packet().read_i64_le().expect("eight"), i64::from_le_bytes(bytes));
    let float = packet().read_f32().expect("four");
    assert_eq!(float.to_bits(), 0x8001_0203);
    let float = packet().read_f64_le().expect("eight");
    assert_eq!(float.to_bits(), u64::from_le_bytes(bytes));
}

#[test]
fn text_that_is_none_is_an_error_with_its_offset_and_stays() {
    let mut packet = Packet::from(b"ab\xffcd".to_vec());
    let error = packet.read_string(5).expect_err("no text");
    assert_eq!(error.kind(), ErrorKind::InvalidUtf8 { offset: 2 });
    assert_eq!(packet.read_string(2).expect("text"), "ab");
    assert_eq!(packet.len(), 3);
}

#[test]
fn bytes_leave_a_packet_without_a_copy() {
    let bytes = Bytes::from(vec![7; 100]);
    let place = bytes.as_ptr();
    let mut packet = Packet::from(bytes);
    let first = packet.read_bytes(10).expect("ten");
    assert_eq!(first.as_ptr(), place);
    assert_eq!(packet.into_bytes().as_ptr(), place.wrapping_add(10));
}

#[test]
fn what_a_packet_holds_is_not_printed() {
    let packet = Packet::from(b"a secret".to_vec());
    assert_eq!(format!("{packet:?}"), "Packet { len: 8 }");
}
