//! Shows a server that Ctrl-C ends in order: it accepts no more, tells its sessions, and waits for them.
//!
//! Run it with `cargo run -p forebay-examples --example shutdown [HOST:PORT] [SECONDS]` (default 127.0.0.1:9004,
//! and ten seconds for the sessions; port 0 takes any free one). It answers each number with as many KiB:
//! `echo 1000000 | nc 127.0.0.1 9004 | pv > /dev/null`. Press Ctrl-C while that runs.

use std::time::Duration;

use forebay::{Either, SelectorManager, Socket, race};

fn main() -> forebay::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9004".to_owned());
    let seconds = arguments.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(10);
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind(&address).await?;
        println!("Server is listening at {}", server.local_address());
        let sessions = selector.group();
        while let Either::Left(socket) = race(server.accept(), forebay::ctrl_c()).await {
            sessions.spawn(session(socket?));
        }
        server.close();
        println!("Waiting for {} sessions", sessions.len());
        sessions.stop();
        let left = sessions.join_within(Duration::from_secs(seconds)).await;
        println!("Ended {left} of them");
        Ok(())
    })
}

/// Answers the requests that have arrived, and no more once it is told to stop.
async fn session(socket: Socket) -> forebay::Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    // If this is ended in the middle of an answer, the client gets a reset instead of an end.
    output.abort_on_drop();
    while let Either::Left(line) = race(input.read_line(), forebay::stop_requested()).await {
        let Some(line) = line? else { break };
        let Ok(count) = line.parse::<u64>() else {
            output.write_str("How many KiB?\n").await?;
            continue;
        };
        for _ in 0..count {
            output.write_all(&[b'.'; 1024]).await?;
        }
    }
    output.finish().await?;
    socket.close().await
}
