//! Shows a chat over a Unix socket: each line goes to all other members. The system tells which process of which user a
//! member is.
//!
//! Run it with `cargo run -p forebay-examples --example unix_chat [PATH]` (default `/tmp/unix_chat.sock`), talk to it with
//! `nc -U /tmp/unix_chat.sock` from several terminals, and end it with Ctrl-C.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::sync::{Arc, Mutex, PoisonError};

use forebay::{ByteWriteChannel, Either, Result, SelectorManager, Socket, race};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/unix_chat.sock".to_owned());
    forebay::run(async |selector: SelectorManager| {
        // Only this user may connect. A path that an earlier server has left behind is replaced.
        let server = selector.unix().mode(0o600).replace_stale().bind(&path).await?;
        writeln!(stdout(), "Server is listening at {}", server.local_address())?;
        let room = Room::default();
        let members = selector.group();
        let mut number = 0;
        while let Either::Left(socket) = race(server.accept(), forebay::ctrl_c()).await {
            number += 1;
            members.spawn(member(socket?, number, room.clone()));
        }
        Ok(())
    })
}

async fn member(socket: Socket, number: u64, room: Room) -> Result<()> {
    let peer = socket.peer_credentials()?;
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    output.write_str("Please enter your name\n").await?;
    let Some(name) = input.read_line().await? else { return Ok(()) };
    let process =
        peer.process_id.map_or_else(String::new, |process| format!(", process {process}"));
    room.say(number, &format!("{name} (user {}{process}) is here\n", peer.user_id));
    room.add(number, output);
    // Whatever ends it, a member leaves the room.
    let outcome = loop {
        match input.read_line().await {
            Ok(Some(line)) => room.say(number, &format!("{name}: {line}\n")),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    room.remove(number);
    room.say(number, &format!("{name} has left\n"));
    outcome
}

/// The members, by the numbers of their connections.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<BTreeMap<u64, ByteWriteChannel>>>);

impl Room {
    fn add(&self, number: u64, output: ByteWriteChannel) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, output);
    }

    fn remove(&self, number: u64) {
        let output = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        // Not under the lock: the last line is sent, and the end behind it.
        drop(output);
    }

    /// Gives a line to all members but the one that says it.
    fn say(&self, by: u64, line: &str) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, output) in members.iter_mut().filter(|(number, _)| **number != by) {
            // A member that does not read misses the line. One that has gone is removed by its own task.
            output.try_write_str(line).ok();
        }
    }
}
