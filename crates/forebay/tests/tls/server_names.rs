//! The name that a client asks for (SNI, RFC 6066, section 3). Our server has one certificate,
//! which it shows whatever was asked for; the name stands in `tls_info`, and no name in there is one
//! that could not be a server's.

#![cfg(all(target_os = "linux", feature = "tls"))]

use std::io::{Read, Write};

use forebay::{Result, SelectorManager, ServerSocket, Socket, TlsConfig, TlsInfo};
use forebay_testing::{
    dial,
    foreign::{Given, Place, Tool},
    report,
    tls::{handle_next, listen},
    watched,
};

/// Lets a client with these options say a line, and returns what was agreed on with it.
fn asked(test: &str, tool: Tool, more: &[&str]) -> Option<TlsInfo> {
    let (selector, place) = (SelectorManager::new(), Place::new());
    let config = TlsConfig::server(place.server.identity()).build().unwrap();
    let listener = listen(&selector, &config);
    let handled = handle_next(&selector, &listener, |socket| async move {
        let info = socket.handshake().await?;
        let mut connection = socket.connection()?;
        assert_eq!(connection.input.read_line().await?.as_deref(), Some("hello"));
        connection.output.write_str("good evening\n").await?;
        socket.close().await?;
        Ok(info)
    });
    let given = Given { more, ..Given::default() };
    let mut client = tool.client(test, &place, listener.port(), &given)?;
    client.say("hello\n");
    client.must_say("good evening\n");
    let info = selector.block_on(handled).unwrap().unwrap();
    report(&format!("{test}: {more:?}: {:?}", info.server_name()));
    Some(info)
}

/// A name of 253 bytes: as long as one may be.
fn longest() -> String {
    [62, 62, 62, 64 - 2].map(|bytes| "a".repeat(bytes)).join(".") + ".a"
}

#[test]
fn openssl_asks_for_any_name_or_none() {
    let test = "openssl_asks_for_any_name_or_none";
    watched(move || {
        let longest = longest();
        for (more, name) in [
            (&["-noservername"][..], None),
            (&["-servername", "unknown.example"], Some("unknown.example")),
            (&["-servername", "UPPER.example"], Some("upper.example")),
            (&["-servername", &longest], Some(longest.as_str())),
            (&["-servername", "127.0.0.1"], None),
        ] {
            let Some(asked) = asked(test, Tool::OpenSsl, more) else { return };
            assert_eq!(asked.server_name(), name, "{more:?}");
        }
    });
}

#[test]
fn gnutls_asks_for_any_name_or_none() {
    let test = "gnutls_asks_for_any_name_or_none";
    watched(move || {
        for (more, name) in [
            (&["--disable-sni"][..], None),
            (
                &["--sni-hostname=unknown.example", "--verify-hostname=localhost"],
                Some("unknown.example"),
            ),
        ] {
            let Some(asked) = asked(test, Tool::GnuTls, more) else { return };
            assert_eq!(asked.server_name(), name);
        }
    });
}

// ---- names that are none ------------------------------------------------------------------------

/// The beginning of a handshake, made by hand: it offers what every server has, and asks for these
/// names, each with its type (RFC 6066, section 3).
fn hello(names: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let list: Vec<u8> =
        names.iter().flat_map(|(kind, name)| [vec![*kind], sized(name)].concat()).collect();
    let extensions = [
        extension(0, &sized(&list)),
        extension(10, &[0, 2, 0, 0x1d]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(43, &[2, 3, 4]),
        extension(51, &[vec![0, 36, 0, 0x1d, 0, 32], vec![9; 32]].concat()),
    ];
    let body = [
        vec![3, 3],
        vec![7; 32],
        vec![0],
        sized(&[0x13, 1, 0x13, 2]),
        vec![1, 0],
        sized(&extensions.concat()),
    ];
    let message = [vec![1, 0], sized(&body.concat())].concat();
    [vec![22, 3, 1], sized(&message)].concat()
}

fn extension(number: u8, content: &[u8]) -> Vec<u8> {
    [vec![0, number], sized(content)].concat()
}

/// Bytes behind their number, which takes two.
fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Sends such a beginning, and returns the type of the first record that comes back, and its content.
fn answer(listener: &ServerSocket, names: &[(u8, Vec<u8>)]) -> (u8, Vec<u8>) {
    let mut peer = dial(listener.port());
    peer.write_all(&hello(names)).unwrap();
    let mut head = [0; 5];
    peer.read_exact(&mut head).unwrap();
    let mut content = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    peer.read_exact(&mut content).unwrap();
    (head[0], content)
}

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

#[test]
fn what_is_no_name_is_refused_before_anything_is_made_of_it() {
    let test = "what_is_no_name_is_refused_before_anything_is_made_of_it";
    watched(move || {
        let (selector, place) = (SelectorManager::new(), Place::new());
        let config = TlsConfig::server(place.server.identity()).build().unwrap();
        let listener = listen(&selector, &config);
        // By hand as well as any other: this one is.
        let good = handle_next(&selector, &listener, read_one);
        assert_eq!(answer(&listener, &[(0, b"localhost".to_vec())]).0, HANDSHAKE);
        drop(good);
        for (what, names) in [
            ("254 bytes", vec![(0, "a.".repeat(127).into_bytes())]),
            ("256 bytes", vec![(0, "a.".repeat(128).into_bytes())]),
            ("300 bytes in a label", vec![(0, vec![b'a'; 300])]),
            ("nothing", vec![(0, Vec::new())]),
            ("a NUL", vec![(0, b"local\0host".to_vec())]),
            ("a space", vec![(0, b"local host".to_vec())]),
            ("a line end", vec![(0, b"localhost\r\nGET /".to_vec())]),
            ("no UTF-8", vec![(0, b"\xff\xfe".to_vec())]),
            ("two names", vec![(0, b"a.example".to_vec()), (0, b"b.example".to_vec())]),
            ("another kind of name", vec![(1, b"a.example".to_vec())]),
            ("no names", Vec::new()),
        ] {
            let handled = handle_next(&selector, &listener, read_one);
            let (kind, content) = answer(&listener, &names);
            let error = selector.block_on(handled).unwrap().unwrap_err();
            assert_eq!(kind, ALERT, "{what}: {error}");
            assert_eq!(content[0], 2, "{what}: it is fatal");
            assert!(error.tls_fault().is_some(), "{what}: {error}");
            report(&format!("{test}: {what}: alert {}, {error}", content[1]));
        }
    });
}

/// Reads what a handler would see of a peer: nothing, or it is a fault.
async fn read_one(socket: Socket) -> Result<u8> {
    socket.open_read_channel()?.read_u8().await
}
