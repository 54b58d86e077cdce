//! Shows messages with their length in front: a service that answers out of order, each request in a task of its own,
//! all over one connection.
//!
//! A request is a frame of an identifier (four bytes) and a text; the answer has the same identifier, and the text in
//! capitals. Run it with `cargo run -p forebay-examples --example framed`: it starts the server and a client, and prints
//! what the client receives.

use std::io::{Write, stdout};
use std::time::Duration;

use forebay::{
    ErrorKind, LengthFraming, Packet, Result, SelectorManager, SharedWriteChannel, Socket,
};

/// The frames of both sides: a length of four bytes, and content of up to 64 KiB.
fn framing() -> LengthFraming {
    LengthFraming::u32().limit(64 * 1024)
}

fn main() -> Result<()> {
    forebay::run(async |selector: SelectorManager| {
        let server = selector.tcp().bind("127.0.0.1:0").await?;
        let address = server.local_address();
        let serving = {
            let selector = selector.clone();
            selector.clone().spawn(async move { session(selector, server.accept().await?).await })
        };
        let mut client = selector.tcp().connect(address).await?.connection()?;
        for (number, text) in (1_u32..).zip(["slowly", "quickly", "at once"]) {
            let body: [&[u8]; 2] = [&number.to_be_bytes(), text.as_bytes()];
            client.output.write_frame(&framing(), &body).await?;
        }
        client.output.finish().await?;
        while let Some(mut answer) = client.input.read_frame(&framing()).await? {
            let number = answer.read_u32()?;
            let text = answer.read_string(answer.len())?;
            writeln!(stdout(), "answer {number}: {text}")?;
        }
        serving.await
    })
}

async fn session(selector: SelectorManager, socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let output = socket.open_write_channel()?.share();
    // A client that sends and does not read waits, when so many of its requests are being answered.
    let requests = selector.group().limit(16);
    let outcome = loop {
        match input.read_frame(&framing()).await {
            Ok(Some(request)) => {
                let output = output.clone();
                requests.place().await.spawn(answer(request, output));
            }
            Ok(None) => break Ok(()),
            // The client's mistake ends its session, not before its other requests were answered.
            Err(error) if matches!(error.kind(), ErrorKind::LimitExceeded { .. }) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    requests.join().await;
    output.finish().await?;
    outcome
}

/// Answers one request. A frame that is too short is an error of this task alone.
async fn answer(mut request: Packet, output: SharedWriteChannel) -> Result<()> {
    let number = request.read_u32()?;
    let text = request.read_string(request.len())?;
    // The longer the text, the shorter the work, so that the answers come in another order.
    let work = Duration::from_millis(300).saturating_sub(Duration::from_millis(40) * len(&text));
    forebay::sleep(work).await;
    let text = text.to_uppercase();
    output.write_frame(&framing(), &[&number.to_be_bytes(), text.as_bytes()]).await
}

fn len(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}
