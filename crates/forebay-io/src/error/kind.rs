//! Error kinds, and the party responsible for each.

use std::fmt;

use super::TlsFault;

/// The party that has to act on an error.
///
/// Returned by [`ErrorKind::fault`]. A server usually just ends the connection on [`Peer`] and [`Closed`],
/// and reports the rest to a person.
///
/// [`Peer`]: Fault::Peer
/// [`Closed`]: Fault::Closed
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The other side: it reset, refused, went silent or ended too early.
    Peer,
    /// The calling program: an invalid argument, a channel opened twice, a panic.
    Caller,
    /// A limit of this side was reached. The message names the limit and the setting that changes it.
    Limit,
    /// The operating system: a port in use, a missing permission, no descriptors left.
    System,
    /// This side had closed the socket, the selector or the task.
    Closed,
}

/// The kind of an [`Error`](crate::Error).
///
/// New kinds may be added, so a `match` needs a wildcard arm. The predicates of [`Error`](crate::Error) and
/// [`ErrorKind::fault`] cover new kinds as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The peer reset the connection, or is known to be gone (`ECONNRESET`, `EPIPE`, `ECONNABORTED`).
    Reset,
    /// The peer refused the connection (`ECONNREFUSED`).
    Refused,
    /// A deadline passed.
    TimedOut,
    /// The input ended before an item was complete. The available bytes stay readable.
    UnexpectedEnd {
        /// Bytes that the call needed in total.
        needed: u64,
        /// Bytes that were available when the input ended.
        available: u64,
    },
    /// A line is not UTF-8. Its bytes stay readable.
    InvalidUtf8 {
        /// Offset of the first invalid sequence, in bytes from the start of the line.
        offset: u64,
    },
    /// An argument is invalid: an address that does not parse, a size of zero.
    InvalidInput,
    /// This channel of the socket was opened before; each channel can be opened once.
    AlreadyOpened,
    /// Only part of a slice above the item limit was accepted or read, because the future was dropped
    /// before it was complete.
    Incomplete {
        /// Bytes that had been accepted or read when the future was dropped.
        accepted: u64,
        /// Bytes of the whole item.
        of: u64,
    },
    /// This platform, or this build without some feature, does not support the call.
    Unsupported,
    /// The task panicked.
    Panicked,
    /// A line has more content than the channel's line limit. The channel stays positioned at the start of
    /// the line.
    LineTooLong {
        /// The limit, in bytes of content.
        limit: u64,
    },
    /// An item is too large, or there are too many of something.
    LimitExceeded {
        /// The limit: in bytes for an item, a count for TLS handshakes.
        limit: u64,
    },
    /// A datagram is larger than the protocol or the system can send (`EMSGSIZE`). Nothing was sent.
    MessageTooLarge,
    /// The local address is in use (`EADDRINUSE`).
    AddressInUse,
    /// The local address does not exist here, or no ephemeral port is left (`EADDRNOTAVAIL`).
    AddressNotAvailable,
    /// The operating system does not permit it (`EACCES`, `EPERM`).
    PermissionDenied,
    /// A name does not resolve, or a path does not exist.
    NotFound,
    /// A name could not be looked up, because its name servers failed, refused or did not answer
    /// (`EAI_AGAIN`, `EAI_FAIL`). A later look-up may succeed.
    LookUpFailed,
    /// There is no route to the address (`ENETUNREACH`, `EHOSTUNREACH`, `EINVAL` of a blackhole route).
    Unreachable,
    /// A resource of the system is exhausted: descriptors, memory, buffers (`EMFILE`, `ENFILE`, `ENOBUFS`,
    /// `ENOMEM`).
    Exhausted,
    /// Any other error of the operating system. The message contains the system's text.
    System,
    /// The channel, socket or selector was closed on this side.
    Closed,
    /// The task was aborted, or its selector was closed.
    Cancelled,
    /// TLS was refused by one of the sides, or cannot continue; [`TlsFault`] gives the reason.
    Tls(TlsFault),
    /// A TLS connection ended without `close_notify`, so the end may be an attacker's truncation (RFC 8446,
    /// section 6.1). The data received before the end is intact.
    EndedWithoutNotify,
    /// An error of the calling program (see [`Error::other`](crate::Error::other)).
    Other,
}

impl ErrorKind {
    /// Returns the party that has to act on the error.
    pub const fn fault(self) -> Fault {
        match self {
            // The one TLS fault that is a limit comes first; the arm below takes all others.
            Self::LineTooLong { .. }
            | Self::LimitExceeded { .. }
            | Self::Tls(TlsFault::KeysExhausted) => Fault::Limit,
            Self::Reset
            | Self::Refused
            | Self::TimedOut
            | Self::UnexpectedEnd { .. }
            | Self::InvalidUtf8 { .. }
            | Self::Tls(_)
            | Self::EndedWithoutNotify => Fault::Peer,
            Self::InvalidInput
            | Self::AlreadyOpened
            | Self::Incomplete { .. }
            | Self::Unsupported
            | Self::MessageTooLarge
            | Self::Panicked
            | Self::Other => Fault::Caller,
            Self::AddressInUse
            | Self::AddressNotAvailable
            | Self::PermissionDenied
            | Self::NotFound
            | Self::LookUpFailed
            | Self::Unreachable
            | Self::Exhausted
            | Self::System => Fault::System,
            Self::Closed | Self::Cancelled => Fault::Closed,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Reset => f.write_str("the peer reset the connection"),
            Self::Refused => f.write_str("the peer refused the connection"),
            Self::TimedOut => f.write_str("timed out"),
            Self::UnexpectedEnd { needed, available } => {
                write!(f, "the input ended after {available} of {needed} bytes")
            }
            Self::InvalidUtf8 { offset } => {
                write!(f, "the line is not UTF-8 from byte {offset} on")
            }
            Self::InvalidInput => f.write_str("invalid argument"),
            Self::AlreadyOpened => f.write_str("already opened; a channel can be opened once"),
            Self::Incomplete { accepted, of } => {
                write!(f, "the item is incomplete: dropped after {accepted} of {of} bytes")
            }
            Self::Unsupported => f.write_str("not supported by this platform or build"),
            Self::Panicked => f.write_str("the task panicked"),
            Self::LineTooLong { limit } => {
                write!(f, "the line is longer than {limit} bytes (LineOptions::limit sets this)")
            }
            Self::LimitExceeded { limit } => write!(f, "above the limit of {limit}"),
            Self::MessageTooLarge => f.write_str("the datagram is too large"),
            Self::AddressInUse => f.write_str("the address is in use"),
            Self::AddressNotAvailable => f.write_str("the address is not available"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::NotFound => f.write_str("not found"),
            Self::LookUpFailed => f.write_str("the name could not be looked up"),
            Self::Unreachable => f.write_str("no route to the address"),
            Self::Exhausted => f.write_str("a resource is exhausted"),
            Self::System => f.write_str("system error"),
            Self::Closed => f.write_str("closed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Tls(fault) => fmt::Display::fmt(&fault, f),
            Self::EndedWithoutNotify => f.write_str("the TLS input ended without close_notify"),
            Self::Other => f.write_str("error"),
        }
    }
}
