//! The path of a Unix socket that exists already. What a dead server left behind is
//! replaced if that was asked for; nothing else ever is.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, BufRead};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

use forebay::{ErrorKind, Result, SelectorManager, ServerSocket};
use forebay_testing::{
    Child, in_host, report, role, run, say, size, skip,
    unix::{Directory, NOBODY, as_nobody, identity, is_root, leave_stale},
    watched,
};
use socket2::{Domain, SockAddr, Socket as SystemSocket, Type};

async fn replace(selector: &SelectorManager, path: &Path) -> Result<ServerSocket> {
    selector.unix().replace_stale().bind(path).await
}

/// A connection goes through this server: the path is its own.
async fn assert_serves(server: &ServerSocket, path: &Path) {
    let mut peer = UnixStream::connect(path).unwrap();
    io::Write::write_all(&mut peer, b"hello\n").unwrap();
    let accepted = server.accept().await.unwrap();
    let line = accepted.open_read_channel().unwrap().read_line().await.unwrap();
    assert_eq!(line.as_deref(), Some("hello"));
}

/// The path stays what it was, and the error says why.
async fn assert_never_replaced(selector: &SelectorManager, path: &Path, why: &str) {
    let before = identity(path);
    let error = replace(selector, path).await.unwrap_err();
    let text = error.to_string();
    report(&format!("unix_stale_path: {text}"));
    assert_eq!(error.kind(), ErrorKind::AddressInUse, "{text}");
    assert!(text.contains(why) && text.ends_with("nothing was replaced"), "{text}");
    assert!(text.contains(&format!("unix:{}", path.display())), "{text}");
    assert_eq!(identity(path), before);
}

// ---- what is replaced ---------------------------------------------------------------------------

/// The child: listens until it is killed.
fn serve_until_killed(path: &str) {
    let serving = in_host(async |selector| {
        let server = selector.unix().bind(path).await?;
        say("listening");
        server.accept().await.map(drop)
    });
    serving.unwrap();
}

#[test]
fn a_path_that_a_killed_server_left_is_replaced_when_asked_for() {
    if let Some(path) = role() {
        return serve_until_killed(&path);
    }
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let test = "a_path_that_a_killed_server_left_is_replaced_when_asked_for";
        let mut child = Child::start(test, path.to_str().unwrap());
        assert_eq!(child.hear().as_deref(), Some("listening"));
        drop(child);
        assert!(path.exists(), "a server that is killed leaves its path");

        let refused = selector.unix().connect(&path).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
        let in_use = selector.unix().bind(&path).await.unwrap_err();
        assert_eq!(in_use.kind(), ErrorKind::AddressInUse, "{in_use}");

        let server = replace(&selector, &path).await?;
        assert_serves(&server, &path).await;
        drop(server);
        assert_eq!(directory.names(), [""; 0]);
        Ok(())
    });
}

#[test]
fn without_anything_to_replace_it_binds_as_always() {
    run(async |selector| {
        let directory = Directory::new();
        let server = replace(&selector, &directory.join("new")).await?;
        assert_serves(&server, &directory.join("new")).await;
        Ok(())
    });
}

// ---- what is not --------------------------------------------------------------------------------

#[test]
fn a_live_server_is_never_replaced() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("server");
        let server = selector.unix().bind(&path).await?;
        assert_never_replaced(&selector, &path, "a server listens there").await;
        // It has been knocked at, and goes on.
        assert_eq!(server.accept().await?.open_read_channel()?.read_line().await?, None);
        assert_serves(&server, &path).await;
        Ok(())
    });
}

#[test]
fn a_live_server_with_a_full_backlog_is_never_replaced() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("busy");
        let server = selector.unix().backlog(0).bind(&path).await?;
        let waiting = fill_backlog(&path);
        assert_never_replaced(&selector, &path, "a server listens there").await;
        assert_eq!(waiting.len(), 1, "the client in the backlog of a server that accepts none");
        server.accept().await?;
        Ok(())
    });
}

/// Connects until the server's backlog is full.
fn fill_backlog(path: &Path) -> Vec<SystemSocket> {
    let address = SockAddr::unix(path).unwrap();
    let mut waiting = Vec::new();
    loop {
        let socket = SystemSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&address) {
            Ok(()) => waiting.push(socket),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return waiting;
            }
        }
    }
}

#[test]
fn what_is_no_socket_is_never_replaced() {
    run(async |selector| {
        let directory = Directory::new();
        let no_socket = "the path is no socket";
        let file = directory.join("file");
        fs::write(&file, "precious").unwrap();
        assert_never_replaced(&selector, &file, no_socket).await;
        assert_eq!(fs::read(&file).unwrap(), b"precious");

        let folder = directory.join("folder");
        fs::create_dir(&folder).unwrap();
        assert_never_replaced(&selector, &folder, no_socket).await;

        // Not even a link to what would be replaced itself, nor one to nothing.
        let stale = directory.join("stale");
        leave_stale(&stale);
        for target in [stale.as_path(), Path::new("nowhere")] {
            let link = directory.join("link");
            symlink(target, &link).unwrap();
            assert_never_replaced(&selector, &link, no_socket).await;
            fs::remove_file(&link).unwrap();
        }
        assert!(stale.exists());
        Ok(())
    });
}

#[test]
fn a_socket_of_another_kind_is_never_replaced_while_it_lives() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("datagrams");
        let _live = UnixDatagram::bind(&path).unwrap();
        let before = identity(&path);
        let error = replace(&selector, &path).await.unwrap_err();
        assert!(error.to_string().contains("replace_stale"), "{error}");
        assert_eq!(identity(&path), before);
        Ok(())
    });
}

#[test]
fn another_users_socket_is_never_replaced() {
    if !is_root() {
        return skip("another_users_socket_is_never_replaced", "needs root for a second user");
    }
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("theirs");
        leave_stale(&path);
        std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
        assert_never_replaced(&selector, &path, "belongs to another user").await;
        Ok(())
    });
    // The other way about: nor does a user without rights replace root's.
    let directory = Directory::new();
    let path = directory.join("roots");
    leave_stale(&path);
    let theirs = path.clone();
    let refused = as_nobody(move || in_host(async |selector| replace(&selector, &theirs).await));
    let error = watched(|| refused.join().unwrap()).unwrap_err();
    assert!(path.exists(), "{error}");
}

// ---- two at a time ------------------------------------------------------------------------------

#[test]
fn of_two_servers_that_start_together_on_a_stale_path_one_wins() {
    watched(|| {
        let directory = Directory::new();
        let path = directory.join("contested");
        let rounds = size("FOREBAY_ROUNDS", 25, 100);
        for round in 0..rounds {
            leave_stale(&path);
            let start = Arc::new(Barrier::new(2));
            let servers = [(); 2].map(|()| {
                let (path, start) = (path.clone(), Arc::clone(&start));
                thread::spawn(move || contend(&path, &start))
            });
            let outcomes = servers.map(|server| server.join().unwrap());
            let won = outcomes.iter().filter(|won| **won).count();
            assert_eq!(won, 1, "in round {round}");
            assert_eq!(directory.names(), [""; 0], "the winner has cleaned up");
        }
        report(&format!("unix_stale_path: {rounds} rounds of two, one winner each"));
    });
}

/// Returns true if this side has the path, and is reached by it; both stay until they know.
fn contend(path: &Path, start: &Barrier) -> bool {
    in_host(async |selector| {
        start.wait();
        let bound = replace(&selector, path).await;
        start.wait();
        let won = match &bound {
            Ok(server) => {
                // The other side has knocked, perhaps: the path leads here whichever was first.
                assert_serves_somewhere(server, path).await;
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AddressInUse, "{error}");
                assert!(error.to_string().contains("a server listens there"), "{error}");
                false
            }
        };
        start.wait();
        Ok::<_, forebay::Error>(won)
    })
    .unwrap()
}

async fn assert_serves_somewhere(server: &ServerSocket, path: &Path) {
    let peer = UnixStream::connect(path).unwrap();
    io::Write::write_all(&mut &peer, b"hello\n").unwrap();
    loop {
        let accepted = server.accept().await.unwrap();
        match accepted.open_read_channel().unwrap().read_line().await.unwrap() {
            Some(line) => return assert_eq!(line, "hello"),
            None => drop(accepted),
        }
    }
}

/// A foreign server is not harmed either, by whatever order of calls: `bind` alone, without
/// `listen`, refuses as a dead one does, and that is the one moment that no lock of ours covers.
#[test]
fn a_foreign_server_that_listens_keeps_its_path() {
    run(async |selector| {
        let directory = Directory::new();
        let path = directory.join("foreign");
        let foreign = UnixListener::bind(&path).unwrap();
        assert_never_replaced(&selector, &path, "a server listens there").await;
        let peer = UnixStream::connect(&path).unwrap();
        io::Write::write_all(&mut &peer, b"hello\n").unwrap();
        let knock = foreign.accept().unwrap().0;
        drop(knock);
        let mut line = String::new();
        io::BufReader::new(foreign.accept().unwrap().0).read_line(&mut line).unwrap();
        assert_eq!(line, "hello\n");
        Ok(())
    });
}
