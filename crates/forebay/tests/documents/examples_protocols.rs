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
