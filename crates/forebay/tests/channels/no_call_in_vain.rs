//! A server whose clients come one at a time makes no call to learn that there is nothing: neither
//! that the backlog is empty, for which the kernel makes a whole socket and throws it away, nor
//! that a client that was not answered yet has nothing more to say.

#![cfg(target_os = "linux")]

use std::io::{self, Read, Write};
use std::{fs, process};

use forebay::{Result, SelectorManager};
use forebay_testing::{Child, dial, listener, report, role, say, skip, watched};

const NAME: &str = "clients_that_come_one_at_a_time_cost_no_call_in_vain";
const CLIENTS: usize = 200;

#[test]
fn clients_that_come_one_at_a_time_cost_no_call_in_vain() {
    if role().is_some() {
        return serve().unwrap();
    }
    if !Child::can_trace(&["strace", "-o", "/dev/null"]) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    // A machine that is busy takes the processor from a client between its connect and its first byte, and then the
    // first attempt is in vain. It is not so busy each time.
    watched(|| {
        let most = (0..5).map(|_| most_in_vain()).find(|&most| most <= CLIENTS / 10);
        assert!(most.is_some(), "too many calls in vain, five times");
    });
}

/// Serves the clients once, and returns the number of calls in vain of the kind that has more of them: the first, which
/// finds out that there is something to wait for; and where an event tells of what an attempt has found already.
fn most_in_vain() -> usize {
    let trace = std::env::temp_dir().join(format!("forebay-waste-{}", process::id()));
    let strace = ["strace", "-f", "-e", "trace=accept4,recvfrom", "-o", trace.to_str().unwrap()];
    let mut server = Child::start_under(&strace, NAME, "server");
    let port = server.hear_number();
    for _ in 0..CLIENTS {
        let mut client = dial(port);
        client.write_all(b"ping").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
    }
    server.end();
    let calls = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    let in_vain = ["accept4", "recvfrom"].map(|call| {
        let made: Vec<_> = calls.lines().filter(|line| line.contains(call)).collect();
        let in_vain = made.iter().filter(|line| line.contains("EAGAIN")).count();
        report(&format!("{CLIENTS} clients: {} times {call}, {in_vain} in vain", made.len()));
        assert!(made.len() - in_vain >= CLIENTS, "{call}");
        in_vain
    });
    in_vain.into_iter().max().unwrap_or_default()
}

fn serve() -> Result<()> {
    SelectorManager::builder().run(async |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let serving = selector.spawn(async move {
            loop {
                let socket = server.accept().await?;
                forebay::spawn(async move {
                    let mut input = socket.open_read_channel()?;
                    let mut output = socket.open_write_channel()?;
                    input.copy_to(&mut output).await?;
                    socket.close().await
                })
                .detach();
            }
        });
        let mut orders = selector.blocking_reader(io::stdin());
        while orders.read_line().await?.is_some() {}
        serving.abort();
        Ok(())
    })
}
