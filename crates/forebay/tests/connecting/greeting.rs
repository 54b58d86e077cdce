//! README's greeting server and the clients it must do well by: `nc`, ten at once, one that ends
//! its direction behind its last name, one that vanishes. Nothing is left of any of them.

use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{ChildStdout, Command, Stdio};
use std::thread;

use forebay::{SelectorManager, Stats, pipe};
use forebay_testing::{dial, listener, report, reset, run, skip, until};

const PROMPT: &str = "Please enter your name\n";

/// Serves while `clients` runs, sees that nothing is left of them, and says what was done.
fn served(clients: impl FnOnce(u16) + Send + 'static) -> Stats {
    run(async |selector: SelectorManager| {
        let server = listener(&selector).await?;
        let port = server.port();
        let listening = selector.spawn({
            let selector = selector.clone();
            // From here on it is README's code, its prints aside.
            async move {
                loop {
                    let socket = server.accept().await?;
                    let session = async move {
                        let mut input = socket.open_read_channel()?;
                        let mut output = socket.open_write_channel()?;
                        output.write_str("Please enter your name\n").await?;
                        while let Some(name) = input.read_line().await? {
                            forebay::write_line!(output, "Hello, {name}!").await?;
                        }
                        socket.close().await
                    };
                    selector.spawn(session).detach();
                }
            }
        });
        let (mut done, mark) = pipe(1);
        let clients = thread::spawn(move || {
            let _dropped_at_the_end = mark;
            clients(port);
        });
        assert_eq!(done.read_chunk().await?, None);
        if let Err(panic) = clients.join() {
            std::panic::resume_unwind(panic);
        }
        // The listener and its task go on; of the clients nothing is left.
        until(|| {
            let stats = selector.stats();
            (stats.sockets, stats.tasks, stats.timers, stats.background_closes, stats.blocks)
                == (1, 1, 0, 0, 0)
        })
        .await;
        listening.abort();
        assert!(listening.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(selector.stats().sockets, 0);
        Ok(selector.stats())
    })
}

/// A client that has read the prompt.
fn greeted(port: u16) -> BufReader<TcpStream> {
    let mut client = BufReader::new(dial(port));
    assert_eq!(line(&mut client), PROMPT);
    client
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line
}

fn enter(client: &BufReader<TcpStream>, name: &str) {
    client.get_ref().write_all(name.as_bytes()).unwrap();
}

fn nc(arguments: &[&str], port: u16) -> Option<std::process::Child> {
    Command::new("nc")
        .args(arguments)
        .args(["127.0.0.1", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

#[test]
fn nc_is_greeted() {
    let stats = served(|port| {
        let Some(mut nc) = nc(&[], port) else {
            return skip("greeting-nc", "nc is missing");
        };
        let mut output = BufReader::new(nc.stdout.take().unwrap());
        let mut input = nc.stdin.take().unwrap();
        assert_eq!(line(&mut output), PROMPT);
        let mut ask = |name: &str, output: &mut BufReader<ChildStdout>| {
            input.write_all(name.as_bytes()).unwrap();
            line(output)
        };
        assert_eq!(ask("Ada\n", &mut output), "Hello, Ada!\n");
        assert_eq!(ask("Grace Hopper\r\n", &mut output), "Hello, Grace Hopper!\n");
        // As if its user had pressed ^C.
        nc.kill().unwrap();
        nc.wait().unwrap();
    });
    report(&format!("nc_is_greeted: {} accepted", stats.accepted));
}

/// With `-N`, `nc` ends its direction at the end of its input, and goes when the server ends.
#[test]
fn nc_with_an_end_is_greeted_to_the_end() {
    served(|port| {
        let Some(mut nc) = nc(&["-N"], port) else {
            return skip("greeting-nc", "nc is missing");
        };
        nc.stdin.take().unwrap().write_all(b"Ada\nGrace\nKatherine").unwrap();
        let output = nc.wait_with_output().unwrap();
        assert!(output.status.success(), "nc says that it failed; is it another nc?");
        let greetings = "Hello, Ada!\nHello, Grace!\nHello, Katherine!\n";
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{PROMPT}{greetings}"));
    });
}

#[test]
fn ten_at_once_are_greeted() {
    let stats = served(|port| {
        let mut clients: Vec<_> = (0..10).map(|_| greeted(port)).collect();
        for round in 0..10 {
            for (number, client) in clients.iter().enumerate() {
                enter(client, &format!("guest {number} in round {round}\n"));
            }
            for (number, client) in clients.iter_mut().enumerate().rev() {
                assert_eq!(line(client), format!("Hello, guest {number} in round {round}!\n"));
            }
        }
        for client in &mut clients {
            client.get_ref().shutdown(Shutdown::Write).unwrap();
            assert_eq!(line(client), "");
        }
    });
    assert_eq!(stats.accepted, 10);
    assert_eq!(stats.task_errors, 0);
}

#[test]
fn who_ends_behind_the_last_name_is_still_greeted() {
    let stats = served(|port| {
        for (names, last) in [("Ada\nGrace\n", "Grace"), ("Ada\nGrace", "Grace"), ("Ada\n\n", "")] {
            let mut client = dial(port);
            client.write_all(names.as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut all = String::new();
            client.read_to_string(&mut all).unwrap();
            assert_eq!(all, format!("{PROMPT}Hello, Ada!\nHello, {last}!\n"));
        }
        // One that has nothing to say.
        let mut client = dial(port);
        client.shutdown(Shutdown::Write).unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert_eq!(all, PROMPT);
    });
    assert_eq!(stats.task_errors, 0);
}

#[test]
fn who_vanishes_takes_nobody_along() {
    let stats = served(|port| {
        let mut stays = greeted(port);
        // Before a name, within one, behind one, and before being looked at.
        reset(greeted(port).into_inner());
        let vanishes = greeted(port);
        enter(&vanishes, "Half of a na");
        reset(vanishes.into_inner());
        let mut vanishes = greeted(port);
        enter(&vanishes, "Ada\n");
        assert_eq!(line(&mut vanishes), "Hello, Ada!\n");
        reset(vanishes.into_inner());
        reset(dial(port));
        // One that goes without a word, but leaves something unread.
        drop(dial(port));

        enter(&stays, "Grace\n");
        assert_eq!(line(&mut stays), "Hello, Grace!\n");
        stays.get_ref().shutdown(Shutdown::Write).unwrap();
        let error = stays.read_to_end(&mut Vec::new()).err();
        assert_eq!(error.map(|error| error.kind()), None::<IoKind>);
    });
    assert_eq!(stats.accepted, 6);
    assert!(stats.task_errors >= 4, "{stats:?}");
}

/// The tests above hold a copy of README's session, and this holds the two together.
#[test]
fn the_session_is_readmes() {
    fn session(text: &str) -> Vec<&str> {
        let lines = text.lines().map(str::trim);
        let begun = lines.skip_while(|line| !line.starts_with("let mut input = "));
        let mut session: Vec<_> =
            begun.take_while(|line| *line != "socket.close().await").collect();
        session.truncate(7);
        session
    }
    let readme = session(include_str!("../../../../README.md"));
    assert_eq!(readme.len(), 6, "{readme:?}");
    assert_eq!(session(include_str!("greeting.rs")), readme);
}
