//! Shows a group of programs that hear each other: each line of standard input goes to all of them.
//!
//! Run it in two terminals with `cargo run -p forebay-examples --example multicast [GROUP:PORT [INTERFACE]]` (default
//! 239.255.70.70:9006; the interface by its address, by default the one that the routes name), and type.

use std::io::{Write, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};

use forebay::{MulticastInterface, SelectorManager};

fn main() -> forebay::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let group = arguments.next().unwrap_or_else(|| "239.255.70.70:9006".to_owned());
    let group: SocketAddr = group.parse().map_err(forebay::Error::other)?;
    let interface = match arguments.next() {
        Some(address) => address.parse::<Ipv4Addr>().map_err(forebay::Error::other)?.into(),
        None => MulticastInterface::Any,
    };
    forebay::run(async |selector: SelectorManager| {
        let udp = selector.udp().reuse_address(true).multicast_interface(interface);
        let socket = udp.bind((Ipv4Addr::UNSPECIFIED, group.port())).await?;
        socket.join(group.ip(), interface)?;
        writeln!(stdout(), "Joined {group}")?;
        let hearing = selector.spawn({
            let socket = socket.clone();
            async move {
                let mut incoming = socket.incoming();
                while let Some(datagram) = incoming.next().await {
                    let datagram = datagram?;
                    let text = String::from_utf8_lossy(&datagram.payload);
                    writeln!(stdout(), "{}: {text}", datagram.address)?;
                }
                Ok(())
            }
        });
        let mut lines = selector.blocking_reader(stdin());
        while let Some(line) = lines.read_line().await? {
            socket.send(line, group).await?;
        }
        socket.close();
        hearing.await
    })
}
