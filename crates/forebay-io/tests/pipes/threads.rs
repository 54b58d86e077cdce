//! A pipe between two threads: no byte is lost, and no thread sleeps forever.

use std::thread;

use forebay_io::{ByteReadChannel, ByteWriteChannel, Result, pipe};
use forebay_testing::{KIB, MIB, channels::duplex, scrambled, watched};
use futures_lite::future::block_on;

/// Miri runs about a thousand times slower, and looks for other faults than what many rounds find.
const PIPES: u32 = if cfg!(miri) { 10 } else { 2_000 };

#[test]
fn a_hundred_thousand_times_there_and_back() {
    const ROUNDS: u32 = if cfg!(miri) { 50 } else { 100_000 };
    async fn answer(mut input: ByteReadChannel, mut output: ByteWriteChannel) -> Result<()> {
        for _ in 0..ROUNDS {
            let number = input.read_u32().await?;
            output.write_u32(number + 1).await?;
        }
        output.finish().await
    }
    watched(|| {
        let (mut client, server) = duplex(16);
        let server = thread::spawn(move || block_on(answer(server.input, server.output)));
        block_on(async {
            for number in 0..ROUNDS {
                client.output.write_u32(number).await?;
                assert_eq!(client.input.read_u32().await?, number + 1);
            }
            assert!(client.input.read_u8().await.is_err_and(|error| error.is_end()));
            Result::Ok(())
        })
        .expect("both go on to the end");
        server.join().expect("no panic").expect("a clean end");
    });
}

#[test]
fn every_byte_arrives_once_and_in_order() {
    for capacity in [1, 100, 64 * KIB, MIB] {
        watched(move || {
            let (mut input, mut output) = pipe(capacity);
            // Through one byte of room everything goes by turns.
            let total = if capacity == 1 { 20 * KIB } else { 2 * MIB };
            let total = if cfg!(miri) { total / 40 } else { total };
            let bytes = scrambled(total, capacity);
            let expected = bytes.clone();
            let writer = thread::spawn(move || {
                block_on(async {
                    for (at, piece) in bytes.chunks(7777).enumerate() {
                        output.write_all(piece).await?;
                        if at % 5 == 0 {
                            output.flush().await?;
                        }
                    }
                    // The rest follows in the background.
                    drop(output);
                    Result::Ok(())
                })
            });
            let all = block_on(input.read_remaining(4 * MIB)).expect("a clean end");
            assert!(all.as_slice() == expected);
            writer.join().expect("no panic").expect("the reader reads");
        });
    }
}

#[test]
fn a_reader_that_vanishes_is_noticed_by_a_writer_that_waits() {
    watched(|| {
        for _ in 0..PIPES {
            let (mut input, mut output) = pipe(1);
            let writer = thread::spawn(move || {
                block_on(async {
                    loop {
                        if let Err(error) = output.write_all(&[7; 10]).await {
                            return error;
                        }
                    }
                })
            });
            block_on(input.read_u8()).expect("a byte");
            drop(input);
            assert!(writer.join().expect("no panic").is_reset());
        }
    });
}

#[test]
fn a_writer_that_vanishes_is_noticed_by_a_reader_that_waits() {
    watched(|| {
        for round in 0..PIPES {
            let (mut input, mut output) = pipe(4);
            let reader = thread::spawn(move || block_on(input.read_remaining(KIB)));
            block_on(output.write_str("some")).expect("the reader is there");
            if round % 2 == 0 {
                block_on(output.write_str(" more than fits")).expect("the reader is there");
            }
            drop(output);
            let all = reader.join().expect("no panic").expect("a clean end");
            assert_eq!(all.len(), if round % 2 == 0 { 19 } else { 4 });
        }
    });
}
