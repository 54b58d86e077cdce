//! `TCP_INFO`, read as a prefix that every kernel since Linux 4.6 has (`tcp(7)`, `linux/tcp.h`).

use std::os::fd::BorrowedFd;

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;

/// The first 148 bytes of the kernel's `struct tcp_info`, of which four fields are used here.
///
/// Not `libc::tcp_info`: `nix` panics when the kernel's struct is shorter than the type, and the type of
/// `libc` grows with the newest kernel.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct TcpInfo {
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

impl TcpInfo {
    /// The number of bytes that the peer has acknowledged, with one or two that are not data.
    pub(super) fn bytes_acked(&self) -> u64 {
        let [first, second] = self.bytes_acked.map(u64::from);
        if cfg!(target_endian = "little") { second << 32 | first } else { first << 32 | second }
    }
}

/// The option that reads [`TcpInfo`].
#[derive(Debug, Clone, Copy)]
struct Info;

nix::getsockopt_impl!(Info, libc::IPPROTO_TCP, libc::TCP_INFO, TcpInfo, GetStruct<TcpInfo>);

/// Reads the information; `None` for a socket that is not TCP.
pub(super) fn read(socket: BorrowedFd<'_>) -> Option<TcpInfo> {
    getsockopt(&socket, Info).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::mem::{offset_of, size_of};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::super::is_backlog_empty;
    use super::{TcpInfo, read};

    #[test]
    fn the_fields_stand_where_the_kernel_puts_them() {
        assert_eq!(size_of::<TcpInfo>(), 148);
        assert_eq!(offset_of!(TcpInfo, unacked), 24);
        assert_eq!(offset_of!(TcpInfo, sacked), 28);
        assert_eq!(offset_of!(TcpInfo, bytes_acked), 120);
        assert_eq!(offset_of!(TcpInfo, notsent_bytes), 144);
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
