//! The kind of a socket that another program has opened.

use std::io;
use std::os::fd::BorrowedFd;

use forebay_io::{Error, ErrorKind, Result};
use rustix::fs::{FileType, fstat};
use socket2::{SockAddr, SockRef, Type};

use crate::net::options::SocketRole;
use crate::net::protocol::Protocol;
use crate::net::system;

/// A kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct SocketKind {
    pub(in crate::net) protocol: Protocol,
    pub(in crate::net) role: SocketRole,
}

impl SocketKind {
    /// Fails unless the descriptor is of this kind, and makes it non-blocking and close-on-exec.
    pub(in crate::net) fn prepare(self, operation: &'static str, fd: BorrowedFd<'_>) -> Result<()> {
        let found = DescriptorKind::look(fd).map_err(|error| Error::from_io(operation, error))?;
        if !matches!(found, DescriptorKind::Socket(kind) if kind == self) {
            let detail = format!("expected {}, received {}", self.text(), found.text());
            return Err(Error::new(ErrorKind::InvalidInput, operation).with_detail(detail));
        }
        system::adopt(fd).map_err(|error| Error::from_io(operation, error))
    }

    fn text(self) -> &'static str {
        match (self.protocol, self.role) {
            (Protocol::Tcp, SocketRole::Listening) => "a listening TCP socket",
            (Protocol::Tcp, SocketRole::Connected | SocketRole::Accepted) => {
                "a connected TCP socket"
            }
            (Protocol::Tcp, SocketRole::Bound) => {
                "a TCP socket that neither listens nor is connected"
            }
            (Protocol::Unix, SocketRole::Listening) => "a listening Unix stream socket",
            (Protocol::Unix, SocketRole::Connected | SocketRole::Accepted) => {
                "a connected Unix stream socket"
            }
            (Protocol::Unix, SocketRole::Bound) => {
                "a Unix stream socket that neither listens nor is connected"
            }
            (Protocol::Udp, SocketRole::Connected) => "a UDP socket with a peer",
            (Protocol::Udp, _) => "a UDP socket without a peer",
            (Protocol::UnixDatagram, SocketRole::Connected) => "a Unix datagram socket with a peer",
            (Protocol::UnixDatagram, _) => "a Unix datagram socket without a peer",
        }
    }
}

/// The outcome of a look at a descriptor.
enum DescriptorKind {
    Socket(SocketKind),
    Other(&'static str),
}

impl DescriptorKind {
    fn look(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let file = FileType::from_raw_mode(fstat(fd)?.st_mode);
        if file != FileType::Socket {
            return Ok(Self::Other(match file {
                FileType::RegularFile => "a regular file",
                FileType::Directory => "a directory",
                FileType::Fifo => "a pipe",
                FileType::CharacterDevice => "a character device",
                FileType::BlockDevice => "a block device",
                // The kernel's own kinds have none: epoll, eventfd, timerfd.
                _ => "no socket",
            }));
        }
        let socket = SockRef::from(&fd);
        let protocol = match (is_unix(&socket.local_addr()?), socket.r#type()?) {
            (Some(false), Type::STREAM) => Protocol::Tcp,
            (Some(false), Type::DGRAM) => Protocol::Udp,
            (Some(true), Type::STREAM) => Protocol::Unix,
            (Some(true), Type::DGRAM) => Protocol::UnixDatagram,
            (Some(true), Type::SEQPACKET) => {
                return Ok(Self::Other("a Unix socket of sequential packets"));
            }
            _ => return Ok(Self::Other("a socket of another family or type")),
        };
        let is_stream = matches!(protocol, Protocol::Tcp | Protocol::Unix);
        let role = if is_stream && system::is_listening(fd)? {
            SocketRole::Listening
        } else if socket.peer_addr().is_ok() {
            SocketRole::Connected
        } else {
            SocketRole::Bound
        };
        Ok(Self::Socket(SocketKind { protocol, role }))
    }

    fn text(&self) -> &'static str {
        match self {
            Self::Socket(kind) => kind.text(),
            Self::Other(text) => text,
        }
    }
}

/// Tells a Unix socket from one of IP; `None` for another family.
fn is_unix(local: &SockAddr) -> Option<bool> {
    match (local.is_unix(), local.is_ipv4() || local.is_ipv6()) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
