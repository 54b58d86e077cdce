//! Groups, in a network namespace with an interface of its own.

#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use forebay::{BoundDatagramSocket, ErrorKind, MulticastInterface, Result, SelectorManager};
use forebay_testing::{End, PATIENCE, PLUG, in_host, on_a_cable, role, run};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const OTHER_GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 4);
const OF_ONE_SOURCE: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x1234);
const PORT: u16 = 5_000;

#[test]
fn groups_are_joined_and_left() {
    const NAME: &str = "groups_are_joined_and_left";
    if role().is_some() {
        return in_host(async |selector| {
            of_ipv4(&selector, ours().into()).await?;
            of_ipv4(&selector, index_of_plug().into()).await?;
            of_one_source(&selector).await?;
            of_ipv6(&selector).await
        })
        .unwrap();
    }
    on_a_cable(NAME, PATIENCE, |cable| {
        cable.set(End::Left, "net/ipv4/igmp_max_memberships", "2");
        cable.run(End::Left, &["ip", "-6", "address", "add", "fd00::1/64", "dev", PLUG, "nodad"]);
        cable.start(End::Left, NAME, "joins").end();
    });
}

fn ours() -> Ipv4Addr {
    End::Left.address().parse().unwrap()
}

fn index_of_plug() -> u32 {
    nix::net::if_::if_nametoindex(PLUG).unwrap()
}

/// A socket at the port, beside others.
async fn member(selector: &SelectorManager, at: &str) -> Result<BoundDatagramSocket> {
    selector.udp().reuse_address(true).bind((at, PORT)).await
}

async fn of_ipv4(selector: &SelectorManager, interface: MulticastInterface) -> Result<()> {
    let (joined, other) = (member(selector, "0.0.0.0").await?, member(selector, "0.0.0.0").await?);
    joined.join(GROUP.into(), interface)?;
    other.join(OTHER_GROUP.into(), interface)?;
    let again = joined.join(GROUP.into(), interface).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddressInUse, "{again}");

    let sender = selector.udp().multicast_interface(interface).bind("0.0.0.0:0").await?;
    sender.send("to all", SocketAddr::from((GROUP, PORT))).await?;
    let datagram = joined.receive().await?;
    assert_eq!(datagram.payload, "to all");
    assert_eq!(datagram.local_address, Some(GROUP.into()));
    assert_eq!(datagram.interface, Some(index_of_plug()));
    assert_eq!(datagram.address.ip(), ours());
    // Linux would deliver it here too.
    assert_eq!(other.try_receive()?, None, "of a group that it has not joined");

    // A reply comes from the machine, and costs later ones nothing.
    for _ in 0..2 {
        joined.reply(&datagram, "here").await?;
        let answer = sender.receive().await?;
        assert_eq!(answer.payload, "here");
        assert!(!answer.address.ip().is_multicast());
    }

    limits(&joined, interface);

    joined.leave(GROUP.into(), interface)?;
    let again = joined.leave(GROUP.into(), interface).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddressNotAvailable, "{again}");
    sender.send("unheard", SocketAddr::from((GROUP, PORT))).await?;
    sender.send("to the other", SocketAddr::from((OTHER_GROUP, PORT))).await?;
    assert_eq!(other.receive().await?.payload, "to the other");
    assert_eq!(joined.try_receive()?, None);

    // One that keeps to itself what it sends.
    let quiet = selector
        .udp()
        .multicast_interface(interface)
        .multicast_loop(false)
        .bind("0.0.0.0:0")
        .await?;
    quiet.send("not here", SocketAddr::from((OTHER_GROUP, PORT))).await?;
    sender.send("here", SocketAddr::from((OTHER_GROUP, PORT))).await?;
    assert_eq!(other.receive().await?.payload, "here");
    Ok(())
}

/// The kernel allows two groups for each socket.
fn limits(socket: &BoundDatagramSocket, interface: MulticastInterface) {
    let third = Ipv4Addr::new(239, 1, 2, 5).into();
    socket.join(OTHER_GROUP.into(), interface).unwrap();
    let error = socket.join(third, interface).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    socket.leave(OTHER_GROUP.into(), interface).unwrap();
    for unknown in [MulticastInterface::Index(9_999), Ipv4Addr::new(192, 0, 2, 1).into()] {
        let error = socket.join(third, unknown).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System, "{unknown:?}: {error}");
    }
}

async fn of_one_source(selector: &SelectorManager) -> Result<()> {
    let interface = index_of_plug().into();
    let (from_us, from_others) =
        (member(selector, "0.0.0.0").await?, member(selector, "0.0.0.0").await?);
    from_us.join_source(OF_ONE_SOURCE, ours(), interface)?;
    from_others.join_source(OF_ONE_SOURCE, Ipv4Addr::new(10, 77, 0, 99), interface)?;
    let sender = selector.udp().multicast_interface(interface).bind("0.0.0.0:0").await?;
    sender.send("from us", SocketAddr::from((OF_ONE_SOURCE, PORT))).await?;
    assert_eq!(from_us.receive().await?.payload, "from us");
    assert_eq!(from_others.try_receive()?, None);
    from_us.leave_source(OF_ONE_SOURCE, ours(), interface)
}

async fn of_ipv6(selector: &SelectorManager) -> Result<()> {
    let interface = MulticastInterface::Index(index_of_plug());
    let (joined, other) = (member(selector, "::").await?, member(selector, "::").await?);
    joined.join(GROUP_V6.into(), interface)?;
    let by_address = other.join(GROUP_V6.into(), ours().into()).unwrap_err();
    assert_eq!(by_address.kind(), ErrorKind::InvalidInput, "{by_address}");

    let sender = selector.udp().multicast_interface(interface).bind("[::]:0").await?;
    sender.send("to all", SocketAddr::from((GROUP_V6, PORT))).await?;
    let datagram = joined.receive().await?;
    assert_eq!(datagram.local_address, Some(GROUP_V6.into()));
    assert_eq!(other.try_receive()?, None, "of a group that it has not joined");
    joined.reply(&datagram, "here").await?;
    assert_eq!(sender.receive().await?.payload, "here");
    joined.leave(GROUP_V6.into(), interface)
}

#[test]
fn an_address_that_is_no_groups_is_refused() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let no_group: IpAddr = "192.0.2.1".parse().unwrap();
        for error in [
            socket.join(no_group, MulticastInterface::Any).unwrap_err(),
            socket.leave(no_group, MulticastInterface::Any).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains("192.0.2.1"), "{error}");
        }
        socket.close();
        let closed = socket.join(GROUP.into(), MulticastInterface::Any).unwrap_err();
        assert!(closed.is_closed(), "{closed}");
        Ok(())
    });
}
