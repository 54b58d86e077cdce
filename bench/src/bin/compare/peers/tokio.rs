//! tokio, on one thread.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::{BACKLOG, Mode, SPACE, say};

pub(super) fn serve(mode: Mode) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Mode::Udp = mode {
            return datagrams().await;
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let server = socket.listen(BACKLOG.unsigned_abs())?;
        say(server.local_addr()?);
        loop {
            let (stream, _) = server.accept().await?;
            stream.set_nodelay(true)?;
            match mode {
                Mode::Line => drop(tokio::spawn(lines(stream))),
                Mode::Discard => drop(tokio::spawn(discard(stream))),
                _ => drop(tokio::spawn(echo(stream))),
            }
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut space = [0; SPACE];
    loop {
        match stream.read(&mut space).await? {
            0 => return Ok(()),
            count => stream.write_all(&space[..count]).await?,
        }
    }
}

async fn lines(stream: TcpStream) -> io::Result<()> {
    let (input, output) = stream.into_split();
    let (mut input, mut output) = (BufReader::new(input), BufWriter::new(output));
    let mut line = String::new();
    while input.read_line(&mut line).await? > 0 {
        output.write_all(b"Hello, ").await?;
        output.write_all(line.trim_end_matches('\n').as_bytes()).await?;
        output.write_all(b"!\n").await?;
        line.clear();
        // What has arrived together is answered together.
        if input.buffer().is_empty() {
            output.flush().await?;
        }
    }
    Ok(())
}

async fn discard(mut stream: TcpStream) -> io::Result<()> {
    let mut space = vec![0; 16 * SPACE];
    let mut total = 0;
    loop {
        match stream.read(&mut space).await? {
            0 => break,
            count => total += count as u64,
        }
    }
    stream.write_u64_le(total).await
}

async fn datagrams() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(socket.local_addr()?);
    let mut space = [0; SPACE];
    loop {
        let (count, from) = socket.recv_from(&mut space).await?;
        socket.send_to(&space[..count], from).await?;
    }
}
