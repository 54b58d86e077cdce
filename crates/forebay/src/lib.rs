//! Asynchronous sockets whose channels own their bytes.
//!
//! Start with [`run`] and [`SelectorManager`]; listen and connect with
//! [`tcp()`](SelectorManager::tcp); read lines, numbers and packets from a [`ByteReadChannel`] and
//! write to a [`ByteWriteChannel`].
//!
//! ```no_run
//! use forebay::SelectorManager;
//!
//! fn main() -> forebay::Result<()> {
//!     forebay::run(async |selector: SelectorManager| {
//!         let server = selector.tcp().bind("127.0.0.1:9002").await?;
//!         println!("Server is listening at {}", server.local_address());
//!         loop {
//!             let socket = server.accept().await?;
//!             println!("Accepted {}", socket.remote_address());
//!             selector.spawn(async move {
//!                 let mut input = socket.open_read_channel()?;
//!                 let mut output = socket.open_write_channel()?;
//!                 output.write_str("Please enter your name\n").await?;
//!                 while let Some(name) = input.read_line().await? {
//!                     output.write_str(&format!("Hello, {name}!\n")).await?;
//!                 }
//!                 socket.close().await
//!             });
//!         }
//!     })
//! }
//! ```
//!
//! Every asynchronous call says what happens when its future is dropped: the four words are defined
//! [here](forebay_io#cancel-safety).

#![forbid(unsafe_code)]

mod host;
mod interrupted;
mod lock;
mod net;
mod root;
mod selector;
mod task;
pub mod testing;
mod time;

pub use forebay_io::{
    ByteReadChannel, ByteWriteChannel, Error, ErrorKind, Fault, LineOptions, Packet, ReadExact,
    Result, Staged, Staging, pipe, write_fmt, write_line,
};

pub use crate::net::{
    Address, CloseReason, Connection, KeepAlive, PeerCredentials, ServerSocket, Socket,
    SocketAddress, TcpBuilder, ToAddress, ToUnixAddress, UnixAddress, UnixBuilder,
};
pub use crate::root::{duplex, interval, now, run, sleep, spawn, spawn_value, timeout, within};
pub use crate::selector::{SelectorBuilder, SelectorManager, Stats};
pub use crate::task::JoinHandle;
pub use crate::time::{Clock, Interval, Sleep};
