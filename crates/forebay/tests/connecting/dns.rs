//! A name server's answers, through the system's resolver: what `resolve` and `connect` make of them. In a network
//! namespace with a name server of the test's.

#![cfg(target_os = "linux")]

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{fs, io, thread};

use forebay::{ErrorKind, Result, SelectorManager};
use forebay_testing::{in_host, lock, poll_once, say};

use super::namespace::{Namespace, in_a_namespace};

/// The records of the server, by the first label of a name; one that is not here does not exist. It never answers
/// for `silent`.
const RECORDS: [(&str, &[&str]); 6] = [
    ("four", &["1.2.3.4"]),
    ("six", &["2001:db8::2"]),
    ("dual", &["203.0.113.1", "2001:db8::1"]),
    ("near", &["127.0.0.9"]),
    ("empty", &[]),
    ("silent", &[]),
];

fn with_a_name_server(namespace: &Namespace) {
    let etc = namespace.etc();
    fs::write(format!("{etc}/hosts"), "127.0.0.1 localhost\n").unwrap();
    let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    fs::write(format!("{etc}/resolv.conf"), resolver).unwrap();
}

/// Held by a test that holds the server up.
static ANSWERS: Mutex<()> = Mutex::new(());

/// Questions that came, for IPv4 and for IPv6.
static ASKED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn asked() -> [usize; 2] {
    ASKED.each_ref().map(|count| count.load(SeqCst))
}

fn serve_names() {
    let server = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || -> io::Result<()> {
        let mut query = [0; 512];
        loop {
            let (length, client) = server.recv_from(&mut query)?;
            let _answers = lock(&ANSWERS);
            if let Some(answer) = answer(&query[..length]) {
                server.send_to(&answer, client)?;
            }
        }
    });
}

/// Answers a question for the addresses of one family (RFC 1035, section 4; RFC 3596); `None` for silence.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let label = std::str::from_utf8(&query[13..13 + usize::from(query[12])]).unwrap();
    if label == "silent" {
        return None;
    }
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let question = &query[12..name_end + 4];
    let asks_for_v6 = query[name_end..name_end + 2] == [0, 28];
    ASKED[usize::from(asks_for_v6)].fetch_add(1, SeqCst);
    let known = RECORDS.iter().find(|(name, _)| *name == label);
    let addresses = known.map_or(&[][..], |(_, addresses)| addresses).iter();
    let addresses: Vec<IpAddr> = addresses
        .map(|text| text.parse().unwrap())
        .filter(|ip: &IpAddr| ip.is_ipv6() == asks_for_v6)
        .collect();
    let code = if known.is_some() { 0 } else { 3 };
    let mut message = [&query[..2], &[0x81, 0x80 | code, 0, 1, 0]].concat();
    message.push(u8::try_from(addresses.len()).unwrap());
    message.extend([0; 4]);
    message.extend(question);
    for ip in addresses {
        let data = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        // The name of the question, its type, the class of the Internet, an hour.
        message.extend([0xc0, 12, 0, if asks_for_v6 { 28 } else { 1 }, 0, 1, 0, 0, 14, 16, 0]);
        message.push(u8::try_from(data.len()).unwrap());
        message.extend(data);
    }
    Some(message)
}

fn by_name_server(name: &'static str, test: impl AsyncFnOnce(SelectorManager) -> Result<()>) {
    in_a_namespace(name, with_a_name_server, || {
        serve_names();
        in_host(test).unwrap();
    });
}

async fn found(selector: &SelectorManager, name: &str) -> Result<Vec<String>> {
    let found = selector.resolve((name, 443)).await?;
    assert!(found.iter().all(|address| address.port() == 443));
    Ok(found.iter().map(|address| address.ip().to_string()).collect())
}

#[test]
fn a_name_with_one_family_has_its_addresses() {
    by_name_server("a_name_with_one_family_has_its_addresses", async |selector| {
        assert_eq!(found(&selector, "four.test").await?, ["1.2.3.4"]);
        assert_eq!(found(&selector, "six.test").await?, ["2001:db8::2"]);
        Ok(())
    });
}

#[test]
fn a_name_with_both_families_has_ipv6_first() {
    by_name_server("a_name_with_both_families_has_ipv6_first", async |selector| {
        assert_eq!(found(&selector, "dual.test").await?, ["2001:db8::1", "203.0.113.1"]);
        Ok(())
    });
}

/// Also where many ask at once: glibc sends one question for each family.
#[test]
fn the_system_is_asked_once_for_both_families() {
    by_name_server("the_system_is_asked_once_for_both_families", async |selector| {
        let listener = TcpListener::bind("127.0.0.9:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        selector.tcp().connect(("near.test", port)).await?;
        assert_eq!(asked(), [1, 1]);
        let mut connecting: Vec<_> =
            (0..8).map(|_| Box::pin(selector.tcp().connect(("near.test", port)))).collect();
        // All of them have joined before the name server may answer.
        let names = lock(&ANSWERS);
        for connect in &mut connecting {
            // It may give way once before it begins.
            (0..3).for_each(|_| assert!(poll_once(connect.as_mut()).is_pending()));
        }
        drop(names);
        for connect in connecting {
            assert_eq!(connect.await?.remote_address().port(), Some(port));
        }
        assert_eq!(asked(), [2, 2], "once more, for all of them");
        Ok(())
    });
}

#[test]
fn a_trailing_dot_names_the_same_host() {
    by_name_server("a_trailing_dot_names_the_same_host", async |selector| {
        assert_eq!(found(&selector, "four.test.").await?, ["1.2.3.4"]);
        let listener = TcpListener::bind("127.0.0.9:0").unwrap();
        let address = listener.local_addr().unwrap();
        for name in ["near.test", "near.test."] {
            let socket = selector.tcp().connect((name, address.port())).await?;
            assert_eq!(socket.remote_address(), address.into());
        }
        Ok(())
    });
}

#[test]
fn a_name_without_addresses_and_one_that_is_not_there_are_not_found() {
    const NAME: &str = "a_name_without_addresses_and_one_that_is_not_there_are_not_found";
    by_name_server(NAME, async |selector| {
        for name in ["empty.test", "missing.test"] {
            let error = found(&selector, name).await.unwrap_err();
            say(&error.to_string());
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.address(), Some(format!("{name}:443").as_str()));
            assert!(error.attempts().is_empty());
        }
        Ok(())
    });
}

#[test]
fn a_name_server_that_does_not_answer_fails_the_look_up() {
    const NAME: &str = "a_name_server_that_does_not_answer_fails_the_look_up";
    by_name_server(NAME, async |selector| {
        let error = found(&selector, "silent.test").await.unwrap_err();
        say(&error.to_string());
        assert_eq!(error.kind(), ErrorKind::LookUpFailed);
        Ok(())
    });
}

#[test]
fn an_empty_name_is_refused_before_any_look_up() {
    const NAME: &str = "an_empty_name_is_refused_before_any_look_up";
    by_name_server(NAME, async |selector| {
        let error = found(&selector, "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("the host is empty"), "{error}");
        Ok(())
    });
}
