//! The examples at work, each with the peers it needs.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use super::judge::{Fault, Got, Notes, is_timeout};
use super::program::{Ended, HANGS_AFTER, Injection, Program};
use forebay_testing::{pattern, reset};

/// Clients of a server, one after the other in each of two threads.
const CLIENTS: usize = 24;
const ECHO_CLIENTS: usize = 6;
const ECHO_BYTES: usize = 300_000;
const NAMES: [&str; 3] = ["Ada", "Grace", "Barbara"];
/// The time for which a client waits for an answer before it makes a lie true.
const A_MOMENT: Duration = Duration::from_millis(300);
/// Lines that the client example is given.
const LINES: usize = 25;

/// An example at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    Quickstart,
    Server,
    Client,
    Echo,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quickstart => "quickstart",
            Self::Server => "sockets_server",
            Self::Client => "sockets_client",
            Self::Echo => "echo",
        })
    }
}

impl Scene {
    pub(crate) const ALL: [Self; 4] = [Self::Quickstart, Self::Server, Self::Client, Self::Echo];

    /// Runs it and holds it against the rules.
    pub(crate) fn run(self, injection: Option<Injection>) -> Result<Notes, Fault> {
        self.play(injection).1
    }

    /// Runs it undisturbed, and gives the calls that it made.
    pub(crate) fn traced(self) -> String {
        let (ended, judged) = self.play(None);
        match judged {
            Ok(notes) if notes.unharmed == 1 => ended.trace,
            Ok(_) => panic!("{self}: {}", ended.fault("goes wrong undisturbed")),
            Err(fault) => panic!("{self}, undisturbed: {fault}"),
        }
    }

    fn play(self, injection: Option<Injection>) -> (Ended, Result<Notes, Fault>) {
        let name = self.to_string();
        match self {
            Self::Quickstart => quickstart(Program::start(&name, &[], injection), injection),
            Self::Client => client(&name, injection),
            Self::Server => {
                let program = Program::start(&name, &["127.0.0.1:0"], injection);
                server(program, injection, CLIENTS, greeted)
            }
            Self::Echo => {
                let program = Program::start(&name, &["127.0.0.1:0"], injection);
                server(program, injection, ECHO_CLIENTS, echoed)
            }
        }
    }
}

// ---- a program by itself -------------------------------------------------------------------------

fn quickstart(program: Program, injection: Option<Injection>) -> (Ended, Result<Notes, Fault>) {
    let dialogue = NAMES.map(|name| format!("client: {name}\nserver: Hello, {name}!\n")).concat();
    let dialogue = format!("server: Please enter your name\n{dialogue}");
    let right = format!("{dialogue}Now over TLS 1.3\n{dialogue}");
    let ended = program.end();
    let judged = ended.judge(injection).and_then(|mut notes| {
        let Some(status) = ended.status else { return Err(ended.fault("hangs")) };
        let said = ended.stdout.split_once('\n').map_or("", |(_, said)| said);
        // The client says when its server has ended early.
        let said = said.split("server has ended\n").next().unwrap_or_default();
        let told = ended.stdout.contains("server has ended") || !ended.stderr.is_empty();
        let got = Got { bytes: said.into(), error: told.then(|| io::Error::other("it said so")) };
        if !right.starts_with(said) && got.error.is_some() {
            // What it said after its server had ended is its own.
            return Ok(notes);
        }
        let whole = got.judge(right.as_bytes(), &mut notes)?;
        if status.success() && !whole && got.error.is_none() {
            return Err(ended.fault("says nothing of what is missing"));
        }
        notes.unharmed += usize::from(whole && status.success());
        Ok(notes)
    });
    (ended, judged)
}

// ---- a server and its clients -------------------------------------------------------------------

type Converse = fn(&TcpStream) -> (Got, Vec<u8>);

fn server(
    mut program: Program,
    injection: Option<Injection>,
    clients: usize,
    converse: Converse,
) -> (Ended, Result<Notes, Fault>) {
    let Some(port) = program.port() else {
        let ended = program.end();
        let judged = ended.judge(injection);
        let judged = match ended.status {
            None => Err(ended.fault("hangs before it listens")),
            Some(status) if status.success() => Err(ended.fault("ends before it listens")),
            Some(_) => judged,
        };
        return (ended, judged);
    };
    let talk = || (0..clients / 2).map(|_| visit(port, converse, injection)).collect::<Vec<_>>();
    let (mut visits, others) = thread::scope(|threads| {
        let others = threads.spawn(talk);
        (talk(), others.join().unwrap())
    });
    visits.extend(others);
    let harmed = visits.iter().filter(|visit| !visit.as_ref().is_ok_and(Visit::is_whole)).count();
    // More than one is harmed where the server ends, and its end may come a little later.
    let refused = visits.iter().any(Result::is_err);
    let ended = if harmed > 1 || refused { program.end() } else { program.stop() };
    let judged = judge_visits(&ended, injection, visits);
    (ended, judged)
}

fn judge_visits(
    ended: &Ended,
    injection: Option<Injection>,
    visits: Vec<io::Result<Visit>>,
) -> Result<Notes, Fault> {
    let mut notes = ended.judge(injection)?;
    let lives = ended.status.is_none();
    let mut harmed = 0;
    for visit in visits {
        let whole = match visit {
            Ok(Visit { got, right }) => {
                got.judge(&right, &mut notes).map_err(|fault| ended.fault(&fault.to_string()))?
            }
            Err(error) if lives => return Err(ended.fault(&format!("not let in: {error}"))),
            Err(_) => false,
        };
        harmed += usize::from(!whole);
    }
    if notes.short > 0 && injection.is_some_and(Injection::loses_output) {
        return Err(ended.fault("a clean end behind bytes that were not sent"));
    }
    if lives && harmed > 1 {
        return Err(ended.fault(&format!("{harmed} clients were harmed by one failure")));
    }
    if ended.status.is_some_and(|status| status.success()) {
        return Err(ended.fault("a server ends as if it were well"));
    }
    notes.unharmed += usize::from(lives && harmed == 0);
    Ok(notes)
}

/// The answer that a client got, and the one that it should have got.
#[derive(Debug)]
struct Visit {
    got: Got,
    right: Vec<u8>,
}

impl Visit {
    fn is_whole(&self) -> bool {
        self.got.error.is_none() && self.got.bytes == self.right
    }
}

/// One client, from coming to going.
fn visit(port: u16, converse: Converse, injection: Option<Injection>) -> io::Result<Visit> {
    let sees_the_end = !injection.is_some_and(Injection::leaves_open);
    let is_a_lie = injection.is_some_and(Injection::is_a_lie);
    let patience = if is_a_lie { A_MOMENT } else { HANGS_AFTER };
    let peer = TcpStream::connect(("127.0.0.1", port))?;
    peer.set_nodelay(true)?;
    peer.set_read_timeout(Some(patience))?;
    peer.set_write_timeout(Some(patience))?;
    let (mut got, right) = converse(&peer);
    if !is_a_lie && got.bytes.is_empty() && got.error.as_ref().is_some_and(is_timeout) {
        got.error = knock(&peer).err().or(got.error);
    }
    if got.error.is_none() && sees_the_end {
        got.error = peer.shutdown(Shutdown::Write).err();
        let ended = (&peer).read_to_end(&mut got.bytes);
        // Everything has come, and what comes after it is the end, in whatever manner.
        let is_short = |error: &io::Error| got.bytes.len() < right.len() || is_timeout(error);
        got.error = ended.err().or(got.error).filter(is_short);
    }
    if is_a_lie && got.error.as_ref().is_some_and(is_timeout) {
        got.error = Some(io::Error::other("it would hang if the error were a lie"));
        reset(peer);
    }
    Ok(Visit { got, right })
}

/// Checks that the connection has an owner: a byte that no socket takes is answered by a reset.
///
/// Linux resets the connections that a listener leaves behind, all but one that comes in the moment
/// in which it closes: the last segment of its handshake is dropped without an answer, and its
/// client, which believes itself connected, learns nothing before it sends. A program that owns the
/// connection takes the byte, or leaves it in its queue, and still hangs.
fn knock(mut peer: &TcpStream) -> io::Result<()> {
    peer.write_all(b"?")?;
    match peer.read(&mut [0]) {
        Err(error) if !is_timeout(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Introduces itself three times, each time waiting for the answer.
fn greeted(mut peer: &TcpStream) -> (Got, Vec<u8>) {
    let mut right = b"Please enter your name\n".to_vec();
    let mut got = Got { bytes: Vec::new(), error: None };
    receive_up_to(peer, right.len(), &mut got);
    for name in NAMES {
        right.extend(format!("Hello, {name}!\n").into_bytes());
        if got.error.is_none() && got.bytes.len() < right.len() {
            got.error = peer.write_all(format!("{name}\n").as_bytes()).err();
            receive_up_to(peer, right.len(), &mut got);
        }
    }
    (got, right)
}

/// Sends much without waiting for what comes back.
fn echoed(peer: &TcpStream) -> (Got, Vec<u8>) {
    let right = pattern(ECHO_BYTES);
    let mut got = Got { bytes: Vec::new(), error: None };
    thread::scope(|threads| {
        let sending = threads
            .spawn(|| right.chunks(20_000).try_for_each(|chunk| (&mut { peer }).write_all(chunk)));
        receive_up_to(peer, right.len(), &mut got);
        if got.bytes.len() < right.len() {
            // The rest of what is being sent stays unread.
            peer.shutdown(Shutdown::Both).ok();
        }
        let sent = sending.join().unwrap();
        if got.error.is_none() && got.bytes.len() < right.len() {
            got.error = sent.err();
        }
    });
    (got, right)
}

/// Receives until there are so many bytes, or the end, or an error.
fn receive_up_to(mut peer: &TcpStream, length: usize, got: &mut Got) {
    let mut buffer = vec![0; 65536];
    while got.error.is_none() && got.bytes.len() < length {
        match peer.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => got.bytes.extend(&buffer[..count]),
            Err(error) => got.error = Some(error),
        }
    }
}

// ---- a client and its server --------------------------------------------------------------------

/// The example is fed line by line, each when its server has heard the one before.
fn client(name: &str, injection: Option<Injection>) -> (Ended, Result<Notes, Fault>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut program = Program::start(name, &[&address.to_string()], injection);
    let mut input = program.input();
    let (lines, heard) = channel();
    listener.set_nonblocking(true).unwrap();
    let mut peer = None;
    while peer.is_none() && program.is_alive() {
        peer = listener.accept().ok();
        thread::yield_now();
    }
    let served = peer.map(|(peer, _)| {
        peer.set_nonblocking(false).unwrap();
        thread::spawn(move || greet(&peer, &lines))
    });
    if served.is_some() {
        for line in 0..LINES {
            // A program that has ended takes nothing more, and its server hears nothing more.
            let fed = input.write_all(format!("line {line}\n").as_bytes());
            if fed.is_err() || heard.recv_timeout(HANGS_AFTER).is_err() {
                break;
            }
        }
    }
    drop(input);
    let ended = program.end();
    let said = served.map_or_else(Default::default, |served| served.join().unwrap());
    let judged = judge_client(&ended, injection, &said);
    (ended, judged)
}

/// The bytes that a server received, and those that it sent.
#[derive(Debug, Default)]
struct Dialogue {
    heard: Vec<u8>,
    said: Vec<u8>,
}

/// Answers every line that is whole.
fn greet(mut peer: &TcpStream, lines: &Sender<()>) -> Dialogue {
    peer.set_read_timeout(Some(HANGS_AFTER)).unwrap();
    let mut dialogue = Dialogue::default();
    let mut answer = b"Please enter your name\n".to_vec();
    let (mut buffer, mut answered) = (vec![0; 4096], 0);
    loop {
        dialogue.said.extend(&answer);
        if peer.write_all(&answer).is_err() {
            return dialogue;
        }
        answer.clear();
        // Zero is the end, and an error is one, too.
        let count = peer.read(&mut buffer).unwrap_or_default();
        if count == 0 {
            return dialogue;
        }
        dialogue.heard.extend(&buffer[..count]);
        while let Some(length) = dialogue.heard[answered..].iter().position(|byte| *byte == b'\n') {
            let line = &dialogue.heard[answered..answered + length];
            answer.extend([b"Hello, ", line, b"!\n"].concat());
            answered += length + 1;
            // The thread that feeds the lines may have ended.
            lines.send(()).ok();
        }
    }
}

fn judge_client(
    ended: &Ended,
    injection: Option<Injection>,
    dialogue: &Dialogue,
) -> Result<Notes, Fault> {
    let mut notes = ended.judge(injection)?;
    let Some(status) = ended.status else { return Err(ended.fault("hangs")) };
    let input = (0..LINES).map(|line| format!("line {line}\n")).collect::<Vec<_>>().concat();
    let Dialogue { heard, said } = dialogue;
    let printed = ended.stdout.as_bytes();
    // The last line of the output counts as one although it may have been cut.
    let printed = printed.strip_suffix(b"\n").unwrap_or(printed);
    if !input.as_bytes().starts_with(heard) || !said.starts_with(printed) {
        let what = [heard, printed].map(String::from_utf8_lossy);
        return Err(ended.fault(&format!("wrong bytes: {what:?}")));
    }
    let whole = input.as_bytes() == heard && ended.stdout.as_bytes() == said;
    if status.success() && !whole && ended.stderr.is_empty() {
        return Err(ended.fault(&format!(
            "says nothing of what is missing: heard {} of {} bytes, printed {} of {}",
            heard.len(),
            input.len(),
            printed.len(),
            said.len()
        )));
    }
    notes.unharmed += usize::from(whole && status.success());
    Ok(notes)
}
