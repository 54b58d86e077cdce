//! Nothing is lost at the end of a TLS connection, whichever side writes, whichever never reads, and
//! however early the end comes.
//!
//! A server sends session tickets behind its handshake (RFC 8446, section 4.6.1), so a client that
//! never reads always leaves something unread, and a kernel that is left with unread input resets the
//! connection: over the data that is still on its way, unless the close reads it.

use forebay::{Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{Host, pattern, report, size, tls::Configs, until_that, watched};
use futures_lite::future::zip;

/// Records of 16 KiB and one that is not full.
const WRITTEN: usize = 200_000;

#[derive(Debug, Clone, Copy)]
enum Writer {
    Client,
    /// A server that waits for its handshake before it writes.
    Server,
    /// One that writes and ends at once, before its client has said anything.
    HastyServer,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    DropLastHandle,
}

/// Writes everything, reads nothing, and ends.
async fn write(socket: Socket, data: &[u8], end: End) -> Result<()> {
    let mut output = socket.open_write_channel()?;
    output.write_all(data).await?;
    match end {
        End::Close => socket.close().await,
        End::DropLastHandle => Ok(()),
    }
}

/// Reads up to the end, which the peer must have said, and goes.
async fn read(socket: Socket, data: &[u8]) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let read = input.read_remaining(2 * WRITTEN).await?;
    assert!(read.as_slice() == data, "{} of {} bytes", read.len(), data.len());
    assert_eq!(input.read_chunk().await?, None);
    socket.close().await
}

async fn once(
    (selector, server, configs): (&SelectorManager, &ServerSocket, &Configs),
    writer: Writer,
    data: &[u8],
    end: End,
) -> Result<()> {
    let client = async {
        let plain = selector.tcp().connect(server.local_address()).await?;
        let socket = plain.tls(&configs.client).await?;
        drop(plain);
        match writer {
            Writer::Client => write(socket, data, end).await,
            Writer::Server | Writer::HastyServer => read(socket, data).await,
        }
    };
    let serving = async {
        let socket = server.accept().await?;
        match writer {
            Writer::Client => read(socket, data).await,
            Writer::HastyServer => write(socket, data, end).await,
            Writer::Server => {
                socket.handshake().await?;
                write(socket, data, end).await
            }
        }
    };
    let (wrote, read) = zip(client, serving).await;
    wrote.and(read)
}

fn lose_nothing(host: Host, writer: Writer) {
    let rounds = size("FOREBAY_ROUNDS", 12, 50);
    for (end, length) in [
        (End::Close, WRITTEN),
        (End::DropLastHandle, WRITTEN),
        (End::Close, 1),
        (End::DropLastHandle, 1),
    ] {
        // By itself, so that its patience is for this many.
        let done = watched(move || {
            host.run(SelectorManager::builder(), async |selector| {
                let configs = Configs::new();
                let server = selector.tcp().bind("127.0.0.1:0").await?.tls(&configs.server)?;
                let data = pattern(length);
                for _ in 0..rounds {
                    once((&selector, &server, &configs), writer, &data, end).await?;
                }
                server.close();
                until_that("nothing lingers", || {
                    let stats = selector.stats();
                    (stats.sockets, stats.tasks, stats.background_closes) == (0, 0, 0)
                })
                .await;
                assert_eq!(selector.stats().unacknowledged, 0, "{writer:?}, {end:?}");
                Result::Ok(rounds)
            })
        });
        let done = done.unwrap();
        report(&format!(
            "tls_ends: {writer:?} writes {length} bytes, reads nothing, {end:?}: {done} times, \
             0 bytes lost, every end was said"
        ));
    }
}

#[test]
fn a_client_that_never_reads_its_tickets_loses_nothing() {
    lose_nothing(Host::of_environment(), Writer::Client);
}

#[test]
fn a_server_that_never_reads_loses_nothing() {
    lose_nothing(Host::of_environment(), Writer::Server);
}

#[test]
fn a_server_that_writes_and_ends_before_its_handshake_loses_nothing() {
    lose_nothing(Host::of_environment(), Writer::HastyServer);
}

/// Both sides are on a thread, which is told of the end of a handshake by the worker that has made it: what the thread
/// writes at once is not taken for nothing by the close that follows.
#[test]
fn a_thread_beside_the_one_that_makes_the_handshake_loses_nothing() {
    for writer in [Writer::Client, Writer::Server, Writer::HastyServer] {
        lose_nothing(Host::Thread, writer);
    }
}
