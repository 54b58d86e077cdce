//! Unix sockets with programs that are none of ours on the other side: `nc -U` and `socat`.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use forebay::{Connection, ErrorKind, Result, SelectorManager, UnixAddress};
use forebay_testing::{
    run, skip,
    unix::{Directory, abstract_name},
};

/// Starts a program with all of its standard streams in our hands; `None`, and a line that says so,
/// where it is not installed.
fn start(test: &str, command: &[&str]) -> Option<Foreign> {
    let started = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    match started {
        Ok(process) => Some(Foreign(Some(process))),
        Err(error) => {
            skip(test, &format!("{}: {error}", command[0]));
            None
        }
    }
}

/// A program that is killed when the test has failed, or is done with it.
struct Foreign(Option<Child>);

impl Foreign {
    /// Gives it its input, waits for its end, and says what it wrote.
    fn talk(mut self, input: &str) -> String {
        let mut process = self.0.take().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(process) = &mut self.0 {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// As it stands on `socat`'s command line.
fn text(address: &UnixAddress) -> String {
    match address {
        UnixAddress::Abstract(name) => String::from_utf8(name.clone()).unwrap(),
        other => other.as_path().unwrap().display().to_string(),
    }
}

// ---- clients ------------------------------------------------------------------------------------

/// Greets one foreign client by each line that it says, until it ends.
fn greet(test: &'static str, address: UnixAddress, client: &[&str]) {
    let client: Vec<_> = client.iter().map(ToString::to_string).collect();
    run(async move |selector| {
        let server = selector.unix().bind(&address).await?;
        let command: Vec<_> = client.iter().map(String::as_str).collect();
        let Some(client) = start(test, &command) else { return Ok(()) };
        let talking = selector.spawn_blocking(move || client.talk("Ada\nGrace\n"));
        let mut accepted = server.accept().await?.connection()?;
        while let Some(name) = accepted.input.read_line().await? {
            accepted.output.write_str(&format!("Hello, {name}!\n")).await?;
        }
        accepted.socket.close().await?;
        assert_eq!(talking.await?, "Hello, Ada!\nHello, Grace!\n");
        Ok(())
    });
}

#[test]
fn nc_is_greeted() {
    let directory = Directory::new();
    let path = directory.join("server");
    let client = ["nc", "-N", "-U", path.to_str().unwrap()];
    greet("nc_is_greeted", UnixAddress::Path(path.clone()), &client);
}

#[test]
fn socat_is_greeted_at_a_path() {
    let directory = Directory::new();
    let path = directory.join("server");
    let target = format!("UNIX-CONNECT:{}", path.display());
    let client = ["socat", "-t", "30", "-", &target];
    greet("socat_is_greeted_at_a_path", UnixAddress::Path(path.clone()), &client);
}

#[test]
fn socat_is_greeted_at_an_abstract_name() {
    let name = abstract_name("socat-client");
    let target = format!("ABSTRACT-CONNECT:{}", text(&name));
    let client = ["socat", "-t", "30", "-", &target];
    greet("socat_is_greeted_at_an_abstract_name", name, &client);
}

// ---- servers ------------------------------------------------------------------------------------

/// Connects as soon as the program listens.
async fn connect(selector: &SelectorManager, address: &UnixAddress) -> Result<Connection> {
    loop {
        match selector.unix().connect(address).await {
            Ok(socket) => return socket.connection(),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Refused) => {
                futures_lite::future::yield_now().await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn nc_listens() {
    let directory = Directory::new();
    let path = directory.join("server");
    let Some(server) = start("nc_listens", &["nc", "-N", "-l", "-U", path.to_str().unwrap()])
    else {
        return;
    };
    run(async move |selector| {
        let mut client = connect(&selector, &UnixAddress::Path(path)).await?;
        let talking = selector.spawn_blocking(move || server.talk("from nc\n"));
        assert_eq!(client.input.read_line().await?.as_deref(), Some("from nc"));
        assert_eq!(client.input.read_line().await?, None);
        client.output.write_str("from forebay\n").await?;
        client.socket.close().await?;
        assert_eq!(talking.await?, "from forebay\n");
        Ok(())
    });
}

/// Talks to `socat` running `cat` for every client.
fn see_socat_echo(test: &'static str, kind: &str, address: UnixAddress) {
    let listen = format!("{kind}:{}", text(&address));
    let Some(server) = start(test, &["socat", "-t", "30", &listen, "EXEC:cat"]) else { return };
    run(async move |selector| {
        let mut client = connect(&selector, &address).await?;
        assert_eq!(client.socket.remote_address(), address.into());
        client.output.write_str("there and back\n").await?;
        client.output.finish().await?;
        assert_eq!(client.input.read_line().await?.as_deref(), Some("there and back"));
        assert_eq!(client.input.read_line().await?, None);
        drop(server);
        Ok(())
    });
}

#[test]
fn socat_echoes_at_a_path() {
    let directory = Directory::new();
    let path = directory.join("server");
    assert!(!Path::new(&path).exists());
    see_socat_echo("socat_echoes_at_a_path", "UNIX-LISTEN", UnixAddress::Path(path));
}

#[test]
fn socat_echoes_at_an_abstract_name() {
    let name = abstract_name("socat-server");
    see_socat_echo("socat_echoes_at_an_abstract_name", "ABSTRACT-LISTEN", name);
}
