//! Framings against a naive oracle: random streams, splits, limits, and calls that are dropped.

use forebay_testing::{
    channels::ledgered,
    oracle::{FrameCase, FramePart, FramingKind},
    property,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn kinds() -> impl Strategy<Value = FramingKind> + Clone {
    prop_oneof![
        (prop_oneof![Just(1_usize), Just(2), Just(4)], any::<bool>())
            .prop_map(|(width, little)| FramingKind::Length { width, little }),
        Just(FramingKind::Varint),
        (vec(prop_oneof![Just(b'-'), Just(b'a'), Just(b'\r')], 1..4), any::<bool>())
            .prop_map(|(mark, rest)| FramingKind::Mark { mark, rest }),
        any::<bool>().prop_map(|crlf| FramingKind::Line { crlf }),
    ]
}

/// Bytes that often look like lengths, marks and ends of lines.
fn noise() -> impl Strategy<Value = Vec<u8>> + Clone {
    let byte = prop_oneof![
        3 => Just(0_u8), 2 => 1..5_u8, 2 => Just(b'-'), 2 => Just(b'a'), 1 => Just(b'\r'),
        1 => Just(b'\n'), 1 => Just(0x80_u8), 1 => any::<u8>(),
    ];
    vec(byte, 0..40)
}

fn parts() -> impl Strategy<Value = Vec<FramePart>> + Clone {
    let part = prop_oneof![
        4 => vec(noise(), 0..3).prop_map(FramePart::Body),
        1 => noise().prop_map(FramePart::Noise),
    ];
    vec(part, 0..8)
}

fn limits() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![Just(0_usize), 1..4_usize, 30..60_usize, Just(1000)]
}

#[test]
#[cfg_attr(miri, ignore = "ten thousand cases")]
fn every_frame_is_the_oracles() {
    let input = (kinds(), limits(), parts(), vec(1..20_usize, 1..6), 1..4_usize);
    property("frames", 10_000, &input, |(kind, limit, parts, splits, polls)| {
        ledgered(|_| FrameCase { kind, limit, parts, splits, polls }.check());
    });
}

#[test]
#[cfg_attr(miri, ignore = "ten thousand cases")]
fn every_case_of_any_bytes_is_the_oracles() {
    property("frames of bytes", 10_000, &vec(any::<u8>(), 0..200), |bytes| {
        ledgered(|_| FrameCase::from_bytes(&bytes).check());
    });
}
