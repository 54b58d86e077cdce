//! The state of a TCP connection, as the system sees it.

use std::time::Duration;

use forebay::{ErrorKind, Result, SelectorManager};
use forebay_testing::unix::Directory;
use forebay_testing::{
    Child, End, PATIENCE, connection_and_peer, in_host, on_a_cable, pattern, role, run, say, skip,
    until_that, watched,
};

#[test]
fn a_connection_tells_its_state() {
    in_host(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let mut client = selector.tcp().connect(server.local_address()).await?.connection()?;
        let mut accepted = server.accept().await?.connection()?;
        for _ in 0..10 {
            client.output.write_all(&[7; 100]).await?;
            accepted.input.read_exact(&mut [0; 100]).await?;
            accepted.output.write_all(&[7; 10]).await?;
            client.input.read_exact(&mut [0; 10]).await?;
        }
        let is_acknowledged = || client.socket.tcp_info().unwrap().unacknowledged() == 0;
        until_that("everything is acknowledged", is_acknowledged).await;
        let info = client.socket.tcp_info()?;
        assert!(info.rtt() > Duration::ZERO && info.rtt() < Duration::from_secs(1), "{info:?}");
        assert!(info.rtt_variance() < Duration::from_secs(1), "{info:?}");
        assert!(info.rtt_min() <= Some(info.rtt() * 2), "{info:?}");
        assert!(info.retransmission_timeout() >= Duration::from_millis(1), "{info:?}");
        assert!(info.congestion_window() > 0 && info.segment_size() > 500, "{info:?}");
        assert!(info.path_mtu() >= info.segment_size(), "{info:?}");
        assert_eq!((info.retransmits(), info.lost(), info.unsent_bytes()), (0, 0, Some(0)));
        // The SYN may count as one.
        assert!(matches!(info.bytes_acknowledged(), Some(1_000..=1_001)), "{info:?}");
        assert_eq!(info.bytes_received(), Some(100));
        assert_eq!(info.bytes_sent(), Some(1_000));
        assert_eq!(info.bytes_retransmitted(), Some(0));
        assert!(info.delivery_rate().is_some_and(|rate| rate > 0));
        assert!(!info.is_fast_open());
        Ok(())
    })
    .unwrap();
}

#[test]
fn bytes_that_the_peer_does_not_take_are_told() {
    in_host(async |selector| {
        let (connection, _peer) = connection_and_peer(&selector).await?;
        let (mut output, socket) = (connection.output, connection.socket);
        let writing = selector.spawn(async move { output.write_all(&pattern(64 << 20)).await });
        let waits = || socket.tcp_info().unwrap().unsent_bytes() > Some(0);
        until_that("some are not sent", waits).await;
        socket.abort();
        assert!(writing.await.unwrap_err().is_closed());
        let closed = socket.tcp_info().unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
        Ok(())
    })
    .unwrap();
}

/// Makes everything that a port sends get lost.
const LOSING: &str = "
table inet forebay {
    chain input {
        type filter hook input priority 0;
        tcp sport 7070 drop
    }
}";

#[test]
fn what_is_sent_again_is_counted() {
    const NAME: &str = "what_is_sent_again_is_counted";
    if role().is_some() {
        let sent_again = in_host(async |selector| {
            let server = selector.tcp().bind((End::Left.address(), 7_070)).await?;
            say("listening");
            let accepted = server.accept().await?;
            let mut output = accepted.open_write_channel()?;
            // From now on what is sent gets lost.
            say("accepted");
            let mut line = String::new();
            if std::io::stdin().read_line(&mut line).unwrap() == 0 {
                // Nothing can make it get lost here.
                accepted.abort();
                return Ok(0);
            }
            output.write_str("lost for a while").await?;
            until_that("it is sent again", || accepted.tcp_info().unwrap().retransmits() > 0).await;
            let info = accepted.tcp_info()?;
            assert!(info.unacknowledged() > 0 && info.bytes_retransmitted() > Some(0), "{info:?}");
            // A close would wait for what is lost.
            accepted.abort();
            Ok(info.retransmits())
        });
        return say(&sent_again.unwrap().to_string());
    }
    on_a_cable(NAME, PATIENCE, |cable| {
        let mut server = cable.start(End::Left, NAME, "server");
        assert_eq!(server.hear().as_deref(), Some("listening"));
        let address = format!("{}:7070", End::Left.address());
        let dial = "import socket, sys; h, p = sys.argv[1].split(':'); \\
                    s = socket.create_connection((h, int(p))); sys.stdin.read()";
        let mut client = std::process::Command::new("ip")
            .args(["netns", "exec", cable.name(End::Right), "python3", "-c", dial, &address])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(server.hear().as_deref(), Some("accepted"));
        if cable.filter(End::Right, LOSING) {
            server.tell("write");
            assert!(server.hear_number::<u32>() > 0);
        } else {
            skip(NAME, "no nft");
        }
        client.kill().unwrap();
        client.wait().unwrap();
        server.end();
    });
}

#[test]
fn only_a_tcp_connection_has_it() {
    let directory = Directory::new();
    in_host(async |selector| {
        let server = selector.unix().bind(directory.join("socket")).await?;
        let unix = selector.unix().connect(directory.join("socket")).await?;
        let memory = selector.duplex(10).0;
        for socket in [&unix, &server.accept().await?, &memory.socket] {
            let refused = socket.tcp_info().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.to_string().contains("tcp_info"), "{refused}");
        }
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let client = selector.tcp().connect(server.local_address()).await?;
        client.close_within(Duration::ZERO).await.ok();
        assert_eq!(client.tcp_info().unwrap_err().kind(), ErrorKind::Closed);
        Ok(())
    })
    .unwrap();
}

/// `qemu-user` answers with four bytes, and `nix` panics at fewer than it has asked for.
#[test]
fn a_system_that_tells_too_little_is_an_error_and_no_panic() {
    const NAME: &str = "a_system_that_tells_too_little_is_an_error_and_no_panic";
    async fn talk(selector: SelectorManager) -> Result<()> {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let mut client = selector.tcp().connect(server.local_address()).await?.connection()?;
        let accepted = server.accept().await?;
        let refused = accepted.tcp_info().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
        accepted.open_write_channel()?.write_str("all the same\n").await?;
        assert_eq!(client.input.read_line().await?.as_deref(), Some("all the same"));
        assert_eq!(server.options()?.backlog(), Some(511));
        client.socket.close().await?;
        accepted.close().await
    }
    if role().is_some() {
        run(talk);
        return say("no panic");
    }
    let emulator = format!("qemu-{}", std::env::consts::ARCH);
    if !Child::can_trace(&[&emulator, "/bin/true"]) {
        return skip(NAME, &format!("no {emulator}"));
    }
    watched(move || {
        let mut child = Child::start_under(&[&emulator], NAME, "emulated");
        assert_eq!(child.hear().as_deref(), Some("no panic"));
        child.end();
    });
}
