//! The names that a Unix socket may have, and the users that an abstract one lets in.

#![cfg(target_os = "linux")]

use std::env::set_current_dir;
use std::ffi::OsString;
use std::fs::create_dir;
use std::io::Read;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use forebay::{ErrorKind, Interest, SelectorManager, SocketAddress, UnixAddress};
use forebay_testing::{
    Child, Transport, alone, in_host, on_every_transport, report, role, run, say, skip,
    unix::{Directory, NOBODY, abstract_name, as_nobody, is_root},
};

// ---- names --------------------------------------------------------------------------------------

/// Neither call gets as far as the system: the detail is ours.
async fn assert_refused(selector: &SelectorManager, address: UnixAddress, detail: &str) {
    let bound = selector.unix().replace_stale().bind(&address).await.map(drop);
    let connected = selector.unix().connect(&address).await.map(drop);
    for outcome in [bound, connected] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(detail), "{error}");
        assert!(std::error::Error::source(&error).is_none(), "the system said it: {error}");
    }
}

fn path(bytes: &[u8]) -> UnixAddress {
    UnixAddress::Path(PathBuf::from(OsString::from_vec(bytes.to_vec())))
}

#[test]
fn a_name_that_the_system_cannot_hold_is_refused_before_it_is_asked() {
    run(async |selector| {
        let too_long = "108 bytes; the system's address holds 107";
        assert_refused(&selector, path(&[b'p'; 108]), too_long).await;
        assert_refused(&selector, path(b"/tmp/a\0b"), "a path holds no NUL").await;
        assert_refused(&selector, path(b""), "and this is empty").await;
        assert_refused(&selector, UnixAddress::Unnamed, "and this is empty").await;
        assert_refused(&selector, UnixAddress::Abstract(vec![b'n'; 108]), too_long).await;
        assert_refused(&selector, UnixAddress::Abstract(Vec::new()), "and this is empty").await;
        assert_eq!(selector.stats().sockets, 0);
        Ok(())
    });
}

#[test]
fn the_longest_names_work() {
    run(async |selector| {
        let directory = Directory::new();
        let room = 107 - directory.path().as_os_str().len() - 1;
        let longest = directory.join(&"p".repeat(room));
        assert_eq!(longest.as_os_str().len(), 107);
        let mut name = abstract_name("longest-name");
        if let UnixAddress::Abstract(bytes) = &mut name {
            bytes.resize(107, 0);
        }
        for address in [UnixAddress::Path(longest), name] {
            let server = selector.unix().bind(&address).await?;
            let client = selector.unix().connect(server.local_address()).await?;
            let accepted = server.accept().await?;
            let expected = SocketAddress::Unix(address);
            assert_eq!(server.local_address(), expected);
            assert_eq!(client.remote_address(), expected);
            assert_eq!(accepted.local_address(), expected);
            assert_eq!(client.remote_address().to_string().parse::<SocketAddress>()?, expected);
            assert_eq!(server.port(), 0);
        }
        Ok(())
    });
}

/// A path may hold what is no text, and begin with what stands for an abstract name elsewhere.
#[test]
fn names_that_look_like_something_else_work() {
    run(async |selector| {
        let directory = Directory::new();
        for name in [&b"\xe9t\xe9 \n"[..], b"@home", b"unix:x", br"a\x40"] {
            let path = directory.path().join(OsString::from_vec(name.to_vec()));
            let server = selector.unix().bind(&path).await?;
            assert_eq!(server.local_address(), UnixAddress::Path(path.clone()).into());
            selector.unix().connect(&path).await?;
            assert!(path.exists());
        }
        assert_eq!(directory.names(), [""; 0]);
        Ok(())
    });
}

#[test]
fn a_peer_with_a_name_is_known_by_it() {
    run(async |selector| {
        let directory = Directory::new();
        let server = selector.unix().bind(directory.join("server")).await?;
        let client = selector.unix().connect(server.local_address()).await?;
        assert_eq!(server.accept().await?.remote_address(), UnixAddress::Unnamed.into());
        assert_eq!(client.local_address(), UnixAddress::Unnamed.into());

        let named =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        named.bind(&socket2::SockAddr::unix(directory.join("client")).unwrap()).unwrap();
        named.connect(&socket2::SockAddr::unix(directory.join("server")).unwrap()).unwrap();
        let accepted = server.accept().await?;
        assert_eq!(accepted.remote_address(), UnixAddress::Path(directory.join("client")).into());
        Ok(())
    });
}

/// The directory that a relative path counts from is the one at `bind` and `connect`.
#[test]
fn the_address_of_a_relative_path_survives_a_change_of_the_working_directory() {
    // A process has one working directory.
    alone("the_address_of_a_relative_path_survives_a_change_of_the_working_directory", || {
        run(async |selector| {
            let (here, elsewhere) = (Directory::new(), Directory::new());
            set_current_dir(here.path()).unwrap();
            let server = selector.unix().bind("server").await?;
            let client = selector.unix().connect("./server").await?;
            set_current_dir(elsewhere.path()).unwrap();
            let accepted = server.accept().await?;
            let expected = SocketAddress::Unix(UnixAddress::Path(here.join("server")));
            assert_eq!(server.local_address(), expected);
            assert_eq!(accepted.local_address(), expected);
            assert_eq!(client.remote_address(), expected);
            selector.unix().connect(server.local_address()).await?;
            drop((server, client, accepted));
            assert_eq!(here.names(), [""; 0]);
            set_current_dir("/").unwrap();
            Ok(())
        });
    });
}

/// A relative path may be the only way to a directory whose absolute path is too long for the system.
#[test]
fn a_relative_path_stays_where_the_absolute_one_is_too_long() {
    alone("a_relative_path_stays_where_the_absolute_one_is_too_long", || {
        run(async |selector| {
            let directory = Directory::new();
            let deep = directory.join(&"d".repeat(107));
            create_dir(&deep).unwrap();
            set_current_dir(&deep).unwrap();
            let server = selector.unix().bind("server").await?;
            assert_eq!(server.local_address(), UnixAddress::Path("server".into()).into());
            selector.unix().connect(server.local_address()).await?;
            set_current_dir("/").unwrap();
            drop(server);
            assert!(!deep.join("server").exists(), "the path is removed all the same");
            Ok(())
        });
    });
}

// ---- credentials of the peer --------------------------------------------------------------------

#[test]
fn every_user_may_connect_to_an_abstract_name_and_credentials_tell_who_did() {
    let test = "every_user_may_connect_to_an_abstract_name_and_credentials_tell_who_did";
    if !is_root() {
        return skip(test, "needs root for a second user");
    }
    run(async |selector| {
        let name = abstract_name("whoever");
        let server = selector.unix().bind(&name).await?;
        let UnixAddress::Abstract(bytes) = name else { unreachable!("made so") };
        let connecting = as_nobody(move || {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name(bytes).unwrap())
        });
        let _peer = connecting.join().unwrap().unwrap();
        let accepted = server.accept().await?;
        let peer = accepted.peer_credentials()?;
        report(&format!("unix_names: who connected to an abstract name: {peer:?}"));
        assert_eq!((peer.user_id, peer.group_id), (NOBODY, NOBODY));
        assert_eq!(peer.process_id, Some(std::process::id().cast_signed()));

        accepted.close().await?;
        assert!(accepted.peer_credentials().unwrap_err().is_closed());
        Ok(())
    });
}

#[test]
fn credentials_are_those_of_both_sides_and_of_unix_sockets_alone() {
    on_every_transport(async |selector, transport| {
        let (client, server) = transport.pair(&selector).await?;
        for end in [client, server] {
            let peer = end.socket.peer_credentials();
            if transport == Transport::Unix {
                assert_eq!(peer?.user_id, rustix::process::geteuid().as_raw());
            } else {
                let error = peer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            }
        }
        Ok(())
    });
}

/// The child: says which process it sees on the other side.
fn say_who_connects(path: &str) {
    let served = in_host(async |selector| {
        let server = selector.unix().bind(path).await?;
        say("listening");
        let accepted = server.accept().await?;
        say(&format!("{:?}", accepted.peer_credentials()?.process_id));
        forebay::Result::Ok(())
    });
    served.unwrap();
}

/// A process outside this one's namespace has no number here, for which the system says zero
/// (`pid_namespaces(7)`).
#[test]
fn a_peer_outside_the_process_namespace_has_no_number() {
    if let Some(path) = role() {
        return say_who_connects(&path);
    }
    let test = "a_peer_outside_the_process_namespace_has_no_number";
    let unshare = ["unshare", "--pid", "--fork", "--kill-child"];
    let can = Command::new(unshare[0]).args(&unshare[1..]).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        return skip(test, "needs unshare and the right to make a process namespace");
    }
    let directory = Directory::new();
    let path = directory.join("server");
    let mut child = Child::start_under(&unshare, test, path.to_str().unwrap());
    assert_eq!(child.hear().as_deref(), Some("listening"));
    let _peer = UnixStream::connect(&path).unwrap();
    assert_eq!(child.hear().as_deref(), Some("None"));
    child.end();
}

/// The child: connects, and lives until it is told to end.
fn connect_and_stay(path: &str) {
    let _peer = UnixStream::connect(path).unwrap();
    say("connected");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn the_end_of_the_peers_process_is_seen_through_its_descriptor() {
    if let Some(path) = role() {
        return connect_and_stay(&path);
    }
    let test = "the_end_of_the_peers_process_is_seen_through_its_descriptor";
    run(async move |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = selector.unix().bind(&path).await?;
        let mut child = Child::start(test, path.to_str().unwrap());
        assert_eq!(child.hear().as_deref(), Some("connected"));
        let accepted = server.accept().await?;
        let process = match accepted.peer_pidfd() {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                skip(test, "needs SO_PEERPIDFD (Linux 6.5)");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let flags = rustix::io::fcntl_getfd(&process).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let mut ended = std::pin::pin!(selector.ready(&process, Interest::READABLE));
        assert!(futures_lite::future::poll_once(&mut ended).await.is_none());
        child.end();
        assert!(ended.await?.is_readable());
        // The process is gone, with its parent's word for it.
        match accepted.peer_pidfd() {
            Ok(process) => drop(process),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
        accepted.close().await?;
        assert!(accepted.peer_pidfd().unwrap_err().is_closed());
        Ok(())
    });
}

#[test]
fn only_unix_sockets_have_a_descriptor_of_their_peers_process() {
    on_every_transport(async |selector, transport| {
        let (client, _server) = transport.pair(&selector).await?;
        match client.socket.peer_pidfd() {
            Ok(_) => assert_eq!(transport, Transport::Unix),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
        }
        Ok(())
    });
}
