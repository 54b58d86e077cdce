//! Secure peers that send and never read: what a server holds for each is bounded, measured from
//! outside as `VmRSS` of a child process.

#![cfg(target_os = "linux")]

use std::io;
use std::time::Duration;

use forebay::{Connection, JoinHandle, Result, SelectorManager, Socket, TlsConfig, Trust};
use forebay_testing::{
    Child, KIB, PATIENCE, memory_of, other_handle, report, role, say, size, sleeps,
    socket_descriptors, tls::Configs, wait_for, watched_for,
};
use socket2::SockRef;

/// The limit on the cost of one of them, in KiB: a plain one may cost 192, and this one has its records
/// and the state of its session besides.
const PEER_KIB_MAX: usize = 320;

/// The watchdog's allowance for each of them, besides its own patience.
const PEER_PATIENCE: Duration = Duration::from_millis(500);

// ---- the servers --------------------------------------------------------------------------------

async fn greet(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, .. } = socket.connection()?;
    while let Some(name) = input.read_line().await? {
        output.write_str(&format!("Hello, {name}!\n")).await?;
    }
    socket.close().await
}

async fn echo(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, .. } = socket.connection()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}

/// The child: serves until its standard input ends.
fn serve(role: &str) {
    let builder = SelectorManager::builder().workers(1).on_task_error(|_| ());
    let served = builder.run(async |selector| {
        let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&Configs::new().server)?;
        say(&server.port().to_string());
        let echoes = role == "echo";
        let accepting = selector.spawn(async move {
            loop {
                let socket = server.accept().await?;
                let session =
                    async move { if echoes { echo(socket).await } else { greet(socket).await } };
                forebay::spawn(session).detach();
            }
        });
        selector.blocking_reader(io::stdin()).discard(u64::MAX).await?;
        accepting.abort();
        Result::Ok(())
    });
    served.unwrap();
}

// ---- the peers ----------------------------------------------------------------------------------

/// Makes the kernel's buffers of this process's sockets small: they are not what is measured.
fn shrink_buffers() {
    for (number, _) in socket_descriptors() {
        // One that was closed meanwhile is none of a peer's.
        let Some(also) = other_handle(&number) else { continue };
        let socket = SockRef::from(&also);
        socket.set_recv_buffer_size(4 * KIB).unwrap();
        socket.set_send_buffer_size(64 * KIB).unwrap();
    }
}

/// Secure connections that send these bytes again and again and read nothing.
struct Deaf {
    selector: SelectorManager,
    sending: Vec<JoinHandle<Result<()>>>,
}

impl Deaf {
    fn connect(port: u16, count: usize, piece: &'static [u8]) -> Self {
        let selector = SelectorManager::builder().workers(1).on_task_error(|_| ()).build().unwrap();
        let client = TlsConfig::client().trust(Trust::verifier(|_| Ok(()))).build().unwrap();
        let connections = selector.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..count {
                let plain = selector.tcp().connect(("127.0.0.1", port)).await?;
                connections.push(plain.tls(&client).await?.connection()?);
            }
            Result::Ok(connections)
        });
        let connections = connections.unwrap();
        shrink_buffers();
        let send = |mut it: Connection| async move {
            loop {
                it.output.write_all(piece).await?;
            }
        };
        let sending = connections.into_iter().map(|it| selector.spawn_value(send(it))).collect();
        Self { selector, sending }
    }

    /// Waits until nothing is taken any more, neither by the kernel nor by the server, which has
    /// gone to sleep over it. Returns how much was sent.
    fn until_stuck(&self, server: &Child) -> usize {
        let (mut sent, mut quiet) = (0, 0);
        while quiet < 3 {
            // A peer's kernel asks again whether there is room, in longer and longer intervals.
            self.selector.block_on(self.selector.sleep(Duration::from_millis(100)));
            wait_for(|| sleeps(server.id()));
            let now = self.selector.stats().sent_bytes;
            quiet = if std::mem::replace(&mut sent, now) == now { quiet + 1 } else { 0 };
        }
        assert!(self.sending.iter().all(|it| !it.is_finished()), "a peer was sent away");
        usize::try_from(sent).unwrap()
    }
}

fn peers_that_never_read(test: &'static str, role: &'static str, piece: &'static [u8]) {
    let count = size("FOREBAY_DEAF_PEERS", 4, 10);
    let patience = PATIENCE + PEER_PATIENCE * u32::try_from(count).unwrap();
    let grown = watched_for(patience, move || {
        let mut server = Child::start(test, role);
        let port = server.hear_number();
        let first = Deaf::connect(port, 1, piece);
        first.until_stuck(&server);
        let (before, _) = memory_of(server.id());
        let peers = Deaf::connect(port, count, piece);
        let sent = peers.until_stuck(&server);
        let (after, peak) = memory_of(server.id());
        let grown = after - before;
        report(&format!(
            "{test}: {count} peers sent {} KiB each: VmRSS {before} KiB with one, {after} KiB with \
             all of them, VmHWM {peak} KiB: {} KiB a peer",
            sent / KIB / count,
            grown / count
        ));
        drop((first, peers));
        server.end();
        grown
    });
    assert!(grown <= count * PEER_KIB_MAX, "grown by {grown} KiB");
}

#[test]
fn secure_peers_that_never_read_their_greetings() {
    if let Some(role) = role() {
        return serve(&role);
    }
    let piece = b"Ada\nAlan\nGrace Brewster Murray\n\nKen\n";
    peers_that_never_read("secure_peers_that_never_read_their_greetings", "greet", piece);
}

#[test]
fn secure_peers_that_never_read_their_echo() {
    if let Some(role) = role() {
        return serve(&role);
    }
    peers_that_never_read("secure_peers_that_never_read_their_echo", "echo", &[b'x'; 16 * KIB]);
}
