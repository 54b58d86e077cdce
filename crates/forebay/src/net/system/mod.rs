//! System calls that differ between platforms.

mod groups;
mod plain_datagrams;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tcp_info;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::net::SocketAddr;

use rustix::fd::BorrowedFd;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub(super) use self::groups::only_joined_groups;
#[cfg(unix)]
pub(super) use self::plain_datagrams::shared_reception;
pub(super) use self::plain_datagrams::{as_a_plain_socket, join_datagrams, without_packet_info};
pub(super) use self::platform::{
    OF_ONE_PEER, RECEIVE_FLAGS, SEND_FLAGS, SEND_LAST_FLAGS, accept, has_arrived,
    keep_from_blocking, send_slices,
};
use self::platform::{OUT_OF_DESCRIPTORS, socket};
#[cfg(unix)]
pub(super) use self::platform::{
    RECEIVE_FDS_FLAGS, adopt, close_on_exec, is_blocking, is_listening, is_multipath,
};
#[cfg(unix)]
use self::unix as platform;
#[cfg(windows)]
use self::windows as platform;
use crate::selector::Shared;

/// The words of `TCP_INFO` that are read where the system has them: all up to the number of bytes that were sent
/// again, which Linux has since 4.19.
pub(super) const TCP_INFO_WORDS: usize = 54;

/// Makes a TCP socket.
pub(super) fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    socket(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
}

/// Makes a socket of multipath TCP, or of TCP where the kernel has no such sockets, or is set to refuse them
/// (`net.mptcp.enabled`).
#[cfg(target_os = "linux")]
pub(super) fn multipath_socket(address: SocketAddr) -> io::Result<Socket> {
    match socket(Domain::for_address(address), Type::STREAM, Some(Protocol::MPTCP)) {
        Err(error) if !is_out_of_descriptors(&error) => stream_socket(address),
        opened => opened,
    }
}

/// Not known on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn multipath_socket(_: SocketAddr) -> io::Result<Socket> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes a UDP socket.
pub(super) fn datagram_socket(address: SocketAddr) -> io::Result<Socket> {
    socket(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
}

/// Makes a Unix stream socket.
#[cfg(unix)]
pub(super) fn unix_stream_socket() -> io::Result<Socket> {
    socket(Domain::UNIX, Type::STREAM, None)
}

/// Makes a Unix datagram socket.
#[cfg(unix)]
pub(super) fn unix_datagram_socket() -> io::Result<Socket> {
    socket(Domain::UNIX, Type::DGRAM, None)
}

/// Makes a descriptor. If the process has none left, ends one connection that may be ended (see `end_one`)
/// and tries again, once.
pub(super) fn or_after_ending_one<T>(
    selector: &Shared,
    mut open: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    match open() {
        Err(error) if is_out_of_descriptors(&error) && selector.sockets().end_one() => open(),
        opened => opened,
    }
}

/// True for `EMFILE` and `ENFILE`.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let raw = error.raw_os_error();
    OUT_OF_DESCRIPTORS.iter().any(|errno| raw == Some(errno.raw_os_error()))
}

/// True if no connection waits to be accepted. This costs a tenth of an `accept` that finds none, for which
/// the kernel makes a socket and discards it. False where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn is_backlog_empty(listener: BorrowedFd<'_>) -> bool {
    // A kernel that reports no limit does not count the waiting connections either.
    tcp_info::read(listener).is_some_and(|info| info.sacked > 0 && info.unacked == 0)
}

/// Unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn is_backlog_empty(_: BorrowedFd<'_>) -> bool {
    false
}

/// The number of connections that may wait to be accepted; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn backlog(listener: BorrowedFd<'_>) -> Option<u32> {
    // A kernel without this number answers with zero, which is no length that `listen` makes.
    tcp_info::read(listener).map(|info| info.sacked).filter(|connections| *connections > 0)
}

/// Unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn backlog(_: BorrowedFd<'_>) -> Option<u32> {
    None
}

/// A number of 64 bits that stands in two words.
pub(super) fn joined(words: [u32; 2]) -> u64 {
    let [first, second] = words.map(u64::from);
    if cfg!(target_endian = "little") { second << 32 | first } else { first << 32 | second }
}

/// The words of `TCP_INFO` that a connection's state is read from, and how many of them the system has.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<([u32; TCP_INFO_WORDS], usize)> {
    tcp_info::read_words(socket)
}

/// Not known on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn tcp_info(_: BorrowedFd<'_>) -> io::Result<([u32; TCP_INFO_WORDS], usize)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True if a connection has not begun its handshake; false if it has, and the other side has not answered yet.
/// `None` if it is connected or over, or the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn waits_for_bytes(socket: BorrowedFd<'_>) -> Option<bool> {
    /// The state in which a SYN is sent, or about to be.
    const TCP_SYN_SENT: u8 = 2;
    let (words, _) = tcp_info::read_words(socket).ok()?;
    // The first byte is the state; the word is the number of segments that were sent.
    (words[0].to_ne_bytes()[0] == TCP_SYN_SENT).then_some(words[34] == 0)
}

/// Unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn waits_for_bytes(_: BorrowedFd<'_>) -> Option<bool> {
    None
}

/// The number of bytes (the end mark counts as one) that were sent and that the peer has not acknowledged;
/// `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> Option<u32> {
    let info = tcp_info::read(socket)?;
    Some(info.unacked + info.notsent_bytes)
}

/// Unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn unacknowledged(_: BorrowedFd<'_>) -> Option<u32> {
    None
}

/// The number of bytes that the peer has acknowledged so far; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn acknowledged_bytes(socket: BorrowedFd<'_>) -> Option<u64> {
    Some(tcp_info::read(socket)?.bytes_acked())
}

/// Unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn acknowledged_bytes(_: BorrowedFd<'_>) -> Option<u64> {
    None
}

/// The number of bytes that wait in the system until the peer has room; `None` where the system does not
/// tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn unsent(socket: BorrowedFd<'_>) -> Option<u32> {
    tcp_info::read(socket).map(|info| info.notsent_bytes)
}

/// Unknown on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn unsent(_: BorrowedFd<'_>) -> Option<u32> {
    None
}

/// The number of bytes that the peer has acknowledged (with one or two that are not data, but are always the
/// same), and whether any are unacknowledged; `None` where the system does not tell.
#[cfg(all(feature = "tls", any(target_os = "linux", target_os = "android")))]
pub(super) fn acknowledged(socket: BorrowedFd<'_>) -> Option<(u64, bool)> {
    let info = tcp_info::read(socket)?;
    Some((info.bytes_acked(), info.unacked > 0 || info.notsent_bytes > 0))
}

/// Unknown on this system.
#[cfg(all(feature = "tls", not(any(target_os = "linux", target_os = "android"))))]
pub(super) fn acknowledged(_: BorrowedFd<'_>) -> Option<(u64, bool)> {
    None
}

/// The bytes and the end that a socket has in store for its next receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InStore {
    Nothing,
    Bytes,
    /// The end mark, perhaps behind bytes, or an error.
    End,
}

/// Looks at what has arrived, and leaves it there. An error stays for the next call.
// rustix does not have `POLLRDHUP` on SPARC, where it is another number.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "sparc", target_arch = "sparc64"))
))]
pub(super) fn in_store(socket: BorrowedFd<'_>) -> rustix::io::Result<InStore> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut look = [PollFd::from_borrowed_fd(socket, PollFlags::IN | PollFlags::RDHUP)];
    poll(&mut look, Some(&Timespec::default()))?;
    let seen = look[0].revents();
    // `POLLRDHUP` reports an end also behind bytes (`poll(2)`, since Linux 2.6.17).
    let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    Ok(if seen.intersects(ends) {
        InStore::End
    } else if seen.contains(PollFlags::IN) {
        InStore::Bytes
    } else {
        InStore::Nothing
    })
}

/// Looks at what has arrived, and leaves it there. An end behind bytes is not seen, and an error is
/// returned here instead of by the next call.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(any(target_arch = "sparc", target_arch = "sparc64"))
)))]
pub(super) fn in_store(socket: BorrowedFd<'_>) -> rustix::io::Result<InStore> {
    use rustix::net::{RecvFlags, recv};

    match recv(socket, &mut [0; 1], RecvFlags::PEEK) {
        Ok((0, _)) => Ok(InStore::End),
        Ok(_) => Ok(InStore::Bytes),
        Err(rustix::io::Errno::AGAIN) => Ok(InStore::Nothing),
        Err(error) => Err(error),
    }
}

/// Makes the next close a reset: queued bytes are dropped and the peer is told at once (RFC 9293, section
/// 3.10.4; `SO_LINGER` with a time of zero, `socket(7)`).
pub(super) fn reset_on_close(socket: BorrowedFd<'_>) {
    // A socket that the peer has already reset refuses options, and needs no reset.
    SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).ok();
}
