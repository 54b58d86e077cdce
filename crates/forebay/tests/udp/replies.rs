//! An answer comes from the address that was asked.

#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use forebay_testing::{PATIENCE, run};

/// A client that takes an answer only from where it asked.
fn asks(at: (IpAddr, u16), question: &[u8]) -> UdpSocket {
    let local: IpAddr =
        if at.0.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { "::1".parse().unwrap() };
    let client = UdpSocket::bind((local, 0)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(at).unwrap();
    client.send(question).unwrap();
    client
}

fn answer(client: &UdpSocket) -> Vec<u8> {
    let mut answer = [0; 100];
    let count = client.recv(&mut answer).unwrap();
    answer[..count].to_vec()
}

#[test]
fn a_reply_comes_from_the_address_that_was_asked() {
    run(async |selector| {
        for at in ["0.0.0.0:0", "[::]:0"] {
            let server = selector.udp().bind(at).await?;
            let port = server.local_address().port();
            let mut asked: Vec<IpAddr> =
                ["127.0.0.1", "127.0.0.2", "127.3.4.5"].map(|ip| ip.parse().unwrap()).to_vec();
            if at.starts_with('[') {
                asked.push("::1".parse().unwrap());
            }
            for ip in asked {
                let client = asks((ip, port), b"who?");
                let question = server.receive().await?;
                assert_eq!(question.local_address, Some(ip), "at {at}");
                assert_eq!(question.address, client.local_addr().unwrap(), "at {at}");
                assert_eq!(question.interface, Some(1), "the loopback");
                server.reply(&question, format!("{ip}")).await?;
                assert_eq!(answer(&client), ip.to_string().into_bytes());
                // Without it the system chooses, and the client would wait.
                server.send("from elsewhere", question.address).await?;
                if ip.is_ipv4() && ip != Ipv4Addr::LOCALHOST {
                    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                    client.recv(&mut [0; 100]).unwrap_err();
                }
            }
        }
        Ok(())
    });
}

/// Its address is the group's or broadcast's, which no datagram may come from.
#[test]
fn a_reply_to_a_datagram_that_came_to_all_leaves_the_source_to_the_system() {
    run(async |selector| {
        let server = selector.udp().bind("0.0.0.0:0").await?;
        let port = server.local_address().port();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_broadcast(true).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        // The loopback's, 127.0.0.0/8.
        client.send_to(b"all?", ("127.255.255.255", port)).unwrap();
        let question = server.receive().await?;
        for _ in 0..2 {
            server.reply(&question, "one").await?;
            assert_eq!(answer(&client), b"one");
        }
        Ok(())
    });
}
