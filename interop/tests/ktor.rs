//! The original as a peer: ktor-network, built from `ktor/` where Maven is installed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use forebay::{Result, SelectorManager};
use forebay_interop::{bounded, has, skip};
use tokio::task::spawn_blocking;

/// A program of the original, which is ended when it is dropped.
struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts one; `None` if it cannot be built here.
    async fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        let Some(classes) = spawn_blocking(built).await.unwrap() else {
            skip(test, "no Maven is installed, or it cannot load ktor-network");
            return None;
        };
        let mut java = Command::new("java");
        java.arg("-cp").arg(classes).arg("MainKt").args(arguments);
        let mut child = java.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, output })
    }

    /// The next line that it prints.
    async fn line(self) -> (Self, String) {
        let reading = spawn_blocking(move || {
            let mut peer = self;
            let mut line = String::new();
            peer.output.read_line(&mut line).unwrap();
            (peer, line.trim_end().to_owned())
        });
        bounded(reading).await.unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Builds the programs once, and returns where their classes are.
fn built() -> Option<&'static str> {
    static BUILT: OnceLock<Option<String>> = OnceLock::new();
    let build = || {
        if !has("mvn") {
            return None;
        }
        let project = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ktor");
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ktor");
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "package", "-f"]).arg(project);
        let done = maven.arg(format!("-Dpeers.target={}", target.display())).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        if !done.status.success() {
            let is_absent = ["Could not transfer", "Could not resolve", "could not be resolved"]
                .iter()
                .any(|reason| said.contains(reason));
            assert!(is_absent, "the programs of the original do not build: {said}");
            return None;
        }
        Some(format!("{0}/classes:{0}/lib/*", target.display()))
    };
    BUILT.get_or_init(build).as_deref()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_datagrams_are_answered() -> Result<()> {
    let selector = SelectorManager::new();
    let server = selector.udp().bind("127.0.0.1:0").await?;
    let port = server.local_address().port().to_string();
    let Some(peer) = Peer::start("its_datagrams_are_answered", &["udp-ask", &port, "50"]).await
    else {
        return Ok(());
    };
    let answering = tokio::spawn(async move {
        loop {
            let datagram = server.receive().await?;
            server.reply(&datagram, &datagram.payload).await?;
        }
        #[allow(unreachable_code)]
        Result::Ok(())
    });
    let (_peer, right) = peer.line().await;
    assert_eq!(right, "50");
    answering.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_datagrams() -> Result<()> {
    let Some(peer) = Peer::start("it_answers_datagrams", &["udp-echo"]).await else {
        return Ok(());
    };
    let (_peer, port) = peer.line().await;
    let port: u16 = port.parse().unwrap();
    let selector = SelectorManager::new();
    let client = selector.udp().connect(("127.0.0.1", port)).await?;
    for number in 1..=50 {
        let question = vec![b'x'; number * 20];
        client.send(&question).await?;
        assert_eq!(bounded(client.receive()).await?.payload, question);
    }
    Ok(())
}

/// It can send to a group, which it cannot join.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_sends_to_a_group_is_heard_by_the_members() -> Result<()> {
    let test = "what_it_sends_to_a_group_is_heard_by_the_members";
    let selector = SelectorManager::new();
    let loopback = forebay::MulticastInterface::Address([127, 0, 0, 1].into());
    let member = selector.udp().reuse_address(true).bind("0.0.0.0:0").await?;
    let group = "239.255.71.4";
    member.join(group.parse().unwrap(), loopback)?;
    let port = member.local_address().port().to_string();
    let Some(peer) = Peer::start(test, &["udp-tell", group, &port]).await else {
        return Ok(());
    };
    let datagram = bounded(member.receive()).await?;
    assert_eq!(datagram.payload, "to the group");
    assert_eq!(datagram.local_address, Some(group.parse().unwrap()));
    let (_peer, told) = peer.line().await;
    assert_eq!(told, "told");
    Ok(())
}

/// The server of the documentation's page, and a client that says two names.
#[tokio::test(flavor = "multi_thread")]
async fn its_server_greets_a_client() -> Result<()> {
    let Some(peer) = Peer::start("its_server_greets_a_client", &["greeter"]).await else {
        return Ok(());
    };
    let (_peer, port) = peer.line().await;
    let port: u16 = port.parse().unwrap();
    let selector = SelectorManager::new();
    let mut connection = selector.tcp().connect(("127.0.0.1", port)).await?.connection()?;
    let line = bounded(connection.input.read_line()).await?;
    assert_eq!(line.as_deref(), Some("Please enter your name"));
    for name in ["Ada", "Grace"] {
        forebay::write_line!(connection.output, "{name}").await?;
        let line = bounded(connection.input.read_line()).await?;
        assert_eq!(line, Some(format!("Hello, {name}!")));
    }
    connection.output.finish().await?;
    assert_eq!(bounded(connection.input.read_line()).await?, None);
    Ok(())
}

/// README's server, and the client of the documentation's page.
#[tokio::test(flavor = "multi_thread")]
async fn its_client_is_greeted() -> Result<()> {
    let selector = SelectorManager::new();
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    let port = server.port().to_string();
    let Some(mut peer) = Peer::start("its_client_is_greeted", &["guest", &port]).await else {
        return Ok(());
    };
    let session = tokio::spawn(async move {
        let socket = server.accept().await?;
        let mut input = socket.open_read_channel()?;
        let mut output = socket.open_write_channel()?;
        output.write_str("Please enter your name\n").await?;
        while let Some(name) = input.read_line().await? {
            forebay::write_line!(output, "Hello, {name}!").await?;
        }
        socket.close().await
    });
    for expected in ["Please enter your name", "Hello, Ada!", "Hello, Grace!", "the end"] {
        let line;
        (peer, line) = peer.line().await;
        assert_eq!(line, expected);
    }
    bounded(session).await.unwrap()
}
