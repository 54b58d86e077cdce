//! Conversions from and to `std::io::Error`. A round trip keeps the kind and the message.

use std::io;

use super::{Error, ErrorKind};

impl Error {
    /// Converts an error of the operating system, naming the call that returned it.
    pub fn from_io(operation: &'static str, error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self::new(kind_of(&error), operation).with_cause(error),
        }
    }
}

/// Maps the kinds of `std`; the few errors that have no stable kind there are mapped by their number.
pub(super) fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        // `EPIPE` and `ECONNABORTED` are reported by calls that come after the reset itself.
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => ErrorKind::Reset,
        io::ErrorKind::ConnectionRefused => ErrorKind::Refused,
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        io::ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEnd { needed: 1, available: 0 },
        io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        io::ErrorKind::Unsupported => ErrorKind::Unsupported,
        io::ErrorKind::AddrInUse => ErrorKind::AddressInUse,
        io::ErrorKind::AddrNotAvailable => ErrorKind::AddressNotAvailable,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => ErrorKind::Unreachable,
        io::ErrorKind::OutOfMemory => ErrorKind::Exhausted,
        _ => match error.raw_os_error() {
            Some(EMFILE | ENFILE | ENOBUFS) => ErrorKind::Exhausted,
            _ => ErrorKind::System,
        },
    }
}

// ENFILE and EMFILE have the same number on every Unix; ENOBUFS does not.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
#[cfg(any(target_os = "linux", target_os = "android"))]
const ENOBUFS: i32 = 105;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ENOBUFS: i32 = 55;

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::from_io("", error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Reset => io::ErrorKind::ConnectionReset,
            ErrorKind::Refused => io::ErrorKind::ConnectionRefused,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::UnexpectedEnd { .. } | ErrorKind::EndedWithoutNotify => {
                io::ErrorKind::UnexpectedEof
            }
            ErrorKind::InvalidUtf8 { .. }
            | ErrorKind::LineTooLong { .. }
            | ErrorKind::LimitExceeded { .. }
            | ErrorKind::Tls(_) => io::ErrorKind::InvalidData,
            ErrorKind::InvalidInput | ErrorKind::AlreadyOpened => io::ErrorKind::InvalidInput,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::AddressInUse => io::ErrorKind::AddrInUse,
            ErrorKind::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
            ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Unreachable => io::ErrorKind::HostUnreachable,
            ErrorKind::Exhausted => io::ErrorKind::OutOfMemory,
            ErrorKind::Closed => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
