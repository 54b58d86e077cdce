//! The reports of the network about a datagram that did not arrive (ICMP).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use forebay::{ConnectedDatagramSocket, ErrorKind};
use forebay_testing::run;
use futures_lite::future::poll_once;

/// An address at which nothing listens, and no other test will: each call has an address of the loopback for itself.
fn closed_port() -> SocketAddr {
    static CALLS: AtomicU8 = AtomicU8::new(1);
    let ip = Ipv4Addr::new(127, 7, 7, CALLS.fetch_add(1, SeqCst));
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// The original's receive ends for good.
#[test]
fn a_connected_socket_is_told_once_and_goes_on() {
    run(async |selector| {
        let at = closed_port();
        let socket = selector.udp().connect(at).await?;
        socket.send("unheard").await?;
        let error = socket.receive().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(&at.to_string()), "{error}");
        assert!(poll_once(socket.receive()).await.is_none(), "told once");
        assert_eq!(socket.unreachable_reports(), 1);

        let peer = selector.udp().bind(at).await?;
        socket.send("hello").await?;
        let hello = peer.receive().await?;
        assert_eq!(hello.payload, "hello");
        peer.reply(&hello, "back").await?;
        assert_eq!(socket.receive().await?.payload, "back");
        Ok(())
    });
}

/// The report about the first datagram is the error of the second's system call.
#[test]
fn a_stale_report_keeps_no_datagram_from_a_peer_that_is_back() {
    run(async |selector| {
        let at = closed_port();
        let socket = selector.udp().connect(at).await?;
        socket.send("unheard").await?;
        let peer = selector.udp().bind(at).await?;
        socket.send("to the peer").await?;
        assert_eq!(peer.receive().await?.payload, "to the peer");
        assert!(socket.try_send("and again")?);
        assert_eq!(peer.receive().await?.payload, "and again");
        // It is told all the same, by the call that is not about another datagram.
        let error = socket.try_receive().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert_eq!(socket.try_receive()?, None);
        assert_eq!(socket.unreachable_reports(), 1);
        Ok(())
    });
}

#[test]
fn a_waiting_receive_is_told_what_a_send_has_met() {
    run(async |selector| {
        let socket = selector.udp().connect(closed_port()).await?;
        socket.send("first").await?;
        socket.receive().await.unwrap_err();
        let receiving = selector.spawn_value({
            let socket = socket.clone();
            async move { socket.receive().await }
        });
        forebay::yield_now().await;
        socket.send("second").await?;
        socket.send("third").await?;
        assert_eq!(receiving.await?.unwrap_err().kind(), ErrorKind::Refused);
        Ok(())
    });
}

/// A waker runs behind the system call: it may wait for the call's end, as a close does.
#[test]
fn a_waker_may_close_the_socket_whose_send_has_met_a_report() {
    run(async |selector| {
        let socket = selector.udp().connect(closed_port()).await?;
        let mut receiving = Box::pin(socket.receive());
        let waker = Waker::from(Arc::new(ClosesIt(socket.clone())));
        let cx = &mut Context::from_waker(&waker);
        assert!(receiving.as_mut().poll(cx).is_pending());
        socket.send("first").await?;
        socket.send("second").await?;
        assert!(socket.is_closed());
        let Poll::Ready(Err(error)) = receiving.as_mut().poll(cx) else { panic!("it waits") };
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        Ok(())
    });
}

struct ClosesIt(ConnectedDatagramSocket);

impl Wake for ClosesIt {
    fn wake(self: Arc<Self>) {
        self.0.close();
    }
}

/// Also one that a call meets which has datagrams to return.
#[cfg(target_os = "linux")]
#[test]
fn a_report_behind_datagrams_is_counted_and_told_by_the_next_call() {
    run(async |selector| {
        let peer = UdpSocket::bind((Ipv4Addr::new(127, 7, 7, 201), 0)).unwrap();
        let socket = selector.udp().packet_info(true).connect(peer.local_addr().unwrap()).await?;
        super::trains::send_train_to(&peer, socket.local_address(), &[7; 300], 100).unwrap();
        // The system hands over all three, and two of them are kept.
        socket.receive().await?;
        drop(peer);
        socket.send("unheard").await?;
        let mut received = Vec::new();
        assert_eq!(socket.receive_batch(&mut received, 10).await?, 2);
        assert_eq!(socket.unreachable_reports(), 1);
        assert_eq!(socket.receive().await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(socket.unreachable_reports(), 1);
        Ok(())
    });
}

#[test]
fn a_bound_socket_is_not_concerned() {
    run(async |selector| {
        let socket = selector.udp().bind("127.0.0.1:0").await?;
        let healthy = selector.udp().bind("127.0.0.1:0").await?;
        let closed = closed_port();
        for _ in 0..100 {
            socket.send("unheard", closed).await?;
            socket.send("to the healthy", healthy.local_address()).await?;
            let datagram = healthy.receive().await?;
            assert_eq!(datagram.payload, "to the healthy");
            healthy.reply(&datagram, "thanks").await?;
            assert_eq!(socket.receive().await?.payload, "thanks");
        }
        if cfg!(target_os = "linux") {
            assert_eq!(socket.unreachable_reports(), 0);
        }
        Ok(())
    });
}
