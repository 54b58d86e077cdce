//! Decides which errors are printed where no handler is set.

use forebay_io::{Error, ErrorKind, Fault, TlsFault};

/// The operations whose timeout a person looks for: this side began them, or a peer began a handshake that
/// nothing else tells of.
const OPERATIONS_SHOWN: [&str; 2] = ["connect", "tls handshake"];

/// Returns `true` if an error is printed where no handler is set, and `false` if it is only counted.
///
/// Counted are the ordinary ends of connections, which a server on the internet sees all the time and can do
/// nothing about: a peer that resets, ends or falls silent, at any time, and a close on this side. The rest
/// tells a person something: about the program, its limits, the machine, or a peer with which it cannot
/// speak.
pub(super) fn is_shown(error: &Error) -> bool {
    match error.kind() {
        // A health check connects and goes away; a port scanner resets; a phone loses its network.
        ErrorKind::Reset
        | ErrorKind::UnexpectedEnd { .. }
        | ErrorKind::EndedWithoutNotify
        | ErrorKind::Tls(TlsFault::EndedInHandshake) => false,
        // A limit on silence, or the program's own, ends most idle connections.
        ErrorKind::TimedOut => OPERATIONS_SHOWN.contains(&error.operation()),
        ErrorKind::Refused | ErrorKind::InvalidUtf8 { .. } | ErrorKind::Tls(_) => true,
        kind => !matches!(kind.fault(), Fault::Peer | Fault::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_and_operation_is_printed_or_counted() {
        use ErrorKind as Kind;
        const PRINTED: bool = true;
        const COUNTED: bool = false;
        #[rustfmt::skip]
        let table = [
            // Of the peer.
            (Kind::Reset, "read", COUNTED),
            (Kind::Reset, "tls handshake", COUNTED),
            (Kind::Refused, "connect", PRINTED),
            (Kind::TimedOut, "connect", PRINTED),
            (Kind::TimedOut, "tls handshake", PRINTED),
            (Kind::TimedOut, "read", COUNTED),
            (Kind::TimedOut, "write", COUNTED),
            (Kind::TimedOut, "idle", COUNTED),
            (Kind::TimedOut, "close", COUNTED),
            (Kind::TimedOut, "timeout", COUNTED),
            (Kind::UnexpectedEnd { needed: 2, available: 1 }, "read_u16", COUNTED),
            (Kind::InvalidUtf8 { offset: 0 }, "read_line", PRINTED),
            (Kind::EndedWithoutNotify, "read", COUNTED),
            (Kind::Tls(TlsFault::EndedInHandshake), "tls handshake", COUNTED),
            (Kind::Tls(TlsFault::NotTls), "tls handshake", PRINTED),
            (Kind::Tls(TlsFault::NoCommonVersion), "tls handshake", PRINTED),
            (Kind::Tls(TlsFault::RefusedByPeer), "tls handshake", PRINTED),
            (Kind::Tls(TlsFault::Expired), "tls handshake", PRINTED),
            (Kind::Tls(TlsFault::BadRecord), "read", PRINTED),
            // Of the caller.
            (Kind::InvalidInput, "connect", PRINTED),
            (Kind::AlreadyOpened, "open_read_channel", PRINTED),
            (Kind::Incomplete { accepted: 1, of: 2 }, "write_all", PRINTED),
            (Kind::Unsupported, "peer_credentials", PRINTED),
            (Kind::Panicked, "task", PRINTED),
            (Kind::Other, "", PRINTED),
            // Of a limit.
            (Kind::LineTooLong { limit: 64 }, "read_line", PRINTED),
            (Kind::LimitExceeded { limit: 256 }, "tls handshake", PRINTED),
            (Kind::Tls(TlsFault::KeysExhausted), "write", PRINTED),
            // Of the system.
            (Kind::AddressInUse, "bind", PRINTED),
            (Kind::AddressNotAvailable, "bind", PRINTED),
            (Kind::PermissionDenied, "bind", PRINTED),
            (Kind::NotFound, "connect", PRINTED),
            (Kind::LookUpFailed, "connect", PRINTED),
            (Kind::Unreachable, "connect", PRINTED),
            (Kind::Exhausted, "accept", PRINTED),
            (Kind::System, "read", PRINTED),
            // Of this side's close.
            (Kind::Closed, "read", COUNTED),
            (Kind::Cancelled, "task", COUNTED),
        ];
        for (kind, operation, expected) in table {
            let error =
                Error::new(kind, operation).context("what the program adds changes nothing");
            assert_eq!(is_shown(&error), expected, "{kind:?} of {operation:?}");
        }
    }
}
