//! Conversions from and to other error types: `std::io::Error`, boxed errors and, by a feature, `anyhow`'s.
//! A round trip keeps the kind and the message.

use std::error::Error as StdError;
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
            Some(EMSGSIZE) => ErrorKind::MessageTooLarge,
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

#[cfg(any(target_os = "linux", target_os = "android"))]
const EMSGSIZE: i32 = 90;
#[cfg(windows)]
const EMSGSIZE: i32 = 10_040;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const EMSGSIZE: i32 = 40;

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::from_io("", error)
    }
}

/// Makes `?` take boxed errors. One of forebay's own is unwrapped, and one of `std::io` gets its kind.
impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(ours) => return *ours,
            Err(error) => error,
        };
        match error.downcast::<io::Error>() {
            Ok(system) => Self::from(*system),
            Err(error) => Self::other(error),
        }
    }
}

/// Makes `?` take `anyhow`'s errors. One of forebay's own, or of `std::io`, keeps its kind, and the contexts
/// around it become its [`context`](Error::context); any other is a cause, with its chain.
#[cfg(feature = "anyhow")]
impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        let is_known =
            |cause: &(dyn StdError + 'static)| cause.is::<Self>() || cause.is::<io::Error>();
        // A downcast sees through contexts, and not through an error of the program's own with a source.
        let known = error.chain().position(is_known);
        let Some(depth) = known.filter(|_| error.is::<Self>() || error.is::<io::Error>()) else {
            return Self::other_of(error);
        };
        let contexts: Vec<_> = error.chain().take(depth).map(ToString::to_string).collect();
        let known = match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => match error.downcast::<io::Error>() {
                Ok(system) => Self::from(system),
                Err(other) => Self::other_of(other),
            },
        };
        contexts.into_iter().rev().fold(known, Self::context)
    }
}

#[cfg(feature = "anyhow")]
impl Error {
    /// Boxes the error without the backtrace, so that the source can be downcast to the program's type.
    fn other_of(error: anyhow::Error) -> Self {
        Self::other(error.reallocate_into_boxed_dyn_error_without_backtrace())
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
            ErrorKind::InvalidInput | ErrorKind::AlreadyOpened | ErrorKind::MessageTooLarge => {
                io::ErrorKind::InvalidInput
            }
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
