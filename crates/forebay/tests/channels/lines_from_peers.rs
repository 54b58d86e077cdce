//! Lines as peers send them. A last one without its end, NUL bytes and empty
//! lines; reads that are dropped half-way, again and again; and a million tiny lines in one go,
//! beside another client.
//!
//! What a line is, at every split of its bytes, is tested without sockets in `forebay-io`.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use forebay::{Connection, Result, SelectorManager, Socket};
use forebay_testing::{
    KIB, PATIENCE, Random, dial, in_host, listener, pair, report, run, seed, size, skip,
    until_at_rest, wait_for, watched_for,
};
use futures_lite::future::{poll_once, yield_now};

// ---- ends and NUL bytes -------------------------------------------------------------------------

#[test]
fn what_socat_sends_comes_as_it_was_sent() {
    const NAME: &str = "what_socat_sends_comes_as_it_was_sent";
    const SENT: &[u8] = b"\0\n\n\r\nwith \0 inside\r\nno end\r\n\n\0last";
    if Command::new("socat").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skip(NAME, "socat is missing");
    }
    let lines = run(async |selector| {
        let server = listener(&selector).await?;
        let target = format!("TCP:127.0.0.1:{}", server.port());
        let mut socat = Socat::start(&["-u", "-", &target]);
        socat.0.stdin.take().unwrap().write_all(SENT).unwrap();
        let socket = server.accept().await?;
        let mut input = socket.open_read_channel()?;
        let mut lines = Vec::new();
        while let Some(line) = input.read_line().await? {
            lines.push(line);
        }
        // Once, and not again.
        assert_eq!(input.read_line().await?, None);
        assert!(socat.0.wait().unwrap().success());
        socket.close().await?;
        Ok(lines)
    });
    report(&format!("{NAME}: {lines:?}"));
    assert_eq!(lines, ["\0", "", "", "with \0 inside", "no end", "", "\0last"]);
}

/// Ended with the test.
struct Socat(Child);

impl Socat {
    fn start(arguments: &[&str]) -> Self {
        Self(Command::new("socat").args(arguments).stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Socat {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

// ---- limits -------------------------------------------------------------------------------------

#[test]
fn reads_dropped_half_way_miss_no_line() {
    const NAME: &str = "reads_dropped_half_way_miss_no_line";
    let seed = seed(NAME);
    let lines = size("FOREBAY_L5_LINES", 10_000, 50_000);
    watched_for(10 * PATIENCE, move || {
        in_host(async |selector| {
            let (socket, peer) = pair(&selector).await?;
            let mut input = socket.open_read_channel()?;
            let read_so_far = Arc::new(AtomicUsize::new(0));
            let sending = thread::spawn({
                let read_so_far = Arc::clone(&read_so_far);
                move || send_lines(peer, lines, seed, &read_so_far)
            });
            let mut random = Random::new(!seed, 0);
            let (mut dropped, mut half_way) = (0, 0);
            for line in 0..lines {
                let read = loop {
                    // One poll, no time at all, or up to a millisecond.
                    let read = if random.below(2) == 0 {
                        poll_once(input.read_line()).await
                    } else {
                        selector.within(random.moment(), input.read_line()).await
                    };
                    if let Some(read) = read {
                        break read?;
                    }
                    dropped += 1;
                    half_way += usize::from(input.buffered() > 0);
                    forebay::yield_now().await;
                };
                assert_eq!(read, Some(line_of(line)));
                read_so_far.store(line, SeqCst);
            }
            assert_eq!(input.read_line().await?, None);
            sending.join().unwrap();
            report(&format!(
                "{NAME}: {lines} lines, {dropped} reads dropped, {half_way} of them half-way"
            ));
            assert!(half_way > lines / 100, "nothing was dropped half-way");
            socket.close().await?;
            until_at_rest(&selector, 0).await;
            Result::Ok(())
        })
    })
    .unwrap();
}

/// Lines of all lengths below a hundred.
fn line_of(number: usize) -> String {
    format!("{number:>width$}", width = number % 100)
}

/// Sends lines in pieces that end anywhere. It is never far ahead, so that the reader is hungry, and
/// has half a line most of the time.
fn send_lines(mut peer: TcpStream, lines: usize, seed: u64, read_so_far: &AtomicUsize) {
    let mut random = Random::new(seed, 0);
    peer.set_nodelay(true).unwrap();
    let (mut waiting, mut number) = (Vec::new(), 0);
    loop {
        while waiting.len() < 100 && number < lines {
            waiting.extend_from_slice((line_of(number) + "\n").as_bytes());
            number += 1;
        }
        if waiting.is_empty() {
            break;
        }
        wait_for(|| number < read_so_far.load(SeqCst) + 30);
        let piece = waiting.len().min(1 + random.below(100));
        peer.write_all(&waiting[..piece]).unwrap();
        waiting.drain(..piece);
    }
}

// ---- torn lines ---------------------------------------------------------------------------------

/// The bytes of one connection in a turn; the receive that uses them up may bring a whole block more.
const SHARE_BYTES: usize = 256 * KIB;
const BLOCK_BYTES: usize = 64 * KIB;

/// The observations while one client sent its lines in one go, and another asked its questions.
#[derive(Debug)]
struct Flood {
    /// The processor time of the thread that serves them both.
    spent: Duration,
    /// Questions of the other one that were answered meanwhile.
    others: usize,
    /// The most that was received between two turns of a task, where one looked.
    most: u64,
}

#[test]
fn a_million_tiny_lines_in_one_go_take_linear_time() {
    const NAME: &str = "a_million_tiny_lines_in_one_go_take_linear_time";
    let lines = size("FOREBAY_L7_LINES", 200_000, 1_000_000);
    let [fewer, all] = [lines / 4, lines].map(|lines| {
        let flood = flood_beside_another(lines, false);
        report(&format!("{NAME}: {lines} lines in {:?} of processor time", flood.spent));
        flood.spent
    });
    // A scan that begins again with each line would take sixteen times as long.
    assert!(all < 8 * fewer, "not linear");
}

#[test]
fn a_million_tiny_lines_in_one_go_starve_nobody() {
    const NAME: &str = "a_million_tiny_lines_in_one_go_starve_nobody";
    let lines = size("FOREBAY_L7_LINES", 200_000, 1_000_000);
    let flood = flood_beside_another(lines, true);
    let bytes = lines / 2 * 3;
    report(&format!(
        "{NAME}: of {bytes} bytes, at most {} between two turns of another task; meanwhile {} \
         questions of another client were answered",
        flood.most, flood.others
    ));
    // With a little for the other client's questions.
    assert!(flood.most <= (SHARE_BYTES + BLOCK_BYTES + KIB) as u64, "a task starves");
    // One for each share of a turn would be ideal, if clients needed no time themselves.
    assert!(flood.others >= bytes / SHARE_BYTES / 3, "a client starves");
}

fn flood_beside_another(lines: usize, looks: bool) -> Flood {
    watched_for(2 * PATIENCE, move || {
        in_host(async |selector| {
            let server = listener(&selector).await?;
            let port = server.port();
            let is_over = Arc::new(AtomicBool::new(false));
            let other = thread::spawn({
                let is_over = Arc::clone(&is_over);
                move || ask_again_and_again(dial(port), &is_over)
            });
            let first = selector.spawn(answer(server.accept().await?));
            let before = processor_time();
            let looking = looks.then(|| selector.spawn_value(look(selector.clone(), &is_over)));
            let flood = thread::spawn(move || {
                send_in_one_go(dial(port), lines);
                is_over.store(true, SeqCst);
            });
            answer(server.accept().await?).await?;
            first.await?;
            let others = other.join().unwrap();
            flood.join().unwrap();
            let most = match looking {
                Some(looking) => looking.await?,
                None => 0,
            };
            Result::Ok(Flood { spent: processor_time().saturating_sub(before), others, most })
        })
    })
    .unwrap()
}

/// Takes its turn again and again, and says how much was received between two of them at most.
fn look(
    selector: SelectorManager,
    is_over: &Arc<AtomicBool>,
) -> impl Future<Output = u64> + Send + 'static {
    let is_over = Arc::clone(is_over);
    async move {
        let (mut seen, mut most) = (selector.stats().received_bytes, 0);
        while !is_over.load(SeqCst) {
            yield_now().await;
            let now = selector.stats().received_bytes;
            most = most.max(now - seen);
            seen = now;
        }
        most
    }
}

/// Returns the processor time of this thread, which is the one that drives the selector.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

async fn answer(socket: Socket) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    let mut line = String::new();
    while input.read_line_into(&mut line).await? {
        output.write_strs(&["<", &line, ">\n"]).await?;
        line.clear();
    }
    socket.close().await
}

fn send_in_one_go(mut peer: TcpStream, lines: usize) {
    let data = b"x\n\n".repeat(lines / 2);
    let mut sending = peer.try_clone().unwrap();
    let sender = thread::spawn(move || {
        sending.write_all(&data).unwrap();
        sending.shutdown(Shutdown::Write).unwrap();
    });
    let mut answers = Vec::with_capacity(lines * 4);
    peer.read_to_end(&mut answers).unwrap();
    sender.join().unwrap();
    assert!(answers == b"<x>\n<>\n".repeat(lines / 2));
}

/// Says how many of its questions were answered.
fn ask_again_and_again(mut peer: TcpStream, is_over: &AtomicBool) -> usize {
    let mut answers = BufReader::new(peer.try_clone().unwrap()).lines();
    let mut asked = 0;
    while !is_over.load(SeqCst) {
        writeln!(peer, "question {asked}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), format!("<question {asked}>"));
        asked += 1;
    }
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(answers.next().is_none());
    asked
}
