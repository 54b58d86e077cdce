//! Compares what forwarding costs: a relay between two connections, and a file over a connection.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml --bin forwarding -- [--mode relay|messages|file] [--mib N] [--rounds N]
//! ```
//!
//! Each server is a process of its own on the second processor, with one thread that forwards; the load is this process,
//! on the first one. The servers take turns. Rate and processor time are the median of the rounds, and so are
//! the ratios, to the first server in the same round. The first one stands twice: its second ratio is the noise.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use forebay::{Connection, SelectorManager};
use forebay_bench::process::{median, pin, processor_time};
use rustix::net::{RecvFlags, recv};

const BLOCK: usize = 256 * 1024;
const MIB: u64 = 1024 * 1024;
/// An interactive message.
const MESSAGE: usize = 64;

/// The servers of each mode, the one that the others are compared with first.
const SERVERS: [(&str, &[&str]); 3] = [
    ("relay", &["tokio-relay", "tokio-relay", "forebay-relay", "forebay-copy"]),
    ("messages", &["tokio-relay", "tokio-relay", "forebay-relay"]),
    ("file", &["tokio-read", "tokio-read", "forebay-read", "forebay-file"]),
];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).cloned()
    };
    if let Some(kind) = value("--serve") {
        return serve(&kind, &value("--to").unwrap_or_default());
    }
    pin(0);
    let mode = value("--mode").unwrap_or_else(|| "relay".to_owned());
    let number = |name, default| value(name).map_or(Ok(default), |text| text.parse());
    let (mib, rounds) = match (number("--mib", 512), number("--rounds", 15)) {
        (Ok(mib), Ok(rounds)) => (mib, rounds),
        _ => return Err(io::Error::other("--mib and --rounds need numbers")),
    };
    let Some((_, kinds)) = SERVERS.iter().find(|(name, _)| *name == mode) else {
        return Err(io::Error::other("--mode is relay, messages or file"));
    };
    let load = Load::new(mib)?;
    let mut servers =
        kinds.iter().map(|kind| Server::start(kind, &load)).collect::<io::Result<Vec<_>>>()?;
    for _ in 0..rounds {
        for server in &mut servers {
            server.measure(&mode, &load)?;
        }
    }
    report(&mode, &servers);
    Ok(())
}

/// The bytes that the servers are given to forward, and the place where they arrive.
struct Load {
    mib: u64,
    /// The relays connect to it.
    behind: TcpListener,
    file: PathBuf,
}

impl Load {
    fn new(mib: u64) -> io::Result<Self> {
        // In memory, so that the disk is not measured.
        let folder =
            if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
        let file = folder.join(format!("forebay-forwarding-{}", std::process::id()));
        let mut content = File::create(&file)?;
        let block = vec![b'x'; BLOCK];
        for _ in 0..mib * MIB / BLOCK as u64 {
            content.write_all(&block)?;
        }
        Ok(Self { mib, behind: TcpListener::bind("127.0.0.1:0")?, file })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        fs::remove_file(&self.file).ok();
    }
}

struct Server {
    kind: &'static str,
    process: Child,
    port: u16,
    /// Of each round: units per second, and nanoseconds of the server's processor per unit.
    rounds: Vec<(f64, f64)>,
}

impl Server {
    fn start(kind: &&'static str, load: &Load) -> io::Result<Self> {
        let to = if kind.ends_with("-relay") || kind.ends_with("-copy") {
            load.behind.local_addr()?.port().to_string()
        } else {
            load.file.display().to_string()
        };
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", kind, "--to", &to])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { kind, process, port, rounds: Vec::new() })
    }

    fn measure(&mut self, mode: &str, load: &Load) -> io::Result<()> {
        let mut front = TcpStream::connect(("127.0.0.1", self.port))?;
        front.set_nodelay(true)?;
        let (units, before, began);
        match mode {
            "file" => {
                (before, began) = (processor_time(&self.process)?, Instant::now());
                front.write_all(b"x")?;
                units = sink(&front)? / 1024;
            }
            _ => {
                let (mut back, _) = load.behind.accept()?;
                back.set_nodelay(true)?;
                (before, began) = (processor_time(&self.process)?, Instant::now());
                units = if mode == "relay" {
                    pour(&front, &back, &load.file)? / 1024
                } else {
                    exchange(&mut front, &mut back, load.mib * 64)?
                };
            }
        }
        let (took, used) = (began.elapsed(), processor_time(&self.process)? - before);
        let units = units as f64;
        self.rounds.push((units / took.as_secs_f64(), used.as_nanos() as f64 / units));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Sends the file into one end and takes it out of the other, without touching a byte.
fn pour(front: &TcpStream, back: &TcpStream, file: &Path) -> io::Result<u64> {
    thread::scope(|scope| {
        let source = scope.spawn(|| {
            let file = File::open(file)?;
            let (mut offset, length) = (0, file.metadata()?.len());
            while offset < length {
                rustix::fs::sendfile(front, &file, Some(&mut offset), 4 * BLOCK)?;
            }
            front.shutdown(Shutdown::Write)?;
            io::Result::Ok(())
        });
        let count = sink(back)?;
        back.shutdown(Shutdown::Write)?;
        let sent = source.join().map_err(|_| io::Error::other("the source panicked"))?;
        sent.and_then(|()| sink(front)).map(|_| count)
    })
}

/// Receives to the end, and discards the bytes in the kernel (`tcp(7)`, `MSG_TRUNC`).
fn sink(stream: &TcpStream) -> io::Result<u64> {
    let mut total = 0;
    let mut space = vec![0; 4 * BLOCK];
    loop {
        match recv(stream.as_fd(), &mut *space, RecvFlags::TRUNC)? {
            (_, 0) => return Ok(total),
            (_, count) => total += count as u64,
        }
    }
}

/// Sends messages through and back, one at a time.
fn exchange(front: &mut TcpStream, back: &mut TcpStream, count: u64) -> io::Result<u64> {
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            let mut message = [0; MESSAGE];
            for _ in 0..count {
                back.read_exact(&mut message)?;
                back.write_all(&message)?;
            }
            io::Result::Ok(())
        });
        let mut message = [0; MESSAGE];
        for _ in 0..count {
            front.write_all(&message)?;
            front.read_exact(&mut message)?;
        }
        echo.join().map_err(|_| io::Error::other("the echo panicked"))??;
        Ok(count)
    })
}

fn report(mode: &str, servers: &[Server]) {
    let (unit, scale) = if mode == "messages" { ("messages", 1.0) } else { ("MiB", 1024.0) };
    println!(
        "| server | {unit} per second | ratio | CPU, ns per {} | ratio |",
        if scale > 1.0 { "KiB" } else { "message" }
    );
    println!("|---|---|---|---|---|");
    let Some(first) = servers.first() else { return };
    for server in servers {
        let rates = server.rounds.iter().map(|(rate, _)| *rate);
        let costs = server.rounds.iter().map(|(_, cost)| *cost);
        let beside = || server.rounds.iter().zip(&first.rounds);
        println!(
            "| {} | {:.0} | {:.2} | {:.1} | {:.2} |",
            server.kind,
            median(rates) / scale,
            median(beside().map(|(ours, theirs)| ours.0 / theirs.0)),
            median(costs),
            median(beside().map(|(ours, theirs)| ours.1 / theirs.1)),
        );
    }
}

/// A server, in a process of its own.
fn serve(kind: &str, to: &str) -> io::Result<()> {
    pin(1);
    match kind {
        "tokio-relay" | "tokio-read" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve_by_tokio(kind, to))
        }
        _ => {
            let selector = SelectorManager::builder().workers(1);
            selector.run(async |selector| serve_by_forebay(&selector, kind, to).await)?;
            Ok(())
        }
    }
}

async fn serve_by_forebay(selector: &SelectorManager, kind: &str, to: &str) -> forebay::Result<()> {
    let server = selector.tcp().bind("127.0.0.1:0").await?;
    println!("{}", server.port());
    loop {
        let mut near = server.accept().await?.connection()?;
        let outcome = match kind {
            "forebay-relay" => {
                match selector.tcp().connect(("127.0.0.1", port(to)?)).await?.connection() {
                    Ok(mut far) => forebay::relay(&mut near, &mut far).await.map(drop),
                    Err(error) => Err(error),
                }
            }
            "forebay-copy" => copy_both(&mut near, selector, port(to)?).await,
            _ => send_file(&mut near, kind, to).await,
        };
        if let Err(error) = outcome {
            eprintln!("{kind}: {error}");
        }
        near.socket.close().await.ok();
    }
}

fn port(text: &str) -> forebay::Result<u16> {
    text.parse().map_err(|_| forebay::Error::other("--to needs a port"))
}

/// Relays by copying: a descriptor that has been shared is not spliced.
async fn copy_both(
    near: &mut Connection,
    selector: &SelectorManager,
    to: u16,
) -> forebay::Result<()> {
    let mut far = selector.tcp().connect(("127.0.0.1", to)).await?.connection()?;
    drop((near.socket.try_clone_fd()?, far.socket.try_clone_fd()?));
    forebay::relay(near, &mut far).await.map(drop)
}

async fn send_file(near: &mut Connection, kind: &str, path: &str) -> forebay::Result<()> {
    near.input.read_u8().await?;
    let mut file = File::open(path)?;
    if kind == "forebay-file" {
        near.output.write_file(&file, ..).await?;
    } else {
        let mut block = vec![0; BLOCK / 4];
        loop {
            match file.read(&mut block)? {
                0 => break,
                count => near.output.write_all(&block[..count]).await?,
            }
        }
    }
    near.output.finish().await
}

async fn serve_by_tokio(kind: &str, to: &str) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", server.local_addr()?.port());
    loop {
        let (mut near, _) = server.accept().await?;
        near.set_nodelay(true)?;
        if kind == "tokio-relay" {
            let port: u16 = to.parse().map_err(io::Error::other)?;
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            far.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut near, &mut far).await?;
            continue;
        }
        near.read_u8().await?;
        let mut file = File::open(to)?;
        let mut block = vec![0; BLOCK / 4];
        loop {
            match file.read(&mut block)? {
                0 => break,
                count => near.write_all(&block[..count]).await?,
            }
        }
        near.shutdown().await?;
    }
}
