//! The memory that a task reserves for its calls: that of the largest one that it awaits, for its whole life.

use std::path::Path;
use std::time::Duration;

use forebay::{SelectorManager, SocketAddress, TlsConfig};
use forebay_testing::Transport;

/// Calls that a handler makes once, beside which it waits for most of its life.
#[test]
fn calls_that_run_once_reserve_no_more_than_two_words() {
    forebay::run(async |selector: SelectorManager| {
        let (mut near, _far) = Transport::Tcp.pair(&selector).await?;
        let socket = near.socket.clone();
        let config = TlsConfig::client().build()?;
        let path = Path::new("socket");
        let tls = size_of_val(&near.tls(&config));
        let accept_tls = size_of_val(&near.accept_tls(&config));
        let sizes = [
            ("Socket::close", size_of_val(&socket.close())),
            ("Socket::close_within", size_of_val(&socket.close_within(Duration::ZERO))),
            ("Socket::tls", size_of_val(&socket.tls(&config))),
            ("Socket::accept_tls", size_of_val(&socket.accept_tls(&config))),
            ("Connection::tls", tls),
            ("Connection::accept_tls", accept_tls),
            ("TcpBuilder::connect", size_of_val(&selector.tcp().connect("localhost:80"))),
            ("TcpBuilder::bind", size_of_val(&selector.tcp().bind("localhost:80"))),
            ("UnixBuilder::connect", size_of_val(&selector.unix().connect(path))),
            ("UnixBuilder::bind", size_of_val(&selector.unix().bind(path))),
            ("UdpBuilder::connect", size_of_val(&selector.udp().connect("localhost:80"))),
            ("UdpBuilder::bind", size_of_val(&selector.udp().bind("localhost:80"))),
            ("SelectorManager::resolve", size_of_val(&selector.resolve("localhost:80"))),
            ("SocketAddress::resolve", size_of_val(&SocketAddress::resolve("localhost:80"))),
        ];
        for (call, bytes) in sizes {
            assert!(bytes <= 2 * size_of::<usize>(), "{call}: a future of {bytes} bytes");
        }
        Ok::<_, forebay::Error>(())
    })
    .unwrap();
}
