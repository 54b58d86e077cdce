//! Sockets that another program has opened, and perhaps has still.

#![cfg(target_os = "linux")]

use std::io::{Read, Write, pipe};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;

use forebay::{
    BoundDatagramSocket, BoundUnixDatagramSocket, ConnectedDatagramSocket,
    ConnectedUnixDatagramSocket, ErrorKind, KeepAlive, Result, SelectorManager, ServerSocket,
    Socket, UnixAddress,
};
use forebay_testing::{
    Child, Log, alone, counted_alone, descriptors, foreign::Foreign, foreign::piped, in_host,
    other_handles_of_new_sockets, report, role, run, run_on_one_worker, say, size, skip,
    socket_descriptors, unix::Directory, until, watched,
};
use futures_lite::future::zip;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt;

/// Clears `O_NONBLOCK`, as another program would that has the socket too.
fn make_blocking(fd: impl AsFd) {
    let flags = fcntl_getfl(&fd).unwrap();
    fcntl_setfl(&fd, flags - OFlags::NONBLOCK).unwrap();
}

fn is_blocking(fd: impl AsFd) -> bool {
    !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

async fn echo_once(server: &ServerSocket, mut client: TcpStream) -> Result<()> {
    let accepted = server.accept().await?.connection()?;
    let (mut input, mut output) = (accepted.input, accepted.output);
    client.write_all(b"hello\n").unwrap();
    let line = input.read_line().await?.unwrap_or_default();
    forebay::write_line!(output, "{line}").await?;
    output.finish().await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello\n");
    Ok(())
}

#[test]
fn a_listener_is_taken_over_with_the_options_for_its_connections() {
    alone("a_listener_is_taken_over_with_the_options_for_its_connections", || {
        in_host(async |selector: SelectorManager| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (address, theirs) = (listener.local_addr()?, listener.try_clone().unwrap());
            let keep_alive = KeepAlive { count: 3, ..KeepAlive::default() };
            let builder = selector.tcp().keep_alive(keep_alive).type_of_service(16);
            let server = ServerSocket::from_fd(builder, listener.into())?;
            assert_eq!(server.local_address().as_inet(), Some(address));
            assert!(!is_blocking(&theirs));
            for _ in 0..2 {
                let before = socket_descriptors();
                let client = TcpStream::connect(address).unwrap();
                let accepted = server.accept().await?;
                let handles = other_handles_of_new_sockets(&before);
                let is_accepted = |handle: &&OwnedFd| {
                    let peer = TcpStream::from(handle.try_clone().unwrap()).peer_addr();
                    peer.ok() == client.local_addr().ok()
                };
                let handle = handles.iter().find(is_accepted).expect("it is new");
                assert!(sockopt::tcp_nodelay(handle).unwrap());
                assert_eq!(sockopt::tcp_keepcnt(handle).unwrap(), 3);
                assert_eq!(sockopt::ip_tos(handle).unwrap(), 16);
                assert!(fcntl_getfd(handle).is_ok());
                accepted.close_within(Duration::ZERO).await.ok();
            }
            echo_once(&server, TcpStream::connect(address).unwrap()).await?;
            // It listens as long as the other program has it.
            server.close();
            assert!(server.accept().await.unwrap_err().is_closed());
            drop(TcpStream::connect(address).unwrap());
            drop(theirs);
            TcpStream::connect(address).unwrap_err();
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn what_is_taken_over_is_closed_on_exec() {
    counted_alone("what_is_taken_over_is_closed_on_exec", || {
        in_host(async |selector: SelectorManager| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            // A number that a child would have.
            let number = {
                rustix::io::fcntl_setfd(&listener, FdFlags::empty()).unwrap();
                listener.as_raw_fd()
            };
            let server = ServerSocket::from_fd(selector.tcp(), listener.into())?;
            let mut look = Command::new("test");
            let in_child = look.args(["-e", &format!("/proc/self/fd/{number}")]);
            assert!(!in_child.status().unwrap().success());
            drop(server);
            Result::Ok(())
        })
        .unwrap();
    });
}

/// Each kind of descriptor, and its name in an error.
fn kinds(directory: &Directory) -> Vec<(&'static str, OwnedFd)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
    connected.connect(connected.local_addr().unwrap()).unwrap();
    let unix = UnixListener::bind(directory.join("listener")).unwrap();
    let idle = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    let idle_unix =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let packets =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None).unwrap();
    vec![
        // Before its listener is closed, which resets it.
        ("a connected TCP socket", stream.into()),
        ("a listening TCP socket", listener.into()),
        ("a TCP socket that neither listens nor is connected", idle.into()),
        ("a UDP socket with a peer", connected.into()),
        ("a UDP socket without a peer", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        ("a listening Unix stream socket", unix.into()),
        ("a connected Unix stream socket", UnixStream::pair().unwrap().0.into()),
        ("a Unix stream socket that neither listens nor is connected", idle_unix.into()),
        ("a Unix datagram socket without a peer", UnixDatagram::unbound().unwrap().into()),
        ("a Unix datagram socket with a peer", UnixDatagram::pair().unwrap().0.into()),
        ("a Unix socket of sequential packets", packets.into()),
        ("a pipe", pipe().unwrap().0.into()),
        ("a regular file", std::fs::File::create(directory.join("file")).unwrap().into()),
        ("a directory", std::fs::File::open(directory.path()).unwrap().into()),
        ("a character device", std::fs::File::open("/dev/null").unwrap().into()),
        (
            "no socket",
            rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap(),
        ),
    ]
}

/// Takes each of them, and asserts which kinds are refused by name, and that a refused one is closed.
fn takes_only<T>(
    test: &str,
    expected: &'static str,
    take: impl Fn(&SelectorManager, OwnedFd) -> Result<T>,
) {
    counted_alone(test, || {
        in_host(async |selector: SelectorManager| {
            let directory = Directory::new();
            for (kind, fd) in kinds(&directory) {
                let number = fd.as_raw_fd().to_string();
                let all = descriptors();
                let this = all.iter().find(|(listed, _)| *listed == number).unwrap();
                let taken = take(&selector, fd).map(drop);
                if kind == expected {
                    taken?;
                } else {
                    let error = taken.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{kind}: {error}");
                    let told =
                        format!("from_fd: invalid argument: expected {expected}, received {kind}");
                    assert_eq!(error.to_string(), told);
                }
                // A connection is closed in the background.
                until(|| !descriptors().contains(this)).await;
            }
            Result::Ok(())
        })
        .unwrap();
    });
}

#[test]
fn a_tcp_listener_is_no_other_kind() {
    takes_only("a_tcp_listener_is_no_other_kind", "a listening TCP socket", |selector, fd| {
        ServerSocket::from_fd(selector.tcp(), fd)
    });
}

#[test]
fn a_unix_listener_is_no_other_kind() {
    takes_only(
        "a_unix_listener_is_no_other_kind",
        "a listening Unix stream socket",
        |selector, fd| ServerSocket::from_fd(selector.unix(), fd),
    );
}

#[test]
fn a_tcp_connection_is_no_other_kind() {
    takes_only("a_tcp_connection_is_no_other_kind", "a connected TCP socket", |selector, fd| {
        Socket::from_fd(selector.tcp(), fd)
    });
}

#[test]
fn a_unix_connection_is_no_other_kind() {
    takes_only(
        "a_unix_connection_is_no_other_kind",
        "a connected Unix stream socket",
        |selector, fd| Socket::from_fd(selector.unix(), fd),
    );
}

#[test]
fn a_udp_socket_is_no_other_kind() {
    takes_only("a_udp_socket_is_no_other_kind", "a UDP socket without a peer", |selector, fd| {
        BoundDatagramSocket::from_fd(selector.udp(), fd)
    });
}

#[test]
fn a_udp_socket_with_a_peer_is_no_other_kind() {
    let test = "a_udp_socket_with_a_peer_is_no_other_kind";
    takes_only(test, "a UDP socket with a peer", |selector, fd| {
        ConnectedDatagramSocket::from_fd(selector.udp(), fd)
    });
}

#[test]
fn a_unix_datagram_socket_is_no_other_kind() {
    let test = "a_unix_datagram_socket_is_no_other_kind";
    takes_only(test, "a Unix datagram socket without a peer", |selector, fd| {
        BoundUnixDatagramSocket::from_fd(selector.unix().datagram(), fd)
    });
}

#[test]
fn a_unix_datagram_socket_with_a_peer_is_no_other_kind() {
    let test = "a_unix_datagram_socket_with_a_peer_is_no_other_kind";
    takes_only(test, "a Unix datagram socket with a peer", |selector, fd| {
        ConnectedUnixDatagramSocket::from_fd(selector.unix().datagram(), fd)
    });
}

#[test]
fn unix_datagrams_go_on_when_another_program_makes_them_blocking() {
    watched(|| {
        run_on_one_worker(async |selector| {
            let directory = Directory::new();
            let path = directory.join("theirs");
            let (bound, (one, two)) = (UnixDatagram::bind(&path)?, UnixDatagram::pair()?);
            let theirs = [bound.try_clone()?, one.try_clone()?];
            let builder = || selector.unix().datagram();
            let bound = BoundUnixDatagramSocket::from_fd(builder(), bound.into())?;
            let paired = ConnectedUnixDatagramSocket::from_fd(builder(), one.into())?;
            assert_eq!(bound.local_address(), &UnixAddress::Path(path.clone()));
            let peer = builder().connect(&path).await?;
            for round in 0..3_u8 {
                theirs.iter().for_each(make_blocking);
                assert!(bound.try_receive()?.is_none() && paired.try_receive()?.is_none());
                let mut receiving = std::pin::pin!(bound.receive());
                assert!(futures_lite::future::poll_once(&mut receiving).await.is_none());
                theirs.iter().for_each(make_blocking);
                peer.send([round]).await?;
                assert_eq!(receiving.await?.payload, [round][..]);
                theirs.iter().for_each(make_blocking);
                two.send(&[round])?;
                assert_eq!(paired.receive().await?.payload, [round][..]);
                // More than the peer's queue holds: the rest would wait.
                while paired.try_send("full")? {}
                make_blocking(&theirs[1]);
                assert!(!paired.try_send("full")?);
                two.set_nonblocking(true)?;
                while two.recv(&mut [0; 10]).is_ok() {}
            }
            drop(bound);
            assert_eq!(directory.names(), ["theirs"]);
            // A peer without a name cannot be found again.
            drop(two);
            for _ in 0..2 {
                let error = paired.send("to none").await.unwrap_err();
                assert!(error.is_refused() || error.kind() == ErrorKind::System, "{error}");
            }
            Ok(())
        });
    });
}

#[test]
fn the_path_of_a_unix_listener_stays() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("theirs");
        let listener = UnixListener::bind(&path).unwrap();
        let server = ServerSocket::from_fd(selector.unix(), listener.into())?;
        assert_eq!(server.local_address().to_string(), format!("unix:{}", path.display()));
        let _client = UnixStream::connect(&path).unwrap();
        server.accept().await?;
        drop(server);
        assert_eq!(directory.names(), ["theirs"]);
        Ok(())
    });
}

#[test]
fn a_closed_selector_takes_nothing() {
    run(async |_| {
        let selector = SelectorManager::new();
        selector.close().await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = ServerSocket::from_fd(selector.tcp(), listener.into()).unwrap_err();
        assert!(error.is_closed(), "{error}");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = BoundDatagramSocket::from_fd(selector.udp(), socket.into()).unwrap_err();
        assert!(error.is_closed(), "{error}");
        Ok(())
    });
}

#[test]
fn datagrams_and_connections_go_on_when_another_program_makes_them_blocking() {
    watched(|| {
        run_on_one_worker(async |selector| {
            let (socket, peer) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
            let (theirs, address) = (socket.try_clone()?, socket.local_addr()?);
            let socket = BoundDatagramSocket::from_fd(selector.udp(), socket.into())?;
            let (mut far, near) = UnixStream::pair()?;
            let also_theirs = near.try_clone()?;
            let mut near = Socket::from_fd(selector.unix(), near.into())?.connection()?;
            for round in 0..3_u8 {
                make_blocking(&theirs);
                make_blocking(&also_theirs);
                // Nothing has arrived: each call waits, and the worker goes on.
                assert!(socket.try_receive()?.is_none());
                let mut receiving = std::pin::pin!(socket.receive());
                assert!(futures_lite::future::poll_once(&mut receiving).await.is_none());
                let mut reading = std::pin::pin!(near.input.read_u8());
                assert!(futures_lite::future::poll_once(&mut reading).await.is_none());
                selector.spawn(async { Ok(()) }).await?;
                make_blocking(&theirs);
                peer.send_to(&[round], address)?;
                assert_eq!(&receiving.await?.payload[..], [round]);
                far.write_all(&[round])?;
                assert_eq!(reading.await?, round);
            }
            // More than the system takes: the rest waits.
            make_blocking(&also_theirs);
            near.output.write_all(&vec![7; 1 << 20]).await?;
            selector.spawn(async { Ok(()) }).await?;
            let reading = std::thread::spawn(move || {
                let mut all = Vec::new();
                far.read_to_end(&mut all).map(|_| all.len())
            });
            near.output.finish().await?;
            assert_eq!(reading.join().unwrap()?, 1 << 20);
            Ok(())
        });
    });
}

#[test]
fn a_listener_goes_on_when_another_program_makes_it_blocking() {
    watched(|| {
        run_on_one_worker(async |selector| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let (theirs, address) = (listener.try_clone()?, listener.local_addr()?);
            let server = ServerSocket::from_fd(selector.tcp(), listener.into())?;
            for _ in 0..3 {
                make_blocking(&theirs);
                let waiting = server.clone();
                let waiting = selector.spawn_value(async move { waiting.accept().await.map(drop) });
                selector.spawn(async { Ok(()) }).await?;
                make_blocking(&theirs);
                // The other program takes the connection that has woken this one.
                let first = TcpStream::connect(address)?;
                drop(theirs.accept()?);
                selector.spawn(async { Ok(()) }).await?;
                drop(first);
                make_blocking(&theirs);
                let _second = TcpStream::connect(address)?;
                waiting.await??;
            }
            Ok(())
        });
    });
}

/// The system goes on to watch a closed descriptor that another program has too, under the same number.
#[test]
fn a_socket_is_taken_over_again_after_it_was_closed_here() {
    alone("a_socket_is_taken_over_again_after_it_was_closed_here", || {
        in_host(async |selector: SelectorManager| {
            let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
            for _ in 0..3 {
                let server = ServerSocket::from_fd(selector.tcp(), theirs.try_clone()?.into())?;
                // It waits, so it is watched.
                let mut accepting = std::pin::pin!(server.accept());
                assert!(futures_lite::future::poll_once(&mut accepting).await.is_none());
                let _client = TcpStream::connect(theirs.local_addr()?)?;
                accepting.await?;
                server.close();
            }
            Result::Ok(())
        })
        .unwrap();
    });
}

/// A program whose standard input is the listener: it changes whether it blocks, again and again, and takes connections too.
const SIBLING: &str = "import fcntl, os, select, socket, threading\n\
    it = socket.socket(fileno=os.dup(0))\n\
    flags = fcntl.fcntl(0, fcntl.F_GETFL)\n\
    def change():\n    \
        while True:\n        \
            fcntl.fcntl(0, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)\n        \
            fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_NONBLOCK)\n\
    threading.Thread(target=change, daemon=True).start()\n\
    print('ready', flush=True)\n\
    while True:\n    \
        select.select([it], [], [])\n    \
        try:\n        \
            taken, _ = it.accept()\n    \
        except BlockingIOError:\n        \
            continue\n    \
        taken.setblocking(True)\n    \
        taken.sendall(b'theirs\\n')\n    \
        taken.close()\n";

/// An accept that blocks, because the other program has taken the connection and changed the flag, would stop the one
/// worker, with the client that makes the next connection.
#[test]
fn a_program_that_changes_the_flag_and_takes_connections_stops_no_worker() {
    let test = "a_program_that_changes_the_flag_and_takes_connections_stops_no_worker";
    let rounds = size("FOREBAY_FLAG_ROUNDS", 2_000, 20_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs: OwnedFd = listener.try_clone().unwrap().into();
    watched(move || {
        run_on_one_worker(async move |selector| {
            let address = listener.local_addr()?;
            let server = ServerSocket::from_fd(selector.tcp(), listener.into())?;
            // From here on a thread beside the worker accepts.
            make_blocking(&theirs);
            let _first = TcpStream::connect(address)?;
            server.accept().await?;
            let mut command = Command::new("python3");
            command.args(["-c", SIBLING]);
            let streams = piped(&mut command).stdin(theirs);
            let Some(mut sibling) = Foreign::start(test, streams) else { return Ok(()) };
            sibling.hear_line("ready");
            let serving = server.clone();
            let serving = selector.spawn(async move {
                loop {
                    let mut output = serving.accept().await?.open_write_channel()?;
                    output.write_str("ours\n").await?;
                }
            });
            let mut ours = 0;
            for _ in 0..rounds {
                let mut client = selector.tcp().connect(address).await?.connection()?;
                let line = client.input.read_line().await?;
                ours += usize::from(line.as_deref() == Some("ours"));
            }
            report(&format!("{test}: {ours} of {rounds} accepted here"));
            assert!(ours > 0);
            server.close();
            assert!(serving.await.unwrap_err().is_closed());
            // The thread's call ends with the next connection at the latest, if there is one.
            drop(sibling);
            drop(TcpStream::connect(address));
            Ok(())
        });
    });
}

/// The child: takes from sockets of another program, one connection or datagram after the other.
fn take_some() {
    const EACH: usize = 5;
    run_on_one_worker(async |selector| {
        let directory = Directory::new();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (path, at) = (directory.join("listener"), tcp.local_addr().unwrap());
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = ServerSocket::from_fd(selector.tcp(), tcp.into())?;
        let unix = ServerSocket::from_fd(selector.unix(), unix.into())?;
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = BoundDatagramSocket::from_fd(selector.udp(), udp.into())?;
        let datagram = UnixDatagram::bind(directory.join("datagram")).unwrap();
        let datagram =
            BoundUnixDatagramSocket::from_fd(selector.unix().datagram(), datagram.into())?;
        for number in 0..EACH {
            // With a connection that waits, and with one that is waited for.
            let connect = async {
                if number % 2 == 0 {
                    forebay::yield_now().await;
                }
                (TcpStream::connect(at).unwrap(), UnixStream::connect(&path).unwrap())
            };
            let accept = async { Result::Ok((tcp.accept().await?, unix.accept().await?)) };
            let (received, sent) = zip(udp.receive(), async {
                forebay::yield_now().await;
                datagram.send("", datagram.local_address()).await?;
                udp.send("", udp.local_address()).await
            })
            .await;
            sent?;
            received?;
            let (accepted, _clients) = zip(accept, connect).await;
            let (one, other) = accepted?;
            one.abort();
            other.abort();
        }
        say("done");
        Ok(())
    });
}

/// One that another program may make blocking would wait, unless it says for itself that it does not.
#[test]
fn nothing_is_asked_in_vain_of_a_socket_that_another_program_has() {
    if role().is_some() {
        return take_some();
    }
    let test = "nothing_is_asked_in_vain_of_a_socket_that_another_program_has";
    let log = Log::new(test);
    let strace = ["strace", "-f", "-o", log.path(), "-e", "trace=accept4,accept,recvmmsg,sendto"];
    if !Child::can_trace(&strace) {
        return skip(test, "strace is missing, or may not trace");
    }
    let strace = strace.map(str::to_owned);
    watched(move || {
        let mut child = Child::start_under(&strace.each_ref().map(String::as_str), test, "accepts");
        assert_eq!(child.hear().as_deref(), Some("done"));
        child.end();
    });
    let calls = log.lines();
    let (sends, takes): (Vec<_>, Vec<_>) = calls
        .iter()
        .filter(|line| line.contains(") = "))
        .partition(|line| line.contains("sendto("));
    assert_eq!((sends.len(), takes.len()), (10, 15), "{calls:?}");
    assert!(sends.iter().all(|call| call.contains("MSG_DONTWAIT")), "{sends:?}");
    assert!(takes.iter().all(|call| !call.contains("EAGAIN")), "{takes:?}");
}
