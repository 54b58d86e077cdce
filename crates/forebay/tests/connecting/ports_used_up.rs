//! The machine has no ephemeral port left. Connecting says so, with the address; whatever
//! is connected goes on; and as soon as a port is free, connecting works again.
//!
//! In a network namespace whose kernel has a hundred ports to choose from.

#![cfg(target_os = "linux")]

use forebay::{Connection, ErrorKind, Fault, Result, SelectorManager, Socket};
use forebay_testing::{End, PATIENCE, on_a_cable, report, role, run, say, until, until_at_rest};

const PORTS: usize = 100;
/// Outside of the range, so that it takes none of them.
const PORT: u16 = 9000;

#[test]
fn no_port_left_is_an_error_that_passes() {
    const NAME: &str = "no_port_left_is_an_error_that_passes";
    if role().is_some() {
        return use_them_up();
    }
    on_a_cable(NAME, PATIENCE, |cable| {
        cable.set(End::Left, "net/ipv4/ip_local_port_range", "50000 50099");
        let mut child = cable.start(End::Left, NAME, "uses them up");
        while let Some(line) = child.hear() {
            report(&format!("{NAME}: {line}"));
            if line.starts_with("done") {
                return child.end();
            }
        }
        panic!("the child has failed");
    });
}

fn use_them_up() {
    run(async |selector| {
        let server = selector.tcp().bind(("127.0.0.1", PORT)).await?;
        let serving = {
            let selector = selector.clone();
            selector.clone().spawn(async move {
                while let Ok(socket) = server.accept().await {
                    selector.spawn(echo(socket)).detach();
                }
                Ok(())
            })
        };
        let mut connected = Vec::new();
        let refused = fill(&selector, &mut connected).await;
        assert_eq!(connected.len(), PORTS);
        say(&format!("{PORTS} connected, and then: {refused}"));

        for round in 1..=5 {
            // Reset, so that its port is free at once and not after a minute of TIME-WAIT.
            for socket in connected.drain(..10 * round) {
                socket.abort();
            }
            // The other ends give theirs back, too.
            until(|| selector.stats().sockets == 1 + 2 * connected.len() as u64).await;
            fill(&selector, &mut connected).await;
            assert_eq!(connected.len(), PORTS, "after {round} rounds");
        }
        for socket in &connected {
            ask(socket).await?;
        }
        serving.abort();
        connected.iter().for_each(Socket::abort);
        connected.clear();
        until_at_rest(&selector, 0).await;
        say(&format!("done: {} connected in all", selector.stats().connected));
        Ok(())
    });
}

/// Connects until there is no port left, and says what the error was.
async fn fill(selector: &SelectorManager, connected: &mut Vec<Socket>) -> String {
    loop {
        match selector.tcp().connect(("127.0.0.1", PORT)).await {
            Ok(socket) => connected.push(socket),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AddressNotAvailable, "{error}");
                assert_eq!(error.kind().fault(), Fault::System);
                assert!(error.to_string().contains(&format!("127.0.0.1:{PORT}")), "{error}");
                return error.to_string();
            }
        }
    }
}

async fn echo(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    // It ends with a reset.
    input.copy_to(&mut output).await.ok();
    socket.abort();
    Ok(())
}

async fn ask(socket: &Socket) -> Result<()> {
    let (mut input, mut output) = (socket.open_read_channel()?, socket.open_write_channel()?);
    output.write_str("still there?\n").await?;
    assert_eq!(input.read_line().await?.as_deref(), Some("still there?"));
    Ok(())
}
