//! The memory of a connection that waits for its next line.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use forebay::{Error, Result, SelectorManager};
use forebay_testing::witness::{live_allocations, live_bytes};
use forebay_testing::{alone, report};

const CONNECTIONS: usize = 512;
/// The memory that the server of README's first page holds for each: task, connection, channels. bench/README.md has
/// the figure with what the allocator adds.
const BYTES_MAX: usize = 1_640;
const ALLOCATIONS_MAX: usize = 10;

#[test]
fn an_idle_connection_holds_little() {
    alone("an_idle_connection_holds_little", || {
        let selector = SelectorManager::builder().workers(1).build().unwrap();
        let body = async {
            let server = selector.tcp().bind("127.0.0.1:0").await?;
            let address = server.local_address().to_string();
            let greeting = selector.clone();
            selector.spawn(async move {
                loop {
                    let socket = server.accept().await?;
                    greeting.spawn(async move {
                        let mut input = socket.open_read_channel()?;
                        let mut output = socket.open_write_channel()?;
                        while let Some(name) = input.read_line().await? {
                            forebay::write_line!(output, "Hello, {name}!").await?;
                        }
                        socket.close().await
                    });
                }
            });
            let mut clients = Vec::with_capacity(3 * CONNECTIONS);
            greet(&selector, &address, &mut clients).await?;
            let before = (live_bytes(), live_allocations());
            greet(&selector, &address, &mut clients).await?;
            let after = (live_bytes(), live_allocations());
            let bytes = usize::try_from(after.0 - before.0).unwrap() / CONNECTIONS;
            let allocations = usize::try_from(after.1 - before.1).unwrap() / CONNECTIONS;
            report(&format!("idle_connection: {bytes} bytes in {allocations} allocations"));
            assert!(bytes <= BYTES_MAX, "{bytes} bytes, at most {BYTES_MAX} were expected");
            assert!(allocations <= ALLOCATIONS_MAX, "{allocations} allocations");
            Ok::<_, Error>(())
        };
        selector.block_on(body).unwrap();
    });
}

/// Connects that many clients, each of which is greeted once.
async fn greet(
    selector: &SelectorManager,
    address: &str,
    clients: &mut Vec<TcpStream>,
) -> Result<()> {
    let address = address.to_owned();
    let greeted = selector.spawn_blocking(move || {
        let greet = |_| {
            let mut client = TcpStream::connect(&address)?;
            client.write_all(b"idle\n")?;
            BufReader::new(&client).read_line(&mut String::new())?;
            Ok::<_, Error>(client)
        };
        (0..CONNECTIONS).map(greet).collect::<Result<Vec<_>>>()
    });
    clients.extend(greeted.await??);
    Ok(())
}
