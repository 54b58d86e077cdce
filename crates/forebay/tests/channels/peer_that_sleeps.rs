//! A writer of a gigabyte whose peer sleeps. It is suspended at the mark, its process does
//! not grow, a deadline on the write says so and loses nothing; and when the peer wakes up, every
//! byte arrives.

#![cfg(target_os = "linux")]

use std::io::{self, Read};
use std::time::Duration;

use forebay::{ByteWriteChannel, Result, SelectorManager};
use forebay_testing::{
    Child, Host, KIB, Known, MIB, PATIENCE, dial, listener, memory_of, report, role, run, say,
    seed, size, watched_for,
};

const NAME: &str = "a_writer_waits_for_a_peer_that_sleeps";
/// One write, and so what the queue may hold above its mark.
const PIECE: usize = 100 * KIB;
const MARK: usize = 64 * KIB;
/// The limit on one write.
const DEADLINE: Duration = Duration::from_millis(100);
/// Returns the limit on the child's growth, in KiB. Where several threads have a part in carrying the bytes, each of them
/// keeps blocks for its next use, a few dozen, however much is carried.
fn growth_kib_max() -> usize {
    if Host::of_environment() == Host::Own { KIB } else { 10 * KIB }
}

#[test]
fn a_writer_waits_for_a_peer_that_sleeps() {
    if let Some(role) = role() {
        return write(role.parse().unwrap());
    }
    let seed = seed(NAME);
    let bytes = size("FOREBAY_T6_MIB", 256, 1024) * MIB;
    watched_for(2 * PATIENCE, move || {
        let mut writer = Child::start(NAME, &seed.to_string());
        let mut peer = dial(writer.hear_number());
        writer.tell(&bytes.to_string());
        let before: usize = writer.hear_number();
        let accepted = see_it_wait(&mut writer, before);
        // The peer wakes up.
        let mut known = Known::new(seed);
        let (mut buffer, mut received) = (vec![0; 256 * KIB], 0);
        loop {
            let count = peer.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            known.check(&buffer[..count]);
            received += count;
        }
        assert_eq!(received, bytes);
        while writer.hear().unwrap() != "everything" {}
        let (after, peak) = memory_of(writer.id());
        report(&format!(
            "{NAME}: {accepted} bytes accepted while the peer slept, {received} received; \
             VmRSS {before} KiB before, {after} KiB behind them, VmHWM {peak} KiB"
        ));
        assert!(after <= before + growth_kib_max());
        writer.end();
    });
}

/// The deadline passes again and again, and nothing more is accepted, queued or held. Says how much
/// was accepted.
fn see_it_wait(writer: &mut Child, before: usize) -> usize {
    // The first deadlines may pass before the kernel's buffers are full, on a machine that is busy.
    let (mut accepted, mut queued, mut alike) = (0, 0, 0);
    while alike < 5 {
        let line = writer.hear().expect("the child has ended");
        let (accepted_now, queued_now) = line.split_once(' ').unwrap();
        let now = (accepted_now.parse().unwrap(), queued_now.parse().unwrap());
        alike = if now == (accepted, queued) { alike + 1 } else { 0 };
        (accepted, queued) = now;
        let memory = memory_of(writer.id()).0;
        report(&format!(
            "{NAME}: a deadline: {accepted} bytes accepted, {queued} queued, VmRSS {memory} KiB"
        ));
        assert!(memory <= before + growth_kib_max());
        assert!((MARK..MARK + PIECE).contains(&queued));
    }
    accepted
}

// ---- the child ----------------------------------------------------------------------------------

fn write(seed: u64) {
    run(async move |selector| {
        let mut known = Known::new(seed);
        let server = listener(&selector).await?;
        say(&server.port().to_string());
        let mut input = selector.blocking_reader(io::stdin());
        let bytes = input.read_line().await?.unwrap().parse().unwrap();
        let mut output = server.accept().await?.open_write_channel()?;
        say(&memory_of(std::process::id()).0.to_string());
        write_with_deadlines(&selector, &mut output, &mut known, bytes).await?;
        output.finish().await?;
        say("everything");
        input.discard(u64::MAX).await?;
        Ok(())
    });
}

/// Writes so many bytes, piece by piece. A piece whose deadline passes has not been accepted, and is
/// written again.
async fn write_with_deadlines(
    selector: &SelectorManager,
    output: &mut ByteWriteChannel,
    known: &mut Known,
    bytes: usize,
) -> Result<()> {
    let mut accepted = 0;
    while accepted < bytes {
        let piece = known.take(PIECE.min(bytes - accepted));
        loop {
            match selector.timeout(DEADLINE, output.write_all(piece)).await {
                Ok(()) => break,
                Err(error) if error.is_timeout() => {
                    say(&format!("{accepted} {}", output.queued()));
                }
                Err(error) => return Err(error),
            }
        }
        accepted += piece.len();
    }
    Ok(())
}
