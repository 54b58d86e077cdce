//! What went wrong, and whose fault it was.

use std::fmt;

use super::TlsFault;

/// Who has to act on an error.
///
/// Ask for it with [`ErrorKind::fault`]. A server usually ends the connection on [`Peer`] and
/// [`Closed`], and tells a person about the rest.
///
/// [`Peer`]: Fault::Peer
/// [`Closed`]: Fault::Closed
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The other side did it: it reset, refused, went silent or ended too early.
    Peer,
    /// The calling program did it: a bad argument, a channel opened twice, a panic.
    Caller,
    /// A limit of ours was reached. The message names the limit and the knob that sets it.
    Limit,
    /// The operating system refused: a port in use, no permission, no descriptors left.
    System,
    /// We closed it ourselves: the socket, the selector or the task.
    Closed,
}

/// The kind of an [`Error`](crate::Error).
///
/// New kinds may be added, so a `match` needs a wildcard arm; the predicates of
/// [`Error`](crate::Error) and [`ErrorKind::fault`] stay complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The peer reset the connection, or it is known to be gone (`ECONNRESET`, `EPIPE`,
    /// `ECONNABORTED`).
    Reset,
    /// The peer refused the connection (`ECONNREFUSED`).
    Refused,
    /// A deadline passed.
    TimedOut,
    /// The input ended before a complete item was there. Everything available stays readable.
    UnexpectedEnd {
        /// Bytes the call needed in all.
        needed: u64,
        /// Bytes that were there when the input ended.
        available: u64,
    },
    /// A line is not UTF-8. Its bytes stay readable.
    InvalidUtf8 {
        /// Offset in bytes of the first invalid sequence, counted from the start of the line.
        offset: u64,
    },
    /// An argument makes no sense: an address that does not parse, a size of zero.
    InvalidInput,
    /// A channel of this socket was opened before; each can be opened once.
    AlreadyOpened,
    /// A slice above the item limit was accepted only in part, because its future was dropped
    /// half-way.
    Incomplete {
        /// Bytes that had been accepted or taken when the future was dropped.
        accepted: u64,
        /// Bytes of the whole item.
        of: u64,
    },
    /// This platform, or this build without some feature, cannot do it.
    Unsupported,
    /// The task panicked.
    Panicked,
    /// A line has more content than the channel's line limit. The channel stands before the line.
    LineTooLong {
        /// The limit, in bytes of content.
        limit: u64,
    },
    /// An item is larger, or there are more of something, than a limit allows.
    LimitExceeded {
        /// The limit: in bytes for an item, in handshakes for those of TLS.
        limit: u64,
    },
    /// The local address is in use (`EADDRINUSE`).
    AddressInUse,
    /// The local address does not exist here, or no ephemeral port is left (`EADDRNOTAVAIL`).
    AddressNotAvailable,
    /// The operating system does not permit it (`EACCES`, `EPERM`).
    PermissionDenied,
    /// A name does not resolve, or a path does not exist.
    NotFound,
    /// Whether a name exists could not be found out: its name servers failed, refused or were silent
    /// (`EAI_AGAIN`, `EAI_FAIL`). A later look-up may succeed.
    LookUpFailed,
    /// No route leads there (`ENETUNREACH`, `EHOSTUNREACH`).
    Unreachable,
    /// The machine has none left: descriptors, memory, buffers (`EMFILE`, `ENFILE`, `ENOBUFS`,
    /// `ENOMEM`).
    Exhausted,
    /// Any other error of the operating system. The message holds its text.
    System,
    /// The channel, socket or selector was closed on this side.
    Closed,
    /// The task was aborted, or its selector was closed.
    Cancelled,
    /// TLS was refused, by either side, or cannot go on; [`TlsFault`] says why.
    Tls(TlsFault),
    /// A TLS connection ended without its `close_notify`: somebody may have cut it (RFC 8446,
    /// section 6.1). What came before the end is intact.
    EndedWithoutNotify,
    /// An error of the calling program, carried through (see [`Error::other`](crate::Error::other)).
    Other,
}

impl ErrorKind {
    /// Tells who has to act.
    pub const fn fault(self) -> Fault {
        match self {
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
                write!(f, "an item was dropped half-way, after {accepted} of {of} bytes")
            }
            Self::Unsupported => f.write_str("not supported by this platform or build"),
            Self::Panicked => f.write_str("the task panicked"),
            Self::LineTooLong { limit } => {
                write!(f, "the line is longer than {limit} bytes (LineOptions::limit sets this)")
            }
            Self::LimitExceeded { limit } => write!(f, "above the limit of {limit}"),
            Self::AddressInUse => f.write_str("the address is in use"),
            Self::AddressNotAvailable => f.write_str("the address is not available"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::NotFound => f.write_str("not found"),
            Self::LookUpFailed => f.write_str("the name could not be looked up"),
            Self::Unreachable => f.write_str("no route to the address"),
            Self::Exhausted => f.write_str("the system has none left"),
            Self::System => f.write_str("system error"),
            Self::Closed => f.write_str("closed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Tls(fault) => fmt::Display::fmt(&fault, f),
            Self::EndedWithoutNotify => f.write_str("the TLS input ended without close_notify"),
            Self::Other => f.write_str("error"),
        }
    }
}
