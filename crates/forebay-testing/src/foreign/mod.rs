//! Programs of other projects as the other side.

mod tools;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use forebay::{ErrorKind, Result, SelectorManager, Socket};

use crate::{lock, skip};

pub use self::tools::{Given, Insists, Place, Tool, free_port, script};

/// The longest time until a program says what it is expected to say.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is killed when the test has failed, or needs it no more.
pub struct Foreign {
    name: String,
    process: Child,
    stdin: Option<ChildStdin>,
    /// Types in the bytes that [`feed`](Self::feed) was given.
    feeding: Option<JoinHandle<ChildStdin>>,
    said: Arc<Said>,
    /// The length of the output that was searched already.
    heard: usize,
}

/// Everything that a program has written so far, to either of its outputs.
#[derive(Default)]
struct Said {
    text: Mutex<(Vec<u8>, usize)>,
    more: Condvar,
}

impl Foreign {
    /// Starts a program with its standard streams as pipes; the outputs may have been given to files
    /// before. If it is not installed, prints a line that says so and returns `None`.
    pub fn start(test: &str, command: &mut Command) -> Option<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        match command.spawn() {
            Ok(process) => Some(Self::new(name, process)),
            Err(error) => {
                skip(test, &format!("{name}: {error}"));
                None
            }
        }
    }

    fn new(name: String, mut process: Child) -> Self {
        let said = Arc::<Said>::default();
        if let Some(stdout) = process.stdout.take() {
            said.collect(stdout);
        }
        if let Some(stderr) = process.stderr.take() {
            said.collect(stderr);
        }
        Self { name, stdin: process.stdin.take(), feeding: None, process, said, heard: 0 }
    }

    /// Types something in.
    pub fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Types something in, and waits until it has been read, so that the next input is read separately.
    pub fn say_apart(&mut self, text: &str) {
        self.say(text);
        let stdin = self.stdin.as_ref().unwrap();
        let start = Instant::now();
        while rustix::io::ioctl_fionread(stdin).unwrap() > 0 {
            assert!(start.elapsed() < PATIENCE, "{} does not read {text:?}", self.name);
            thread::yield_now();
        }
    }

    /// Types something in, if the program still listens.
    pub fn try_to_say(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).ok();
    }

    /// Types in more than the program reads at once, in the background, and does not end its input.
    pub fn feed(&mut self, bytes: Arc<Vec<u8>>) {
        let mut stdin = self.stdin.take().unwrap();
        self.feeding = Some(thread::spawn(move || {
            // If it is gone by now, its end tells why.
            stdin.write_all(&bytes).ok();
            stdin
        }));
    }

    /// Connects to it as soon as it listens.
    pub async fn connect(&mut self, selector: &SelectorManager, port: u16) -> Result<Socket> {
        loop {
            match selector.tcp().connect(("localhost", port)).await {
                Err(error) if matches!(error.kind(), ErrorKind::Refused) => {
                    let ended = self.process.try_wait().unwrap();
                    assert!(ended.is_none(), "{} does not listen, but ended: {ended:?}", self.name);
                }
                connected => return connected,
            }
        }
    }

    /// Ends its input.
    pub fn hush(&mut self) {
        self.stdin = None;
        if let Some(feeding) = self.feeding.take() {
            drop(feeding.join());
        }
    }

    /// Waits until the program says this, and returns everything from the last match up to there.
    #[track_caller]
    pub fn hear(&mut self, text: &str) -> String {
        let all = self.said.wait(|said, is_over| {
            let rest = said.get(self.heard..).unwrap_or_default();
            rest.windows(text.len()).any(|window| window == text.as_bytes()) || is_over
        });
        let rest = String::from_utf8_lossy(&all[self.heard..]).into_owned();
        let Some(at) = rest.find(text) else {
            panic!("{} did not say {text:?}, but this: {rest}", self.name)
        };
        self.heard += at + text.len();
        rest[..at + text.len()].to_owned()
    }

    /// Waits until the program has said this, now or before.
    #[track_caller]
    pub fn must_say(&self, text: &str) {
        let all = self.said.wait(|said, is_over| {
            said.windows(text.len()).any(|window| window == text.as_bytes()) || is_over
        });
        let all = String::from_utf8_lossy(&all);
        assert!(all.contains(text), "{} did not say {text:?}, but this: {all}", self.name);
    }

    /// Waits for the rest of a line that begins like this.
    #[track_caller]
    pub fn hear_line(&mut self, beginning: &str) -> String {
        self.hear(beginning);
        self.hear("\n").trim_end().to_owned()
    }

    /// Ends the program's input, waits for its end, and returns its status and all of its output.
    #[track_caller]
    pub fn end(mut self) -> (ExitStatus, String) {
        self.hush();
        let all = self.said.wait(|_, is_over| is_over);
        let status = self.process.wait().unwrap();
        (status, String::from_utf8_lossy(&all).into_owned())
    }

    /// Ends the program like [`end`](Self::end); it must succeed.
    #[track_caller]
    pub fn end_well(self) -> String {
        let name = self.name.clone();
        let (status, said) = self.end();
        assert!(status.success(), "{name}: {status}\n{said}");
        said
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Said {
    fn collect(self: &Arc<Self>, mut stream: impl Read + Send + 'static) {
        lock(&self.text).1 += 1;
        let said = Arc::clone(self);
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut part) {
                lock(&said.text).0.extend_from_slice(&part[..count]);
                said.more.notify_all();
            }
            lock(&said.text).1 -= 1;
            said.more.notify_all();
        });
    }

    /// Waits until this holds of the output, or of the program's being over.
    #[track_caller]
    fn wait(&self, mut holds: impl FnMut(&[u8], bool) -> bool) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let mut text = lock(&self.text);
        while !holds(&text.0, text.1 == 0) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it says {:?}", String::from_utf8_lossy(&text.0));
            text = self.more.wait_timeout(text, left).unwrap().0;
        }
        text.0.clone()
    }
}

/// Makes pipes of all standard streams.
pub fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
}
