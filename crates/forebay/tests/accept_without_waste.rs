//! A server whose clients come one at a time makes one attempt for each: it does not try once more
//! to learn that nobody is left, for which the kernel makes a whole socket and throws it away.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{self, Read, Write};
use std::{fs, process};

use forebay::{Result, SelectorManager};
use support::{Child, dial, listener, report, role, say, skip, watched};

const NAME: &str = "clients_that_come_one_at_a_time_cost_one_attempt_each";
const CLIENTS: usize = 200;

#[test]
fn clients_that_come_one_at_a_time_cost_one_attempt_each() {
    if role().is_some() {
        return serve().unwrap();
    }
    if !Child::can_trace(&["strace", "-o", "/dev/null"]) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    watched(|| {
        let trace = std::env::temp_dir().join(format!("forebay-waste-{}", process::id()));
        let strace = ["strace", "-f", "-e", "trace=accept4", "-o", trace.to_str().unwrap()];
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
        let count = |what| calls.lines().filter(|line| line.contains(what)).count();
        let (accepted, in_vain) = (count("= ") - count("= -1"), count("EAGAIN"));
        report(&format!("{CLIENTS} clients: {accepted} accepted, {in_vain} attempts in vain"));
        assert_eq!(accepted, CLIENTS);
        // The first, which finds out that there is something to wait for; and where the system was
        // about to count a client that it had announced already.
        assert!(in_vain <= CLIENTS / 10, "{in_vain} attempts in vain");
    });
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
