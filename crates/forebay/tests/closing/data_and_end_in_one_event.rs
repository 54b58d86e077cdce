//! Data and the end mark behind it reach a server that stands still, so that it learns of both in
//! one event: its handler sees the data and then the end, every time.

#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};

use forebay::{Result, Socket, write_line};
use forebay_testing::{
    Child, KIB, MIB, dial, end_and_arrive, listener, pattern, role, say, size, watched,
};

#[test]
fn of_a_few_bytes() {
    if role().is_some() {
        return serve();
    }
    stop_send_and_go_on("of_a_few_bytes", 0, 5);
}

/// More than a block, so that the first receive is a full one. The server's window must have grown
/// a little to hold it all, which is what the bytes before are for.
#[test]
fn of_more_than_a_block() {
    if role().is_some() {
        return serve();
    }
    stop_send_and_go_on("of_more_than_a_block", 8 * MIB, 70 * KIB);
}

fn stop_send_and_go_on(test: &'static str, before: usize, length: usize) {
    watched(move || {
        let mut server = Child::start(test, "server");
        let port = server.hear_number();
        let (before, data) = (pattern(before), pattern(length));
        for _ in 0..size("FOREBAY_ROUNDS", 15, 50) {
            let mut client = dial(port);
            client.write_all(&(before.len() as u64).to_be_bytes()).unwrap();
            client.write_all(&before).unwrap();
            // It answers in the turn in which it begins to wait for more.
            client.read_exact(&mut [0]).unwrap();

            server.stop();
            client.write_all(&data).unwrap();
            end_and_arrive(&client);
            server.go_on();

            let mut seen = String::new();
            client.read_to_string(&mut seen).unwrap();
            assert_eq!(seen, format!("{length} bytes and the end\n"));
        }
        server.end();
    });
}

fn serve() {
    let served = forebay::run(async |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let accepting = selector.spawn(async move {
            loop {
                forebay::spawn(session(server.accept().await?)).detach();
            }
        });
        selector.blocking_reader(io::stdin()).discard(u64::MAX).await?;
        accepting.abort();
        Ok::<_, forebay::Error>(())
    });
    served.unwrap();
}

async fn session(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    let before = input.read_u64().await?;
    input.discard(before).await?;
    output.write_u8(b'!').await?;
    let mut count = 0;
    loop {
        match input.read_chunk().await {
            Ok(Some(chunk)) => count += chunk.len(),
            Ok(None) => break write_line!(output, "{count} bytes and the end").await?,
            Err(error) => break write_line!(output, "{count} bytes and {error}").await?,
        }
    }
    socket.close().await
}
