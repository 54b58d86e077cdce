//! `has_peer_finished` tells how things stand: without waiting, without reading, and also where unread bytes
//! lie before the end.

#![cfg(target_os = "linux")]

use std::io::{self, Write};
use std::net::Shutdown;
use std::{fs, process};

use forebay::{Result, SelectorManager};
use forebay_testing::{
    Child, Transport, connect_to_std, end_and_arrive, in_host, on_every_transport, pair, report,
    role, run, say, settle, skip, until_that, watched,
};

#[test]
fn an_end_is_seen_behind_unread_bytes_which_stay() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        assert!(!server.socket.has_peer_finished(), "nothing has happened");
        client.output.write_str("last\nwords\n").await?;
        client.output.flush().await?;
        settle().await;
        assert!(!server.socket.has_peer_finished(), "bytes are no end");
        assert_eq!(server.input.read_line().await?.as_deref(), Some("last"));
        assert!(!server.socket.has_peer_finished(), "bytes are no end");
        client.output.finish().await?;
        until_that("the end is seen", || server.socket.has_peer_finished()).await;
        server.socket.peer_finished().await?;
        assert!(!server.socket.is_closed(), "one direction is open");
        assert!(!client.socket.has_peer_finished(), "the other direction is open");
        assert_eq!(server.input.read_line().await?.as_deref(), Some("words"));
        assert_eq!(server.input.read_line().await?, None);
        assert!(server.socket.has_peer_finished());
        server.output.write_str("answer\n").await?;
        assert_eq!(client.input.read_line().await?.as_deref(), Some("answer"));
        Ok(())
    });
}

/// The look asks the system, and not what the worker has noticed so far.
#[test]
fn an_end_is_seen_before_the_worker_has_looked() {
    run(async |selector| {
        let (socket, mut peer) = pair(&selector).await?;
        peer.write_all(b"unread").unwrap();
        assert!(!socket.has_peer_finished());
        end_and_arrive(&peer);
        assert!(socket.has_peer_finished());
        Ok(())
    });
    // Nor does it need a thread that drives the worker.
    watched(|| {
        let selector = SelectorManager::new();
        let (socket, peer) = connect_to_std(&selector);
        assert!(!socket.has_peer_finished());
        peer.shutdown(Shutdown::Write).unwrap();
        end_and_arrive(&peer);
        assert!(socket.has_peer_finished());
    });
}

/// A pool has to discard all of these. The error stays for the call that comes next.
#[test]
fn a_connection_that_ended_in_another_way_counts() {
    on_every_transport(async |selector, transport| {
        let (mut client, mut server) = transport.pair(&selector).await?;
        transport.reset_by_peer(&mut client, &server).await?;
        until_that("the reset is seen", || client.socket.has_peer_finished()).await;
        let error = client.input.read_line().await.unwrap_err();
        assert!(error.is_reset(), "over {transport}: {error}");
        assert!(client.socket.has_peer_finished());
        assert!(server.socket.has_peer_finished(), "aborted on this side");
        assert!(server.input.read_line().await.unwrap_err().is_closed());

        let (client, _server) = transport.pair(&selector).await?;
        client.socket.close().await?;
        assert!(client.socket.has_peer_finished(), "closed on this side");

        let other = SelectorManager::new();
        let (client, _server) = transport.pair(&other).await?;
        assert!(!client.socket.has_peer_finished());
        other.close().await;
        assert!(client.socket.has_peer_finished(), "closed by its selector");
        Ok(())
    });
}

const NAME: &str = "a_look_is_one_call_of_the_system";
const LOOKS: usize = 100;

#[test]
fn a_look_is_one_call_of_the_system() {
    if role().is_some() {
        return look().unwrap();
    }
    if !Child::can_trace(&["strace", "-o", "/dev/null"]) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    watched(|| {
        let trace = std::env::temp_dir().join(format!("forebay-looks-{}", process::id()));
        let strace = ["strace", "-f", "-o", trace.to_str().unwrap()];
        let mut child = Child::start_under(&strace, NAME, "looker");
        assert_eq!(child.hear().as_deref(), Some("done"));
        child.end();
        let calls = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        let made = calls.lines().skip_while(|line| !line.contains("looks begin"));
        let made = made.skip(1).take_while(|line| !line.contains("looks end"));
        // Of the thread that looks; the others have their own.
        let looker = calls.lines().find(|line| line.contains("looks begin")).unwrap();
        let looker = looker.split_inclusive(' ').next().unwrap();
        // A call beside one of another thread has a second line.
        let is_call = |line: &&str| line.starts_with(looker) && !line.contains(" resumed>");
        let counted: Vec<_> = made.filter(is_call).collect();
        report(&format!("{LOOKS} looks: {} calls, the first {:?}", counted.len(), counted.first()));
        assert_eq!(counted.len(), LOOKS, "{counted:#?}");
        assert!(counted.iter().all(|line| line.contains("poll(")), "{counted:#?}");
    });
}

fn look() -> Result<()> {
    in_host(async |selector| {
        let (_client, server) = Transport::Tcp.pair(&selector).await?;
        io::stderr().write_all(b"looks begin\n").unwrap();
        assert!((0..LOOKS).all(|_| !server.socket.has_peer_finished()));
        io::stderr().write_all(b"looks end\n").unwrap();
        say("done");
        let mut orders = selector.blocking_reader(io::stdin());
        while orders.read_line().await?.is_some() {}
        Ok(())
    })
}
