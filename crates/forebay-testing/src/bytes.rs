//! Bytes that tell where in a stream they belong.

use std::sync::LazyLock;

/// 1024 bytes.
pub const KIB: usize = 1024;
/// 1024 times 1024 bytes.
pub const MIB: usize = 1024 * KIB;

/// Bytes of which no two stretches of the same length are equal, unless they lie a multiple of 251
/// apart.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

/// Bytes without a period, so that whatever is lost or doubled shows; another stretch of them for
/// another seed.
#[allow(clippy::cast_possible_truncation, reason = "a byte of the product is what is wanted")]
pub fn scrambled(length: usize, seed: usize) -> Vec<u8> {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0..4 * MIB + 4096).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
    });
    BYTES[seed % 4096..][..length].to_vec()
}
