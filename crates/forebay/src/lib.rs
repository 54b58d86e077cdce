//! Asynchronous sockets whose channels own their bytes.
//!
//! Start with [`run`] and [`SelectorManager`]; listen and connect with
//! [`tcp()`](SelectorManager::tcp) or [`unix()`](SelectorManager::unix), or make both ends in memory
//! with [`duplex`]; read lines, numbers and packets from a [`ByteReadChannel`] and write to a
//! [`ByteWriteChannel`]. A search for Ktor's names finds many of their counterparts; the repository has a
//! table of both in `docs/coming-from-ktor.md`, programs to run in its folder `examples`, and in
//! `docs/together-with.md` what goes with these sockets: tokio, channels, locks and joins.
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
//!                     forebay::write_line!(output, "Hello, {name}!").await?;
//!                 }
//!                 socket.close().await
//!             });
//!         }
//!     })
//! }
//! ```
//!
#![cfg_attr(feature = "tls", doc = include_str!("tls.md"))]
//!
//! # The life of a server
//!
//! It accepts until Ctrl-C, and then gives its sessions ten seconds to end. `ctrl_c` needs the feature `signal`,
//! which is enabled by default.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use forebay::{Either, SelectorManager, Socket, race};
//!
//! fn main() -> forebay::Result<()> {
//!     forebay::run(async |selector: SelectorManager| {
//!         let server = selector.tcp().bind("127.0.0.1:9002").await?;
//!         let sessions = selector.group();
//!         while let Either::Left(socket) = race(server.accept(), forebay::ctrl_c()).await {
//!             sessions.spawn(session(socket?));
//!         }
//!         server.close();
//!         sessions.stop();
//!         sessions.join_within(Duration::from_secs(10)).await;
//!         Ok(())
//!     })
//! }
//!
//! async fn session(socket: Socket) -> forebay::Result<()> {
//!     let mut input = socket.open_read_channel()?;
//!     let mut output = socket.open_write_channel()?;
//!     while let Either::Left(line) = race(input.read_line(), forebay::stop_requested()).await {
//!         let Some(line) = line? else { break };
//!         forebay::write_line!(output, "{line}").await?;
//!     }
//!     socket.close().await
//! }
//! ```
//!
//! [`stop`](TaskGroup::stop) ends the sessions' [`stop_requested`], between two lines and not in the middle of a
//! reply, and [`join_within`](TaskGroup::join_within) aborts what is left. The repository's example `shutdown`
//! is this program with a limit to choose.
//!
//! # Ends
//!
//! These calls mean the same on TCP, on Unix sockets, over TLS and in memory. They may be repeated, and
//! made in any task.
//!
//! | call | what it does | what it waits for |
//! |---|---|---|
//! | [`flush`](ByteWriteChannel::flush) | sends | the system has accepted what was written before |
//! | [`finish`](ByteWriteChannel::finish) | sends, then the end mark; reading goes on | the same |
//! | [`close`](Socket::close) | finishes, discards input, frees the socket | the peer has everything, or a limit of closing |
//! | [`close_within`](Socket::close_within) | the same | for at most the time given |
//! | [`abort`](Socket::abort) | drops what is queued, and resets | nothing |
//! | dropping the writer | finishes in the background | – |
//! | dropping the last handle | closes in the background | – |
//! | leaving a handler by `?` | the same: half a reply has a clean end | – |
//! | dropping the writer, or leaving by `?`, after [`abort_on_drop`](ByteWriteChannel::abort_on_drop) | resets, unless it has finished | – |
//! | dropping either while the task panics | resets | – |
//! | the peer's reset | drops what is queued; later calls fail with [`Reset`](ErrorKind::Reset) | – |
//!
//! After the peer's reset, reads first return what had arrived before it; then they, writes, `flush`,
//! `finish` and `close` return `Reset`. A write may be `Ok` until a call, or the flush at the end of the
//! turn, has met the reset; its bytes are dropped too. The error names the operation that met the reset
//! first. If the peer had sent its end mark before, reads return the end.
//!
//! What a write has accepted is sent, or an error says that it was not; half a message never gets an end
//! mark. Where no call is left to return that error, because the connection closes in the background, it is
//! reported ([`on_task_error`](SelectorBuilder::on_task_error)), or at least counted
//! ([`Stats::unacknowledged`]). The system makes one exception: a Unix socket has no reset (`unix(7)`), so there the peer of an
//! abort sees an end, unless input was left unread here.
//!
//! A handler that leaves by `?` in the middle of a reply drops its writer, and its peer cannot distinguish
//! what it received from a complete reply, unless the protocol has a length or a closing line. If the end
//! of the stream is the end of the message, call `abort_on_drop` first and `finish` last;
//! [`SelectorManager::spawn`] has an example. A block of [`SelectorManager::writer`] needs neither: its
//! reader gets the error with which it leaves.
//!
//! Over TLS the end mark is `close_notify`, followed by the transport's own. Each direction ends by itself,
//! in both versions: a client that has finished still reads. Data counts as sent when the system has
//! accepted the records.
//!
//! Some servers do not answer a client that has finished, and some send no `close_notify`. The repository
//! lists them, with other differences of other software, in `docs/foreign-peers.md`.
//!
//! # Errors that no call returns
//!
//! An error of a task that no handle awaits, for instance, goes to
//! [`on_task_error`](SelectorBuilder::on_task_error). If that is not set, what a person can act on is
//! printed on standard error, one line per kind and second; resets, ends and silence of peers are only
//! counted.
//!
//! With the feature `tracing`, each connection has a span (`Socket::span`). If the program has a subscriber,
//! every such error is an event, and nothing is printed.
//!
//! # Limits
//!
//! | what | at most | set by |
//! |---|---|---|
//! | connecting, in total: the look-up and all addresses of a name | 10 s | [`connect_timeout`](TcpBuilder::connect_timeout) |
//! | an address of a name, before the next one is tried beside it | 250 ms | – |
//! | addresses of a name, further ones are ignored | 4,096 | – |
//! | closing, while the peer acknowledges nothing | 10 s | [`drain`](SelectorBuilder::drain), [`drain_timeout`](TcpBuilder::drain_timeout) |
//! | closing, in total | 5 min | [`drain_max`](SelectorBuilder::drain_max), [`drain_max`](TcpBuilder::drain_max) |
//! | input that closing discards | 64 KiB | [`drain`](SelectorBuilder::drain), [`drain_limit`](TcpBuilder::drain_limit) |
//! | connections closing without an owner | 1,024 | [`background_closes_max`](SelectorBuilder::background_closes_max) |
#![cfg_attr(
    feature = "tls",
    doc = "| a TLS handshake | 10 s | [`handshake_timeout`](TlsServerBuilder::handshake_timeout) |"
)]
#![cfg_attr(
    feature = "tls",
    doc = "| TLS handshakes that peers have begun | 256 | [`handshakes_max`](SelectorBuilder::handshakes_max) |"
)]
#![cfg_attr(
    feature = "tls",
    doc = "| TLS sessions to resume, in a configuration | 256 | [`session_cache`](TlsServerBuilder::session_cache) |"
)]
//! | a line | 64 KiB of content | [`line_limit`](SelectorBuilder::line_limit), [`LineOptions::limit`] |
//! | a packet, a peek, and whatever else a channel collects | 1 MiB; [`read_exact`](ByteReadChannel::read_exact) takes more | [`packet_limit`](SelectorBuilder::packet_limit) |
//! | a slice that a dropped `read_exact` gives back | 1 MiB; a longer one makes the channel `Incomplete` | [`give_back_limit`](SelectorBuilder::give_back_limit) |
//! | an item in front of a delimiter ([`read_until`](ByteReadChannel::read_until)), what is left ([`read_remaining`](ByteReadChannel::read_remaining)) | none without a limit | their argument |
//! | a frame ([`read_frame`](ByteReadChannel::read_frame)) | 1 MiB, a line as a frame 64 KiB | [`LengthFraming::limit`], [`DelimiterFraming::limit`], [`LineFraming::limit`] |
//! | queued before a writer waits | 64 KiB, and one item on top | [`high_water`](SelectorBuilder::high_water) |
//! | an item that is composed ([`write_strs`](ByteWriteChannel::write_strs), [`write_fmt!`]) | 1 MiB; [`write_bytes`](ByteWriteChannel::write_bytes) takes any size | [`item_limit`](SelectorBuilder::item_limit) |
//! | a read | no limit | [`read_timeout`](TcpBuilder::read_timeout) |
//! | a send | no limit | [`write_timeout`](TcpBuilder::write_timeout) |
//! | a connection without a byte | no limit | [`idle_timeout`](TcpBuilder::idle_timeout) |
//! | one poll of a task, before it is reported as blocking | 1 s | [`blocked_after`](SelectorBuilder::blocked_after) |
//! | calls that may block forever, at once | 512, one more is refused | [`blocking_max`](SelectorBuilder::blocking_max) |
//! | workers of a selector | as many as the machine runs threads at once, up to 64 | [`workers`](SelectorBuilder::workers) |
//! | a datagram | 65,535 bytes, a longer one is cut and marked | [`max_datagram`](UdpBuilder::max_datagram) |
//! | datagrams that the system hands over together, until they are received | 64 KiB per socket, 1 MiB for `receive_batch` | – |
//! | pipes that bulk between two sockets passes through (`splice(2)`) | an eighth of the process's descriptors, 1,024 pipes; beyond, bytes are copied | – |
//! | threads for look-ups, files of roots, stale paths | 16, and 1,024 calls that wait for one | – |
//!
//! A dash in the last column: it cannot be set.
//!
//! # Cancel safety
//!
//! A future may be dropped at any time, by a timeout or a `select!`. Every asynchronous call documents what
//! then remains of it, with one of the five words that [`cancel_safety`] defines.

#![forbid(unsafe_code)]

mod boxed;
mod host;
mod interrupted;
mod lock;
mod names;
mod net;
mod race;
mod root;
mod selector;
mod sync;
mod task;
pub mod testing;
mod time;
mod trace;
mod worker;

pub use forebay_io::cancel_safety;
pub use forebay_io::{
    Attempt, ByteReadChannel, ByteWriteChannel, ComposeResult, Delimiter, DelimiterFraming, Error,
    ErrorKind, Fault, FrameStep, Framing, FramingKey, ItemBuffer, LengthFraming, LineEnding,
    LineFraming, LineOptions, Lines, Packet, ReadExact, Result, TlsFault, TooLong, pipe, write_fmt,
    write_line,
};

/// Writes to one connection from many tasks. Each call writes one item.
///
/// A server that answers each request in a task of its own limits the tasks: otherwise a client that sends and
/// does not read fills the server's memory with tasks that wait for room.
///
/// ```
/// use forebay::{Result, SelectorManager, Socket, write_line};
///
/// async fn serve(selector: SelectorManager, socket: Socket) -> Result<()> {
///     let mut input = socket.open_read_channel()?;
///     let output = socket.open_write_channel()?.share();
///     let requests = selector.group().limit(100);
///     while let Some(request) = input.read_line().await? {
///         let output = output.clone();
///         // While a hundred of them have not been answered, no other one is read.
///         let place = requests.place().await;
///         place.spawn(async move { write_line!(output, "answer to {request}").await });
///     }
///     requests.join().await;
///     output.finish().await
/// }
///
/// forebay::run(async |selector| {
///     let server = selector.tcp().bind("127.0.0.1:0").await?;
///     let mut client = selector.tcp().connect(server.local_address()).await?.connection()?;
///     let serving = selector.spawn(serve(selector.clone(), server.accept().await?));
///     client.output.write_str("one\n").await?;
///     client.output.finish().await?;
///     assert_eq!(client.input.read_line().await?.as_deref(), Some("answer to one"));
///     serving.await
/// })?;
/// # forebay::Result::Ok(())
/// ```
pub use forebay_io::SharedWriteChannel;

#[cfg(feature = "certificates")]
pub use forebay_tls::certificates;
#[cfg(feature = "tls")]
pub use forebay_tls::{
    ClientAuth, EndWithoutNotify, Identity, PeerCertificate, PeerChain, TlsClientBuilder,
    TlsConfig, TlsInfo, TlsServerBuilder, TlsVersion, ToPin, Trust,
};

#[cfg(unix)]
pub use crate::host::Interest;
pub use crate::names::{FoundAddresses, Resolver};
pub use crate::net::{
    Address, BoundDatagramSocket, CloseReason, ConnectedDatagramSocket, Connection, Datagram,
    DatagramBatch, Ecn, HostPart, Incoming, IncomingDatagrams, KeepAlive, MulticastInterface,
    ServerSocket, Socket, SocketAddress, SocketOptions, TcpBuilder, TcpInfo, ToAddress,
    ToUnixAddress, UdpBuilder, UnixAddress, relay,
};
#[cfg(unix)]
pub use crate::net::{
    BoundUnixDatagramSocket, ConnectedUnixDatagramSocket, IncomingUnixDatagrams, PeerCredentials,
    StreamBuilder, UnixBuilder, UnixDatagram, UnixDatagramBuilder,
};
pub use either::Either;

pub use crate::race::race;
#[cfg(unix)]
pub use crate::root::ready;
#[cfg(all(feature = "signal", unix))]
pub use crate::root::{ctrl_c, signal};
pub use crate::root::{
    duplex, group, interval, now, resolve, run, sleep, spawn, spawn_blocking, spawn_here,
    spawn_value, stop_requested, timeout, within, yield_now,
};
pub use crate::selector::{SelectorBuilder, SelectorManager, Stats, TaskGroup, TaskPlace};
#[cfg(all(feature = "signal", unix))]
pub use crate::selector::{SignalKind, Signals};
pub use crate::task::{JoinHandle, StopRequested};
pub use crate::time::{Clock, Interval, Sleep};
pub use crate::worker::WorkerStats;
