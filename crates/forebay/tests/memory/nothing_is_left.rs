//! Clients come, are echoed to and go, by the ten thousand, in every manner of going. Then the server
//! holds exactly what it held before.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

use forebay::{Result, SelectorManager, ServerSocket, Socket, Stats};
use forebay_testing::{
    Child, alone, memory_of, read_to_end, report, reset, role, say, size, until, watched_for,
};

const NAME: &str = "many_connections_leave_nothing_behind";
const WARM_UP: usize = 400;
/// A minute for every so many of them, and a minute more.
const CYCLES_A_MINUTE: usize = 50_000;
const CLIENTS: usize = 4;
/// The side that ends first keeps the pair of addresses for a minute (TIME-WAIT, RFC 9293, section
/// 3.6.1), and there are 28,000 ports: so the clients go to the server by several addresses.
const ADDRESSES: usize = 16;

#[test]
fn many_connections_leave_nothing_behind() {
    alone("many_connections_leave_nothing_behind", || {
        if role().is_some() {
            return clients();
        }
        let cycles = size("FOREBAY_CYCLES", 2_000, 5_000);
        let minutes = 1 + (cycles / CYCLES_A_MINUTE) as u64;
        watched_for(Duration::from_secs(60 * minutes), move || {
            let builder = SelectorManager::builder().on_task_error(|_| ());
            builder.run(async |selector| count(selector, cycles).await).unwrap();
        });
    });
}

async fn count(selector: SelectorManager, cycles: usize) -> Result<()> {
    let server = selector.tcp().bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let port = server.port();
    let serving = selector.spawn(serve(server.clone()));
    // The child is there before, so that its pipes are.
    let mut child = Some(Child::start(NAME, "clients"));
    let blocking = |cycles: usize, mut child: Child| {
        selector.spawn_blocking(move || {
            child.tell(&format!("{port} {cycles}"));
            let done: usize = child.hear_number();
            (child, done)
        })
    };

    let mut come_and_go = async |cycles| {
        let (back, done) = blocking(cycles, child.take().expect("given back")).await?;
        child = Some(back);
        assert_eq!(done, cycles);
        at_rest(&selector).await;
        Result::Ok(Holds::now(&selector))
    };
    let before = come_and_go(WARM_UP).await?;
    let since = Instant::now();
    let after = come_and_go(cycles).await?;
    let seconds = since.elapsed().as_secs_f64();

    let stats = selector.stats();
    assert_eq!(stats.accepted, (WARM_UP + cycles) as u64);
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.stats, before.stats, "{STATS}");
    report(&format!(
        "{cycles} connections in {seconds:.1} s: {} descriptors before and after; {STATS}: {:?} \
         before and after; VmRSS {} KiB before, {} KiB after; {} closed unacknowledged",
        after.descriptors.len(),
        after.stats,
        before.memory,
        after.memory,
        stats.unacknowledged
    ));
    server.close();
    serving.await?;
    child.take().expect("given back").end();
    Ok(())
}

async fn serve(server: ServerSocket) -> Result<()> {
    let mut incoming = server.incoming();
    while let Some(socket) = incoming.next().await {
        forebay::spawn(echo(socket?)).detach();
    }
    Ok(())
}

/// Sends lines back. It ends with its client, or when it is asked to go first.
async fn echo(socket: Socket) -> Result<()> {
    let mut it = socket.connection()?;
    while let Some(line) = it.input.read_line().await? {
        it.output.write_strs(&[&line, "\n"]).await?;
        match line.as_str() {
            "close" => break,
            // Seen off in the background.
            "drop" => return Ok(()),
            _ => {}
        }
    }
    it.socket.close().await
}

/// Only what serves and what waits for the clients is left.
async fn at_rest(selector: &SelectorManager) {
    until(|| {
        let stats = selector.stats();
        stats.tasks == 1 && stats.sockets == 1 && stats.background_closes == 0
    })
    .await;
}

/// The resources that the process and its selector hold.
struct Holds {
    descriptors: BTreeMap<String, PathBuf>,
    stats: [u64; 5],
    memory: usize,
}

const STATS: &str = "sockets, tasks, timers, blocks, lingering";

impl Holds {
    fn now(selector: &SelectorManager) -> Self {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
            let entry = entry.unwrap();
            let target = fs::read_link(entry.path()).ok()?;
            // The one that reads the directory is gone when the list is used.
            (!target.starts_with("/proc"))
                .then(|| (entry.file_name().to_string_lossy().into_owned(), target))
        });
        let descriptors = descriptors.collect();
        let Stats { sockets, tasks, timers, blocks, background_closes, .. } = selector.stats();
        let stats = [sockets, tasks as u64, timers as u64, blocks as u64, background_closes];
        Self { descriptors, stats, memory: memory_of(std::process::id()).0 }
    }
}

// ---- the clients --------------------------------------------------------------------------------

/// The child: makes as many connections as it is told to, from several threads.
fn clients() {
    for order in io::stdin().lines() {
        let order = order.unwrap();
        let (port, cycles) = order.split_once(' ').unwrap();
        let (port, cycles): (u16, usize) = (port.parse().unwrap(), cycles.parse().unwrap());
        thread::scope(|threads| {
            for first in 0..CLIENTS {
                threads.spawn(move || {
                    (first..cycles).step_by(CLIENTS).for_each(|cycle| client(port, cycle));
                });
            }
        });
        say(&cycles.to_string());
    }
}

fn client(port: u16, cycle: usize) {
    let host = Ipv4Addr::new(127, 0, 0, 1 + u8::try_from(cycle / CLIENTS % ADDRESSES).unwrap());
    let mut peer = TcpStream::connect((host, port)).unwrap();
    let size = if cycle % 100 == 7 { 100_000 } else { 1 + cycle % 60 };
    match cycle / CLIENTS % 5 {
        // The client ends first.
        0 => {
            ask(&mut peer, &"c".repeat(size));
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(end_of(&mut peer), b"");
        }
        // The server does, and waits for the client; or leaves it to the background.
        1 => {
            ask(&mut peer, "close");
            assert_eq!(end_of(&mut peer), b"");
        }
        2 => {
            ask(&mut peer, "drop");
            assert_eq!(end_of(&mut peer), b"");
        }
        // The client goes while the answer is on its way.
        3 => {
            peer.write_all("gone\n".repeat(size % 1000).as_bytes()).unwrap();
            drop(peer);
        }
        _ => {
            ask(&mut peer, "reset");
            reset(peer);
        }
    }
}

fn ask(peer: &mut TcpStream, line: &str) {
    // Within the limit of a line, also where it is long.
    let line: String = line.as_bytes().chunks(1000).map(text_of).collect();
    let mut answer = vec![0; line.len()];
    peer.write_all(line.as_bytes()).unwrap();
    peer.read_exact(&mut answer).unwrap();
    assert!(answer == line.as_bytes(), "a wrong answer");
}

fn text_of(piece: &[u8]) -> String {
    format!("{}\n", String::from_utf8_lossy(piece))
}

fn end_of(peer: &mut TcpStream) -> Vec<u8> {
    let (bytes, error) = read_to_end(peer);
    assert!(error.is_none(), "{error:?}");
    bytes
}
