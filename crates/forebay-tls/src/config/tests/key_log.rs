use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rustls::KeyLog as _;

use super::{connect, sides};
use crate::config::key_log::KeyLogger;

type Lines = Arc<Mutex<BTreeSet<String>>>;

fn collector() -> (Lines, impl Fn(&str) + Send + Sync + 'static) {
    let lines = Lines::default();
    let into = lines.clone();
    (lines, move |line: &str| {
        into.lock().unwrap().insert(line.to_owned());
    })
}

#[test]
fn both_sides_write_the_lines_of_their_rfc() {
    for (version, labels) in [
        ("1.2", &["CLIENT_RANDOM"][..]),
        (
            "1.3",
            &[
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_TRAFFIC_SECRET_0",
            ],
        ),
    ] {
        let (_root, client, server) = sides();
        let ((ours, client_log), (theirs, server_log)) = (collector(), collector());
        let client = client.key_log(client_log).versions([version]).build().unwrap();
        let server = server.key_log(server_log).versions([version]).build().unwrap();
        connect(&client, &server);
        let (ours, theirs) = (ours.lock().unwrap(), theirs.lock().unwrap());
        assert_eq!(*ours, *theirs);
        let found: Vec<_> = ours.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(found, labels);
        for line in ours.iter() {
            let parts: Vec<_> = line.split(' ').collect();
            let [_, random, secret] = parts[..] else { panic!("{line}") };
            assert_eq!(random.len(), 64, "{line}");
            assert!(secret.len() >= 64 && secret.len() % 2 == 0, "{line}");
            let is_lower_hexadecimal =
                |char: char| char.is_ascii_digit() || ('a'..='f').contains(&char);
            assert!(format!("{random}{secret}").chars().all(is_lower_hexadecimal), "{line}");
        }
        let shown = format!("{client:?}{server:?}");
        assert!(shown.contains("key_log: Some(on)"), "{shown}");
        for line in ours.iter() {
            let secret = line.rsplit(' ').next().unwrap();
            assert!(!shown.contains(&secret[..16]), "{shown}");
        }
    }
}

#[test]
fn bytes_are_written_as_two_digits_the_higher_first() {
    let (lines, log) = collector();
    KeyLogger::new(log).log("LABEL", &[0x00, 0x1f, 0xa5], &[0xff, 0x07]);
    assert_eq!(lines.lock().unwrap().first().unwrap(), "LABEL 001fa5 ff07");
}

#[test]
fn nothing_is_logged_unless_it_is_asked_for() {
    let (_root, client, server) = sides();
    let client = client.build().unwrap();
    connect(&client, &server.build().unwrap());
    assert!(format!("{client:?}").contains("key_log: None"));
}

/// A panic of the closure is its caller's, and leaves nothing locked.
#[test]
fn a_closure_that_panics_spoils_one_handshake() {
    let (_root, client, server) = sides();
    let panics = Arc::new(Mutex::new(true));
    let asked = panics.clone();
    let client = client.key_log(move |_| {
        let panics = std::mem::take(&mut *asked.lock().unwrap());
        assert!(!panics, "as the test wants");
    });
    let client = client.build().unwrap();
    let server = server.build().unwrap();
    let both = std::panic::AssertUnwindSafe((&client, &server));
    let caught = std::panic::catch_unwind(|| {
        let (client, server) = *both;
        connect(client, server)
    });
    assert!(caught.is_err());
    connect(&client, &server);
}
