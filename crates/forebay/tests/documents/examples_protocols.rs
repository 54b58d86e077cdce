//! The examples that speak a protocol of their own: lines, and frames.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use forebay_testing::{PATIENCE, Server, example};

/// A client of `line_protocol`: sends all lines at once, and returns all answers up to the end.
fn ask(server: &Server, lines: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(lines).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    BufReader::new(stream).lines().map(Result::unwrap).collect()
}

#[test]
fn line_protocol_stores_answers_errors_and_many_requests_at_once() {
    let server = Server::start("line_protocol", &[]);
    let first = ask(&server, b"SET name Ada Lovelace\nGET name\r\nDEL name\nGET name\nDEL name\n");
    assert_eq!(first, ["OK", "VALUE Ada Lovelace", "OK", "NONE", "NONE"]);

    // A mistake is answered, and the session goes on.
    let mut requests = b"PUT a b\nSET a\nGET\nGET two words\nSET k \xff\nSET k ".to_vec();
    requests.extend(vec![b'v'; 1018]);
    requests.extend(b"\nSET k ");
    requests.extend(vec![b'v'; 1019]);
    requests.extend(b"\nGET k\nQUIT\nGET k\n");
    let answers = ask(&server, &requests);
    assert_eq!(
        answers[..7],
        [
            "ERROR the requests are SET, GET, DEL and QUIT",
            "ERROR SET needs a key and a value",
            "ERROR a key is one word",
            "ERROR a key is one word",
            "ERROR the line is too long, or not UTF-8",
            "OK",
            "ERROR the line is too long, or not UTF-8",
        ]
    );
    // Exactly at the limit it was stored; one byte more was not.
    assert_eq!(answers[7], format!("VALUE {}", "v".repeat(1018)));
    assert_eq!(answers[8..], ["BYE"], "nothing is answered behind QUIT");

    // Ten thousand requests in one write: each is answered, in order.
    let numbers = 0..10_000;
    let requests: Vec<_> =
        numbers.clone().map(|n| format!("SET key{n} {n}\nGET key{n}\n")).collect();
    let requests = requests.concat();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        writer.write_all(requests.as_bytes()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = String::new();
    stream.read_to_string(&mut received).unwrap();
    sending.join().unwrap();
    let expected: Vec<_> = numbers.map(|n| format!("OK\nVALUE {n}\n")).collect();
    assert!(received == expected.concat(), "{} bytes", received.len());

    // The sessions share one store.
    assert_eq!(ask(&server, b"GET key77\n"), ["VALUE 77"]);
}

#[test]
fn framed_answers_out_of_order_each_with_its_number() {
    let done = example("framed").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let printed = String::from_utf8(done.stdout).unwrap();
    let mut answers: Vec<_> = printed.lines().collect();
    // Which comes first depends on the time that each takes, so here the order does not count.
    answers.sort_unstable();
    assert_eq!(answers, ["answer 1: SLOWLY", "answer 2: QUICKLY", "answer 3: AT ONCE"]);
}

/// A member of `chat`, which has entered the room.
struct Member {
    stream: TcpStream,
    heard: BufReader<TcpStream>,
}

impl Member {
    fn enter(server: &Server, name: &str) -> Self {
        let stream = small_buffered(&server.address);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut member = Self { heard: BufReader::new(stream.try_clone().unwrap()), stream };
        assert_eq!(member.hears(), "Please enter your name");
        member.says(name);
        assert_eq!(member.hears(), format!("{name} is here"));
        member
    }

    fn says(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.heard.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// Connects with little room in the kernel for what is not read.
fn small_buffered(address: &str) -> TcpStream {
    let address: std::net::SocketAddr = address.parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * forebay_testing::KIB).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

const LONG: usize = 900;

#[test]
fn chat_cuts_off_a_member_that_reads_nothing_and_the_others_miss_no_line() {
    let server = Server::start("chat", &["1"]);
    let mut ada = Member::enter(&server, "Ada");
    let mut grace = Member::enter(&server, "Grace");
    assert_eq!(ada.hears(), "Grace is here");
    let deaf = Member::enter(&server, "Deaf");
    let mut is_cut = false;
    let mut number = 0;
    for member in [&mut ada, &mut grace] {
        assert_eq!(member.hears(), "Deaf is here");
    }
    while !is_cut {
        let line = format!("{number} {}", "x".repeat(LONG));
        ada.says(&line);
        for member in [&mut ada, &mut grace] {
            let mut heard = member.hears();
            if heard == "Deaf has left" {
                is_cut = true;
                heard = member.hears();
            }
            assert!(heard == format!("Ada: {line}"), "line {number} is missing");
        }
        number += 1;
    }
    drop(deaf);
}

#[test]
fn chat_tells_a_slow_member_how_many_lines_were_left_out() {
    const LINES: u64 = 10_000;
    const AT_ONCE: u64 = 20;
    let server = Server::start("chat", &["600"]);
    let mut ada = Member::enter(&server, "Ada");
    let mut slow = Member::enter(&server, "Slow");
    assert_eq!(ada.hears(), "Slow is here");
    for number in 0..LINES {
        ada.says(&format!("{number} {}", "x".repeat(LONG)));
        if number % AT_ONCE == AT_ONCE - 1 {
            (0..AT_ONCE).for_each(|_| assert!(ada.hears().starts_with("Ada: ")));
        }
    }
    // It begins to read. Behind what waits for it, it learns what is missing, and from there on nothing is.
    let (mut said, mut next, mut left_out) = (LINES, 0, 0);
    loop {
        let line = slow.hears();
        if let Some(count) = line.strip_prefix('(').and_then(|line| line.split(' ').next()) {
            left_out = count.parse().unwrap();
            next += left_out;
            continue;
        }
        let number = line.strip_prefix("Ada: ").and_then(|line| line.split(' ').next()).unwrap();
        assert_eq!(number.parse::<u64>().unwrap(), next, "a line is missing or out of order");
        next += 1;
        if left_out > 0 {
            break;
        }
        ada.says(&said.to_string());
        assert_eq!(ada.hears(), format!("Ada: {said}"));
        said += 1;
    }
}
