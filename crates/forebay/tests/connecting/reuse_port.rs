//! Several listeners at one port, by `reuse_port`.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::ErrorKind::{ConnectionReset, WouldBlock};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};

use forebay::{ErrorKind, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{in_host, skip, watched};
use futures_lite::future::poll_once;
use socket2::{Domain, Type};

/// As many connections as never all reach the same listener by chance.
const CLIENTS: usize = 100;

fn selectors() -> [SelectorManager; 2] {
    [SelectorManager::new(), SelectorManager::new()]
}

fn dial(address: SocketAddr) -> Vec<TcpStream> {
    (0..CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect()
}

/// Takes connections that have reached the listener, of which more may come.
async fn take(server: &ServerSocket, taken: &mut Vec<Socket>) -> Result<()> {
    while let Some(accepted) = poll_once(server.accept()).await {
        taken.push(accepted?);
    }
    forebay::yield_now().await;
    Ok(())
}

/// Two selectors here stand for two processes: the system does not distinguish them.
#[test]
fn two_selectors_share_a_port() {
    watched(|| {
        let [one, other] = selectors();
        one.block_on(async {
            let first = one.tcp().reuse_port(true).bind("127.0.0.1:0").await?;
            let address = first.local_address();
            // Each of them has to agree.
            let error = other.tcp().bind(address.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
            let error = other.tcp().reuse_port(false).bind(address.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
            let second = other.tcp().reuse_port(true).bind(address.clone()).await?;
            assert_eq!(second.local_address(), address);

            let inet = address.as_inet().unwrap();
            let (_clients, mut at_first, mut at_second) = (dial(inet), Vec::new(), Vec::new());
            while at_first.len() + at_second.len() < CLIENTS {
                take(&first, &mut at_first).await?;
                take(&second, &mut at_second).await?;
            }
            assert!((1..CLIENTS).contains(&at_first.len()), "{}", at_first.len());

            // The one that is left gets all that come from now on.
            first.close();
            let _clients = dial(inet);
            for _ in 0..CLIENTS {
                second.accept().await?;
            }
            Result::Ok(())
        })
    })
    .unwrap();
}

/// The port of another program's listener that allows it.
#[test]
fn a_listener_beside_another_programs() {
    watched(|| {
        in_host(async |selector: SelectorManager| {
            let theirs = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
            theirs.set_reuse_port(true)?;
            theirs.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())?;
            theirs.listen(128)?;
            let theirs = TcpListener::from(theirs);
            let address = theirs.local_addr()?;
            let ours = selector.tcp().reuse_port(true).bind(address).await?;
            theirs.set_nonblocking(true)?;
            let (_clients, mut at_ours, mut at_theirs) = (dial(address), Vec::new(), 0);
            while at_ours.len() + at_theirs < CLIENTS {
                take(&ours, &mut at_ours).await?;
                at_theirs += usize::from(theirs.accept().is_ok());
            }
            assert!((1..CLIENTS).contains(&at_theirs), "{at_theirs}");
            Result::Ok(())
        })
    })
    .unwrap();
}

/// The reason for one listener with one wait list for all workers.
#[test]
fn closing_one_of_several_resets_its_backlog() {
    const NAME: &str = "closing_one_of_several_resets_its_backlog";
    let migrates = fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req").unwrap_or_default();
    if migrates.trim() == "1" {
        return skip(NAME, "net.ipv4.tcp_migrate_req is set");
    }
    watched(|| {
        let [one, other] = selectors();
        one.block_on(async {
            let first = one.tcp().reuse_port(true).bind("127.0.0.1:0").await?;
            let address = first.local_address();
            let second = other.tcp().reuse_port(true).bind(address.clone()).await?;
            let inet = address.as_inet().unwrap();
            let mut clients = dial(inet);
            first.close();
            let mut served = Vec::new();
            while served.len() < clients.len() {
                take(&second, &mut served).await?;
                clients.retain_mut(|client| {
                    client.set_nonblocking(true).unwrap();
                    let kind = client.read(&mut [0]).map_err(|error| error.kind());
                    assert!(matches!(kind, Err(WouldBlock | ConnectionReset)), "{kind:?}");
                    kind == Err(WouldBlock)
                });
            }
            // Neither all of them nor none.
            assert!((1..CLIENTS).contains(&served.len()), "{}", served.len());
            Result::Ok(())
        })
    })
    .unwrap();
}
