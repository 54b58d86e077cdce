//! Sixteen lines answered within one turn leave in one send: the system calls are counted from
//! outside, by `strace`, and compared with what the selector says.

#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::process::id;

use forebay::{Result, Socket};
use forebay_testing::{Child, dial, listener, report, role, say, skip, watched};

/// Calls that can put bytes on a TCP connection, with an opening parenthesis.
const SENDS: [&str; 6] = ["sendto(", "sendmsg(", "sendmmsg(", "write(", "writev(", "pwritev2("];
const NAME: &str = "sixteen_lines_answered_in_one_turn_leave_in_one_send";
const ROUNDS: u64 = 25;
const LINES: usize = 16;

#[test]
fn sixteen_lines_answered_in_one_turn_leave_in_one_send() {
    if role().is_some() {
        return serve();
    }
    if !Child::can_trace(&["strace", "-o", "/dev/null"]) {
        return skip("one_send_per_turn", "strace is missing, or may not trace");
    }
    watched(|| {
        let trace = env::temp_dir().join(format!("forebay-one-send-{}", id()));
        let file = trace.to_str().unwrap();
        let strace =
            ["strace", "-f", "-yy", "-e", "trace=network,write,writev,pwritev2", "-o", file];
        let mut server = Child::start_under(&strace, NAME, "server");
        let port = server.hear_number();
        greet(port);
        server.tell("that was all");
        let counted: u64 = server.hear_number();
        server.end();

        let calls = fs::read_to_string(&trace).unwrap();
        fs::remove_file(&trace).unwrap();
        let traced = calls.lines().filter(|line| is_tcp_send(line)).count() as u64;
        report(&format!(
            "{NAME}: {} lines answered, {traced} sends traced, {counted} in stats()",
            ROUNDS * LINES as u64
        ));
        assert_eq!(traced, counted);
        // One for the prompt, and one for each round of sixteen.
        assert_eq!(counted, 1 + ROUNDS);
    });
}

/// A line of the trace that begins a send on a TCP descriptor:
/// `4711 sendto(7<TCP:[127.0.0.1:1->127.0.0.1:2]>, ..`.
fn is_tcp_send(line: &str) -> bool {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    SENDS.iter().any(|name| {
        call.strip_prefix(name)
            .and_then(|arguments| {
                arguments.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('<')
            })
            .is_some_and(|target| target.starts_with("TCP"))
    })
}

/// A client that sends its lines in one piece, and the next when all are answered.
fn greet(port: u16) {
    let mut client = dial(port);
    let prompt = "Please enter your name\n";
    client.read_exact(&mut vec![0; prompt.len()]).unwrap();
    let names = ["Ada\n", "Grace Hopper\n", "Katherine\n", "\n"].repeat(LINES / 4).concat();
    let greetings: Vec<_> = names.lines().map(|name| ["Hello, ", name, "!\n"].concat()).collect();
    let greetings = greetings.concat();
    let mut answer = vec![0; greetings.len()];
    for _ in 0..ROUNDS {
        client.write_all(names.as_bytes()).unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, greetings.as_bytes());
    }
}

fn serve() {
    let served = forebay::run(async |selector| {
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let session = selector.spawn(session(server.accept().await?));
        selector.blocking_reader(io::stdin()).read_line().await?;
        session.await?;
        say(&selector.stats().sends.to_string());
        Ok::<_, forebay::Error>(())
    });
    served.unwrap();
}

/// README's session.
async fn session(socket: Socket) -> Result<()> {
    let mut input = socket.open_read_channel()?;
    let mut output = socket.open_write_channel()?;
    output.write_str("Please enter your name\n").await?;
    while let Some(name) = input.read_line().await? {
        output.write_str(&format!("Hello, {name}!\n")).await?;
    }
    socket.close().await
}
