//! The examples do what their headers say.

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use forebay_testing::{Server, example, lines_of};

#[test]
fn quickstart_greets_three_names_then_again_over_tls_and_ends() {
    let done = example("quickstart").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let lines = lines_of(&done.stdout);
    assert!(lines[0].starts_with("Server is listening at 127.0.0.1:"));
    assert_eq!(lines[1], "server: Please enter your name");
    let greetings: Vec<_> = lines.iter().filter(|line| line.starts_with("server: Hello")).collect();
    let three = ["server: Hello, Ada!", "server: Hello, Grace!", "server: Hello, Barbara!"];
    assert_eq!(greetings, [three, three].concat());
    assert_eq!(lines[8], "Now over TLS 1.3");
}

/// Every second call that a signal may interrupt is interrupted. (Not `read` and `connect`,
/// see `faults/interrupted_calls.rs`.)
#[cfg(target_os = "linux")]
#[test]
fn quickstart_does_not_notice_interrupted_calls() {
    const NAME: &str = "quickstart_does_not_notice_interrupted_calls";
    const CALLS: &str = "accept4,recvfrom,sendto,sendmsg,epoll_wait,epoll_pwait,write";
    let log = forebay_testing::Log::new(NAME);
    let (trace, inject) =
        (format!("trace={CALLS}"), format!("inject={CALLS}:error=EINTR:when=2+2"));
    let strace = ["strace", "-f", "-o", log.path(), "-e", &trace, "-e", &inject];
    if !forebay_testing::Child::can_trace(&strace) {
        return forebay_testing::skip(NAME, "strace is missing, may not trace, or cannot inject");
    }
    let quickstart = example("quickstart");
    let done =
        Command::new(strace[0]).args(&strace[1..]).arg(quickstart.get_program()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let lines = lines_of(&done.stdout);
    assert_eq!(lines.iter().filter(|line| line.starts_with("server: Hello, ")).count(), 6);
    let interrupted = log.lines().iter().filter(|line| line.contains("EINTR")).count();
    forebay_testing::report(&format!(
        "{NAME}: {interrupted} calls interrupted, {} lines",
        lines.len()
    ));
    assert!(interrupted > 10);
}

#[test]
fn the_client_carries_standard_input_to_the_server_and_back() {
    let mut server = Server::start("sockets_server", &[]);
    let mut client = example("sockets_client")
        .arg(&server.address)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(b"Ada\nGrace").unwrap();
    let done = client.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let dialogue = lines_of(&done.stdout);
    assert_eq!(dialogue, ["Please enter your name", "Hello, Ada!", "Hello, Grace!"]);
    let mut accepted = String::new();
    server.output.read_line(&mut accepted).unwrap();
    assert!(accepted.starts_with("Accepted 127.0.0.1:"));
}

#[test]
fn the_client_ends_with_the_server_although_its_standard_input_stays_open() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = example("sockets_client")
        .arg(listener.local_addr().unwrap().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"that was all\n").unwrap();
    drop(peer);
    let _open = client.stdin.take();
    let mut said = String::new();
    client.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "that was all\n");
    assert!(client.wait().unwrap().success());
}

#[test]
fn echo_sends_everything_back() {
    let server = Server::start("echo", &[]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let sent: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut writing = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(&copy).unwrap();
        writing.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == sent, "{} bytes came back", received.len());
}

#[test]
fn port_forwarder_passes_everything_on_and_counts_it() {
    let behind = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = behind.local_addr().unwrap().to_string();
    let mut server = Server::start("port_forwarder", &[&to]);
    let mut client = TcpStream::connect(&server.address).unwrap();
    let sent: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let (mut accepted, _) = behind.accept().unwrap();
    let copy = sent.clone();
    let answering = std::thread::spawn(move || {
        let mut received = Vec::new();
        accepted.read_to_end(&mut received).unwrap();
        assert!(received == copy, "{} bytes came", received.len());
        accepted.write_all(b"thanks").unwrap();
    });
    client.write_all(&sent).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answering.join().unwrap();
    assert_eq!(answer, "thanks");
    let address = client.local_addr().unwrap();
    assert_eq!(server.line(), format!("{address}: 300000 bytes there, 6 back"));
}

#[test]
fn a_wrong_address_is_one_line_and_an_exit_code() {
    let done = example("sockets_server").arg("no-port").output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("no-port"), "{done:?}");
}

#[test]
fn udp_echo_answers_each_datagram_with_itself() {
    let server = Server::start("udp_echo", &[]);
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(forebay_testing::PATIENCE)).unwrap();
    client.connect(&server.address).unwrap();
    for question in [&b"hello"[..], b"", &[7; 9_000]] {
        client.send(question).unwrap();
        let mut answer = [0; 10_000];
        let count = client.recv(&mut answer).unwrap();
        assert!(answer[..count] == *question);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn unix_chat_passes_each_line_to_all_others_and_removes_its_path() {
    use std::io::BufReader;
    use std::os::unix::net::UnixStream;

    use rustix::process::{Pid, Signal, kill_process};

    let directory = forebay_testing::unix::Directory::new();
    let path = directory.join("chat");
    let mut server = example("unix_chat")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let listening = format!("Server is listening at unix:{}", path.display());
    assert_eq!(lines.next().unwrap().unwrap(), listening);
    assert_eq!(forebay_testing::unix::mode(&path), 0o600);
    let enter = |name: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(forebay_testing::PATIENCE)).unwrap();
        let mut heard = BufReader::new(stream.try_clone().unwrap()).lines();
        assert_eq!(heard.next().unwrap().unwrap(), "Please enter your name");
        writeln!(stream, "{name}").unwrap();
        (stream, heard)
    };
    let (mut ada, mut ada_hears) = enter("Ada");
    writeln!(ada, "to an empty room").unwrap();
    // Only a member hears of the next one.
    let (mut grace, mut grace_hears) = enter("Grace");
    let here = ada_hears.next().unwrap().unwrap();
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(here, format!("Grace (user {user}, process {}) is here", std::process::id()));
    writeln!(ada, "hello, Grace").unwrap();
    assert_eq!(grace_hears.next().unwrap().unwrap(), "Ada: hello, Grace");
    writeln!(grace, "hello, Ada").unwrap();
    assert_eq!(ada_hears.next().unwrap().unwrap(), "Grace: hello, Ada");
    drop((ada, ada_hears));
    assert_eq!(grace_hears.next().unwrap().unwrap(), "Ada has left");
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(!path.exists());
    grace.set_nonblocking(false).unwrap();
    assert!(grace_hears.next().is_none_or(|line| line.is_err()));
}

#[cfg(target_os = "linux")]
#[test]
fn multicast_hears_itself_and_the_others() {
    // With port 0 each would take another. This socket keeps the port from all that do not share it.
    let keeper = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    keeper.set_reuse_address(true).unwrap();
    keeper.bind(&std::net::SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    let port = keeper.local_addr().unwrap().as_socket().unwrap().port();
    let group = format!("239.255.70.71:{port}");
    let start = || {
        example("multicast")
            .args([group.as_str(), "127.0.0.1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut programs = [start(), start()];
    let mut heard = programs.each_mut().map(|program| {
        let mut lines = std::io::BufReader::new(program.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), format!("Joined {group}"));
        lines
    });
    writeln!(programs[0].stdin.as_mut().unwrap(), "to all").unwrap();
    for lines in &mut heard {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with("127.0.0.1:") && line.ends_with(": to all"), "{line}");
    }
    for mut program in programs {
        drop(program.stdin.take());
        assert!(program.wait().unwrap().success());
    }
}

/// A resolver that drops the first question, answers the second with what is not for this client, and cuts what does
/// not fit: that comes over TCP.
#[test]
fn dns_lookup_asks_again_and_over_tcp_if_the_answer_is_cut() {
    // A port that is free for both.
    let (tcp, udp) = std::iter::repeat_with(|| {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind(tcp.local_addr().unwrap());
        udp.ok().map(|udp| (tcp, udp))
    })
    .find_map(|both| both)
    .unwrap();
    let server = udp.local_addr().unwrap();
    let answer = |question: &[u8], addresses: &[&[u8]]| {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        answer[7] = addresses.len().try_into().unwrap();
        for address in addresses {
            let kind = if address.len() == 4 { 1 } else { 28 };
            // The name of the question; type, class, time to live, length.
            answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
            answer.push(address.len().try_into().unwrap());
            answer.extend_from_slice(address);
        }
        answer
    };
    let resolver = std::thread::spawn(move || {
        let mut question = [0; 512];
        let mut next = || {
            let (count, from) = udp.recv_from(&mut question).unwrap();
            (question[..count].to_vec(), from)
        };
        next();
        let (question, from) = next();
        let mut of_another = answer(&question, &[&[192, 0, 2, 99]]);
        of_another[0] ^= 1;
        udp.send_to(&of_another, from).unwrap();
        udp.send_to(&answer(&question, &[&[192, 0, 2, 1], &[192, 0, 2, 2]]), from).unwrap();

        let (question, from) = next();
        let mut cut = answer(&question, &[]);
        cut[2] |= 2;
        udp.send_to(&cut, from).unwrap();
        let (mut peer, _) = tcp.accept().unwrap();
        let mut length = [0; 2];
        peer.read_exact(&mut length).unwrap();
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        peer.read_exact(&mut question).unwrap();
        let address = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let answer = answer(&question, &[&address]);
        peer.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
        peer.write_all(&answer).unwrap();
    });
    let done = example("dns_lookup").args(["example.com", &server.to_string()]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    resolver.join().unwrap();
    assert_eq!(
        lines_of(&done.stdout),
        ["example.com A 192.0.2.1", "example.com A 192.0.2.2", "example.com AAAA 2001:db8::1"]
    );
}
