//! Shows a protocol of lines: a store of keys and values, with limits, errors, and clients that send many requests
//! before they read an answer.
//!
//! Run it with `cargo run -p forebay-examples --example line_protocol [ADDRESS]` (default `127.0.0.1:9010`), talk to it
//! with `nc 127.0.0.1 9010`, and end it with Ctrl-C:
//!
//! ```text
//! SET name Ada Lovelace      OK
//! GET name                   VALUE Ada Lovelace
//! DEL name                   OK
//! GET name                   NONE
//! QUIT                       BYE, and the end
//! ```

use std::collections::HashMap;
use std::io::{Write, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebay::{Either, ErrorKind, LineOptions, Result, SelectorManager, Socket, race, write_line};

/// A longer line is refused, and skipped in bounded memory.
const LINE_BYTES_MAX: usize = 1024;
const KEYS_MAX: usize = 100_000;
const CLIENTS_MAX: usize = 1000;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9010".to_owned());
    forebay::run(async |selector: SelectorManager| {
        // A client that is silent for a minute is shown the door.
        let tcp = selector.tcp().idle_timeout(Duration::from_secs(60));
        let server = tcp.bind(&address).await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        let store = Store::default();
        let clients = selector.group().limit(CLIENTS_MAX);
        // A place first: where there is none left, the next client waits in the system's queue.
        let next = async || (clients.place().await, server.accept().await);
        while let Either::Left((place, socket)) = race(next(), forebay::ctrl_c()).await {
            place.spawn(session(socket?, store.clone()));
        }
        Ok(())
    })
}

/// Answers each line by one line. The answers to all requests that have arrived together go out together, at the end of
/// the worker's turn, so a client may send many at once.
async fn session(socket: Socket, store: Store) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.set_line_options(LineOptions::new().limit(LINE_BYTES_MAX));
    loop {
        let request = match input.read_line_ref().await {
            Ok(Some(line)) => Request::parse(line),
            Ok(None) => break,
            // The line is still in the channel. What is behind it is another request.
            Err(error) => match error.kind() {
                ErrorKind::LineTooLong { .. } | ErrorKind::InvalidUtf8 { .. } => {
                    input.skip_line().await?;
                    Err("the line is too long, or not UTF-8")
                }
                _ => return Err(error),
            },
        };
        let answer = match request {
            Ok(Request::Quit) => {
                output.write_str("BYE\n").await?;
                break;
            }
            Ok(request) => store.answer(request),
            Err(reason) => Err(reason),
        };
        match answer {
            Ok(Answer::Done) => output.write_str("OK\n").await?,
            Ok(Answer::Value(value)) => write_line!(output, "VALUE {value}").await?,
            Ok(Answer::None) => output.write_str("NONE\n").await?,
            Err(reason) => write_line!(output, "ERROR {reason}").await?,
        }
    }
    socket.close().await
}

#[derive(Clone, Copy)]
enum Request<'a> {
    Set(&'a str, &'a str),
    Get(&'a str),
    Delete(&'a str),
    Quit,
}

impl<'a> Request<'a> {
    fn parse(line: &'a str) -> std::result::Result<Self, &'static str> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "SET" => match rest.split_once(' ') {
                Some((key, value)) if !key.is_empty() => Ok(Self::Set(key, value)),
                _ => Err("SET needs a key and a value"),
            },
            "GET" if is_key(rest) => Ok(Self::Get(rest)),
            "DEL" if is_key(rest) => Ok(Self::Delete(rest)),
            "GET" | "DEL" => Err("a key is one word"),
            "QUIT" => Ok(Self::Quit),
            _ => Err("the requests are SET, GET, DEL and QUIT"),
        }
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && !text.contains(' ')
}

enum Answer {
    Done,
    Value(String),
    None,
}

/// The keys and their values, for all sessions.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<String, String>>>);

impl Store {
    fn answer(&self, request: Request<'_>) -> std::result::Result<Answer, &'static str> {
        // Held for a moment, and never across a wait.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = |was_there: bool| if was_there { Answer::Done } else { Answer::None };
        Ok(match request {
            Request::Set(key, _) if values.len() >= KEYS_MAX && !values.contains_key(key) => {
                return Err("the store is full");
            }
            Request::Set(key, value) => {
                values.insert(key.to_owned(), value.to_owned());
                Answer::Done
            }
            Request::Get(key) => values.get(key).cloned().map_or(Answer::None, Answer::Value),
            Request::Delete(key) => done(values.remove(key).is_some()),
            Request::Quit => Answer::Done,
        })
    }
}
