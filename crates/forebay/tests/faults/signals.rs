//! Storms of signals. A program that handles a signal finds its calls interrupted
//! (`EINTR`, `signal(7)`); no caller notices, nothing dies, nothing stalls, and no byte is lost.
//!
//! The library blocks no signal, and handles none that the program does not ask for: `SIGTERM` ends a program
//! that does not handle it.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use forebay::{Connection, Result, Socket};
use forebay_testing::{
    Child, KIB, Known, Log, MIB, PATIENCE, dial, listener, report, role, run, say, skip, watched,
    watched_for,
};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::iterator::Signals;

/// Between two signals of a storm.
const PAUSE: Duration = Duration::from_millis(1);
/// A storm lasts for so many signals at least.
const SIGNALS_MIN: usize = 1000;

// ---- interrupted calls --------------------------------------------------------------------------

/// `SIGALRM` a thousand times a second, handled. `strace` counts the calls that it interrupted.
#[test]
fn an_alarm_every_millisecond_is_not_noticed() {
    const NAME: &str = "an_alarm_every_millisecond_is_not_noticed";
    if let Some(role) = role() {
        return serve(&role);
    }
    let log = Log::new(NAME);
    let strace = ["strace", "-f", "-o", log.path(), "-e", "trace=epoll_wait,epoll_pwait"];
    if !Child::can_trace(&strace) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    let strace = strace.map(str::to_owned);
    let handled = watched_for(2 * PATIENCE, move || {
        let strace = strace.each_ref().map(String::as_str);
        let child = Child::start_under(&strace, NAME, "handles ALRM");
        talk_in_a_storm(child, &[Signal::ALARM])
    });
    let interrupted = log.lines().iter().filter(|line| line.contains("EINTR")).count();
    report(&format!("{NAME}: {handled} handled, {interrupted} waits interrupted"));
    assert!(handled > 0 && interrupted > 0);
}

// ---- storms -------------------------------------------------------------------------------------

/// Signals that a program ignores from its start, and those that mean nothing to it.
#[test]
fn a_storm_of_ignored_signals_kills_and_stalls_nothing() {
    const NAME: &str = "a_storm_of_ignored_signals_kills_and_stalls_nothing";
    const IGNORED: [Signal; 5] =
        [Signal::PIPE, Signal::CHILD, Signal::URG, Signal::WINCH, Signal::CONT];
    if let Some(role) = role() {
        return serve(&role);
    }
    watched(|| {
        talk_in_a_storm(Child::start(NAME, "handles nothing"), &IGNORED);
        report(&format!("{NAME}: PIPE, CHLD, URG, WINCH and CONT changed nothing"));
    });
}

/// Signals that a program handles: `SIGTERM` to end in its own time, `SIGCHLD` to reap its children.
#[test]
fn a_storm_of_handled_signals_kills_and_stalls_nothing() {
    const NAME: &str = "a_storm_of_handled_signals_kills_and_stalls_nothing";
    if let Some(role) = role() {
        return serve(&role);
    }
    watched(|| {
        let child = Child::start(NAME, "handles TERM CHLD");
        let handled = talk_in_a_storm(child, &[Signal::TERM, Signal::CHILD]);
        report(&format!("{NAME}: {handled} handled"));
        assert!(handled > 0);
    });
}

/// A program that is stopped and goes on again and again: its waits are interrupted without any
/// handler (`signal(7)`).
#[test]
fn a_program_that_is_stopped_again_and_again_misses_nothing() {
    const NAME: &str = "a_program_that_is_stopped_again_and_again_misses_nothing";
    if let Some(role) = role() {
        return serve(&role);
    }
    watched(|| {
        talk_in_a_storm(Child::start(NAME, "handles nothing"), &[Signal::STOP, Signal::CONT]);
        report(&format!("{NAME}: nothing missed"));
    });
}

/// Nothing of the library stands between `SIGTERM` and the end of a program.
#[test]
fn an_unhandled_sigterm_ends_the_program() {
    const NAME: &str = "an_unhandled_sigterm_ends_the_program";
    if let Some(role) = role() {
        return serve(&role);
    }
    watched(|| {
        let mut child = Child::start(NAME, "handles nothing");
        let mut peer = dial(child.hear_number());
        let target = Pid::from_raw(child.hear_number()).unwrap();
        peer.write_all(b"hello\n").unwrap();
        peer.read_exact(&mut [0; 6]).unwrap();
        kill_process(target, Signal::TERM).unwrap();
        assert_eq!(child.hear(), None);
        assert_eq!(child.killed_by(), Some(Signal::TERM.as_raw()));
        // The kernel has ended its connections.
        assert!(matches!(peer.read(&mut [0]), Ok(0) | Err(_)));
    });
}

// ---- the storm ----------------------------------------------------------------------------------

/// Sends the signals, round and round, until it is dropped.
struct Storm {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    sending: Option<thread::JoinHandle<()>>,
}

impl Storm {
    fn over(target: Pid, signals: &'static [Signal]) -> Self {
        let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_over, count) = (Arc::clone(&over), Arc::clone(&sent));
        let sending = thread::spawn(move || {
            while !is_over.load(SeqCst) {
                for &signal in signals {
                    kill_process(target, signal).unwrap();
                    count.fetch_add(1, SeqCst);
                    // The pace of the storm.
                    thread::sleep(PAUSE);
                }
            }
        });
        Self { over, sent, sending: Some(sending) }
    }

    fn sent(&self) -> usize {
        self.sent.load(SeqCst)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        if let Some(sending) = self.sending.take() {
            sending.join().ok();
        }
    }
}

/// Talks to the child while signals rain on it: short questions, and a stream each way. Says how
/// many signals the child has handled.
fn talk_in_a_storm(mut child: Child, signals: &'static [Signal]) -> usize {
    let port = child.hear_number();
    let target = Pid::from_raw(child.hear_number()).unwrap();
    let storm = Storm::over(target, signals);
    let mut questions = 0;
    while storm.sent() < SIGNALS_MIN {
        ask(port, 20);
        questions += 20;
        stream(port, 4 * MIB);
    }
    report(&format!("a storm of {} signals, {questions} questions answered", storm.sent()));
    drop(storm);
    // It may have been stopped last.
    kill_process(target, Signal::CONT).unwrap();
    let mut last = dial(port);
    last.write_all(b"that is all\n").unwrap();
    let handled = child.hear_number();
    child.end();
    handled
}

fn ask(port: u16, questions: usize) {
    let mut peer = dial(port);
    let mut answers = BufReader::new(peer.try_clone().unwrap()).lines();
    for question in 0..questions {
        writeln!(peer, "question {question}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), format!("question {question}"));
    }
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(answers.next().is_none());
}

fn stream(port: u16, bytes: usize) {
    let peer = dial(port);
    let mut sending = peer.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let (mut known, mut left) = (Known::new(1), bytes);
        while left > 0 {
            let piece = known.take(left.min(64 * KIB));
            sending.write_all(piece).unwrap();
            left -= piece.len();
        }
        sending.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(check(peer), bytes);
    sender.join().unwrap();
}

fn check(mut peer: TcpStream) -> usize {
    let (mut known, mut buffer, mut received) = (Known::new(1), vec![0; 64 * KIB], 0);
    loop {
        match peer.read(&mut buffer).unwrap() {
            0 => return received,
            count => {
                known.check(&buffer[..count]);
                received += count;
            }
        }
    }
}

// ---- the child ----------------------------------------------------------------------------------

/// Echoes to every client, and handles the signals that its role names, until a client says that
/// this is all.
fn serve(role: &str) {
    let handled = Arc::new(AtomicUsize::new(0));
    let numbers = role.split(' ').filter_map(|name| match name {
        "ALRM" => Some(Signal::ALARM),
        "TERM" => Some(Signal::TERM),
        "CHLD" => Some(Signal::CHILD),
        _ => None,
    });
    let numbers: Vec<_> = numbers.map(Signal::as_raw).collect();
    if !numbers.is_empty() {
        let mut signals = Signals::new(numbers).unwrap();
        let handled = Arc::clone(&handled);
        thread::spawn(move || signals.forever().for_each(|_| _ = handled.fetch_add(1, SeqCst)));
    }
    run(async move |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        say(&this_thread());
        let over = Arc::new(AtomicBool::new(false));
        while !over.load(SeqCst) {
            let socket = server.accept().await?;
            let echoing = selector.spawn_value(echo(socket, Arc::clone(&over)));
            echoing.await??;
        }
        say(&handled.load(SeqCst).to_string());
        Ok(())
    });
}

/// The number of the thread that drives the selector. A signal to a process that is sent to one of
/// its threads is that thread's first, so that the calls interrupted are the ones meant here.
fn this_thread() -> String {
    let link = fs::read_link("/proc/thread-self").unwrap();
    link.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Until its peer has said everything.
async fn echo(socket: Socket, over: Arc<AtomicBool>) -> Result<()> {
    let Connection { mut input, mut output, socket } = socket.connection()?;
    while let Some(chunk) = input.read_chunk().await? {
        if chunk.starts_with(b"that is all") {
            over.store(true, SeqCst);
            break;
        }
        output.write_bytes(chunk).await?;
    }
    socket.close().await
}
