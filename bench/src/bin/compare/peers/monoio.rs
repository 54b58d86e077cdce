//! monoio, on one thread, by `io_uring(7)`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::udp::UdpSocket;
use monoio::net::{ListenerOpts, TcpListener, TcpStream};

use super::{BACKLOG, Mode, SPACE, greet, say};

pub(super) fn serve(mode: Mode) -> io::Result<()> {
    let runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().with_entries(4096).build();
    runtime?.block_on(async {
        if let Mode::Udp = mode {
            return datagrams().await;
        }
        let options = ListenerOpts::new().backlog(BACKLOG);
        let server = TcpListener::bind_with_config((Ipv4Addr::LOCALHOST, 0), &options)?;
        say(server.local_addr()?);
        loop {
            let (stream, _) = server.accept().await?;
            stream.set_nodelay(true)?;
            match mode {
                Mode::Line => drop(monoio::spawn(lines(stream))),
                Mode::Discard => drop(monoio::spawn(discard(stream))),
                _ => drop(monoio::spawn(echo(stream))),
            }
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut space = Vec::with_capacity(SPACE);
    loop {
        let (read, filled) = stream.read(space).await;
        if read? == 0 {
            return Ok(());
        }
        let (written, emptied) = stream.write_all(filled).await;
        written?;
        space = emptied;
        space.clear();
    }
}

/// It has no lines of its own.
async fn lines(mut stream: TcpStream) -> io::Result<()> {
    let (mut space, mut lines, mut answers) = (Vec::with_capacity(SPACE), Vec::new(), Vec::new());
    loop {
        let (read, filled) = stream.read(space).await;
        if read? == 0 {
            return Ok(());
        }
        space = filled;
        lines.extend_from_slice(&space);
        space.clear();
        greet(&mut lines, &mut answers);
        if !answers.is_empty() {
            let (written, emptied) = stream.write_all(answers).await;
            written?;
            answers = emptied;
            answers.clear();
        }
    }
}

async fn discard(mut stream: TcpStream) -> io::Result<()> {
    let mut space = Vec::with_capacity(16 * SPACE);
    let mut total = 0_u64;
    loop {
        let (read, filled) = stream.read(space).await;
        match read? {
            0 => break,
            count => total += count as u64,
        }
        space = filled;
        space.clear();
    }
    stream.write_all(total.to_le_bytes().to_vec()).await.0.map(drop)
}

async fn datagrams() -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    say(socket.local_addr()?);
    let mut space = Vec::with_capacity(SPACE);
    loop {
        let (received, filled) = socket.recv_from(space).await;
        let (_, from) = received?;
        let (sent, emptied) = socket.send_to(filled, from).await;
        sent?;
        space = emptied;
        space.clear();
    }
}
