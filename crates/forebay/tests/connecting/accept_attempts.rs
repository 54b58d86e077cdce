//! By the system's clock: 500 clients come to a server that may have 64 descriptors. `strace`
//! counts how often it tries to accept while it cannot.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process;
use std::time::{Duration, Instant};

use forebay::{ErrorKind, Result, SelectorManager, ServerSocket, Socket};
use forebay_testing::{Child, dial, listener, report, role, say, skip, watched};
use rustix::process::{Resource, Rlimit, setrlimit};

const NAME: &str = "a_server_out_of_descriptors_hardly_tries_and_goes_on_serving";
const CLIENTS: usize = 500;
/// Descriptors that the server may have.
const LIMIT: u64 = 64;
/// Descriptors that the server's program keeps for itself, and gives back when it is told to.
const OTHERS: usize = 20;
/// Of those who are accepted at first; they are served all the time.
const REGULARS: usize = 10;
/// At most so many attempts in a second.
const ATTEMPTS_MAX: u64 = 20;
/// The number of seconds for which the server is watched while it has no descriptors.
const SECONDS: &str = "FOREBAY_PAUSE_SECONDS";
/// Far more than the longest pause, which is a second.
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_server_out_of_descriptors_hardly_tries_and_goes_on_serving() {
    if role().is_some() {
        return serve();
    }
    if !Child::can_trace(&["strace", "-o", "/dev/null"]) {
        return skip(NAME, "strace is missing, or may not trace");
    }
    let seconds = std::env::var(SECONDS).map_or(3, |text| text.parse().unwrap());
    watched(move || watch(Duration::from_secs(seconds)));
}

fn watch(time: Duration) {
    let trace = std::env::temp_dir().join(format!("forebay-attempts-{}", process::id()));
    let strace = ["strace", "-f", "-e", "trace=accept4", "-o", trace.to_str().unwrap()];
    let mut server = Child::start_under(&strace, NAME, "server");
    let port = server.hear_number();
    let clients: Vec<_> = (0..CLIENTS).map(|_| dial(port)).collect();
    assert_eq!(server.hear().as_deref(), Some("accepting pauses"));

    let since = Instant::now();
    let mut pings = 0;
    while since.elapsed() < time {
        for client in &clients[..REGULARS] {
            ping(client);
            pings += 1;
        }
    }
    let accepted: usize = ask(&mut server, "accepted");
    assert!((REGULARS..CLIENTS - OTHERS).contains(&accepted), "{accepted} accepted");
    let (failed, lasted) = (failed_attempts(&trace), since.elapsed());

    // The program closes descriptors that the selector knows nothing of.
    let freed = Instant::now();
    assert_eq!(ask::<usize>(&mut server, "free"), OTHERS);
    for client in &clients[accepted..accepted + OTHERS - 1] {
        ping(client);
    }
    let recovered = freed.elapsed();
    assert!(recovered < RECOVERS_WITHIN, "recovered after {recovered:?}");

    // Each that leaves makes room for the next, up to the last.
    for client in clients {
        ping(&client);
        drop(client);
    }
    assert_eq!(ask::<usize>(&mut server, "accepted"), CLIENTS);
    server.end();
    fs::remove_file(&trace).unwrap();
    report(&format!(
        "{failed} attempts that failed in {:.1} s, {pings} pings answered meanwhile; \
         accepted again {} ms after descriptors were freed elsewhere; all {CLIENTS} served",
        lasted.as_secs_f64(),
        recovered.as_millis()
    ));
    assert!(failed > 0, "nothing was traced");
    assert!(failed <= ATTEMPTS_MAX * time.as_secs(), "{failed} attempts in {lasted:?}");
}

fn ask<T: std::str::FromStr>(server: &mut Child, what: &str) -> T {
    server.tell(what);
    server.hear_number()
}

fn ping(mut client: &TcpStream) {
    client.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}

/// `strace` writes line by line.
fn failed_attempts(trace: &std::path::Path) -> u64 {
    let calls = fs::read_to_string(trace).unwrap();
    calls.lines().filter(|line| line.contains("EMFILE")).count() as u64
}

// ---- the server ---------------------------------------------------------------------------------

fn serve() {
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut others: Vec<_> = (0..OTHERS).map(|_| File::open("/dev/null").unwrap()).collect();
    let told = std::sync::Once::new();
    let builder = SelectorManager::builder().on_task_error(move |error| {
        if error.kind() == ErrorKind::Exhausted {
            told.call_once(|| say("accepting pauses"));
        }
    });
    let served = builder.run(async |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let accepting = selector.spawn(accept(server));
        let mut orders = selector.blocking_reader(io::stdin());
        while let Some(order) = orders.read_line().await? {
            if order == "free" {
                say(&others.drain(..).count().to_string());
            } else {
                say(&selector.stats().accepted.to_string());
            }
        }
        accepting.abort();
        Ok::<_, forebay::Error>(())
    });
    served.unwrap();
}

async fn accept(server: ServerSocket) -> Result<()> {
    loop {
        forebay::spawn(echo(server.accept().await?)).detach();
    }
}

async fn echo(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    input.copy_to(&mut output).await?;
    socket.close().await
}
