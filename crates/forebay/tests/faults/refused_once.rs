//! Calls of datagram sockets, and calls that open sockets, which the system refuses once: `strace` says so in its
//! stead. The caller is told, or the call waits where that is what the error means; nothing is left behind, and the
//! next call works as if nothing had happened.

#![cfg(target_os = "linux")]

use std::any::Any;
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};

use forebay::{DatagramBatch, Error, ErrorKind, Result, SelectorManager, Socket, UnixAddress};
use forebay_testing::{
    Child, Log, role, run_on_one_worker, settle, skip, socket_descriptors, unix::Directory, watched,
};

/// Memory that the system does not have for a moment.
const NO_MEMORY: [&str; 2] = ["ENOBUFS", "ENOMEM"];

/// Runs `body` in a child for each error, which the call is refused with at these times. Returns the calls that each
/// child has made.
pub(crate) fn refused(
    test: &'static str,
    call: &str,
    times: &str,
    errors: &[&str],
    body: fn(&str),
) -> Vec<Vec<String>> {
    if let Some(error) = role() {
        body(&error);
        return Vec::new();
    }
    let mut made = Vec::new();
    for error in errors {
        let log = Log::new(&format!("{test}-{error}"));
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:error={error}:when={times}");
        let strace =
            ["strace", "-f", "--seccomp-bpf", "-o", log.path(), "-e", &trace, "-e", &inject];
        if !Child::can_trace(&strace) {
            skip(test, "strace is missing, may not trace, or cannot inject");
            return Vec::new();
        }
        let (strace, error) = (strace.map(str::to_owned), (*error).to_owned());
        watched(move || {
            Child::start_under(&strace.each_ref().map(String::as_str), test, &error).end();
        });
        let lines = log.lines();
        assert!(lines.iter().any(|line| line.contains("(INJECTED)")), "{lines:?}");
        made.push(lines);
    }
    made
}

/// Asserts that an error says that the system has run out of something.
#[track_caller]
fn assert_told(outcome: Result<()>, operation: &str) {
    let error = outcome.expect_err("the system has refused it");
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Exhausted, operation), "{error}");
}

fn peer_of_udp() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_nonblocking(true).unwrap();
    peer
}

/// The payloads that have arrived.
fn arrived(mut receive: impl FnMut(&mut [u8]) -> std::io::Result<usize>) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2000];
    std::iter::from_fn(|| receive(&mut buffer).ok().map(|count| buffer[..count].to_vec())).collect()
}

// ---- UDP ----------------------------------------------------------------------------------------

#[test]
fn a_udp_send_without_memory_is_an_error_of_that_send() {
    let test = "a_udp_send_without_memory_is_an_error_of_that_send";
    refused(test, "sendto", "1+2", &NO_MEMORY, |_| {
        run_on_one_worker(async |selector| {
            let peer = peer_of_udp();
            let to = peer.local_addr().unwrap();
            let bound = selector.udp().bind("127.0.0.1:0").await?;
            let connected = selector.udp().connect(to).await?;
            assert_told(bound.send("lost", to).await, "send");
            bound.send("one", to).await?;
            assert_told(connected.send("lost").await, "send");
            connected.send("two").await?;
            assert_told(bound.try_send("lost", to).map(drop), "send");
            assert!(bound.try_send("three", to)?);
            assert_eq!(arrived(|it| peer.recv(it)), [&b"one"[..], b"two", b"three"]);
            Ok(())
        });
    });
}

/// The first of a train goes alone then, and the trains behind it are trains again.
#[test]
fn a_train_without_memory_is_no_reason_to_send_no_more_trains() {
    let test = "a_train_without_memory_is_no_reason_to_send_no_more_trains";
    let made = refused(test, "sendmsg", "1", &["ENOBUFS", "ENOMEM", "EINTR"], |_| {
        run_on_one_worker(async |selector| {
            let peer = peer_of_udp();
            let socket = selector.udp().bind("127.0.0.1:0").await?;
            let mut batch = DatagramBatch::new();
            for _ in 0..2 {
                for number in 0..20 {
                    batch.push([number; 100], peer.local_addr().unwrap());
                }
                socket.send_batch(&mut batch).await?;
                let expected: Vec<_> = (0..20).map(|number| vec![number; 100]).collect();
                assert_eq!(arrived(|it| peer.recv(it)), expected);
            }
            Ok(())
        });
    });
    for calls in made {
        // The one that was refused, the rest of it, and the next.
        assert_eq!(calls.iter().filter(|call| call.contains("sendmsg(")).count(), 3, "{calls:?}");
    }
}

/// Another address than the one that was asked would be another peer's to its sender.
#[test]
fn a_reply_without_memory_leaves_from_no_other_address() {
    let test = "a_reply_without_memory_leaves_from_no_other_address";
    refused(test, "sendmsg", "1", &NO_MEMORY, |_| {
        run_on_one_worker(async |selector| {
            let peer = peer_of_udp();
            let socket = selector.udp().bind("0.0.0.0:0").await?;
            let asked = ("127.0.0.9", socket.local_address().port());
            peer.send_to(b"question", asked).unwrap();
            let question = socket.receive().await?;
            assert_told(socket.reply(&question, "lost").await, "send");
            assert_eq!(arrived(|it| peer.recv(it)).len(), 0);
            socket.reply(&question, "answer").await?;
            let (count, from) = peer.recv_from(&mut [0; 10]).unwrap();
            assert_eq!((count, from.ip().to_string()), (6, "127.0.0.9".to_owned()));
            Ok(())
        });
    });
}

// ---- Unix datagrams -----------------------------------------------------------------------------

/// `ENOBUFS` is a full queue on some systems, and such a send waits.
fn assert_told_or_sent(outcome: Result<()>, error: &str, operation: &str) -> bool {
    if error == "ENOBUFS" {
        outcome.unwrap();
        return true;
    }
    assert_told(outcome, operation);
    false
}

#[test]
fn a_unix_datagram_without_memory_waits_or_is_an_error_of_that_send() {
    let test = "a_unix_datagram_without_memory_waits_or_is_an_error_of_that_send";
    refused(test, "sendto", "1+2", &NO_MEMORY, |error| {
        let error = error.to_owned();
        run_on_one_worker(async move |selector| {
            let directory = Directory::new();
            let to = UnixAddress::Path(directory.join("peer"));
            let peer = UnixDatagram::bind(directory.join("peer")).unwrap();
            peer.set_nonblocking(true).unwrap();
            let bound = selector.unix().datagram().bind(directory.join("bound")).await?;
            let connected = selector.unix().datagram().connect(&to).await?;
            let mut expected = Vec::new();
            if assert_told_or_sent(bound.send("first", &to).await, &error, "send") {
                expected.push(b"first".to_vec());
            } else {
                bound.send("one", &to).await?;
                expected.push(b"one".to_vec());
            }
            if assert_told_or_sent(connected.send("second").await, &error, "send") {
                expected.push(b"second".to_vec());
            } else {
                connected.send("two").await?;
                expected.push(b"two".to_vec());
            }
            assert_eq!(arrived(|it| peer.recv(it)), expected);
            Ok(())
        });
    });
}

#[test]
fn descriptors_that_the_system_does_not_take_are_an_error_of_that_send() {
    let test = "descriptors_that_the_system_does_not_take_are_an_error_of_that_send";
    refused(test, "sendmsg", "1+2", &["ENOMEM", "ETOOMANYREFS", "EMFILE"], |_| {
        run_on_one_worker(async |selector| {
            let builder = || selector.unix().datagram().descriptors_max(1);
            let directory = Directory::new();
            let server = builder().bind(directory.join("server")).await?;
            let (bound, connected) = (
                builder().bind(directory.join("bound")).await?,
                builder().connect(server.local_address()).await?,
            );
            let file = File::open("/dev/null").unwrap();
            let fds = [file.as_fd()];
            for _ in 0..2 {
                let sent = bound.send_with_fds("lost", &fds, server.local_address()).await;
                assert_told(sent, "send_with_fds");
                bound.send_with_fds("one", &fds, server.local_address()).await?;
                assert_told(connected.send_with_fds("lost", &fds).await, "send_with_fds");
                connected.send_with_fds("two", &fds).await?;
                for expected in ["one", "two"] {
                    let (datagram, fds) = server.receive_with_fds().await?;
                    assert_eq!((datagram.payload, fds.len()), (expected.into(), 1));
                }
            }
            assert!(server.try_receive()?.is_none());
            Ok(())
        });
    });
}

// ---- opening ------------------------------------------------------------------------------------

/// A socket that was opened, whatever it is.
type Opened = Box<dyn Any>;

/// A connection that is aborted when it is dropped: one that closes in the background would be ended to free a
/// descriptor.
struct Aborted(Socket);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The peers that sockets are connected to.
struct Peers {
    directory: Directory,
    tcp: TcpListener,
    udp: UdpSocket,
    _unix: UnixListener,
    _datagram: UnixDatagram,
}

impl Peers {
    /// Makes as many calls of `socket` and `bind` as it has sockets.
    fn open() -> Self {
        let directory = Directory::new();
        Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _unix: UnixListener::bind(directory.join("unix")).unwrap(),
            _datagram: UnixDatagram::bind(directory.join("datagram")).unwrap(),
            directory,
        }
    }
}

/// The ways to open a socket.
#[derive(Debug, Clone, Copy)]
enum Way {
    TcpBind,
    TcpConnect,
    UdpBind,
    UdpConnect,
    UnixBind,
    UnixConnect,
    DatagramBind,
    DatagramConnect,
}

impl Way {
    async fn open(self, selector: &SelectorManager, peers: &Peers) -> Result<Opened> {
        let (tcp, udp) = (peers.tcp.local_addr().unwrap(), peers.udp.local_addr().unwrap());
        let [ours, unix, datagram] =
            ["ours", "unix", "datagram"].map(|name| peers.directory.join(name));
        let builder = || selector.unix().datagram();
        Ok(match self {
            Self::TcpBind => Box::new(selector.tcp().bind("127.0.0.1:0").await?),
            Self::TcpConnect => Box::new(Aborted(selector.tcp().connect(tcp).await?)),
            Self::UdpBind => Box::new(selector.udp().bind("127.0.0.1:0").await?),
            Self::UdpConnect => Box::new(selector.udp().connect(udp).await?),
            Self::UnixBind => Box::new(selector.unix().bind(ours).await?),
            Self::UnixConnect => Box::new(Aborted(selector.unix().connect(unix).await?)),
            Self::DatagramBind => Box::new(builder().bind(ours).await?),
            Self::DatagramConnect => {
                Box::new(builder().local_address(ours).connect(datagram).await?)
            }
        })
    }

    /// The operations that an error may name.
    fn operations(self) -> &'static [&'static str] {
        match self {
            Self::TcpBind | Self::UdpBind | Self::UnixBind | Self::DatagramBind => &["bind"],
            // It is bound to its own address first.
            Self::DatagramConnect => &["bind", "connect"],
            _ => &["connect"],
        }
    }
}

/// Opens each way twice, of which the first time is refused.
fn open_each(ways: &'static [Way]) {
    run_on_one_worker(async move |selector| {
        let peers = Peers::open();
        for way in ways {
            settle().await;
            let before = socket_descriptors();
            let is_told = |error: &Error| {
                error.kind() == ErrorKind::Exhausted
                    && way.operations().contains(&error.operation())
            };
            let refused = way.open(&selector, &peers).await;
            let error = refused.err().unwrap_or_else(|| panic!("{way:?} was not refused"));
            assert!(is_told(&error), "{way:?}: {error}");
            assert_eq!(socket_descriptors(), before, "{way:?}");
            assert!(!peers.directory.join("ours").exists(), "{way:?}");
            drop(way.open(&selector, &peers).await?);
        }
        Ok(())
    });
}

/// Each call is tried again by the program, and succeeds.
#[test]
fn a_socket_that_the_system_does_not_make_is_an_error_and_nothing_is_left() {
    let test = "a_socket_that_the_system_does_not_make_is_an_error_and_nothing_is_left";
    // Behind those of the peers.
    refused(test, "socket", "5+2", &["ENOBUFS", "ENOMEM", "EMFILE", "ENFILE"], |_| {
        open_each(&[
            Way::TcpBind,
            Way::TcpConnect,
            Way::UdpBind,
            Way::UdpConnect,
            Way::UnixBind,
            Way::UnixConnect,
            Way::DatagramBind,
            Way::DatagramConnect,
        ]);
    });
}

#[test]
fn an_address_that_the_system_has_no_memory_for_is_an_error_and_nothing_is_left() {
    let test = "an_address_that_the_system_has_no_memory_for_is_an_error_and_nothing_is_left";
    refused(test, "bind", "5+2", &NO_MEMORY, |_| {
        open_each(&[
            Way::TcpBind,
            Way::UdpBind,
            Way::UdpConnect,
            Way::UnixBind,
            Way::DatagramBind,
            Way::DatagramConnect,
        ]);
    });
}

#[test]
fn a_connect_without_memory_is_an_error_and_nothing_is_left() {
    let test = "a_connect_without_memory_is_an_error_and_nothing_is_left";
    refused(test, "connect", "1+2", &NO_MEMORY, |_| {
        open_each(&[Way::TcpConnect, Way::UdpConnect, Way::UnixConnect, Way::DatagramConnect]);
    });
}
