//! The channel alone, in memory: lines, delimiters, packets, numbers and pipes, beside what tokio's users have.
//!
//! ```sh
//! cargo bench --manifest-path bench/Cargo.toml --bench channels
//! ```
//!
//! Every input is there already, and no system call is made.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use forebay::{ByteReadChannel, pipe};
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, duplex};
use tokio_util::codec::{FramedRead, LinesCodec};

/// The bytes of one input.
const INPUT_BYTES: usize = 1024 * 1024;

/// Returns the output of a future that waits for nothing, although it may give way.
fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// Measures one way to take an input apart, which must find `count` parts.
fn compare<F: Future<Output = usize>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    count: usize,
    take_apart: impl Fn() -> F,
) {
    assert_eq!(run(take_apart()), count, "{name}");
    group.bench_function(name, |bencher| bencher.iter(|| run(take_apart())));
}

/// Returns lines of this length, with their terminators.
fn lines(length: usize) -> &'static [u8] {
    let content = (0..length - 1).map(|at| b'a' + (at % 26) as u8);
    content.chain([b'\n']).collect::<Vec<_>>().repeat(INPUT_BYTES / length).leak()
}

fn read_lines(criterion: &mut Criterion) {
    for length in [8, 32, 200, 4096] {
        let input = lines(length);
        let count = input.len() / length;
        let mut group = criterion.benchmark_group(format!("lines of {length} bytes"));
        group.throughput(Throughput::Elements(count as u64));
        compare(&mut group, "read_line_ref", count, || async {
            let (mut from, mut count) = (ByteReadChannel::from(input), 0);
            while let Some(line) = from.read_line_ref().await.unwrap() {
                count += usize::from(black_box(line).len() == length - 1);
            }
            count
        });
        compare(&mut group, "read_lines_ref", count, || async {
            let (mut from, mut count) = (ByteReadChannel::from(input), 0);
            while let Some(lines) = from.read_lines_ref().await.unwrap() {
                count += lines.filter(|line| black_box(line).len() == length - 1).count();
            }
            count
        });
        compare(&mut group, "read_line", count, || async {
            let (mut from, mut count) = (ByteReadChannel::from(input), 0);
            while let Some(line) = from.read_line().await.unwrap() {
                count += usize::from(black_box(line).len() == length - 1);
            }
            count
        });
        compare(&mut group, "tokio read_line, one String", count, || async {
            let (mut from, mut line, mut count) = (BufReader::new(input), String::new(), 0);
            while from.read_line(&mut line).await.unwrap() > 0 {
                count += usize::from(black_box(&line).len() == length);
                line.clear();
            }
            count
        });
        compare(&mut group, "tokio-util LinesCodec", count, || async {
            let (mut from, mut count) = (FramedRead::new(input, LinesCodec::new()), 0);
            while let Some(line) = from.next().await {
                count += usize::from(black_box(line.unwrap()).len() == length - 1);
            }
            count
        });
        group.finish();
    }
}

fn read_until(criterion: &mut Criterion) {
    const PART_BYTES: usize = 64 * 1024;
    let part = [&vec![b'x'; PART_BYTES - 4][..], b"\r\n.\r"].concat();
    let input: &'static [u8] = part.repeat(INPUT_BYTES / PART_BYTES).leak();
    let count = input.len() / PART_BYTES;
    let mut group = criterion.benchmark_group("parts of 64 KiB up to a delimiter");
    group.throughput(Throughput::Bytes(input.len() as u64));
    compare(&mut group, "read_until_into, four bytes", count, || async {
        let (mut from, mut part, mut count) = (ByteReadChannel::from(input), Vec::new(), 0);
        while !from.is_closed_for_read() {
            if from.read_until_into(b"\r\n.\r", &mut part, PART_BYTES).await.is_err() {
                break;
            }
            count += usize::from(black_box(&part).len() == PART_BYTES - 4);
            part.clear();
        }
        count
    });
    compare(&mut group, "tokio read_until, one byte", count, || async {
        let (mut from, mut part, mut count) = (BufReader::new(input), Vec::new(), 0);
        while from.read_until(b'.', &mut part).await.unwrap() > 0 && part.ends_with(b".") {
            count += usize::from(black_box(&part).len() >= PART_BYTES - 1);
            part.clear();
        }
        count
    });
    group.finish();
}

fn read_numbers(criterion: &mut Criterion) {
    let input = lines(32);
    let count = input.len() / 4;
    let mut group = criterion.benchmark_group("numbers of four bytes");
    group.throughput(Throughput::Elements(count as u64));
    compare(&mut group, "read_u32", count, || async {
        let mut from = ByteReadChannel::from(input);
        for _ in 0..count {
            black_box(from.read_u32().await.unwrap());
        }
        count
    });
    compare(&mut group, "tokio read_u32", count, || async {
        let mut from = BufReader::new(input);
        for _ in 0..count {
            black_box(from.read_u32().await.unwrap());
        }
        count
    });
    group.finish();
}

fn read_packets(criterion: &mut Criterion) {
    const PACKET_BYTES: usize = 1024;
    let input = lines(32);
    let count = input.len() / PACKET_BYTES;
    let mut group = criterion.benchmark_group("packets of 1 KiB");
    group.throughput(Throughput::Bytes(input.len() as u64));
    compare(&mut group, "read_packet", count, || async {
        let mut from = ByteReadChannel::from(input);
        for _ in 0..count {
            black_box(from.read_packet(PACKET_BYTES).await.unwrap());
        }
        count
    });
    compare(&mut group, "tokio read_exact, one slice", count, || async {
        let (mut from, mut packet) = (BufReader::new(input), [0; PACKET_BYTES]);
        for _ in 0..count {
            from.read_exact(&mut packet).await.unwrap();
            black_box(&packet);
        }
        count
    });
    group.finish();
}

fn pipes(criterion: &mut Criterion) {
    const LINE: &str = "twenty bytes of text";
    const COUNT: usize = 1000;
    let mut group = criterion.benchmark_group("20 bytes through a pipe");
    group.throughput(Throughput::Elements(COUNT as u64));
    compare(&mut group, "pipe", COUNT, || async {
        let (mut from, mut to) = pipe(64 * 1024);
        for _ in 0..COUNT {
            to.write_str(LINE).await.unwrap();
        }
        to.finish().await.unwrap();
        from.discard(u64::MAX).await.unwrap() as usize / LINE.len()
    });
    compare(&mut group, "tokio duplex", COUNT, || async {
        let (mut from, mut to) = duplex(64 * 1024);
        for _ in 0..COUNT {
            to.write_all(LINE.as_bytes()).await.unwrap();
        }
        drop(to);
        let mut received = Vec::new();
        from.read_to_end(&mut received).await.unwrap() / LINE.len()
    });
    group.finish();
}

criterion_group!(benches, read_lines, read_until, read_numbers, read_packets, pipes);
criterion_main!(benches);
