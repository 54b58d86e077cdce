//! Bytes that tell their position in a stream.

use std::sync::LazyLock;

/// 1024 bytes.
pub const KIB: usize = 1024;
/// 1024 times 1024 bytes.
pub const MIB: usize = 1024 * KIB;

/// Returns bytes of which no two stretches of the same length are equal, unless their distance is a
/// multiple of 251.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

/// Returns bytes without a period, so that lost or doubled ones are noticed; another seed gives other
/// bytes.
#[allow(clippy::cast_possible_truncation, reason = "a byte of the product is what is wanted")]
pub fn scrambled(length: usize, seed: usize) -> Vec<u8> {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let total = 4 * MIB + 4096;
        // Miri computes slowly and copies quickly.
        let computed = if cfg!(miri) { 4 * KIB + 7 } else { total };
        let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 11) as u8;
        (0..computed).map(byte).collect::<Vec<_>>().repeat(total.div_ceil(computed))
    });
    BYTES[seed % 4096..][..length].to_vec()
}
