//! A socket in a worker's poll on Windows: it moves into one of mio's, which asks the system for the next event
//! after each call that found nothing.

use std::io;
use std::net;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry};
use rustix::fd::OwnedFd;

use super::{Slots, WorkerReady};
use crate::host::{Progress, SocketOwner};

impl Slots {
    /// Watches a socket, and becomes its owner. The first event tells what it is ready for. On an error the
    /// socket is closed.
    pub(crate) fn register(
        self: &Arc<Self>,
        registry: &Registry,
        socket: OwnedFd,
    ) -> io::Result<(Box<dyn SocketOwner>, WorkerReady)> {
        // A socket that listens too: the type stands for no more than a handle that is watched.
        let mut socket = TcpStream::from_std(net::TcpStream::from(socket));
        let ready = self.add();
        registry.register(&mut socket, ready.token, Interest::READABLE | Interest::WRITABLE)?;
        Ok((Box::new(socket), ready))
    }
}

impl SocketOwner for TcpStream {
    fn attempt(&self, call: &mut dyn FnMut() -> io::Result<Progress>) -> io::Result<Progress> {
        let mut last = None;
        let done = self.try_io(|| {
            let progress = call()?;
            if progress.drained {
                // Only a call that finds nothing makes mio wait for the next event.
                last = Some(progress);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(progress)
        });
        last.map_or(done, Ok)
    }
}
