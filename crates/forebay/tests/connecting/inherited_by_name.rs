//! Sockets that a service manager or a parent process hands on, by name.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use forebay::{
    BoundDatagramSocket, Error, ErrorKind, KeepAlive, Result, SelectorManager, ServerSocket, Socket,
};
use forebay_testing::{
    Child, example,
    foreign::{Foreign, piped},
    in_host, other_handles_of_new_sockets, role, say, skip, socket_descriptors,
    unix::Directory,
};
use rustix::net::sockopt;

/// Opens the sockets that its first argument describes as `name=kind:address` and becomes the rest of its
/// arguments, under the same process number. Python's sockets block.
pub(super) const PARENT: &str = r"
import os, socket, sys
at = 3
names = []
for one in sys.argv[1].split(','):
    name, kind, address = one.split('=')
    family = socket.AF_UNIX if kind.startswith('unix') else socket.AF_INET
    it = socket.socket(family, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
    if kind == 'pair':
        it, other = socket.socketpair()
        other.set_inheritable(True)
        other.sendall(b'from the parent\n')
        other.detach()
    else:
        it.bind(address if kind == 'unix' else (address, 0))
        if kind != 'udp':
            it.listen()
    # From a number above all that are given away.
    number = os.dup2(it.detach(), 100 + at, inheritable=False)
    names.append((name, number))
    at += 1
for place, (name, number) in enumerate(names):
    os.dup2(number, 3 + place, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)),
                  LISTEN_FDNAMES=':'.join(name for name, _ in names))
os.execvp(sys.argv[2], sys.argv[2:])
";

/// The child: takes what its parent has opened.
fn take_all() {
    let taken = in_host(async |selector: SelectorManager| {
        let web = || ServerSocket::from_env(selector.tcp(), "web");
        // One of another kind stays for the next call.
        let error = ServerSocket::from_env(selector.unix(), "web").unwrap_err();
        let told = "from_env web: invalid argument: expected a listening Unix stream socket, received a listening TCP socket";
        assert_eq!(error.to_string(), told);
        let (first, second) = (web()?, web()?);
        assert_ne!(first.local_address(), second.local_address());
        let error = web().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let told = "the sockets that are left have the names: control, dns, friend";
        assert!(error.to_string().ends_with(told), "{error}");
        let control = ServerSocket::from_env(selector.unix(), "control")?;
        let dns = BoundDatagramSocket::from_env(selector.udp(), "dns")?;
        let friend = Socket::from_env(selector.unix(), "friend")?;
        let line = friend.open_read_channel()?.read_line().await?;
        assert_eq!(line.as_deref(), Some("from the parent"));
        let error = web().unwrap_err();
        assert!(error.to_string().contains("no socket is left for this process"), "{error}");
        say(&format!("{} {}", second.local_address(), dns.local_address()));
        let mut greeted = Vec::new();
        for server in [&second, &control] {
            let accepted = server.accept().await?.connection()?;
            let mut input = accepted.input;
            greeted.push(input.read_line().await?.unwrap_or_default());
        }
        greeted.push(String::from_utf8_lossy(&dns.receive().await?.payload).into_owned());
        say(&greeted.join(" "));
        Result::Ok(())
    });
    taken.unwrap();
}

#[test]
fn sockets_of_a_parent_are_taken_by_their_names() {
    if role().is_some() {
        return take_all();
    }
    let test = "sockets_of_a_parent_are_taken_by_their_names";
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip(test, "python3 is missing");
    }
    let directory = Directory::new();
    let path = directory.join("control");
    let sockets = format!(
        "web=tcp=127.0.0.1,control=unix={},web=tcp=127.0.0.1,dns=udp=127.0.0.1,friend=pair=",
        path.display()
    );
    let mut child = Child::start_under(&["python3", "-c", PARENT, &sockets], test, "takes");
    let addresses = child.hear().unwrap();
    let (tcp, udp) = addresses.split_once(' ').unwrap();
    TcpStream::connect(tcp).unwrap().write_all(b"one\n").unwrap();
    UnixStream::connect(&path).unwrap().write_all(b"two\n").unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"three", udp).unwrap();
    assert_eq!(child.hear().as_deref(), Some("one two three"));
    child.end();
}

/// The child: has no socket, whatever the environment of its parent says.
fn find_nothing() {
    let found = in_host(async |selector: SelectorManager| {
        let error = ServerSocket::from_env(selector.tcp(), "web").unwrap_err();
        say(&error.to_string());
        Result::Ok(())
    });
    found.unwrap();
}

#[test]
fn the_variables_of_another_process_are_not_believed() {
    if role().is_some() {
        return find_nothing();
    }
    let test = "the_variables_of_another_process_are_not_believed";
    let none =
        "from_env web: not found: no socket is left for this process (LISTEN_PID, LISTEN_FDS)";
    let wrong = "from_env web: invalid argument";
    for (variables, told) in [
        (&["LISTEN_FDS=1", "LISTEN_FDNAMES=web"][..], none),
        (&["LISTEN_PID=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=web"], none),
        (&["LISTEN_PID=one", "LISTEN_FDS=1"], wrong),
    ] {
        let mut child = Child::start_under(&[&["env"], variables].concat(), test, "finds nothing");
        let heard = child.hear().unwrap();
        assert!(heard.starts_with(told), "{variables:?}: {heard}");
        child.end();
    }
}

#[test]
fn a_descriptor_that_is_not_open_is_nothing() {
    if role().is_some() {
        return find_nothing();
    }
    let test = "a_descriptor_that_is_not_open_is_nothing";
    let with_number =
        ["sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=900 LISTEN_FDNAMES=a:b exec \"$@\"", "sh"];
    let mut child = Child::start_under(&with_number, test, "finds nothing");
    let heard = child.hear().unwrap();
    assert!(heard.starts_with("from_env web: not found"), "{heard}");
    child.end();
}

/// Talks to the example, whose address its first line names.
fn talk(address: &str) {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"hello\n").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello\n");
}

#[test]
fn the_example_serves_at_the_socket_of_systemd() {
    let test = "the_example_serves_at_the_socket_of_systemd";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // systemd passes on what it was given, and starts the server at the first connection.
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \
                  systemd-socket-activate --fdname=echo \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(example("inherited").get_program());
    if Command::new("systemd-socket-activate").arg("--version").output().is_err() {
        return skip(test, "systemd-socket-activate is missing");
    }
    let streams = piped(&mut command).stdin(OwnedFd::from(listener));
    let Some(systemd) = Foreign::start(test, streams) else { return };
    talk(&address);
    talk(&address);
    systemd.must_say(&format!("Server is listening at {address}"));
}

/// Starts a parent in Go, which prints its port.
fn go_parent(test: &str, child: &mut Command) -> Option<(Foreign, u16)> {
    if Command::new("go").arg("version").output().is_err() {
        skip(test, "go is missing");
        return None;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/connecting/parent.go");
    let mut command = Command::new("go");
    command.args(["run", source]).arg(child.get_program()).args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut go = Foreign::start(test, piped(&mut command))?;
    let port = go.hear_line("port ").trim_start_matches("port ").parse().unwrap();
    Some((go, port))
}

#[test]
fn the_example_serves_beside_a_parent_in_go_that_makes_it_blocking() {
    let test = "the_example_serves_beside_a_parent_in_go_that_makes_it_blocking";
    let Some((mut go, port)) = go_parent(test, &mut example("inherited")) else { return };
    let address = format!("127.0.0.1:{port}");
    for _ in 0..3 {
        talk(&address);
        go.say("again\n");
        go.hear_line("handed on");
    }
    talk(&address);
}

/// The child: serves with options that the listener refuses, and tells what its connections have.
fn tell_options() {
    let served = in_host(async |_: SelectorManager| {
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&refused);
        let counts = move |error: &Error| {
            assert_eq!(error.operation(), "ttl", "{error}");
            counted.fetch_add(1, Relaxed);
        };
        let selector = SelectorManager::builder().on_task_error(counts).build()?;
        let keep_alive = KeepAlive { count: 3, ..KeepAlive::default() };
        let builder = selector.tcp().keep_alive(keep_alive).ttl(9);
        let server = ServerSocket::from_env(builder, "echo")?;
        loop {
            let before = socket_descriptors();
            let accepted = server.accept().await?.connection()?;
            let [handle] = &other_handles_of_new_sockets(&before)[..] else { panic!() };
            let told = format!(
                "multipath {} ttl {} nodelay {} probes {} refused {}\n",
                sockopt::socket_protocol(handle).unwrap() == Some(rustix::net::ipproto::MPTCP),
                sockopt::ip_ttl(handle).unwrap_or_default(),
                sockopt::tcp_nodelay(handle).unwrap(),
                sockopt::tcp_keepcnt(handle).unwrap(),
                refused.load(Relaxed),
            );
            let mut output = accepted.output;
            output.write_str(&told).await?;
            output.finish().await?;
            accepted.socket.close().await?;
        }
        #[expect(unreachable_code)]
        Result::Ok(())
    });
    served.unwrap();
}

fn ask(address: &str) -> String {
    let mut answer = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut answer).unwrap();
    answer
}

/// Go's listeners speak Multipath TCP, which refuses options that its connections take when they fall back to TCP.
#[test]
fn connections_of_a_listener_from_go_have_the_options_that_it_refuses() {
    if role().is_some() {
        return tell_options();
    }
    let test = "connections_of_a_listener_from_go_have_the_options_that_it_refuses";
    let Some((_go, port)) = go_parent(test, &mut Child::command(test, "tells")) else { return };
    let address = format!("127.0.0.1:{port}");
    let plain = "multipath false ttl 9 nodelay true probes 3 refused 0\n";
    assert_eq!(ask(&address), plain);
    let multipath = "import socket, sys\n\
                     it = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)\n\
                     it.connect(('127.0.0.1', int(sys.argv[1])))\n\
                     sys.stdout.write(it.makefile().read())";
    let asked = Command::new("python3").args(["-c", multipath, &port.to_string()]).output();
    let Ok(asked) = asked else { return skip(test, "python3 is missing") };
    let told = String::from_utf8_lossy(&asked.stdout);
    if told.starts_with("multipath false") {
        return skip(test, "this system has no Multipath TCP");
    }
    assert_eq!(told, "multipath true ttl 0 nodelay true probes 3 refused 1\n", "{asked:?}");
    assert_eq!(ask(&address), plain.replace("refused 0", "refused 1"));
}
