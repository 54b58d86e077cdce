//! A loop by hand, over `epoll(7)` and the system's calls: the least that a server of one thread can do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, recv, recvfrom, send, sendto};
use slab::Slab;

use super::{BACKLOG, Mode, SPACE, greet, say};

/// The listener's number among the events.
const LISTENER: u64 = u64::MAX;

pub(super) fn serve(mode: Mode) -> io::Result<()> {
    if let Mode::Udp = mode {
        return datagrams();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&listener, BACKLOG)?;
    say(listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut peers: Slab<Peer> = Slab::new();
    let mut events = Vec::with_capacity(1024);
    let mut space = vec![0; 16 * SPACE];
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                accept(&listener, &epoll, &mut peers)?;
                continue;
            }
            let key = event.data.u64() as usize;
            let Some(peer) = peers.get_mut(key) else { continue };
            // A peer that fails is closed, as one that ends.
            if !peer.serve(mode, &mut space, &epoll, event.data).unwrap_or(false) {
                peers.remove(key);
            }
        }
    }
}

fn accept(listener: &TcpListener, epoll: &OwnedFd, peers: &mut Slab<Peer>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let entry = peers.vacant_entry();
    epoll::add(epoll, &stream, EventData::new_u64(entry.key() as u64), EventFlags::IN)?;
    entry.insert(Peer { stream, received: Vec::new(), unsent: Vec::new(), total: 0 });
    Ok(())
}

struct Peer {
    stream: TcpStream,
    /// The beginning of a line.
    received: Vec<u8>,
    /// Bytes for which the system had no room. Nothing more is received before it is sent.
    unsent: Vec<u8>,
    total: u64,
}

impl Peer {
    /// Serves an event. Returns `false` at the peer's end.
    fn serve(
        &mut self,
        mode: Mode,
        space: &mut [u8],
        epoll: impl AsFd,
        data: EventData,
    ) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent)?;
            if self.unsent.is_empty() {
                epoll::modify(epoll, &self.stream, data, EventFlags::IN)?;
            }
            return Ok(true);
        }
        let (count, _) = recv(&self.stream, &mut *space, RecvFlags::DONTWAIT)?;
        let received = &space[..count];
        match mode {
            Mode::Discard if count == 0 => self.send(&self.total.to_le_bytes())?,
            Mode::Discard => self.total += count as u64,
            Mode::Line => {
                self.received.extend_from_slice(received);
                let mut answers = Vec::new();
                greet(&mut self.received, &mut answers);
                self.send(&answers)?;
            }
            _ => self.send(received)?,
        }
        if !self.unsent.is_empty() {
            epoll::modify(epoll, &self.stream, data, EventFlags::OUT)?;
        }
        Ok(count > 0)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = match send(&self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::AGAIN) => 0,
            sent => sent?,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

/// One socket, so that there is nothing to wait for but it.
fn datagrams() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    say(socket.local_addr()?);
    let mut space = vec![0; SPACE];
    loop {
        let (count, _, from) = recvfrom(&socket, &mut *space, RecvFlags::empty())?;
        let Some(from) = from else { continue };
        let from: SocketAddr = from.try_into()?;
        sendto(&socket, &space[..count], SendFlags::empty(), &from)?;
    }
}
