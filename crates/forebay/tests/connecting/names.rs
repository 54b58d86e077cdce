//! Names: whether they exist, how many addresses they have, and what connecting to them has to say. The
//! names are those of a network namespace with a hosts file and a name server of its own.

#![cfg(target_os = "linux")]

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;
use std::{fs, io, thread};

use forebay::{Error, ErrorKind, Result, SelectorManager};
use forebay_testing::{in_host, say};
use socket2::{Domain, SockAddr, Socket, Type};

use super::namespace::{self, Namespace};

/// So many addresses has `many.test`.
const MANY: usize = 1000;

/// Runs a test in a namespace with names, in a process of its own, because a resolver reads its files once.
fn in_a_namespace(name: &'static str, test: impl AsyncFnOnce(SelectorManager) -> Result<()>) {
    let inside = || {
        serve_names();
        in_host(test).unwrap();
    };
    namespace::in_a_namespace(name, write_names, inside);
}

fn write_names(namespace: &Namespace) {
    let etc = namespace.etc();
    let many = (0..MANY).map(|it| format!("127.1.{}.{} many.test\n", it / 250, it % 250));
    let few = "127.0.0.2 two.test\n127.0.0.3 two.test\n127.0.0.4 one.test\n".to_owned();
    fs::write(format!("{etc}/hosts"), many.chain([few]).collect::<String>()).unwrap();
    let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    fs::write(format!("{etc}/resolv.conf"), resolver).unwrap();
}

// ---- a name server ------------------------------------------------------------------------------

/// Answers as the first label of a name says (RFC 1035, section 4.1.1).
fn serve_names() {
    let server = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || -> io::Result<()> {
        let mut message = [0; 512];
        loop {
            let (length, client) = server.recv_from(&mut message)?;
            let label = &message[13..13 + usize::from(message[12])];
            let code = match label {
                b"missing" => 3,
                b"failing" => 2,
                b"refused" => 5,
                b"empty" => 0,
                _ => continue,
            };
            // A response, with recursion available, and the question alone.
            message[2] |= 0x80;
            message[3] = 0x80 | code;
            message[6..12].fill(0);
            server.send_to(&message[..length], client)?;
        }
    });
}

/// Returns the error of a look-up, and prints its words.
async fn look_up(selector: &SelectorManager, name: &str) -> Error {
    let error = selector.tcp().connect((name, 80)).await.unwrap_err();
    say(&error.to_string());
    error
}

#[test]
fn a_name_server_that_fails_says_nothing_about_a_name() {
    const NAME: &str = "a_name_server_that_fails_says_nothing_about_a_name";
    in_a_namespace(NAME, async |selector| {
        for name in ["missing.test", "empty.test"] {
            let error = look_up(&selector, name).await;
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
        for name in ["failing.test", "refused.test", "silent.test"] {
            let error = look_up(&selector, name).await;
            assert_eq!(error.kind(), ErrorKind::LookUpFailed, "{error}");
            assert_eq!(error.address(), Some(format!("{name}:80").as_str()));
        }
        Ok(())
    });
}

// ---- connecting ---------------------------------------------------------------------------------

/// Listens at an address where no handshake is answered, because nothing is accepted.
fn listen_in_silence(host: [u8; 4]) -> (Socket, Vec<Socket>, u16) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&SockAddr::from(std::net::SocketAddr::from((host, 0)))).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = socket();
        match client.connect_timeout(&address, Duration::from_millis(200)) {
            Ok(()) => waiting.push(client),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
            Err(error) => panic!("{error}"),
        }
    }
    (listener, waiting, address.as_socket().unwrap().port())
}

#[test]
fn an_address_that_is_silent_leaves_time_for_the_next() {
    const NAME: &str = "an_address_that_is_silent_leaves_time_for_the_next";
    in_a_namespace(NAME, async |selector| {
        let (_silent, _waiting, port) = listen_in_silence([127, 0, 0, 2]);
        let answers = TcpListener::bind(("127.0.0.3", port)).unwrap();
        let tcp = || selector.tcp().connect_timeout(Duration::from_secs(2));
        let socket = tcp().connect(("two.test", port)).await?;
        assert_eq!(socket.remote_address().to_string(), format!("127.0.0.3:{port}"));
        socket.abort();
        drop(answers);
        // Now the second one refuses, and the error tells of both.
        let error = tcp().connect(("two.test", port)).await.unwrap_err();
        say(&error.to_string());
        assert!(error.is_timeout(), "the first one has all the time: {error}");
        let kinds = error.attempts().iter().map(|attempt| attempt.error().kind());
        assert!(kinds.eq([ErrorKind::Refused, ErrorKind::TimedOut]), "{error}");
        for address in ["two.test:", "127.0.0.2:", "127.0.0.3:"] {
            assert!(error.to_string().contains(&format!("{address}{port}")), "{error}");
        }
        Ok(())
    });
}

#[test]
fn an_error_of_a_thousand_addresses_is_short() {
    const NAME: &str = "an_error_of_a_thousand_addresses_is_short";
    in_a_namespace(NAME, async |selector| {
        for bind in [false, true] {
            let error = if bind {
                let taken = TcpListener::bind("0.0.0.0:0").unwrap();
                let address = ("many.test", taken.local_addr().unwrap().port());
                selector.tcp().bind(address).await.unwrap_err()
            } else {
                selector.tcp().connect("many.test:9").await.unwrap_err()
            };
            let text = error.to_string();
            say(&text);
            assert!(text.len() < 1000, "{} bytes", text.len());
            let found = text.find(&format!("{MANY} addresses"));
            assert!(found.is_some() && text.contains("many.test:"), "{text}");
        }
        Ok(())
    });
}

#[test]
fn a_name_server_that_is_silent_is_named_by_the_deadline() {
    const NAME: &str = "a_name_server_that_is_silent_is_named_by_the_deadline";
    in_a_namespace(NAME, async |selector| {
        let tcp = selector.tcp().connect_timeout(Duration::from_millis(100));
        let error = tcp.connect("silent.test:80").await.unwrap_err();
        say(&error.to_string());
        assert!(error.is_timeout(), "{error}");
        assert!(error.to_string().contains("look-up"), "{error}");
        Ok(())
    });
}

#[test]
fn the_error_of_a_connect_has_the_name_and_its_address() {
    const NAME: &str = "the_error_of_a_connect_has_the_name_and_its_address";
    in_a_namespace(NAME, async |selector| {
        let error = selector.tcp().connect("one.test:80").await.unwrap_err();
        say(&error.to_string());
        assert!(error.is_refused());
        let text = "connect one.test:80 (127.0.0.4:80): the peer refused the connection (os error 111): \
                    nothing listens there";
        assert!(error.to_string().starts_with(text), "{error}");
        let two = selector.tcp().connect("two.test:80").await.unwrap_err();
        say(&two.to_string());
        let advice = two.to_string().matches("nothing listens there").count();
        assert_eq!(advice, 1, "{two}");
        assert_eq!(two.address(), Some("two.test:80"));
        Ok(())
    });
}
