//! The modes of the measured server, each for one connection.

use forebay::{BoundDatagramSocket, DatagramBatch, ItemBuffer, Result, Socket};

/// Sends back what it receives.
pub async fn echo(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}

/// Counts the received bytes and answers the count, eight bytes little-endian, at the end.
pub async fn discard(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    let count = input.discard(u64::MAX).await?;
    output.write_u64_le(count).await?;
    socket.close().await
}

/// Greets each line, with the loop of the README.
pub async fn line(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    while let Some(name) = input.read_line().await? {
        forebay::write_line!(output, "Hello, {name}!").await?;
    }
    socket.close().await
}

/// Greets each line without an allocation, with formatting.
pub async fn line_ref(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    while let Some(name) = input.read_line_ref().await? {
        forebay::write_fmt!(output, "Hello, {name}!\n").await?;
    }
    socket.close().await
}

/// Greets each line without an allocation and without formatting.
pub async fn line_strs(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    while let Some(name) = input.read_line_ref().await? {
        output.write_strs(&["Hello, ", name, "!\n"]).await?;
    }
    socket.close().await
}

/// Greets the lines that have arrived, with one write for all of them.
pub async fn lines(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    while let Some(names) = input.read_lines_ref().await? {
        let greet = |out: &mut ItemBuffer| {
            for name in names {
                out.put_str("Hello, ");
                out.put_str(name);
                out.put_str("!\n");
            }
        };
        output.write_with(greet).await?;
    }
    socket.close().await
}

/// Sends each datagram back.
pub async fn udp(server: BoundDatagramSocket) -> Result<()> {
    loop {
        let datagram = server.receive().await?;
        server.reply(&datagram, &datagram.payload).await?;
    }
}

/// Sends each datagram back, those that have arrived together.
pub async fn udp_batched(server: BoundDatagramSocket) -> Result<()> {
    let (mut received, mut batch) = (Vec::new(), DatagramBatch::new());
    loop {
        server.receive_batch(&mut received, 64).await?;
        for datagram in received.drain(..) {
            batch.push_reply(&datagram, &datagram.payload);
        }
        server.send_batch(&mut batch).await?;
    }
}
