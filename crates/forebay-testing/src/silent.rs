//! Addresses of this machine that do not answer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::wait_for;

/// A listener whose queue is full, so that its system answers no more handshakes.
#[derive(Debug)]
pub struct Silent {
    listener: Socket,
    waiting: Vec<Socket>,
}

impl Silent {
    /// Listens at an address, and fills the queue.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        let listener = socket(address);
        listener.bind(&address.into())?;
        listener.listen(0)?;
        let at = listener.local_addr()?;
        let mut waiting = Vec::new();
        loop {
            let client = socket(address);
            match client.connect_timeout(&at, Duration::from_millis(100)) {
                Ok(()) => waiting.push(client),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self { listener, waiting })
    }

    /// Takes a connection out of the queue. The system answers again, when the next one tries again.
    pub fn accept(&self) -> Socket {
        let mut accepted = None;
        wait_for(|| {
            accepted = self.listener.accept().ok();
            accepted.is_some()
        });
        accepted.unwrap().0
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().as_socket().unwrap().port()
    }

    /// Returns how many connections wait in the queue.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

fn socket(address: SocketAddr) -> Socket {
    Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap()
}

/// Finds a port at which all of these can be opened: the first one at a free port, and the others at that one, in order.
pub fn on_one_port<T, const N: usize>(
    hosts: [&str; N],
    open: impl Fn(usize, SocketAddr) -> io::Result<(T, u16)>,
) -> (Vec<T>, u16) {
    'ports: for _ in 0..100 {
        let (mut opened, mut port) = (Vec::new(), 0);
        for (index, host) in hosts.iter().enumerate() {
            let address = SocketAddr::new(host.parse::<IpAddr>().unwrap(), port);
            match open(index, address) {
                Ok((it, at)) => {
                    opened.push(it);
                    port = at;
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue 'ports,
                Err(error) => panic!("{address}: {error}"),
            }
        }
        return (opened, port);
    }
    panic!("no port that all have free");
}
