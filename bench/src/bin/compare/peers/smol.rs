//! smol, on one thread.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;

use smol::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use smol::net::{TcpStream, UdpSocket};
use smol::{Async, LocalExecutor};

use super::{Mode, SPACE, say};

pub(super) fn serve(mode: Mode) -> io::Result<()> {
    let executor = Rc::new(LocalExecutor::new());
    smol::block_on(executor.run(async {
        if let Mode::Udp = mode {
            return datagrams().await;
        }
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Its own call cannot be told how many connections may wait; `listen(2)` may be called again.
        rustix::net::listen(&server, super::BACKLOG)?;
        let server = Async::new(server)?;
        say(server.get_ref().local_addr()?);
        loop {
            let (stream, _) = server.accept().await?;
            let stream = TcpStream::from(stream);
            stream.set_nodelay(true)?;
            match mode {
                Mode::Line => executor.spawn(lines(stream)).detach(),
                Mode::Discard => executor.spawn(discard(stream)).detach(),
                _ => executor.spawn(echo(stream)).detach(),
            }
        }
    }))
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
    let (mut input, mut output) = (BufReader::new(stream.clone()), BufWriter::new(stream));
    let mut line = String::new();
    while input.read_line(&mut line).await? > 0 {
        output.write_all(b"Hello, ").await?;
        output.write_all(line.trim_end_matches('\n').as_bytes()).await?;
        output.write_all(b"!\n").await?;
        line.clear();
        if input.buffer().is_empty() {
            output.flush().await?;
        }
    }
    Ok(())
}

async fn discard(mut stream: TcpStream) -> io::Result<()> {
    let mut space = vec![0; 16 * SPACE];
    let mut total = 0_u64;
    loop {
        match stream.read(&mut space).await? {
            0 => break,
            count => total += count as u64,
        }
    }
    stream.write_all(&total.to_le_bytes()).await
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
