//! Allocations for each datagram, counted by the allocator: one when it is received, for its payload, and none when
//! one is sent.

use std::net::UdpSocket;

use forebay::{BoundDatagramSocket, ConnectedDatagramSocket, Result, SelectorManager};
use forebay_testing::{PATIENCE, alone, report, watched, witness::allocations};

const ROUNDS: usize = 5;
const DATAGRAMS: usize = 100;

#[test]
fn a_datagram_takes_one_allocation_and_its_answer_none() {
    alone("a_datagram_takes_one_allocation_and_its_answer_none", || {
        watched(|| SelectorManager::builder().workers(1).run(count)).unwrap();
    });
}

async fn count(selector: SelectorManager) -> Result<()> {
    let peer = UdpSocket::bind("127.0.0.1:0")?;
    peer.set_read_timeout(Some(PATIENCE))?;
    let bound = selector.udp().bind("127.0.0.1:0").await?;
    let connected = selector.udp().connect(peer.local_addr()?).await?;
    for what in ["reply", "try", "connected"] {
        let mut fewest = usize::MAX;
        // The first round fills what is kept from then on. In another one the test program may need memory.
        for _ in 0..ROUNDS {
            let before = allocations();
            for _ in 0..DATAGRAMS {
                match what {
                    "reply" => echo_on(&bound, &peer).await?,
                    "try" => try_on(&bound, &peer)?,
                    _ => echo_by(&connected, &peer).await?,
                }
            }
            fewest = fewest.min(allocations() - before);
        }
        report(&format!("{what}: {fewest} allocations for {DATAGRAMS} echoed datagrams"));
        assert_eq!(fewest, DATAGRAMS, "{what}");
    }
    Ok(())
}

async fn echo_on(socket: &BoundDatagramSocket, peer: &UdpSocket) -> Result<()> {
    peer.send_to(&[7; 64], socket.local_address())?;
    let datagram = socket.receive().await?;
    socket.reply(&datagram, &datagram.payload).await?;
    check_answer(peer)
}

fn try_on(socket: &BoundDatagramSocket, peer: &UdpSocket) -> Result<()> {
    peer.send_to(&[7; 64], socket.local_address())?;
    let datagram = socket.try_receive()?.expect("it is here: this machine has sent it");
    assert!(socket.try_send(&datagram.payload, datagram.address)?);
    check_answer(peer)
}

async fn echo_by(socket: &ConnectedDatagramSocket, peer: &UdpSocket) -> Result<()> {
    peer.send_to(&[7; 64], socket.local_address())?;
    let datagram = socket.receive().await?;
    socket.send(&datagram.payload).await?;
    check_answer(peer)
}

fn check_answer(peer: &UdpSocket) -> Result<()> {
    let mut answer = [0; 100];
    assert_eq!(peer.recv(&mut answer)?, 64);
    assert_eq!(answer[..64], [7; 64]);
    Ok(())
}
