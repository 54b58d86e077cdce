//! Shows a chat over TCP: each line goes to all members, as one value that their queues share. A member that reads too
//! slowly misses lines, and is told how many; one that reads nothing is cut off. Neither holds up the others.
//!
//! Run it with `cargo run -p forebay-examples --example chat [ADDRESS] [SECONDS]` (default `127.0.0.1:9011`, 10 seconds),
//! talk to it with `nc 127.0.0.1 9011` from several terminals, and end it with Ctrl-C.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use forebay::{
    ByteReadChannel, ByteWriteChannel, Either, Error, LineOptions, Result, SelectorManager, Socket,
    race,
};

/// A longer line ends its member.
const LINE_BYTES_MAX: usize = 1024;
const MEMBERS_MAX: usize = 10_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9011".to_owned());
    let seconds = arguments.next().map_or(Ok(10), |text| text.parse()).map_err(Error::other)?;
    forebay::run(async |selector: SelectorManager| {
        // The channel limits how much waits for a member: 64 KiB and a line. This limits for how long it may take nothing.
        let tcp = selector.tcp().write_timeout(Duration::from_secs(seconds));
        let server = tcp.bind(&address).await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        let room = Room::default();
        let members = selector.group().limit(MEMBERS_MAX);
        let mut number = 0;
        let next = async || (members.place().await, server.accept().await);
        while let Either::Left((place, socket)) = race(next(), forebay::ctrl_c()).await {
            number += 1;
            place.spawn(member(socket?, number, room.clone()));
        }
        Ok(())
    })
}

async fn member(socket: Socket, number: u64, room: Room) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.set_line_options(LineOptions::new().limit(LINE_BYTES_MAX));
    output.write_str("Please enter your name\n").await?;
    let Some(name) = input.read_line().await? else { return Ok(()) };
    room.members().insert(number, Member { output, missed: 0 });
    room.say(format!("{name} is here\n"));
    let outcome = pass_on(&mut input, &name, &room).await;
    // Whatever ended it, a member leaves the room.
    let left = room.members().remove(&number);
    drop(left);
    room.say(format!("{name} has left\n"));
    outcome
}

/// Says each line of a member to all members.
async fn pass_on(input: &mut ByteReadChannel, name: &str, room: &Room) -> Result<()> {
    while let Some(line) = input.read_line_ref().await? {
        room.say(format!("{name}: {line}\n"));
    }
    Ok(())
}

/// The members, by the numbers of their connections.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<BTreeMap<u64, Member>>>);

impl Room {
    /// Says a line to all members. What is said in one turn leaves in one call for each, when the turn ends.
    fn say(&self, line: String) {
        let line = Bytes::from(line);
        self.members().values_mut().for_each(|member| member.hear(&line));
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Member {
    output: ByteWriteChannel,
    /// The lines that were left out since the last one that was not.
    missed: u64,
}

impl Member {
    /// Queues a line, or leaves it out.
    fn hear(&mut self, line: &Bytes) {
        if self.missed > 0 && self.takes(format!("({} lines were left out)\n", self.missed).into())
        {
            self.missed = 0;
        }
        if self.missed > 0 || !self.takes(line.clone()) {
            self.missed += 1;
        }
    }

    /// Returns `false` if the member reads too slowly. One that is gone is removed by its own task.
    fn takes(&mut self, bytes: Bytes) -> bool {
        self.output.try_write_bytes(bytes).unwrap_or(true)
    }
}
