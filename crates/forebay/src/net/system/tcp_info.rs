//! `TCP_INFO`, of which each kernel has a prefix (`tcp(7)`, `linux/tcp.h`).
//!
//! `nix` panics when the kernel's answer is shorter than the type that it is read into. So the length of the answers
//! is learned once, by a read that takes any, and after that only types are read that the system fills. It is 104
//! bytes at least on kernels since 2.6, 148 since 4.6, and four under qemu-user, which takes the option for a number.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::{GetOsString, GetStruct};

use super::TCP_INFO_WORDS as WORDS;

/// The first 148 bytes of the kernel's `struct tcp_info`, of which four fields are used here.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct TcpInfoPrefix {
    _before_unacked: [u32; 6],
    /// Segments that were sent and not acknowledged; the end mark counts as one. For a listener: the
    /// connections that wait to be accepted.
    pub(super) unacked: u32,
    /// For a listener: how many connections may wait.
    pub(super) sacked: u32,
    _before_acked: [u32; 22],
    /// Bytes that the peer has acknowledged since the beginning, plus one for the end mark and, on the side
    /// that connected, one for the SYN. In two halves, because a field of 64 bits would extend this type
    /// beyond the struct of some kernels.
    bytes_acked: [u32; 2],
    _before_notsent: [u32; 4],
    /// Bytes that were not sent yet.
    pub(super) notsent_bytes: u32,
}

impl TcpInfoPrefix {
    /// The number of bytes that the peer has acknowledged, with one or two that are not data.
    pub(super) fn bytes_acked(&self) -> u64 {
        super::joined(self.bytes_acked)
    }
}

/// The words that kernels have since 4.6, and since 2.6.
const WORDS_OF_4_6: usize = 37;
const WORDS_OF_2_6: usize = 26;

/// Makes the option that reads a prefix.
macro_rules! prefix {
    ($name:ident, $type:ty) => {
        #[derive(Debug, Clone, Copy)]
        struct $name;

        nix::getsockopt_impl!($name, libc::IPPROTO_TCP, libc::TCP_INFO, $type, GetStruct<$type>);
    };
}

prefix!(Info, TcpInfoPrefix);
prefix!(InfoOf26, [u32; WORDS_OF_2_6]);
prefix!(InfoOf46, [u32; WORDS_OF_4_6]);
prefix!(InfoOf419, [u32; WORDS]);

/// The option that learns the length of an answer. `nix` reads any length into a text, up to the first byte that is
/// zero, so this text has no such byte.
#[derive(Debug, Clone, Copy)]
struct Length;

/// Room for an answer, which shows itself as nothing but ones.
struct Ones([u8; 1024]);

impl AsMut<[u8]> for Ones {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.fill(1);
        &mut self.0
    }
}

nix::getsockopt_impl!(
    Length,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    std::ffi::OsString,
    GetOsString<Ones>
);

/// The length of the system's answers, which is the same for all sockets; zero before the first.
static LENGTH_BYTES: AtomicUsize = AtomicUsize::new(0);

fn length(socket: BorrowedFd<'_>) -> io::Result<usize> {
    // Relaxed: a number, on which no other memory depends.
    match LENGTH_BYTES.load(Ordering::Relaxed) {
        0 => {
            let bytes = getsockopt(&socket, Length)?.as_bytes().len();
            LENGTH_BYTES.store(bytes, Ordering::Relaxed);
            Ok(bytes)
        }
        known => Ok(known),
    }
}

/// Reads the information; `None` for a socket that is not TCP, and where the system tells less than this.
#[inline]
pub(super) fn read(socket: BorrowedFd<'_>) -> Option<TcpInfoPrefix> {
    (length(socket).ok()? >= size_of::<TcpInfoPrefix>())
        .then(|| getsockopt(&socket, Info).ok())
        .flatten()
}

/// Reads the words that the system has, and returns how many those are.
pub(super) fn read_words(socket: BorrowedFd<'_>) -> io::Result<([u32; WORDS], usize)> {
    let mut words = [0; WORDS];
    let known = match length(socket)? / size_of::<u32>() {
        WORDS.. => {
            words = getsockopt(&socket, InfoOf419)?;
            WORDS
        }
        WORDS_OF_4_6.. => {
            words[..WORDS_OF_4_6].copy_from_slice(&getsockopt(&socket, InfoOf46)?);
            WORDS_OF_4_6
        }
        WORDS_OF_2_6.. => {
            words[..WORDS_OF_2_6].copy_from_slice(&getsockopt(&socket, InfoOf26)?);
            WORDS_OF_2_6
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    Ok((words, known))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::mem::{offset_of, size_of};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::super::is_backlog_empty;
    use super::{TcpInfoPrefix, length, read, read_words};

    #[test]
    fn the_fields_stand_where_the_kernel_puts_them() {
        assert_eq!(size_of::<TcpInfoPrefix>(), 148);
        assert_eq!(offset_of!(TcpInfoPrefix, unacked), 24);
        assert_eq!(offset_of!(TcpInfoPrefix, sacked), 28);
        assert_eq!(offset_of!(TcpInfoPrefix, bytes_acked), 120);
        assert_eq!(offset_of!(TcpInfoPrefix, notsent_bytes), 144);
    }

    #[test]
    fn the_length_of_the_answer_is_learned_from_the_system() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // As `struct tcp_info` has grown: 148 bytes in Linux 4.6, 232 in 5.5.
        assert!((148..1024).contains(&length(listener.as_fd()).unwrap()));
        let (words, known) = read_words(listener.as_fd()).unwrap();
        let prefix = read(listener.as_fd()).unwrap();
        assert_eq!(words[6..8], [prefix.unacked, prefix.sacked]);
        assert!(known >= 37);
        let (unix, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(read(unix.as_fd()).is_none());
        read_words(unix.as_fd()).unwrap_err();
    }

    #[test]
    fn those_who_wait_to_be_accepted_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_backlog_empty(listener.as_fd()));
        let address = listener.local_addr().unwrap();
        let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        for left in (0..2).rev() {
            assert!(!is_backlog_empty(listener.as_fd()));
            let _accepted = listener.accept().unwrap();
            assert_eq!(read(listener.as_fd()).unwrap().unacked, left);
        }
        assert!(is_backlog_empty(listener.as_fd()));
    }

    /// Also on a connection that was reset: there it tells how far the peer had come.
    #[test]
    fn bytes_that_the_peer_has_acknowledged_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for (mut from, mut to) in [(&client, &server), (&server, &client)] {
            let before = read(from.as_fd()).unwrap();
            from.write_all(&[0; 1000]).unwrap();
            to.read_exact(&mut [0; 999]).unwrap();
            while read(from.as_fd()).unwrap().unacked > 0 {
                std::thread::yield_now();
            }
            let now = read(from.as_fd()).unwrap();
            assert_eq!(now.bytes_acked() - before.bytes_acked(), 1000);
        }
        // The server leaves a byte unread, so its close is a reset.
        let before = read(client.as_fd()).unwrap();
        drop(server);
        (&client).write_all(b"to nobody").unwrap_err();
        let now = read(client.as_fd()).unwrap();
        assert_eq!(now.bytes_acked(), before.bytes_acked());
    }

    #[test]
    fn bytes_that_the_peer_does_not_take_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_silent, _) = listener.accept().unwrap();
        let before = read(client.as_fd()).unwrap();
        assert_eq!((before.unacked, before.notsent_bytes), (0, 0));
        client.write_all(b"twelve bytes").unwrap();
        // The SYN of the handshake counts as a byte on some kernels.
        while read(client.as_fd()).unwrap().bytes_acked() < before.bytes_acked() + 12 {}

        client.set_nonblocking(true).unwrap();
        let piece = vec![0; 64 * 1024];
        while client.write(&piece).is_ok() {}
        assert!(read(client.as_fd()).unwrap().notsent_bytes > 0);
    }
}
