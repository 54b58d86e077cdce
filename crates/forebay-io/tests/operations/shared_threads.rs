//! Threads that write, finish, abort and drop beside each other through one shared channel.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use forebay_io::{ByteReadChannel, Error, SharedWriteChannel, pipe, write_line};
use forebay_testing::{KIB, watched};
use futures_lite::future::{block_on, or};

const WRITERS: usize = 4;

/// Writes numbered lines until an error comes or there are so many; returns how many were accepted.
async fn write_lines(output: SharedWriteChannel, writer: usize, count: usize) -> usize {
    for number in 0..count {
        let padding = "x".repeat((number * 37 + writer) % 300);
        if write_line!(output, "{writer} {number} {padding}").await.is_err() {
            return number;
        }
    }
    count
}

/// Reads lines up to the end or an error, and checks that each is whole and in its writer's order.
async fn read_lines(mut input: ByteReadChannel) -> (Vec<usize>, Option<Error>) {
    let mut next = vec![0; WRITERS];
    loop {
        let line = match input.read_line_ref().await {
            Ok(Some(line)) => line,
            Ok(None) => return (next, None),
            Err(error) => return (next, Some(error)),
        };
        let mut words = line.split(' ');
        let writer: usize = words.next().expect("a writer").parse().expect("a number");
        let number: usize = words.next().expect("a number").parse().expect("a number");
        let padding = words.next().expect("a padding");
        assert_eq!(number, next[writer], "out of order");
        assert_eq!(padding.len(), (number * 37 + writer) % 300, "interleaved");
        next[writer] += 1;
    }
}

#[test]
fn threads_beside_each_other_write_whole_lines_in_their_own_order() {
    watched(|| {
        for capacity in [1, 100, 64 * KIB] {
            let (input, output) = pipe(capacity);
            let output = output.share();
            thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let output = output.clone();
                    scope.spawn(move || {
                        assert_eq!(block_on(write_lines(output, writer, 500)), 500);
                    });
                }
                drop(output);
                let (counts, error) = block_on(read_lines(input));
                assert_eq!(counts, [500; WRITERS]);
                assert!(error.is_none(), "the last clone that dropped ended in order: {error:?}");
            });
        }
    });
}

/// The step that one thread takes beside the writers.
#[derive(Debug, Clone, Copy)]
enum Beside {
    Finish,
    Abort,
    DropReader,
    DropCalls,
}

#[test]
fn an_end_beside_the_writers_leaves_no_half_line_and_nobody_waiting() {
    watched(|| {
        for round in 0..60 {
            for beside in [Beside::Finish, Beside::Abort, Beside::DropReader, Beside::DropCalls] {
                run(beside, round);
            }
        }
    });
}

fn run(beside: Beside, round: u64) {
    let (input, output) = pipe(200);
    let output = output.share();
    let start = Barrier::new(WRITERS + 1);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (output, start) = (output.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    block_on(write_lines(output, writer, 300))
                })
            })
            .collect();
        let mut input = Some(input);
        start.wait();
        thread::sleep(Duration::from_micros(round * 7));
        let mut cut = 0;
        match beside {
            Beside::Finish => {
                let output = output.clone();
                scope.spawn(move || block_on(output.finish()));
            }
            Beside::Abort => output.abort_with(Error::other("aborted beside")),
            Beside::DropReader => drop(input.take()),
            // Calls that are dropped while they wait, between those of the others.
            Beside::DropCalls => {
                for _ in 0..50 {
                    let write = async { output.write_str("").await.map(|()| true) };
                    let once = or(write, async { Ok(false) });
                    cut += usize::from(block_on(once).is_ok());
                }
            }
        }
        drop(output);
        let read = input.map(|input| block_on(read_lines(input)));
        let written: Vec<_> =
            writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
        match (beside, read) {
            (Beside::DropCalls, Some((counts, error))) => {
                assert!(error.is_none(), "{error:?}");
                assert_eq!((counts, cut), (vec![300; WRITERS], 50));
            }
            // What was accepted before the end mark was sent, all of it.
            (Beside::Finish, Some((counts, error))) => {
                assert!(error.is_none(), "{error:?}");
                assert_eq!(counts, written);
            }
            (Beside::Abort, Some((counts, error))) => {
                assert_eq!(error.expect("no clean end").to_string(), "aborted beside");
                assert!(counts.iter().zip(&written).all(|(read, written)| read <= written));
            }
            _ => {}
        }
    });
}
