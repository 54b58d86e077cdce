//! Small buffers and small packets, a cable that is pulled out for a while,
//! and packets that are lost, doubled and overtaken. What is received is what was sent, both ways
//! at once, and no call reports an error that there was not.
//!
//! Two processes, each with a selector of its own, in two network namespaces.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Duration;

use forebay::{ByteReadChannel, ByteWriteChannel, Connection, Result, SelectorManager};
use forebay_testing::{
    Cable, End, KIB, Known, MIB, PLUG, Random, from_environment, in_host, on_a_cable, report, role,
    say, seed, size, skip, watched_for,
};

const PORT: u16 = 9000;
/// Packets are lost, so everything may take its time.
const WATCH: Duration = Duration::from_secs(240);

// ---- the two that talk --------------------------------------------------------------------------

/// The instructions for a child: its end of the cable, and what the children do there.
#[derive(Debug, Clone, Copy)]
struct Talk {
    end: End,
    seed: u64,
    bytes: usize,
    /// It reads and writes so many bytes at a time, at most.
    piece: usize,
    /// The one that listens.
    host: [u8; 4],
}

impl Talk {
    fn role(self, end: End) -> String {
        let [_, _, net, host] = self.host;
        format!("{} {} {} {} {net} {host}", end as usize, self.seed, self.bytes, self.piece)
    }

    fn parse(role: &str) -> Self {
        let numbers: Vec<u64> = role.split(' ').map(|it| it.parse().unwrap()).collect();
        let usize = |number| usize::try_from(number).unwrap();
        let byte = |number| u8::try_from(number).unwrap();
        Self {
            end: End::BOTH[usize(numbers[0])],
            seed: numbers[1],
            bytes: usize(numbers[2]),
            piece: usize(numbers[3]),
            host: [10, 77, byte(numbers[4]), byte(numbers[5])],
        }
    }
}

/// The child: connects or is connected to, and exchanges what both know.
fn talk(role: &str) {
    let talk = Talk::parse(role);
    watched_for(WATCH, move || {
        in_host(async move |selector: SelectorManager| {
            let address = (std::net::Ipv4Addr::from(talk.host), PORT);
            let socket = match talk.end {
                End::Left => {
                    let server = selector.tcp().bind(address).await?;
                    say("listening");
                    server.accept().await?
                }
                End::Right => selector.tcp().connect_timeout(WATCH).connect(address).await?,
            };
            let Connection { mut input, mut output, socket } = socket.connection()?;
            let (mine, theirs) = match talk.end {
                End::Left => (talk.seed, !talk.seed),
                End::Right => (!talk.seed, talk.seed),
            };
            let sending = selector.spawn(async move { send(&mut output, talk, mine).await });
            receive(&mut input, talk, theirs).await?;
            sending.await?;
            socket.close().await?;
            let stats = selector.stats();
            say(&format!("{} sends, {} receives", stats.sends, stats.receives));
            Result::Ok(())
        })
    })
    .unwrap();
}

async fn send(output: &mut ByteWriteChannel, talk: Talk, seed: u64) -> Result<()> {
    let (mut known, mut random) = (Known::new(seed), Random::new(seed, 0));
    let mut left = talk.bytes;
    while left > 0 {
        let piece = known.take(left.min(1 + random.below(talk.piece)));
        left -= piece.len();
        output.write_all(piece).await?;
    }
    output.finish().await
}

/// Receives to the end, and says when a third is there, and when all is.
async fn receive(input: &mut ByteReadChannel, talk: Talk, seed: u64) -> Result<()> {
    let (mut known, mut random) = (Known::new(seed), Random::new(!seed, 0));
    let mut buffer = vec![0; talk.piece];
    let (mut received, mut said) = (0, false);
    loop {
        // Every other read is for a single byte.
        let room = if random.below(2) == 0 { 1 } else { 1 + random.below(talk.piece) };
        let count = input.read(&mut buffer[..room]).await?;
        if count == 0 {
            break;
        }
        known.check(&buffer[..count]);
        received += count;
        if !said && received > talk.bytes / 3 {
            said = true;
            say("a third");
        }
    }
    assert_eq!(received, talk.bytes);
    say("everything");
    Ok(())
}

/// Lets two children talk to each other, and does something once one of them has a third.
fn exchange(cable: &Cable, name: &str, talk: Talk, in_between: impl FnOnce()) {
    let mut left = cable.start(End::Left, name, &talk.role(End::Left));
    assert_eq!(left.hear().as_deref(), Some("listening"));
    let mut right = cable.start(End::Right, name, &talk.role(End::Right));
    assert_eq!(left.hear().as_deref(), Some("a third"));
    in_between();
    for (side, child) in [("left", &mut left), ("right", &mut right)] {
        let mut line = child.hear();
        while matches!(line.as_deref(), Some("a third" | "everything")) {
            line = child.hear();
        }
        let counts = line.expect("a child that has failed says nothing");
        report(&format!("{name}: {side}: {} bytes each way, {counts}", talk.bytes));
    }
    left.end();
    right.end();
}

// ---- small buffers and packets ------------------------------------------------------------------

#[test]
fn the_smallest_buffers_and_packets_change_no_byte() {
    const NAME: &str = "the_smallest_buffers_and_packets_change_no_byte";
    if let Some(role) = role() {
        return talk(&role);
    }
    let seed = seed(NAME);
    on_a_cable(NAME, WATCH, move |cable| {
        cable.set_packet_bytes(600);
        for end in End::BOTH {
            // The least that the kernel grants, whatever is asked for: SO_SNDBUF and SO_RCVBUF of
            // every socket there is.
            cable.set(end, "net/ipv4/tcp_wmem", "4096 4608 4608");
            cable.set(end, "net/ipv4/tcp_rmem", "2304 2304 2304");
        }
        let bytes = from_environment("FOREBAY_T8_KIB", 2 * KIB) * KIB;
        let talk = Talk { end: End::Left, seed, bytes, piece: 3 * KIB, host: [10, 77, 0, 1] };
        exchange(cable, NAME, talk, || {});
    });
}

// ---- a pulled cable -----------------------------------------------------------------------------

#[test]
fn a_cable_that_was_pulled_for_a_while_is_no_error() {
    const NAME: &str = "a_cable_that_was_pulled_for_a_while_is_no_error";
    if let Some(role) = role() {
        return talk(&role);
    }
    let seed = seed(NAME);
    on_a_cable(NAME, WATCH, move |cable| {
        // So much that it is not over before the cable is out: that takes a program.
        let bytes = size("FOREBAY_T10_MIB", 100, 400) * MIB;
        let pulled = Duration::from_secs(from_environment("FOREBAY_T10_SECONDS", 2));
        let talk = Talk { end: End::Left, seed, bytes, piece: 64 * KIB, host: [10, 77, 0, 1] };
        let before = End::BOTH.map(|end| cable.retransmitted(end));
        exchange(cable, NAME, talk, || {
            cable.pull();
            // How long it is out is what is tested; nothing waits for something here.
            thread::sleep(pulled);
            cable.plug_in();
        });
        let after = End::BOTH.map(|end| cable.retransmitted(end));
        let again = [after[0] - before[0], after[1] - before[1]];
        report(&format!("{NAME}: out for {pulled:?}, segments sent again: {again:?}"));
        assert!(again.iter().sum::<usize>() > 0, "nothing was on its way when it was pulled");
    });
}

// ---- lost packets -------------------------------------------------------------------------------

#[test]
fn lost_packets_change_no_byte() {
    const NAME: &str = "lost_packets_change_no_byte";
    if let Some(role) = role() {
        return talk(&role);
    }
    let seed = seed(NAME);
    on_a_cable(NAME, WATCH, move |cable| {
        cable.hurry();
        cable.set_packet_bytes(1500);
        for (percent, kib) in [(5, 2 * KIB), (20, 128)] {
            for end in End::BOTH {
                let rules = format!(
                    "add table ip bad; flush table ip bad; \
                     add chain ip bad in {{ type filter hook input priority 0; }}; \
                     add rule ip bad in iifname {PLUG} numgen random mod 100 < {percent} drop\n"
                );
                if !cable.filter(end, &rules) {
                    return skip(NAME, "nft is missing");
                }
            }
            let bytes = from_environment("FOREBAY_T11_KIB", kib) * KIB;
            let talk = Talk { end: End::Left, seed, bytes, piece: 16 * KIB, host: [10, 77, 0, 1] };
            let before = cable.retransmitted(End::Left);
            exchange(cable, NAME, talk, || {});
            let again = cable.retransmitted(End::Left) - before;
            report(&format!("{NAME}: {percent} % lost, segments sent again: {again}"));
            assert!(again > 0, "nothing was lost");
        }
    });
}

/// The packets go through a program that loses, doubles and delays some of them.
#[test]
fn doubled_and_overtaken_packets_change_no_byte() {
    const NAME: &str = "doubled_and_overtaken_packets_change_no_byte";
    if let Some(role) = role() {
        return talk(&role);
    }
    let seed = seed(NAME);
    on_a_cable(NAME, WATCH, move |cable| {
        cable.hurry();
        let Some(mut relay) = Relay::start(cable, seed) else {
            return skip(NAME, "python3 or /dev/net/tun is missing");
        };
        let bytes = from_environment("FOREBAY_T11_KIB", 2 * KIB) * KIB;
        let talk = Talk { end: End::Left, seed, bytes, piece: 16 * KIB, host: [10, 77, 1, 1] };
        exchange(cable, NAME, talk, || {});
        let counts = relay.end();
        report(&format!("{NAME}: {counts}"));
        assert!(!counts.contains(" 0 "), "it did not do all it should");
    });
}

/// The program, and its two devices: one in each namespace.
struct Relay {
    process: process::Child,
    output: BufReader<process::ChildStdout>,
}

impl Relay {
    fn start(cable: &Cable, seed: u64) -> Option<Self> {
        let mut process = Command::new("ip")
            .args(["netns", "exec", cable.name(End::Left)])
            .args(["python3", "-c", include_str!("relay.py")])
            .args(["relayl", "relayr", &seed.to_string(), "3", "10", "10"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut relay = Self { process, output };
        if relay.hear() != "ready" {
            return None;
        }
        cable.run(End::Left, &["ip", "link", "set", "relayr", "netns", cable.name(End::Right)]);
        for (end, name, address) in
            [(End::Left, "relayl", "10.77.1.1/24"), (End::Right, "relayr", "10.77.1.2/24")]
        {
            cable.run(end, &["ip", "address", "add", address, "dev", name]);
            cable.run(end, &["ip", "link", "set", name, "up"]);
        }
        Some(relay)
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn end(&mut self) -> String {
        drop(self.process.stdin.take());
        self.hear()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
