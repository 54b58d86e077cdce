//! The sizes of the system's buffers.

/// The size as the system takes it.
pub(super) fn given(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The size that was asked for, of the one that the system reports. Linux reports twice the number, because it
/// keeps as much again for its own structures (`socket(7)`).
pub(super) fn asked(reported: usize) -> u32 {
    let bytes =
        if cfg!(any(target_os = "linux", target_os = "android")) { reported / 2 } else { reported };
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
