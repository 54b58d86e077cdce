//! One message to many connections: whole and in order for each of them, whatever becomes of the others.

use bytes::Bytes;
use forebay::{
    ByteReadChannel, Connection, Error, LengthFraming, Result, SelectorManager, SharedWriteChannel,
};
use forebay_testing::{KIB, Transport, on_each, size};

const MESSAGES: u32 = 60;
/// Of a reader that is reset, its number is a multiple of this.
const RESET_EACH: usize = 5;
/// The number of messages that such a reader reads.
const READ_BEFORE_RESET: u32 = 7;

fn framing() -> LengthFraming {
    LengthFraming::u32()
}

/// Makes a message with its length in front: of its sender, its number, and bytes that follow from both. The lengths are
/// such that it is copied, lent and shared.
fn message(sender: u32, number: u32) -> Bytes {
    let length =
        [10, 300, 5 * KIB, 20 * KIB, 40 * KIB][(number + sender) as usize % 5] + number as usize;
    let filling = u8::try_from((sender * 31 + number) % 251).unwrap();
    let mut message = u32::try_from(8 + length).unwrap().to_be_bytes().to_vec();
    message.extend([sender.to_be_bytes(), number.to_be_bytes()].concat());
    message.extend(vec![filling; length]);
    message.into()
}

/// Reads up to the end of the input, or so many messages, and checks that each is whole and in its sender's order.
/// Returns how many came from each of the two senders.
async fn read_messages(input: &mut ByteReadChannel, most: u32) -> Result<[u32; 2]> {
    let mut next = [0; 2];
    while next[0] + next[1] < most
        && let Some(frame) = input.read_frame(&framing()).await?
    {
        let sender =
            frame.as_slice().first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).unwrap();
        let number = &mut next[sender as usize];
        assert!(frame.as_slice() == &message(sender, *number)[4..], "not message {number}");
        *number += 1;
    }
    Ok(next)
}

async fn pairs(selector: &SelectorManager, transport: Transport) -> Vec<(Connection, Connection)> {
    let mut pairs = Vec::new();
    for _ in 0..size("FOREBAY_READERS", 30, 300) {
        pairs.push(transport.pair(selector).await.unwrap());
    }
    pairs
}

/// Some readers reset their connections in the middle. The sender drops its channels when it has said everything.
#[test]
fn every_reader_hears_everything_in_order_while_others_are_reset() {
    on_each(|transport: Transport| {
        let selector = SelectorManager::builder().workers(2).build().unwrap();
        selector.block_on(async {
            let (mut outputs, mut readers) = (Vec::new(), Vec::new());
            for (number, (near, mut far)) in
                pairs(&selector, transport).await.into_iter().enumerate()
            {
                let is_reset = number % RESET_EACH == 0;
                // The socket's handle goes with its reader, which is told of the end by the channel alone.
                outputs.push(near.output);
                readers.push(selector.spawn_value(async move {
                    if !is_reset {
                        return read_messages(&mut far.input, u32::MAX).await;
                    }
                    let read = read_messages(&mut far.input, READ_BEFORE_RESET).await?;
                    far.socket.abort();
                    Ok(read)
                }));
            }
            let mut gone = 0;
            for number in 0..MESSAGES {
                let message = message(0, number);
                let mut kept = Vec::new();
                for mut output in outputs {
                    // The plain loop, and one that waits for a reader that is behind.
                    let said = match output.try_write_bytes(message.clone()) {
                        Ok(false) => output.write_bytes(message.clone()).await,
                        said => said.map(drop),
                    };
                    match said {
                        Ok(()) => kept.push(output),
                        Err(_) => gone += 1,
                    }
                }
                outputs = kept;
            }
            drop(outputs);
            for (number, reader) in readers.into_iter().enumerate() {
                let expected = if number % RESET_EACH == 0 { READ_BEFORE_RESET } else { MESSAGES };
                assert_eq!(
                    reader.await.unwrap().unwrap(),
                    [expected, 0],
                    "{number} over {transport}"
                );
            }
            forebay_testing::report(&format!(
                "one_to_many: {gone} readers found gone over {transport}"
            ));
            selector.close().await;
        });
    });
}

async fn say_all(outputs: Vec<SharedWriteChannel>, sender: u32) -> Result<()> {
    for number in 0..MESSAGES {
        let message = message(sender, number);
        for output in &outputs {
            if !output.try_write_bytes(message.clone())? {
                output.write_bytes(message.clone()).await?;
            }
        }
    }
    Ok(())
}

#[test]
fn two_threads_that_say_something_at_once_mix_whole_messages_only() {
    on_each(|transport: Transport| {
        let selector = SelectorManager::builder().workers(2).build().unwrap();
        selector.block_on(async {
            let (mut outputs, mut readers) = (Vec::new(), Vec::new());
            for (near, mut far) in pairs(&selector, transport).await {
                outputs.push(near.output.share());
                let read = async move { read_messages(&mut far.input, u32::MAX).await };
                readers.push(selector.spawn_value(read));
            }
            let senders: Vec<_> = [(0, outputs.clone()), (1, outputs)]
                .into_iter()
                .map(|(sender, outputs)| {
                    // On threads of their own: each sends what it has written in the call itself.
                    let handle = selector.clone();
                    std::thread::spawn(move || handle.block_on(say_all(outputs, sender)))
                })
                .collect();
            for reader in readers {
                assert_eq!(reader.await.unwrap().unwrap(), [MESSAGES; 2], "over {transport}");
            }
            for sender in senders {
                sender.join().unwrap().unwrap();
            }
            selector.close().await;
        });
    });
}

/// It has heard no end in order, if the transport knows a reset.
#[test]
fn a_reader_that_is_cut_off_for_being_slow_hears_nothing_half() {
    on_each(|transport: Transport| {
        let selector = SelectorManager::builder().workers(1).build().unwrap();
        selector.block_on(async {
            let (near, mut far) = transport.pair(&selector).await.unwrap();
            let mut output = near.output;
            let mut said = 0;
            while output.try_write_bytes(message(0, said)).unwrap() {
                said += 1;
                forebay::yield_now().await;
            }
            output.abort_with(Error::other("it reads too slowly"));
            let heard = read_messages(&mut far.input, u32::MAX).await;
            assert!(heard.is_err() || !transport.knows_resets(), "{heard:?} over {transport}");
            assert!(
                output
                    .try_write_bytes(message(0, said))
                    .unwrap_err()
                    .to_string()
                    .contains("too slowly")
            );
            selector.close().await;
        });
    });
}
