//! The steps that an echo and a line take while a connection is in use, counted: a step more for each fails here.
//! Instructions, and those that lock memory, are counted by `bench/instructions.py`.

mod counted;
#[cfg(target_os = "linux")]
mod traced;

use std::io::{self, Read, Write};
use std::net::TcpStream;

use forebay::{ItemBuffer, Result, Socket};

/// Handlers of a connection, as a user would write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Echo,
    /// README's loop.
    Lines,
    /// Without a `String` for each line.
    LinesLent,
    /// Those that have arrived with one write.
    LinesTogether,
}

/// The length of a line, with its line feed.
const LINE: usize = 32;

impl Session {
    const ALL: [Self; 4] = [Self::Echo, Self::Lines, Self::LinesLent, Self::LinesTogether];

    async fn serve(self, socket: Socket) -> Result<()> {
        let mut input = socket.open_read_channel()?;
        let mut output = socket.open_write_channel()?;
        match self {
            Self::Echo => {
                input.copy_to(&mut output).await?;
            }
            Self::Lines => {
                while let Some(name) = input.read_line().await? {
                    forebay::write_line!(output, "Hello, {name}!").await?;
                }
            }
            Self::LinesLent => {
                while let Some(name) = input.read_line_ref().await? {
                    output.write_strs(&["Hello, ", name, "!\n"]).await?;
                }
            }
            Self::LinesTogether => {
                while let Some(names) = input.read_lines_ref().await? {
                    let greet = |out: &mut ItemBuffer| {
                        for name in names {
                            out.put_str("Hello, ");
                            out.put_str(name);
                            out.put_str("!\n");
                        }
                    };
                    output.write_with(greet).await?;
                }
            }
        }
        socket.close().await
    }

    /// Returns so many lines that a client sends at once, and what it is answered.
    fn request(self, lines: usize) -> Request {
        let name = "x".repeat(LINE - 1);
        let sent = format!("{name}\n").repeat(lines).into_bytes();
        let answer = match self {
            Self::Echo => sent.clone(),
            _ => format!("Hello, {name}!\n").repeat(lines).into_bytes(),
        };
        let received = vec![0; answer.len()];
        Request { sent, answer, received }
    }
}

/// A request and its answer. Sending and receiving it allocates nothing.
struct Request {
    sent: Vec<u8>,
    answer: Vec<u8>,
    received: Vec<u8>,
}

impl Request {
    fn send(&self, mut client: &TcpStream) -> io::Result<()> {
        client.write_all(&self.sent)
    }

    fn receive_answer(&mut self, mut client: &TcpStream) -> io::Result<()> {
        self.received.fill(0);
        client.read_exact(&mut self.received)?;
        assert!(self.received == self.answer);
        Ok(())
    }
}
