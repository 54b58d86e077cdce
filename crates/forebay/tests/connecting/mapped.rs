//! A listener on `[::]` takes clients of both families, and shows each of them in its own.

use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

use forebay::{Connection, SelectorManager, ServerSocket, SocketAddress};
use forebay_testing::{run, skip};

/// Listens at all addresses of both families, where the machine has both.
async fn on_both(selector: &SelectorManager, test: &str) -> Option<ServerSocket> {
    let Ok(server) = selector.tcp().bind((Ipv6Addr::UNSPECIFIED, 0)).await else {
        skip(test, "there is no IPv6 here");
        return None;
    };
    let of_v4 = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()));
    if of_v4.is_err() {
        skip(test, "listeners on [::] take no IPv4 here (net.ipv6.bindv6only)");
        return None;
    }
    server.accept().await.unwrap();
    Some(server)
}

#[test]
fn a_client_of_ipv4_has_its_ipv4_address() {
    run(async |selector| {
        let test = "a_client_of_ipv4_has_its_ipv4_address";
        let Some(server) = on_both(&selector, test).await else { return Ok(()) };
        assert!(server.local_address().to_string().starts_with("[::]:"), "the listener's family");
        let v4 = SocketAddress::from((Ipv4Addr::LOCALHOST, server.port()));
        let client = selector.tcp().connect(&v4).await?;
        let Connection { socket, mut input, .. } = server.accept().await?.connection()?;

        assert_eq!(socket.remote_address(), client.local_address());
        assert_eq!(socket.local_address(), v4);
        let shown = [socket.remote_address().to_string(), format!("{socket:?}")];
        for shown in shown {
            assert!(shown.contains("127.0.0.1:") && !shown.contains("ffff"), "{shown}");
        }
        client.abort();
        let error = input.read_line().await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1") && !error.contains("ffff"), "{error}");
        Ok(())
    });
}

#[test]
fn a_client_of_ipv6_keeps_its_ipv6_address() {
    run(async |selector| {
        let test = "a_client_of_ipv6_keeps_its_ipv6_address";
        let Some(server) = on_both(&selector, test).await else { return Ok(()) };
        let v6 = SocketAddress::from((Ipv6Addr::LOCALHOST, server.port()));
        let client = selector.tcp().connect(&v6).await?;
        let accepted = server.accept().await?;
        assert_eq!(accepted.remote_address(), client.local_address());
        assert_eq!(accepted.local_address(), v6);
        Ok(())
    });
}

/// Also where this side names the address in its mapped form.
#[test]
fn a_mapped_address_is_shown_as_what_it_stands_for() {
    run(async |selector| {
        let test = "a_mapped_address_is_shown_as_what_it_stands_for";
        if on_both(&selector, test).await.is_none() {
            return Ok(());
        }
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let server = selector.tcp().bind((mapped, 0)).await?;
        let v4 = SocketAddress::from((Ipv4Addr::LOCALHOST, server.port()));
        assert_eq!(server.local_address(), v4);
        let client = selector.tcp().connect((mapped, server.port())).await?;
        assert_eq!(client.remote_address(), v4);
        assert_eq!(client.local_address(), server.accept().await?.remote_address());
        Ok(())
    });
}
