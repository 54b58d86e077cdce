//! The limits of writes that a selector's builder sets are those of all channels that it opens.

use forebay::{ByteReadChannel, ByteWriteChannel, ErrorKind, Result, SelectorManager};
use forebay_testing::{Transport, on_each};

/// The mark that is set.
const MARK: usize = 1000;

fn selector() -> SelectorManager {
    let builder = SelectorManager::builder().high_water(MARK).item_limit(50).packet_limit(40);
    builder.build().unwrap()
}

async fn assert_input_limited(input: &mut ByteReadChannel) {
    let error = input.read_packet(41).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 40 });
}

fn assert_output_limited(output: &mut ByteWriteChannel) {
    let error = output.try_write_str(&"x".repeat(51)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded { limit: 50 });
}

#[test]
fn the_channels_of_a_socket_have_the_limits_of_its_selector() {
    on_each(|transport: Transport| {
        let selector = selector();
        selector.block_on(async {
            let (mut near, mut far) = transport.pair(&selector).await.unwrap();
            for side in [&mut near, &mut far] {
                assert_input_limited(&mut side.input).await;
                assert_output_limited(&mut side.output);
                assert_eq!(side.output.free_space(), MARK);
            }
            // What is written still arrives: limits are no walls.
            near.output.write_str(&"y".repeat(5000)).await.unwrap();
            near.output.finish().await.unwrap();
            assert_eq!(far.input.read_remaining(9000).await.unwrap().len(), 5000);
            selector.close().await;
        });
    });
}

#[test]
fn so_have_blocks_files_and_pairs_in_memory() {
    let selector = selector();
    selector.block_on(async {
        let mut input = selector.blocking_reader(&b"bytes"[..]);
        assert_input_limited(&mut input).await;
        let mut output = selector.blocking_writer(Vec::new());
        assert_output_limited(&mut output);
        assert_eq!(output.free_space(), MARK);
        let mut from = selector.writer(|mut output| async move {
            assert_output_limited(&mut output);
            Result::Ok(())
        });
        assert_input_limited(&mut from).await;
        assert!(from.read_remaining(9).await.unwrap().is_empty());
        let mut to = selector.reader(|mut input| async move {
            assert_input_limited(&mut input).await;
            input.discard(9).await.map(drop)
        });
        assert_output_limited(&mut to);
        to.finish().await.unwrap();
        let (mut near, _far) = selector.duplex(100);
        assert_input_limited(&mut near.input).await;
        assert_output_limited(&mut near.output);
        selector.close().await;
    });
}
